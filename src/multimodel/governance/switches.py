"""The switch: who may not be asked, from the policy and from the switch file beside it.

1. The file is read again whenever its stat has changed, and it is looked at before each call and each attempt:
   a change holds in every process from its next attempt.
2. It is replaced atomically: at any moment it holds one state or the other.
3. A file that cannot be read, or is of another format version, leaves the last known state in force, and is told.
4. Every change is appended to the audit log beside it before the call returns.
5. Who may read the policy file may read what is written here, whatever the umask; nobody else may.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from pydantic_core import from_json, to_json

from ..config import OffEntry
from ..errors import ConfigurationError
from ..types import Target

__all__ = ["Switches"]

_FORMAT = 1
_Stat: TypeAlias = tuple[int, ...]


class Switches:
    """The switches of one policy.

    :param fixed: the entries of the policy's ``off:``.
    :param file: the switch file; None keeps switches in memory.
    :param now: the wall clock, with a time zone.
    :param policy: the policy file, whose reading rights the written files get; without one all may read them.
    :param on_unreadable: called with the file when it cannot be read, once until it changes.
    :raises ConfigurationError: the file cannot be read at the start.
    """

    def __init__(
        self,
        fixed: Sequence[OffEntry],
        file: Path | None,
        now: Callable[[], datetime],
        *,
        policy: Path | None = None,
        on_unreadable: Callable[[Path], None] = lambda _file: None,
    ) -> None:
        self._fixed = tuple(fixed)
        self._file = file
        self._now = now
        self._policy = policy
        self._on_unreadable = on_unreadable
        self._stat: _Stat | None = None
        self._told: _Stat | None = None
        self._thrown: tuple[OffEntry, ...] = ()
        if file is not None:
            self._thrown, self._stat = self._read(file)

    @property
    def file(self) -> Path | None:
        """The switch file, or None."""
        return self._file

    def entries(self) -> tuple[OffEntry, ...]:
        """All entries that hold now, the policy's first."""
        self._refresh()
        if not self._fixed and not self._thrown:
            return ()
        now = self._now()
        return tuple(entry for entry in (*self._fixed, *self._thrown) if entry.until is None or now < entry.until)

    def against(self, target: Target, jurisdiction: str | None) -> OffEntry | None:
        """Return the entry that forbids ``target``, or None."""
        self._refresh()
        if not self._fixed and not self._thrown:
            return None
        now = self._now()
        for entry in (*self._fixed, *self._thrown):
            if entry.covers(target, jurisdiction=jurisdiction, at=now):
                return entry
        return None

    def throw(self, entry: OffEntry) -> None:
        """Switch off. An entry for the same name replaces the older one."""
        with self._exclusive():
            kept = tuple(known for known in self._thrown if (known.kind, known.name) != (entry.kind, entry.name))
            self._write((*kept, entry), "off", entry)

    def lift(self, subjects: Iterable[tuple[str, str]], *, by: str | None) -> tuple[OffEntry, ...]:
        """Switch on again: remove the entries of ``subjects``; return those that were removed."""
        wanted = set(subjects)
        with self._exclusive():
            lifted = tuple(entry for entry in self._thrown if (entry.kind, entry.name) in wanted)
            kept = tuple(entry for entry in self._thrown if (entry.kind, entry.name) not in wanted)
            for entry in lifted:
                self._write(kept, "on", entry.model_copy(update={"by": by}))
        return lifted

    # --- the file ---

    def _refresh(self) -> None:
        if self._file is None:
            return
        found: _Stat = ()
        try:
            found = _identity(self._file.stat())
            if found != self._stat:
                self._thrown, self._stat = self._read(self._file)
            self._told = None
        except FileNotFoundError:
            self._thrown, self._stat, self._told = (), None, None
        except (OSError, ConfigurationError):  # it is tried again next time: the cause may pass without a change
            if found != self._told:
                self._told = found
                self._on_unreadable(self._file)

    def _read(self, file: Path) -> tuple[tuple[OffEntry, ...], _Stat | None]:
        try:
            with file.open("rb") as opened:
                found = os.fstat(opened.fileno())
                content = from_json(opened.read())
            if content["version"] != _FORMAT:
                raise ValueError("another format version")  # noqa: TRY301  # one way to refuse a file
            entries = tuple(OffEntry.model_validate(entry) for entry in content["off"])
        except FileNotFoundError:
            return (), None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"{file}: the switch file cannot be read", hint="restore it, or delete it to lift all its switches"
            ) from error
        return entries, _identity(found)

    def _write(self, entries: tuple[OffEntry, ...], action: str, entry: OffEntry) -> None:
        record = {"time": self._now().isoformat(), "action": action, **entry.model_dump(mode="json", exclude_none=True)}
        if self._file is None:
            self._thrown = entries
            return
        log = self._file.with_name(f"{self._file.stem.removesuffix('.off')}.audit.jsonl")
        _append(log, record, self._policy)
        content = {"version": _FORMAT, "off": [known.model_dump(mode="json", exclude_none=True) for known in entries]}
        _replace(self._file, to_json(content, indent=2) + b"\n", self._policy)
        self._thrown, self._stat = self._read(self._file)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other writers out, and begin from what the file says now."""
        if self._file is None:
            yield
            return
        lock = self._file.with_name(self._file.name + ".lock")
        try:
            descriptor = _open(lock, os.O_RDWR | os.O_CREAT, self._policy)
        except PermissionError:  # another user made it: to read it is enough, but on NFS
            descriptor = os.open(lock, os.O_RDONLY)
        try:
            with suppress(ImportError):  # no such locks on Windows: there the last writer wins
                import fcntl

                fcntl.flock(descriptor, fcntl.LOCK_EX)
            self._thrown, self._stat = self._read(self._file)
            yield
        finally:
            os.close(descriptor)


def _identity(found: os.stat_result) -> _Stat:
    """What changes when a file does, or when its rights do."""
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _open(file: Path, flags: int, policy: Path | None) -> int:
    """Open a file. One that is made may be written by those who may write the policy."""
    is_new = not file.exists()
    descriptor = os.open(file, flags, 0o600)
    if is_new:
        with suppress(PermissionError):  # another user was faster
            _grant(file, policy, 0o666)
    return descriptor


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


def _replace(file: Path, content: bytes, policy: Path | None) -> None:
    """Write a new file beside the old one, sync it, and move it over the old one."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    with beside.open("wb") as opened:
        _grant(beside, policy, 0o644)
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(file)
    _sync_folder(file.parent)


def _append(file: Path, record: dict[str, Any], policy: Path | None) -> None:
    descriptor = _open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, policy)
    try:
        os.write(descriptor, to_json(record) + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some systems cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
