"""The switch: who may not be asked, from the policy and from the switch file beside it.

1. The file is read again whenever its stat has changed, and it is looked at before each call and each attempt:
   a change holds in every process from its next attempt.
2. It is replaced atomically: at any moment it holds one state or the other.
3. A file that cannot be read, or is of another format version, leaves the last known state in force, and is told.
4. Every change is appended to the audit log beside it before it takes effect.
5. Who may read the policy file may read what is written here, whatever the umask; nobody else may.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from pydantic_core import from_json, to_json

from ..config import OffEntry, Problem
from ..config.problems import refusal
from ..errors import ConfigurationError
from ..types import Target
from .audit import AuditLog
from .files import open_shared, replace

__all__ = ["Switches"]

_FORMAT = 1
_Stat: TypeAlias = tuple[int, ...]
_State: TypeAlias = tuple[tuple[OffEntry, ...], _Stat | None]
"""The entries of the file, and its stat when they were read. One value: another thread's is never mixed with it."""


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
        self._told: _Stat | None = None
        self._state: _State = ((), None) if file is None else self._read(file)

    @property
    def audit(self) -> AuditLog:
        """The log of all changes, beside the switch file.

        :raises ConfigurationError: switches are kept in memory, without a log.
        """
        return AuditLog.beside(self._file, self._policy)

    @property
    def file(self) -> Path | None:
        """The switch file, or None."""
        return self._file

    def entries(self) -> tuple[OffEntry, ...]:
        """All entries that hold now, the policy's first."""
        entries = (*self._fixed, *self._thrown())
        if not entries:
            return ()
        now = self._now()
        return tuple(entry for entry in entries if entry.until is None or now < entry.until)

    def against(self, target: Target, jurisdiction: str | None, own: Sequence[OffEntry] = ()) -> OffEntry | None:
        """Return the entry that forbids ``target``, or None.

        :param own: entries of the policy that a call began with.
        """
        fixed, thrown = self._fixed, self._thrown()
        if not fixed and not thrown and not own:
            return None
        now = self._now()
        for entry in (*fixed, *thrown, *(own if own is not fixed else ())):
            if entry.covers(target, jurisdiction=jurisdiction, at=now):
                return entry
        return None

    def cuts(self, target: Target, jurisdiction: str | None) -> OffEntry | None:
        """Return the entry that ends attempts on ``target`` that are under way, or None."""
        for entry in (*self._fixed, *self._thrown()):
            if entry.cut and entry.covers(target, jurisdiction=jurisdiction, at=self._now()):
                return entry
        return None

    def throw(self, entry: OffEntry) -> None:
        """Switch off. An entry for the same name replaces the older one."""
        with self._exclusive():
            kept = tuple(known for known in self._state[0] if (known.kind, known.name) != (entry.kind, entry.name))
            self._write((*kept, entry), "off", entry)

    def lift(self, subjects: Iterable[tuple[str, str]], *, by: str | None) -> tuple[OffEntry, ...]:
        """Switch on again: remove the entries of ``subjects``; return those that were removed."""
        wanted = set(subjects)
        with self._exclusive():
            lifted = tuple(entry for entry in self._state[0] if (entry.kind, entry.name) in wanted)
            kept = tuple(entry for entry in self._state[0] if (entry.kind, entry.name) not in wanted)
            for entry in lifted:
                self._write(kept, "on", entry.model_copy(update={"by": by}))
        return lifted

    def renew(self, fixed: Sequence[OffEntry], file: Path | None, policy: Path | None) -> None:
        """Take another policy's entries and files. What was switched off stays off.

        :raises ConfigurationError: the new switch file cannot be read, or lacks a switch of the old one.
        """
        if file is not None and file != self._file:
            state, ours = self._read(file), self._thrown()
            there = {(entry.kind, entry.name) for entry in state[0]}
            lost = [entry for entry in self.entries() if entry in ours and (entry.kind, entry.name) not in there]
            if lost:
                raise ConfigurationError(
                    f"the switch file would be {file}, where {lost[0].kind} `{lost[0].name}` is not off",
                    hint=f"copy {self._file or 'the switches'} there, or switch it on first",
                )
            self._file, self._state, self._told = file, state, None
        self._fixed, self._policy = tuple(fixed), policy

    def witness(self, action: str, **facts: object) -> None:
        """Write into the audit log what is no switch.

        :raises ConfigurationError: there is no audit log.
        """
        log = self.audit
        with self._exclusive():
            log.append({"time": self._now().isoformat(), "action": action, **facts})

    # --- the file ---

    def _thrown(self) -> tuple[OffEntry, ...]:
        """Return the entries of the file as it is now."""
        state, file = self._state, self._file
        if file is None:
            return state[0]
        found: _Stat = ()
        try:
            found = _identity(file.stat())
            if found != state[1]:
                state = self._state = self._read(file)
            self._told = None
        except FileNotFoundError:
            state = self._state = (), None
            self._told = None
        except (OSError, ConfigurationError):  # it is tried again next time: the cause may pass without a change
            if found != self._told:
                self._told = found
                self._on_unreadable(file)
        return state[0]

    def _read(self, file: Path) -> _State:
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
            hint = "restore it, or delete it to lift all its switches"
            problem = Problem("error", "the switch file cannot be read", hint, str(file), code="switch-file-unreadable")
            raise refusal([problem], what=str(file)) from error
        return entries, _identity(found)

    def _write(self, entries: tuple[OffEntry, ...], action: str, entry: OffEntry) -> None:
        record = {
            "time": self._now().isoformat(),
            "action": action,
            **entry.model_dump(mode="json", exclude_defaults=True),
        }
        if self._file is None:
            self._state = entries, None
            return
        self.audit.append(record)
        content = {
            "version": _FORMAT,
            "off": [known.model_dump(mode="json", exclude_defaults=True) for known in entries],
        }
        replace(self._file, to_json(content, indent=2) + b"\n", self._policy)
        self._state = self._read(self._file)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other writers out, and begin from what the file says now."""
        if self._file is None:
            yield
            return
        lock = self._file.with_name(self._file.name + ".lock")
        try:
            descriptor = open_shared(lock, os.O_RDWR | os.O_CREAT, self._policy)
        except PermissionError:  # another user made it: to read it is enough, but on NFS
            descriptor = os.open(lock, os.O_RDONLY)
        try:
            with _locked(descriptor):
                self._state = self._read(self._file)
                yield
        finally:
            os.close(descriptor)


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Hold a lock on an open file. It is given back by name: a child that was forked meanwhile has the file open too."""
    try:
        import fcntl
    except ImportError:  # no such locks on Windows: there the last writer wins
        yield
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _identity(found: os.stat_result) -> _Stat:
    """What changes when a file does, or when its rights do."""
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
