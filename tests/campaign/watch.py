"""What this process does that it must not: writing outside of a folder, connecting, starting programs, unpickling."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod"}
_NEVER = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "pickle.find_class",
    "socket.connect",
}
_watching: list[tuple[Path, list[str]]] = []


@contextmanager
def watch(root: Path) -> Iterator[list[str]]:
    """Yield a list, which gets whatever happens outside of ``root`` and all that must never happen."""
    seen: list[str] = []
    _watching.append((root, seen))
    try:
        yield seen
    finally:
        _watching.pop()


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _watching:
        return
    root, seen = _watching[-1]
    if event in _NEVER:
        seen.append(f"{event} {args!r:.200}")
    for path in _written(event, args):
        where = Path(os.path.normpath(Path.cwd() / os.fsdecode(path)))
        if not where.is_relative_to(root) and where != Path(os.devnull) and where.suffix != ".pyc":
            seen.append(f"{event} {where}")


def _written(event: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The paths that change; what is reached by a descriptor is below what was opened."""
    if event == "open":
        is_write = isinstance(args[2], int) and args[2] & _WRITES
        return args[:1] if is_write and isinstance(args[0], str | bytes | os.PathLike) else ()
    if event not in _CHANGES or args[-1] != -1:
        return ()
    return args[1:2] if event in {"os.symlink", "os.link"} else args[:2] if event == "os.rename" else args[:1]


sys.addaudithook(_hook)
