"""What is doubtful about one model of the archive, for `check`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...config.facts import Doubt
from ...errors import ConfigurationError
from ...providers.local.folder import locate
from ...providers.local.manifest import read_manifest
from ...providers.local.seal import check_hashes

__all__ = ["archive_doubts"]

READ_AT_MOST = 2 * 2**30
"""Bytes that are hashed: some seconds."""


def archive_doubts(archive: Path, name: str) -> Iterator[Doubt]:
    """Tell what is doubtful; each message goes on after the model's name."""
    try:
        folder = locate(archive, name)
        manifest = None if folder is None else read_manifest(folder)
        if folder is None:
            return
        if manifest is None:
            hint = "keep their hashes and their licence with `multimodel archive add`"
            yield Doubt("note", "not-archived", "is not archived: nobody would see a change", hint)
            return
        if manifest.licence.file is None:
            message, hint = "was archived without the text of its licence", "archive it anew with `--licence-file`"
            yield Doubt("note", "licence-text-missing", message, hint)
        if manifest.size > READ_AT_MOST:
            size = f"{manifest.size / 2**30:.1f} GiB"
            hint = f"`multimodel archive verify {name}` does that"
            yield Doubt("note", "weights-unread", f"was not read to the end: {size}", hint)
            return
        check_hashes(folder)
    except ConfigurationError as error:
        hint = error.hint or "put the weights there again"
        yield Doubt("warning", "weights-unusable", f"is skipped: {error.message}", hint)
