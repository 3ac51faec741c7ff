"""The catalogue: profiles by name, each read when it is first asked for.

A profile stands in a YAML file named after it. Those that come with the package are in ``profiles`` beside this
module, or in ``providers`` of the repository; more may be in directories of the user's, which go first, and in
plugins, which never replace a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from typing_extensions import override

from ..errors import ConfigurationError
from . import registry
from .profile import Profile

__all__ = ["VARIABLE", "Catalogue", "load_profiles", "packaged_directory", "profiles"]

VARIABLE = "MULTIMODEL_PROVIDERS"
"""The environment variable that lists directories of profiles, separated as in ``PATH``."""


class Catalogue(Mapping[str, Profile]):
    """Profiles by name. Asking for the names reads no file."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    @override
    def __getitem__(self, name: str) -> Profile:
        file = self._files.get(name)
        if file is not None:
            return _from_file(file, file.stat().st_mtime_ns)
        if name not in registry.plugins():
            raise KeyError(name)
        return _from_plugin(name)

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._files or name in registry.plugins()

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._files, *registry.plugins()}))

    @override
    def __len__(self) -> int:
        return len({*self._files, *registry.plugins()})


def profiles(environ: Mapping[str, str]) -> Catalogue:
    """Return the catalogue: the directories of ``$MULTIMODEL_PROVIDERS``, the package's profiles, the plugins.

    :raises ConfigurationError: when one of the directories does not exist.
    """
    listed = [Path(part) for part in environ.get(VARIABLE, "").split(os.pathsep) if part]
    for directory in listed:
        if not directory.is_dir():
            raise ConfigurationError(
                f"`{VARIABLE}` names `{directory}`, which is no directory", hint="create it, or change the variable"
            )
    return load_profiles(directories=[*listed, packaged_directory()])


def load_profiles(*, directories: Sequence[Path]) -> Catalogue:
    """Return the profiles of some directories, and of the plugins; of two with the same name the first holds."""
    files: dict[str, Path] = {}
    for directory in directories:
        for file in sorted(directory.glob("*.yaml")):
            files.setdefault(file.stem, file)
    return Catalogue(files)


def packaged_directory() -> Path:
    """Return where the package's own profiles are: inside it, or in the repository it is used from."""
    inside = Path(__file__).parent / "profiles"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "providers"


@lru_cache(maxsize=1024)
def _from_file(file: Path, _changed: int) -> Profile:
    from .profile_file import read_profile

    return read_profile(file)


@lru_cache(maxsize=1024)
def _from_plugin(name: str) -> Profile:
    plugin = registry.load_plugin(name)
    given = getattr(plugin, "profile", plugin)
    if isinstance(given, Mapping):
        defaults = {"name": name} | ({"adapter": name} if given is not plugin else {})
        given = _validated({**defaults, **given}, name)
    if not isinstance(given, Profile) or given.name != name:
        raise ConfigurationError(
            f"the plugin `{name}` has no profile of that name", hint="give its adapter an attribute `profile`"
        )
    return given


def _validated(given: Mapping[str, object], name: str) -> Profile:
    from pydantic import ValidationError

    try:
        return Profile.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"the profile of the plugin `{name}` is wrong: {where}: {first['msg']}") from None
