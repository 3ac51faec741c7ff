"""An archived model beside a folder, for instance a new download: what changed, and above all the licence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from difflib import unified_diff
from itertools import islice
from pathlib import Path

from ...errors import ConfigurationError
from ...providers.local.manifest import MANIFEST, Manifest, read_manifest
from ...providers.local.seal import check_sizes, hash_file
from .card import Says, read_text, what_it_says
from .survey import Survey, is_legal, survey

__all__ = ["Comparison", "compare"]

_MOST_LINES = 2000  # of a licence text that are compared
_SHOWN_LINES = 200
_LONGEST_LINE = 300


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a folder differs from an archived model.

    :ivar seen: when the licence was archived.
    :ivar licence: what changed about it, in sentences.
    :ivar author: what changed about the author, in sentences.
    :ivar added: files that are new.
    :ivar removed: files that are gone.
    :ivar changed: files with other content.
    :ivar licence_text: lines of licence texts that went (``-``) and came (``+``), at most 200.
    """

    name: str
    folder: str
    seen: date
    licence: tuple[str, ...]
    author: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    licence_text: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.licence or self.author or self.added or self.removed or self.changed)


def compare(archived: Path, folder: Path) -> Comparison:
    """Compare. Nothing of the folder is run or parsed but the front matter of its model card.

    :param archived: the folder of a model in the archive.
    :raises ConfigurationError: when that has no manifest, or anything in ``folder`` is refused.
    """
    manifest = read_manifest(archived)
    if manifest is None:
        raise ConfigurationError(
            f"`{archived.name}` is not archived: it is plain weights", hint="archive it with `multimodel archive add`"
        )
    try:
        if folder != archived:
            check_sizes(archived)
        return _compare(manifest, archived, survey(folder))
    except OSError as error:
        raise ConfigurationError(f"`{folder}` cannot be read: {error.strerror}") from error


def _compare(manifest: Manifest, archived: Path, there: Survey) -> Comparison:
    before = {file.path: file for file in manifest.files}
    after = {file.path: file for file in there.kept if file.path != MANIFEST}
    licence = manifest.licence
    if licence.given and licence.file is not None and licence.file not in after:
        del before[licence.file]  # it never came with the weights
    changed = [
        path
        for path in sorted(before.keys() & after.keys())
        if before[path].size != after[path].size or before[path].sha256 != hash_file(there.folder / path)
    ]
    added, removed = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    old, new = what_it_says(archived, list(before)), what_it_says(there.folder, list(after))
    texts = [path for path in (*changed, *added, *removed) if is_legal(path)]
    return Comparison(
        name=manifest.name,
        folder=str(there.folder),
        seen=licence.seen,
        licence=tuple(_licence(old, new, changed, added, removed)),
        author=tuple(_author(manifest, archived, old, there.folder, new, list(after))),
        added=tuple(added),
        removed=tuple(removed),
        changed=tuple(changed),
        licence_text=tuple(line for path in texts for line in _lines(archived, there.folder, path))[:_SHOWN_LINES],
    )


def _licence(old: Says, new: Says, changed: list[str], added: list[str], removed: list[str]) -> Iterator[str]:
    if new.licence != old.licence:
        yield f"its name is {_named(new.licence)}, and was {_named(old.licence)}"
    yield from (f"the text `{path}` changed" for path in changed if is_legal(path))
    yield from (f"the text `{path}` is new" for path in added if is_legal(path))
    yield from (f"the text `{path}` is gone" for path in removed if is_legal(path))


def _author(manifest: Manifest, archived: Path, old: Says, folder: Path, new: Says, paths: list[str]) -> Iterator[str]:
    if new.author != old.author:
        yield f"it is {_named(new.author)}, and was {_named(old.author)}"
        return
    author = manifest.author or old.author
    if author is None:
        return
    was_named = _mentions(archived, [file.path for file in manifest.files], old.card, author)
    if was_named and not _mentions(folder, paths, new.card, author):
        yield f"{_named(author)} is named no more, neither by the model card nor by a licence text"


def _mentions(folder: Path, paths: list[str], card: str, author: str) -> bool:
    texts = [card, *(read_text(folder / path) for path in paths if is_legal(path))]
    return any(author.casefold() in text.casefold() for text in texts)


def _named(name: str | None) -> str:
    return "not told" if name is None else f"`{name}`"


def _lines(archived: Path, folder: Path, path: str) -> Iterator[str]:
    before, after = (read_text(where / path).splitlines()[:_MOST_LINES] for where in (archived, folder))
    for line in islice(unified_diff(before, after, n=0, lineterm=""), 2, None):  # after the names of the files
        if not line.startswith("@@"):
            yield line[:_LONGEST_LINE]
