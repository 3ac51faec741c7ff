"""What is doubtful about one model of the archive, for `check`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

from ...errors import ConfigurationError
from ...providers.local.folder import locate
from ...providers.local.manifest import read_manifest
from ...providers.local.seal import check_hashes

__all__ = ["archive_doubts"]

Doubt: TypeAlias = tuple[Literal["warning", "note"], str, str | None]

READ_AT_MOST = 2 * 2**30
"""Bytes that are hashed: some seconds."""


def archive_doubts(archive: Path, name: str) -> Iterator[Doubt]:
    """Tell what is doubtful: a severity, a message that goes on after the model's name, and a hint."""
    try:
        folder = locate(archive, name)
        manifest = None if folder is None else read_manifest(folder)
        if folder is None:
            return
        if manifest is None:
            yield "note", "is not archived: nobody would see a change", "`multimodel archive add` makes a copy that is"
            return
        if manifest.licence.file is None:
            yield "note", "was archived without the text of its licence", "archive it anew with `--licence-file`"
        if manifest.size > READ_AT_MOST:
            size = f"{manifest.size / 2**30:.1f} GiB"
            yield "note", f"was not read to the end: {size}", f"`multimodel archive verify {name}` does that"
            return
        check_hashes(folder)
    except ConfigurationError as error:
        yield "warning", f"is skipped: {error.message}", error.hint
