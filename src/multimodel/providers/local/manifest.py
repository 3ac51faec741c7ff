"""The manifest of an archived model: where it comes from, its licence, and the SHA-256 of each of its files.

It is the file ``manifest.json`` of the model's folder. A folder without one holds plain weights.
"""

from __future__ import annotations

import os
import re
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Self, TypeAlias
from unicodedata import normalize

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ...errors import ConfigurationError

__all__ = [
    "LARGEST",
    "LONGEST_PATH",
    "LONGEST_WORD",
    "MANIFEST",
    "MOST_FILES",
    "ArchivedFile",
    "Licence",
    "Manifest",
    "folded",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "manifest.json"
MOST_FILES = 10_000
LONGEST_PATH = 300
LONGEST_WORD = 500
LARGEST = 32 * 2**20
"""Bytes that a manifest may have."""

_NAME = re.compile(r"\.?[A-Za-z0-9][A-Za-z0-9._+-]*")
_HINT = "restore it from a copy; without any manifest the folder counts as plain weights"


def _plain_path(path: str) -> str:
    """Refuse whatever is no way to a file below a folder."""
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or not all(parts) or not {".", ".."}.isdisjoint(parts):
        raise ValueError("a path leads out of the folder, or is none")
    return path


def _plain_name(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError("no name of a model")
    return name


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("no plain text")
    return text


def _written(kind: type[date]) -> BeforeValidator:
    """Read ISO 8601 only: pydantic also takes digits for seconds."""
    return BeforeValidator(lambda value: kind.fromisoformat(value) if isinstance(value, str) else value)


RelativePath: TypeAlias = Annotated[str, Field(max_length=LONGEST_PATH), AfterValidator(_plain_path)]
Sha256: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Word: TypeAlias = Annotated[str, Field(min_length=1, max_length=LONGEST_WORD), AfterValidator(_printable)]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True)


class ArchivedFile(_Facts):
    """One file.

    :ivar path: below the folder, with ``/``.
    """

    path: RelativePath
    size: int = Field(ge=0, le=2**63 - 1)
    sha256: Sha256


class Licence(_Facts):
    """The licence as it stood when the model was archived.

    :ivar name: as the user, the model card or the weights say; None when nobody does.
    :ivar file: the file that holds its text; None when there was none, and the user said so.
    :ivar sha256: of that text.
    :ivar given: whether the user gave the text, because it did not come with the weights.
    :ivar seen: the day.
    """

    name: Word | None = None
    file: RelativePath | None = None
    sha256: Sha256 | None = None
    given: bool = False
    seen: Annotated[date, _written(date)]


class Manifest(_Facts):
    """What was archived, and when.

    :ivar name: the name of the folder, which is that of the model.
    :ivar added: when.
    :ivar source: where it was downloaded from.
    :ivar revision: which one of the source.
    :ivar author: who made the weights.
    """

    version: int = Field(default=1, ge=1, le=1)
    name: Annotated[str, Field(max_length=200), AfterValidator(_plain_name)]
    added: Annotated[AwareDatetime, _written(datetime)]
    source: Word | None = None
    revision: Word | None = None
    author: Word | None = None
    licence: Licence
    files: tuple[ArchivedFile, ...] = Field(min_length=1, max_length=MOST_FILES)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = {file.path: file for file in self.files}
        if len({folded(path) for path in (MANIFEST, *known)}) != len(self.files) + 1:
            raise ValueError("two files have the same name on some systems")
        text = None if self.licence.file is None else known.get(self.licence.file)
        if (self.licence.file is None) != (text is None) or self.licence.sha256 != (text and text.sha256):
            raise ValueError("the licence text is not among the files")
        return self

    @property
    def author_slug(self) -> str | None:
        """The author as switches name one: ``qwen`` for ``Qwen``."""
        return re.sub(r"[^a-z0-9]+", "-", (self.author or "").lower()).strip("-") or None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def folded(path: str) -> str:
    """Return what two names have in common that are one on some systems: in case, or in how accents are written."""
    return normalize("NFC", normalize("NFC", path).casefold())


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a model's folder; None when it has none.

    :raises ConfigurationError: when it is no manifest, or that of another model.
    """
    file = folder / MANIFEST
    if not file.exists() and not file.is_symlink():
        return None
    where = f"`{folder.name}/{MANIFEST}`"
    if file.is_symlink() or not file.is_file():
        raise ConfigurationError(f"{where} is no regular file", hint=_HINT)
    with file.open("rb") as opened:
        content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ConfigurationError(f"{where} is larger than {LARGEST // 2**20} MiB", hint=_HINT)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise ConfigurationError(f"{where} is no manifest of an archived model: {_first(error)}", hint=_HINT) from None
    if manifest.name != folder.name:
        raise ConfigurationError(
            f"`{folder.name}` was archived as `{manifest.name}`", hint="give it that name again, or archive it anew"
        )
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a manifest into a folder that nobody else uses yet; it survives a crash of the machine."""
    with (folder / MANIFEST).open("xb") as opened:
        opened.write(manifest.model_dump_json(indent=2, exclude_none=True).encode() + b"\n")
        opened.flush()
        os.fsync(opened.fileno())


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part)[:40] for part in first["loc"][:4])
    said = str(first["msg"]).removeprefix("Value error, ")[:200]
    text = f"{place}: {said}" if place else said
    return text if text.isprintable() else "it holds control characters"
