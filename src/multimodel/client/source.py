"""Where a client's policy comes from."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from ..config import Policy, default_policy, find_policy, load_policy
from ..errors import ConfigurationError
from ..providers.base import Provider, ProviderSetup
from ..providers.catalogue import profiles as catalogue
from ..providers.profile import Fact, Profile
from .accounts import Accounts, default_archive
from .snapshot import Snapshot

__all__ = ["PolicySource", "Source", "local_models"]

PolicySource: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Policy | None"


class Source:
    """What the application handed in, to be loaded once and again.

    :param policy: None is what the environment names, what the working directory has, or the built-in policy.
    :param providers: ready adapters by name.
    """

    def __init__(self, policy: PolicySource, providers: Mapping[str, Provider] | None) -> None:
        if isinstance(policy, os.PathLike):
            policy = os.fspath(policy)
        if policy is not None and not isinstance(policy, str | Mapping | Policy):
            raise ConfigurationError(
                f"a policy is no `{type(policy).__name__}`",
                hint="hand in a file's path as a text or a `Path`, a mapping, or a `Policy`",
            )
        self._policy = policy
        self._given = dict(providers or {})
        self._bare = {name: _bare_profile(name) for name in self._given}

    @property
    def file(self) -> Path | None:
        """The file that it was loaded from; None for a policy made in Python."""
        return Path(self._policy) if isinstance(self._policy, str) else None

    def load(self) -> Snapshot:
        """Load the policy, with the environment and the catalogue as they are now.

        :raises ConfigurationError: with all of its mistakes.
        """
        environ = dict(os.environ)
        profiles: Mapping[str, Profile] = ChainMap(self._bare, catalogue(environ))  # type: ignore[arg-type]  # it is only read
        source = find_policy(environ, Path.cwd()) if self._policy is None else self._policy
        if source is None:
            policy = default_policy(environ, profiles, local_models(profiles))
        else:
            policy = load_policy(source, environ=environ, profiles=profiles)
            if not isinstance(source, Mapping | Policy):  # wherever the process goes from here, it is that file
                self._policy = str(policy.source)
        return Snapshot(policy, Accounts(policy, profiles, environ, self._given))


def local_models(profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    """Return the names of the local weights that are there, best first."""
    from ..providers.local import LocalProvider

    setup = ProviderSetup("local", profiles["local"], options={"archive": default_archive(os.environ)})
    return LocalProvider(setup).models()


def _bare_profile(name: str) -> Profile:
    """What is known of an adapter that the application hands in itself: nothing."""
    fact = Fact(source="given to the client", date=datetime.now(UTC).date())
    return Profile(name=name, title=name, operator=None, adapter="given", key_required=False, fact=fact)
