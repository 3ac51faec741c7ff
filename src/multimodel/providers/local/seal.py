"""Whether an archived model is as its manifest says: by names and sizes at any time, by hashes before it is loaded.

1. A file that is missing, added, changed, or no regular file any more makes the model unusable.
2. Hashes are computed once in a process, until the stat of any file changes; what was found wrong is not read again
   at each call either.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from errno import EINVAL
from io import BufferedReader
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import TypeAlias

from ...errors import ConfigurationError
from .manifest import MANIFEST, MOST_FILES, ArchivedFile, Manifest, read_manifest

__all__ = [
    "Flaw",
    "State",
    "check_hashes",
    "check_sizes",
    "flaws",
    "hash_file",
    "hash_files",
    "open_plain",
    "shown",
    "state_of",
]

_THREADS = 4  # hashing lets go of the interpreter
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
State: TypeAlias = tuple[tuple[str, int, int, int, int, int], ...]

_UNREAD = "cannot be read"

_known: dict[Path, tuple[State, list[Flaw]]] = {}


@dataclass(frozen=True, slots=True)
class Flaw:
    """One file that is not as it was archived. ``str()`` says how."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"`{shown(self.path)}` {self.what}"


def shown(path: str) -> str:
    """Return the name of a file as it can be printed: nobody knows who gave it."""
    return (path if path.isprintable() else ascii(path)[1:-1])[:200]


def check_sizes(folder: Path) -> Manifest | None:
    """Check what can be checked without reading the weights; return the manifest, or None for plain weights.

    :raises ConfigurationError: when the model is not as it was archived.
    """
    try:
        manifest = read_manifest(folder)
        if manifest is not None:
            _refuse(folder, flaws(folder, manifest, hashes=False))
    except OSError as error:
        raise ConfigurationError(f"the weights `{folder.name}` cannot be read: {error.strerror}") from error
    return manifest


def check_hashes(folder: Path) -> Manifest | None:
    """Read every file and compare its hash: 0.6 s of CPU a GiB, once a process.

    :raises ConfigurationError: when the model is not as it was archived.
    """
    try:
        manifest = read_manifest(folder)
        if manifest is not None:
            _refuse(folder, _verified(folder, manifest))
    except OSError as error:
        raise ConfigurationError(f"the weights `{folder.name}` cannot be read: {error.strerror}") from error
    return manifest


def _verified(folder: Path, manifest: Manifest) -> list[Flaw]:
    """Return what is wrong, from memory when nothing has changed since it was read."""
    before = state_of(folder)
    state, found = _known.get(folder, ((), []))
    if state != before:
        found = flaws(folder, manifest, hashes=True)
        if state_of(folder) != before:
            changed = ConfigurationError(f"the weights `{folder.name}` changed while they were verified")
            _refuse(folder, found)
            raise changed
        if not any(flaw.what == _UNREAD for flaw in found):  # which may pass
            _known[folder] = before, found
    return found


def flaws(folder: Path, manifest: Manifest, *, hashes: bool) -> list[Flaw]:
    """Return every file that is not as it was archived.

    :param hashes: whether contents are compared too.
    """
    wanted = {file.path: file for file in manifest.files}
    found = dict(islice(_files(folder), MOST_FILES + 2))  # one more than a manifest can name
    told = [Flaw(path, "is not in the manifest") for path in found if path not in wanted and path != MANIFEST]
    same: list[ArchivedFile] = []
    for path, file in wanted.items():
        here = found.get(path)
        if here is None:
            told.append(Flaw(path, "is missing"))
        elif not stat.S_ISREG(here.st_mode):
            told.append(Flaw(path, "is no regular file any more"))
        elif here.st_size != file.size:
            told.append(Flaw(path, f"has {here.st_size:,} bytes, not {file.size:,}"))
        else:
            same.append(file)
    if hashes:
        told += _changed(folder, same)
    return sorted(told, key=lambda flaw: flaw.path)


def open_plain(file: Path) -> BufferedReader:
    """Open a file to read; neither a link nor a pipe.

    :raises OSError: when it is no regular file.
    """
    descriptor = os.open(file, os.O_RDONLY | _NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(EINVAL, "no regular file", str(file))
    return os.fdopen(descriptor, "rb")


def hash_file(file: Path) -> str:
    """Return the SHA-256 of a regular file."""
    with open_plain(file) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def hash_files(folder: Path) -> tuple[ArchivedFile, ...]:
    """Return every regular file of a folder with its size and hash, by name."""
    found = sorted((path, here.st_size) for path, here in _files(folder) if stat.S_ISREG(here.st_mode))
    return tuple(ArchivedFile(path=path, size=size, sha256=hash_file(folder / path)) for path, size in found)


def _changed(folder: Path, files: list[ArchivedFile]) -> Iterator[Flaw]:
    waiting = deque(sorted(files, key=lambda file: -file.size))
    found: dict[str, str | None] = {}

    def work() -> None:
        with suppress(IndexError):
            while True:
                file = waiting.popleft()
                found[file.path] = _hash(folder / file.path)

    # threads of an executor would keep the interpreter from ending
    threads = [Thread(target=work, name="multimodel-verify", daemon=True) for _ in files[:_THREADS]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for file in files:
        content = found.get(file.path)
        if content is None:
            yield Flaw(file.path, _UNREAD)
        elif content != file.sha256:
            yield Flaw(file.path, "has other content")


def _hash(file: Path) -> str | None:
    try:
        return hash_file(file)
    except OSError:
        return None


def _refuse(folder: Path, found: list[Flaw]) -> None:
    if found:
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        hint = f"`multimodel archive verify {folder.name}` tells all; restore them from a copy"
        if folder.name.startswith("."):  # converted from an archived file
            hint = f"delete `{folder}`: it is made again from what was archived"
        raise ConfigurationError(
            f"the weights `{folder.name}` are not as they were archived: {found[0]}{more}", hint=hint
        )


def state_of(folder: Path) -> State:
    """Return what changes when any file of a folder does."""
    return tuple(
        sorted(
            (path, here.st_dev, here.st_ino, here.st_size, here.st_mtime_ns, here.st_ctime_ns)
            for path, here in _files(folder)
        )
    )


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield whatever is no folder, with its own stat, links not followed."""
    for parent, below, files in os.walk(folder):
        for name in (*below, *files):
            path = Path(parent, name)
            here = path.lstat()
            if not stat.S_ISDIR(here.st_mode):
                yield path.relative_to(folder).as_posix(), here
