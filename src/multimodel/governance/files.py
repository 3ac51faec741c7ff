"""Files that several users write: who may read the policy may read them, whatever the umask; nobody else may."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["open_shared", "replace", "sync_folder"]


def open_shared(file: Path, flags: int, policy: Path | None) -> int:
    """Open a file. One that is made may be written by those who may write the policy."""
    is_new = not file.exists()
    descriptor = os.open(file, flags, 0o600)
    if is_new:
        with suppress(PermissionError):  # another user was faster
            _grant(file, policy, 0o666)
    return descriptor


def replace(file: Path, content: bytes, policy: Path | None) -> None:
    """Write a new file beside the old one, sync it, and move it over the old one."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    with beside.open("wb") as opened:
        _grant(beside, policy, 0o644)
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Let a folder survive a crash of the machine as it is now."""
    with suppress(OSError):  # some systems cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _grant(file: Path, policy: Path | None, widest: int) -> None:
    """Give a new file the policy's group and rights, the latter as far as ``widest``; its owner may write."""
    try:
        like = None if policy is None else policy.stat()
    except FileNotFoundError:  # it has gone since it was read
        like = None
    if like is not None and hasattr(os, "chown"):
        with suppress(PermissionError):  # the user is not in that group
            os.chown(file, -1, like.st_gid)
    file.chmod(0o644 if like is None else 0o600 | like.st_mode & widest)
