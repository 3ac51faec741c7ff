"""Where a client's policy comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ..config import Policy, default_policy, find_policy, load_policy
from ..errors import ConfigurationError
from ..providers.base import ProviderSetup
from ..providers.profile import Profile
from .targets import default_archive

__all__ = ["PolicySource", "load", "local_models"]

PolicySource: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Policy | None"


def load(source: PolicySource, environ: Mapping[str, str], profiles: Mapping[str, Profile]) -> Policy:
    """Return the policy; None is what the environment names, what the working directory has, or the built-in one.

    :raises ConfigurationError: with all of its mistakes.
    """
    if source is None:
        source = find_policy(environ, Path.cwd())
        if source is None:
            return default_policy(environ, profiles, local_models(profiles))
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if not isinstance(source, str | Mapping | Policy):
        raise ConfigurationError(
            f"a policy is no `{type(source).__name__}`",
            hint="hand in a file's path as a text or a `Path`, a mapping, or a `Policy`",
        )
    return load_policy(source, environ=environ, profiles=profiles)


def local_models(profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    """Return the names of the local weights that are there, best first."""
    from ..providers.local import LocalProvider

    setup = ProviderSetup("local", profiles["local"], options={"archive": default_archive(os.environ)})
    return LocalProvider(setup).models()
