"""How a model gets into the archive: beside it, synced, and then in one step.

1. Files are copied into a hidden folder of the archive, which is renamed when all of it is on the disk: a crash leaves
   a folder whose name begins with ``.adding-``, which nothing uses.
2. Such a folder is locked while its process lives: so an abandoned one can be told.
3. What is copied is what was looked at: a file that changed meanwhile ends it all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from ...errors import ConfigurationError
from ...providers.local.manifest import ArchivedFile
from ...providers.local.seal import open_plain, shown
from ..files import sync_folder
from .survey import Found, identity

__all__ = ["abandoned", "copy_file", "publish", "taken", "workplace"]

_PREFIX = ".adding-"
_CHUNK = 2**20
_SPARE = 16 * 2**20


@contextmanager
def workplace(archive: Path, name: str, size: int) -> Iterator[Path]:
    """Make a hidden folder beside the models; it is gone afterwards, unless it was renamed.

    :raises ConfigurationError: the archive cannot be written, or there is not enough space for ``size`` bytes.
    """
    try:
        archive.mkdir(parents=True, exist_ok=True)
        sync_folder(archive.parent)
        free = shutil.disk_usage(archive).free
        if free < size + _SPARE:
            raise ConfigurationError(
                f"`{name}` needs {(size + _SPARE) / 2**30:.2f} GiB and {free / 2**30:.2f} GiB are free in `{archive}`",
                hint="free some, or set `archive:` of the provider `local` to another place",
            )
        folder = Path(mkdtemp(prefix=f"{_PREFIX}{name}-", dir=archive))
    except OSError as error:
        raise ConfigurationError(f"the archive `{archive}` cannot be written: {error.strerror}") from error
    lock = _lock(folder, wait=True)
    try:
        yield folder
    except OSError as error:
        where = f"`{shown(str(error.filename))}`: " if error.filename else ""
        raise ConfigurationError(f"`{name}` was not archived: {where}{error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def abandoned(archive: Path) -> dict[str, bool]:
    """Return the folders in which models are being archived, and whether nobody does any more.

    What has such a name and was not made here, a pipe for instance, is passed over.
    """
    found = {}
    for folder in sorted(archive.glob(f"{_PREFIX}*")):
        if not folder.name.isprintable() or folder.is_symlink() or not folder.is_dir():
            continue
        with suppress(OSError):
            lock = _lock(folder, wait=False)
            found[folder.name] = lock is not None
            if lock is not None:
                os.close(lock)
    return found


def copy_file(source: Path, file: Found, folder: Path) -> ArchivedFile:
    """Copy a file that was looked at, and return its hash. It is on the disk then.

    :param file: what ``source`` was, and its path below ``folder``.
    """
    to = folder / file.path
    to.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with open_plain(source) as opened, to.open("xb") as written:
        for _ in range(0, file.size + 1, _CHUNK):  # no further, if it grows
            chunk = opened.read(_CHUNK)
            digest.update(chunk)
            written.write(chunk)
        written.flush()
        if identity(os.fstat(opened.fileno())) != file.identity or written.tell() != file.size:
            raise ConfigurationError(f"`{shown(file.path)}` changed while it was archived", hint="try again")
        os.fsync(written.fileno())
    return ArchivedFile(path=file.path, size=file.size, sha256=digest.hexdigest())


def publish(folder: Path, destination: Path) -> None:
    """Give a finished folder its name.

    :raises ConfigurationError: the name is taken.
    """
    for parent, _below, files in os.walk(folder, topdown=False):
        for name in files:
            Path(parent, name).chmod(0o444)
        sync_folder(Path(parent))
    try:
        folder.rename(destination)
    except OSError as error:
        if not destination.exists():
            raise
        raise taken(destination) from error
    for parent, _below, _files in os.walk(destination):  # only now: some systems rename no folder that is read-only
        Path(parent).chmod(0o555)
    sync_folder(destination.parent)


def taken(destination: Path) -> ConfigurationError:
    """Return what it means that a name is in use."""
    return ConfigurationError(
        f"`{destination.name}` is in the archive already", hint="archive it under another name, with `--name`"
    )


def _lock(folder: Path, *, wait: bool) -> int | None:
    """Lock a folder for as long as the descriptor is open; None when another process does, and nobody waits."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows: every folder seems abandoned
        return os.open(os.devnull, os.O_RDONLY)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # nor on some file systems
        pass
    return descriptor
