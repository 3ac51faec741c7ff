"""The switch: who may not be asked, from the policy and from the switch file beside it.

1. The file is read again whenever its stat has changed, and it is looked at before each call and each attempt:
   a change holds in every process from its next attempt.
2. It is replaced atomically: at any moment it holds one state or the other.
3. A file that cannot be read leaves the last known state in force.
4. Every change is appended to the audit log beside it before the call returns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from ..config import OffEntry
from ..errors import ConfigurationError
from ..types import Target

__all__ = ["Switches"]

_FORMAT = 1


class Switches:
    """The switches of one policy.

    :param fixed: the entries of the policy's ``off:``.
    :param file: the switch file; None keeps switches in memory.
    :param now: the wall clock, with a time zone.
    """

    def __init__(self, fixed: Sequence[OffEntry], file: Path | None, now: Callable[[], datetime]) -> None:
        self._fixed = tuple(fixed)
        self._file = file
        self._now = now
        self._stat: tuple[int, int, int] | None = None
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
        try:
            found = self._file.stat()
        except OSError:
            if self._stat is not None and not self._file.exists():
                self._thrown, self._stat = (), None
            return
        if (found.st_mtime_ns, found.st_size, found.st_ino) != self._stat:
            with suppress(ConfigurationError):
                self._thrown, self._stat = self._read(self._file)

    def _read(self, file: Path) -> tuple[tuple[OffEntry, ...], tuple[int, int, int] | None]:
        try:
            with file.open("rb") as opened:
                found = os.fstat(opened.fileno())
                content = from_json(opened.read())
            entries = tuple(OffEntry.model_validate(entry) for entry in content["off"])
        except FileNotFoundError:
            return (), None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"{file}: the switch file cannot be read", hint="restore it, or delete it to lift all its switches"
            ) from error
        return entries, (found.st_mtime_ns, found.st_size, found.st_ino)

    def _write(self, entries: tuple[OffEntry, ...], action: str, entry: OffEntry) -> None:
        record = {"time": self._now().isoformat(), "action": action, **entry.model_dump(mode="json", exclude_none=True)}
        if self._file is None:
            self._thrown = entries
            return
        _append(self._file.with_name(f"{self._file.stem.removesuffix('.off')}.audit.jsonl"), record)
        content = {"version": _FORMAT, "off": [known.model_dump(mode="json", exclude_none=True) for known in entries]}
        _replace(self._file, to_json(content, indent=2) + b"\n")
        self._thrown, self._stat = self._read(self._file)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other writers out, and begin from what the file says now."""
        if self._file is None:
            yield
            return
        with self._file.with_name(self._file.name + ".lock").open("wb") as lock:
            with suppress(ImportError):  # no such locks on Windows: there the last writer wins
                import fcntl

                fcntl.flock(lock, fcntl.LOCK_EX)
            self._thrown, self._stat = self._read(self._file)
            yield


def _replace(file: Path, content: bytes) -> None:
    """Write a new file beside the old one, sync it, and move it over the old one."""
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    with beside.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    beside.replace(file)
    _sync_folder(file.parent)


def _append(file: Path, record: dict[str, Any]) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
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
