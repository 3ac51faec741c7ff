"""The archive: models are added, listed and verified. None is ever changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from ...errors import ConfigurationError
from ...providers.local.folder import locate, names
from ...providers.local.manifest import MANIFEST, Manifest, read_manifest
from ...providers.local.seal import flaws, hash_file
from .adding import Added, Facts, add
from .survey import CAPS, Caps
from .writing import abandoned

__all__ = ["Archive", "Stored", "Verdict"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A folder of the archive.

    :ivar manifest: None for plain weights, and where it cannot be read.
    :ivar flaw: why it cannot be used, as far as names and sizes tell.
    """

    name: str
    manifest: Manifest | None = None
    flaw: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model is as it was archived.

    :ivar state: ``plain`` for weights without a manifest.
    :ivar manifest_sha256: of the manifest itself: keep it elsewhere, and nobody can write another one unseen.
    :ivar flaws: what is wrong.
    """

    name: str
    state: Literal["whole", "damaged", "plain"]
    files: int = 0
    size: int = 0
    manifest_sha256: str | None = None
    flaws: tuple[str, ...] = ()


class Archive:
    """A folder with a folder for each model.

    :param now: the wall clock, with a time zone.
    """

    def __init__(self, folder: Path, now: Callable[[], datetime], caps: Caps = CAPS) -> None:
        self.folder = folder
        self._now = now
        self._caps = caps

    def add(self, folder: Path, facts: Facts, name: str | None = None) -> Added:
        """Archive a folder of weights.

        :param name: that of the model; None is the folder's.
        :raises ConfigurationError: when anything in the folder is refused, or it cannot be written.
        """
        folder = folder if folder.name else folder.absolute()  # `.` has no name
        name = folder.resolve().name if name is None else name
        return add(self.folder, folder, facts, name, now=self._now(), caps=self._caps)

    def list(self) -> tuple[Stored, ...]:
        """Return what is in the archive, by name."""
        return tuple(map(self._stored, names(self.folder)))

    def under_way(self) -> dict[str, bool]:
        """Return the hidden folders in which models are being added, and whether they were abandoned."""
        return abandoned(self.folder)

    def find(self, name: str) -> Path:
        """Return the folder of a model.

        :raises ConfigurationError: when there is none, or its name is none.
        """
        folder = locate(self.folder, name)
        if folder is None:
            known = ", ".join(f"`{other}`" for other in names(self.folder)[:16])
            raise ConfigurationError(
                f"no weights `{name}` in `{self.folder}`", hint=f"there are {known}" if known else "it is empty"
            )
        return folder

    def verify(self, name: str, manifest_sha256: str | None = None) -> Verdict:
        """Read every file of a model, and compare.

        :param manifest_sha256: what its manifest must hash to; None takes any.
        :raises ConfigurationError: when there is none.
        """
        folder = self.find(name)
        try:
            manifest = read_manifest(folder)
            if manifest is None:
                return Verdict(name, "plain")
            wrong = [str(flaw) for flaw in flaws(folder, manifest, hashes=True)]
            mark = hash_file(folder / MANIFEST)
        except ConfigurationError as error:
            return Verdict(name, "damaged", flaws=(error.message,))
        except OSError as error:
            return Verdict(name, "damaged", flaws=(f"it cannot be read: {error.strerror}",))
        if manifest_sha256 not in {None, mark}:
            wrong.insert(0, f"`{MANIFEST}` has another hash: {mark}")
        state: Literal["whole", "damaged"] = "damaged" if wrong else "whole"
        return Verdict(name, state, len(manifest.files), manifest.size, mark, tuple(wrong))

    def _stored(self, name: str) -> Stored:
        try:
            folder = self.find(name)
            manifest = read_manifest(folder)
            wrong = [] if manifest is None else flaws(folder, manifest, hashes=False)
        except ConfigurationError as error:
            return Stored(name, flaw=error.message)
        except OSError as error:
            return Stored(name, flaw=f"it cannot be read: {error.strerror}")
        return Stored(name, manifest, str(wrong[0]) if wrong else None)
