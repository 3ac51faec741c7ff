"""How a folder of weights is taken into the archive.

1. A model is there whole or not at all, however the process that adds it ends.
2. Whatever is refused is refused before anything is written, and looked at once more as it was copied.
3. A model has the text of its licence, or the manifest says that there was none, because somebody said so.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    write_manifest,
)
from .card import licence_text, what_it_says
from .examine import examine, refuse_pickles
from .survey import Caps, Found, Survey, identity, survey
from .writing import copy_file, publish, taken, workplace

__all__ = ["Added", "Facts", "add"]

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


def add(archive: Path, folder: Path, facts: Facts, name: str, *, now: datetime, caps: Caps) -> Added:
    """Archive a folder of weights under a name.

    :raises ConfigurationError: when anything in the folder is refused, or it cannot be written.
    """
    _check_name(archive, name)
    _check_words(facts)
    if archive.resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(f"the archive `{archive}` lies in `{folder}`", hint="name a folder outside")
    try:
        found = survey(folder, caps)
        _check_no_manifest(found)
        _look_into(found)
    except OSError as error:
        raise ConfigurationError(f"`{folder}` cannot be read: {error.strerror}") from error
    sources = [(folder / file.path, file) for file in found.kept] + _licence_file(facts, found)
    with workplace(archive, name, sum(file.size for _, file in sources)) as beside:
        files = [copy_file(source, file, beside) for source, file in sources]
        _look_into(survey(beside, caps))
        manifest = _manifest(name, beside, files, facts, now)
        write_manifest(beside, manifest)
        publish(beside, archive / name)
    return Added(name, archive / name, manifest, found.left_out, _why_unusable(archive / name))


def _check_name(archive: Path, name: str) -> None:
    if len(name) > _LONGEST_NAME:
        raise ConfigurationError(f"a name has at most {_LONGEST_NAME} characters", hint="give one with `--name`")
    try:
        locate(archive, name)
    except ConfigurationError as error:
        raise ConfigurationError(error.message, hint="give a plain name with `--name`") from None
    for other in names(archive):
        if other.casefold() == name.casefold():
            raise taken(archive / other)


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


def _look_into(found: Survey) -> None:
    refuse_pickles(found)
    examine(found)


def _licence_file(facts: Facts, found: Survey) -> list[tuple[Path, Found]]:
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
        return []
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
    return [(file, Found(_LICENCE, here.st_size, identity(here)))]


def _manifest(name: str, folder: Path, files: Sequence[ArchivedFile], facts: Facts, now: datetime) -> Manifest:
    hashes = {file.path: file.sha256 for file in files}
    says = what_it_says(folder, list(hashes))
    text = licence_text(list(hashes))
    return Manifest(
        name=name,
        added=now.astimezone(UTC),
        source=facts.source,
        revision=facts.revision,
        author=facts.author or says.author,
        licence=Licence(
            name=facts.licence or says.licence,
            file=text,
            sha256=None if text is None else hashes[text],
            given=facts.licence_file is not None,
            seen=now.astimezone(UTC).date(),
        ),
        files=tuple(sorted(files, key=lambda file: file.path)),
    )


def _why_unusable(folder: Path) -> str | None:
    try:
        source = inspect(folder)
        if describe_embedding(source) is None:
            describe(source, None)
    except ConfigurationError as error:
        return error.message
    return None
