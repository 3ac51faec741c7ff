"""The archive: models are added, listed and verified. None is ever changed.

1. A model is there whole or not at all, however the process that adds it ends.
2. Whatever is refused is refused before anything is written, and looked at once more as it was copied.
3. A model has the text of its licence, or the manifest says that there was none, because somebody said so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ...errors import ConfigurationError
from ...providers.local.embedding import describe_embedding
from ...providers.local.folder import describe, inspect, locate, names
from ...providers.local.manifest import (
    LONGEST_WORD,
    MANIFEST,
    ArchivedFile,
    Licence,
    Manifest,
    folded,
    read_manifest,
    write_manifest,
)
from ...providers.local.seal import flaws, hash_file
from .card import licence_text, what_it_says
from .examine import examine, refuse_pickles
from .survey import CAPS, Caps, Found, Survey, identity, survey
from .writing import abandoned, copy_files, publish, taken, workplace

__all__ = ["Added", "Archive", "Facts", "Stored", "Verdict"]

_LONGEST_NAME = 100
_LICENCE = "LICENSE"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the user says of a model; None is left to the folder.

    :ivar licence_file: a licence text that is not in the folder.
    :ivar no_licence_text: that there is none, and that this is known.
    """

    source: str | None = None
    revision: str | None = None
    author: str | None = None
    licence: str | None = None
    licence_file: Path | None = None
    no_licence_text: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """A model that was archived.

    :ivar left_out: files of the folder that were not.
    :ivar unusable: why this version can only keep them, not answer with them.
    """

    name: str
    folder: Path
    manifest: Manifest
    left_out: tuple[str, ...]
    unusable: str | None = None


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

    :ivar state: ``whole``, ``damaged``, or ``plain`` for weights without a manifest.
    :ivar flaws: what is wrong.
    :ivar manifest_sha256: of the manifest itself: keep it elsewhere, and nobody can write another one unseen.
    """

    name: str
    state: str
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
        name = folder.resolve().name if name is None else name
        self._check_name(name)
        _check_words(facts)
        if self.folder.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError(f"the archive `{self.folder}` lies in `{folder}`", hint="name a folder outside")
        try:
            found = survey(folder, self._caps)
            _check_no_manifest(found)
            refuse_pickles(found)
            examine(folder, found)
        except OSError as error:
            raise ConfigurationError(f"`{folder}` cannot be read: {error.strerror}") from error
        extra = _licence_file(facts, found)
        with workplace(self.folder, name, found.size + extra.size) as beside:
            files = copy_files(found, beside)
            for copied in copy_files(extra, beside):
                (beside / copied.path).rename(beside / _LICENCE)
                files = (*files, copied.model_copy(update={"path": _LICENCE}))
            there = survey(beside, self._caps)  # as it was copied
            refuse_pickles(there)
            examine(beside, there)
            manifest = self._manifest(name, beside, files, facts)
            write_manifest(beside, manifest)
            publish(beside, self.folder / name)
        return Added(name, self.folder / name, manifest, found.left_out, _why_unusable(self.folder / name))

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
            wrong = tuple(map(str, flaws(folder, manifest, hashes=True)))
            mark = hash_file(folder / MANIFEST)
            if manifest_sha256 not in {None, mark}:
                wrong = (f"`{MANIFEST}` has another hash: {mark}", *wrong)
        except ConfigurationError as error:
            return Verdict(name, "damaged", flaws=(error.message,))
        except OSError as error:
            return Verdict(name, "damaged", flaws=(f"it cannot be read: {error.strerror}",))
        return Verdict(name, "damaged" if wrong else "whole", len(manifest.files), manifest.size, mark, wrong)

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

    def _check_name(self, name: str) -> None:
        if len(name) > _LONGEST_NAME:
            raise ConfigurationError(f"a name has at most {_LONGEST_NAME} characters", hint="give one with `--name`")
        try:
            there = locate(self.folder, name)
        except ConfigurationError as error:
            raise ConfigurationError(error.message, hint="give a plain name with `--name`") from None
        same = [other for other in names(self.folder) if other.casefold() == name.casefold()]
        if there is not None or same:
            raise taken(self.folder / (same or [name])[0])

    def _manifest(self, name: str, folder: Path, files: tuple[ArchivedFile, ...], facts: Facts) -> Manifest:
        hashes = {file.path: file.sha256 for file in files}
        says = what_it_says(folder, list(hashes))
        text = licence_text(list(hashes))
        added = self._now().astimezone(UTC)
        return Manifest(
            name=name,
            added=added,
            source=facts.source,
            revision=facts.revision,
            author=facts.author or says.author,
            licence=Licence(
                name=facts.licence or says.licence,
                file=text,
                sha256=None if text is None else hashes[text],
                seen=added.date(),
            ),
            files=tuple(sorted(files, key=_path)),
        )


def _licence_file(facts: Facts, found: Survey) -> Survey:
    """Return the licence text that is to be added to the folder's files; nothing when it has one.

    :raises ConfigurationError: when there is none, and nobody said so.
    """
    name = found.folder.name
    inside = licence_text([file.path for file in found.kept])
    if inside is not None:
        if not next(file.size for file in found.kept if file.path == inside):
            raise ConfigurationError(f"the licence text `{name}/{inside}` is empty", hint="fill it, or remove it")
        if facts.licence_file is not None:
            raise ConfigurationError(f"`{name}` has a licence text: `{inside}`", hint="leave `--licence-file` out")
    if inside is not None or facts.no_licence_text:
        return Survey(found.folder)
    if facts.licence_file is None:
        raise ConfigurationError(
            f"`{name}` has no licence text",
            hint="name one with `--licence-file`, or say with `--no-licence-text` that there is none",
        )
    try:
        file = facts.licence_file.resolve(strict=True)
        here = file.stat()
    except OSError as error:
        raise ConfigurationError(f"`{facts.licence_file}`: {error.strerror}") from error
    if not file.is_file() or not here.st_size:
        raise ConfigurationError(f"`{facts.licence_file}` is no licence text")
    return Survey(file.parent, (Found(file.name, here.st_size, identity(here)),))


def _why_unusable(folder: Path) -> str | None:
    try:
        source = inspect(folder)
        if describe_embedding(source) is None:
            describe(source, None)
    except ConfigurationError as error:
        return error.message
    return None


def _check_words(facts: Facts) -> None:
    given = {"source": facts.source, "revision": facts.revision, "author": facts.author, "licence": facts.licence}
    for option, text in given.items():
        if text is not None and not (text.isprintable() and 0 < len(text) <= LONGEST_WORD):
            raise ConfigurationError(f"`--{option}` is no plain text of at most {LONGEST_WORD} characters")


def _check_no_manifest(found: Survey) -> None:
    if any(folded(file.path) == MANIFEST for file in found.kept):
        raise ConfigurationError(
            f"`{found.folder.name}` holds a `{MANIFEST}` already",
            hint="what was archived can be copied as it is; to archive it anew, remove that file",
        )


def _path(file: ArchivedFile) -> str:
    return file.path
