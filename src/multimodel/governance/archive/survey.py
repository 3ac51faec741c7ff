"""What a folder of weights holds, looked at without trust: only names and stats are read here.

1. A link, a device, a pipe or a socket is refused, wherever it stands; so is a file that can run code.
2. Names are printable UTF-8 without a backslash, and no two are the same on any system, in case or accents.
3. There are limits to the number of files, to their depth, to the size of each that is no weights, and of all.
4. Hidden files and folders are left out unseen, and files that nothing here reads are left out: the caller is told.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigurationError
from ...providers.local.folder import runs_code
from ...providers.local.manifest import LONGEST_PATH, MOST_FILES, folded
from ...providers.local.seal import shown

__all__ = ["CAPS", "WEIGHTS", "Caps", "Found", "Survey", "identity", "is_legal", "is_licence", "survey"]

WEIGHTS = (".safetensors", ".gguf")
_READ = (*WEIGHTS, "", ".json", ".jinja", ".txt", ".md", ".rst", ".tiktoken", ".model")
_LICENCE = re.compile(r"(licen[cs]e|copying)([^a-z].*)?", re.IGNORECASE)
_LEGAL = re.compile(r"(notice|use[-_]?policy)([^a-z].*)?", re.IGNORECASE)
_NO_TEXT = (*WEIGHTS, ".pdf", ".html", ".htm", ".png", ".jpg", ".jpeg", ".doc", ".docx")


@dataclass(frozen=True, slots=True)
class Caps:
    """How much a folder may hold.

    :ivar files: entries, folders and hidden ones included.
    :ivar total: bytes of all files.
    :ivar other: bytes of a file that is no weights.
    :ivar depth: folders in each other.
    """

    files: int = MOST_FILES - 1  # and a licence text
    total: int = 8 * 2**40
    other: int = 64 * 2**20
    depth: int = 8


CAPS = Caps()
"""What is usual."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be archived.

    :ivar path: below the folder, with ``/``.
    :ivar identity: what changes when the file does.
    """

    path: str
    size: int
    identity: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a folder holds.

    :ivar kept: what is archived, by name.
    :ivar left_out: what is not.
    """

    folder: Path
    kept: tuple[Found, ...] = ()
    left_out: tuple[str, ...] = ()


def identity(here: os.stat_result) -> tuple[int, ...]:
    """What changes when a file does."""
    return here.st_dev, here.st_ino, here.st_size, here.st_mtime_ns


def is_licence(path: str) -> bool:
    """Whether a file is the text of a licence, by its name."""
    name = path.rpartition("/")[2]
    return _LICENCE.fullmatch(name) is not None and not name.lower().endswith(_NO_TEXT)


def is_legal(path: str) -> bool:
    """Whether a file is about rights, by its name: a licence, a notice, a policy of use."""
    name = path.rpartition("/")[2]
    return is_licence(path) or (_LEGAL.fullmatch(name) is not None and not name.lower().endswith(_NO_TEXT))


def survey(folder: Path, caps: Caps = CAPS) -> Survey:
    """Look at a folder.

    :raises ConfigurationError: at the first thing that is refused.
    """
    if folder.is_symlink() or not folder.is_dir():
        what = "a link" if folder.is_symlink() else "no folder" if folder.exists() else "not there"
        raise ConfigurationError(f"`{folder}` is {what}", hint="name the folder that holds the weights")
    kept, left_out, size = [], [], 0
    for path, here in _walk(folder, caps):
        if here is None or _is_left_out(path):
            left_out.append(path)
            continue
        if here.st_size > caps.other and not path.lower().endswith(WEIGHTS):
            raise ConfigurationError(
                f"`{shown(path)}` is larger than {caps.other / 2**20:g} MiB and no weights", hint="remove it"
            )
        size += here.st_size
        if size > caps.total:
            raise ConfigurationError(f"`{folder.name}` is larger than {caps.total / 2**40:g} TiB")
        kept.append(Found(path, here.st_size, identity(here)))
    return Survey(folder, tuple(sorted(kept, key=lambda file: file.path)), tuple(sorted(left_out)))


def _is_left_out(path: str) -> bool:
    name = path.rpartition("/")[2]
    return not is_legal(path) and Path(name).suffix.lower() not in _READ


def _walk(folder: Path, caps: Caps) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield every file by its path, with its own stat; None for what is hidden."""
    waiting, names = [""], dict[str, str]()
    while waiting:
        parent = waiting.pop()
        with os.scandir(folder / parent) as entries:
            for entry in entries:
                path = f"{parent}/{entry.name}" if parent else entry.name
                _check_name(path, names)
                if len(names) > caps.files:
                    raise ConfigurationError(f"`{folder.name}` holds more than {caps.files:,} files")
                if entry.name.startswith("."):
                    yield path, None
                    continue
                here = entry.stat(follow_symlinks=False)
                _check_kind(path, here)
                if not stat.S_ISDIR(here.st_mode):
                    yield path, here
                elif path.count("/") < caps.depth:
                    waiting.append(path)
                else:
                    raise ConfigurationError(f"`{shown(path)}` lies deeper than {caps.depth} folders")


def _check_name(path: str, names: dict[str, str]) -> None:
    other = names.setdefault(folded(path), path)
    if other != path:
        raise ConfigurationError(
            f"`{shown(path)}` and `{shown(other)}` are one file on some systems", hint="rename one"
        )
    if not path.isprintable() or "\\" in path or len(path) > LONGEST_PATH:  # a name that is no UTF-8 is not printable
        raise ConfigurationError(f"`{shown(path)}` is no name of a file on every system", hint="rename or remove it")


def _check_kind(path: str, here: os.stat_result) -> None:
    if stat.S_ISLNK(here.st_mode):
        raise ConfigurationError(
            f"`{shown(path)}` is a link", hint="copy the folder with what its links mean: `cp -rL FROM TO`"
        )
    if not stat.S_ISDIR(here.st_mode) and not stat.S_ISREG(here.st_mode):
        raise ConfigurationError(f"`{shown(path)}` is no regular file", hint="remove it")
    if stat.S_ISREG(here.st_mode) and runs_code(path):
        raise ConfigurationError(
            f"`{shown(path)}` can run code when it is loaded",
            hint="remove it; weights are taken from `.safetensors` and `.gguf` files only",
        )
