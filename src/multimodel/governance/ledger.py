"""The ledger: one line for each request that was put on the wire. Never a prompt, an answer or a key.

1. A call leaves its lines in memory and goes on. It never waits for the disk, and what the disk does is not its failure.
2. One thread of the process writes them; it begins with a line, and ends when none comes for a while.
3. What cannot be written is tried again. When as many calls wait as may, further ones are dropped, counted and told.
4. The file is SQLite with a write-ahead log: processes write it together, each waits for another only a moment.
5. No connection is open while the process forks, for SQLite's locks are the process's. A child begins with no lines.
6. ``close``, and the end of the process, write what is left.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from weakref import WeakSet

from .files import open_shared

if TYPE_CHECKING:
    import sqlite3

__all__ = ["APPLICATION", "FORMAT", "Ledger", "Line", "Verb"]

Verb: TypeAlias = Literal["complete", "stream", "embed", "shadow"]

APPLICATION = 0x6D6D6C67  # "mmlg", in the file's header
FORMAT = 1
_MOST = 10_000
"""Calls that may wait to be written."""
_BATCH = 1_000
_GATHER = 0.05
_LINGER = 10.0
_RETRY = 1.0
_BUSY = 2.0
"""Seconds that one process waits for another one to have written."""


class Line(NamedTuple):
    """One attempt, as the table has it. None is unknown.

    :ivar time: when it began, in seconds since 1970.
    :ivar call: the same for all attempts of one call.
    :ivar attempt: its number within the call.
    :ivar reason: why it was made: ``first``, ``retry``, ``fallback``, ``hedge``, ….
    :ivar outcome: ``ok``, ``cancelled``, ``lost``, or the kind of its error.
    :ivar cost: US dollars.
    :ivar cost_estimated: whether nobody says what it cost, because it gave no whole answer: ``cost`` is the most.
    :ivar latency: seconds.
    """

    time: float
    call: str
    verb: Verb
    route: str
    attempt: int
    reason: str
    target: str
    operator: str | None
    author: str | None
    jurisdiction: str | None
    outcome: str
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    cost_estimated: bool
    latency: float


_TABLE = """
CREATE TABLE attempts (
  time REAL NOT NULL, call TEXT NOT NULL, verb TEXT NOT NULL, route TEXT NOT NULL,
  attempt INTEGER NOT NULL, reason TEXT NOT NULL, target TEXT NOT NULL,
  operator TEXT, author TEXT, jurisdiction TEXT, outcome TEXT NOT NULL,
  input_tokens INTEGER, output_tokens INTEGER, cost REAL, cost_estimated INTEGER NOT NULL, latency REAL NOT NULL
)
"""
_INSERT = f"INSERT INTO attempts VALUES ({', '.join('?' * len(Line._fields))})"  # noqa: S608  # marks for values


class Ledger:
    """The ledger of one client.

    :param file: is made when the first line is written.
    :param policy: the policy file, whose reading rights it gets.
    :param on_trouble: called with a reason, and the number of calls lost so far, when lines cannot be written: once,
        and again when calls were lost since.
    :ivar lost: calls that were dropped.
    """

    def __init__(
        self,
        file: Path,
        *,
        policy: Path | None = None,
        on_trouble: Callable[[str, int], None] = lambda _reason, _lost: None,
    ) -> None:
        self.file = file
        self._policy = policy
        self._on_trouble = on_trouble
        self._begin_anew()
        _ledgers.add(self)

    def _begin_anew(self) -> None:
        self.lost = 0
        self._told = 0
        self._trouble: str | None = None
        self._calls: deque[Sequence[Line]] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()  # which a destructor may ring, too
        self._state = threading.RLock()
        self._writer: threading.Thread | None = None
        self._disk = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def add(self, lines: Sequence[Line]) -> None:
        """Take the lines of one call. Nothing is raised, and nothing is waited for."""
        if len(self._calls) >= _MOST:
            with self._state:
                self.lost += 1
            return
        self._calls.append(lines)
        if self._bell.empty():
            self._bell.put(None)
        if self._writer is None:
            self._begin()

    def close(self) -> None:
        """Write what waits, and leave the file. Lines that come later are written as well."""
        if not self._disk.acquire(timeout=2 * _BUSY):
            return
        try:
            self._flush()
            self._tell_lost()
            self._disconnect()
        finally:
            self._disk.release()

    async def aclose(self) -> None:
        """Do the same beside the event loop."""
        import asyncio

        await asyncio.to_thread(self.close)

    # --- the thread ---

    def _begin(self) -> None:
        with self._state:
            if self._writer is None:
                self._writer = threading.Thread(target=self._work, name="multimodel-ledger", daemon=True)
                try:
                    self._writer.start()
                except RuntimeError:  # the process may have no more threads, or ends
                    self._writer = None

    def _work(self) -> None:
        while True:
            try:
                self._bell.get(timeout=_LINGER)
            except Empty:
                if self._end():
                    return
                continue
            time.sleep(_GATHER)
            with self._disk:
                written = self._flush()
            if not written:
                time.sleep(_RETRY)
                self._bell.put(None)

    def _end(self) -> bool:
        with self._state:
            if not self._bell.empty():
                return False
            self._writer = None
        with self._disk:
            self._disconnect()
        return True

    # --- the file, for whoever holds `_disk` ---

    def _flush(self) -> bool:
        """Write what waits; say whether that worked."""
        import sqlite3

        while self._calls:
            batch = [self._calls.popleft() for _ in range(min(len(self._calls), _BATCH))]
            try:
                self._write([line for lines in batch for line in lines])
            except (OSError, sqlite3.Error) as error:
                self._calls.extendleft(reversed(batch))
                self._disconnect()
                self._tell(getattr(error, "strerror", None) or str(error))
                return False
        if self._trouble is not None or self.lost >= 2 * self._told:
            self._tell_lost()
        self._trouble = None
        return True

    def _write(self, lines: Sequence[Line]) -> None:
        if self._connection is None or self._identity != _identity(self.file):  # it was moved away
            self._disconnect()
            self._connect()
        assert self._connection is not None
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(_INSERT, lines)
        self._connection.execute("COMMIT")

    def _connect(self) -> None:
        import sqlite3

        with _making:
            if not self.file.exists():  # SQLite would forget its locks if one that is there were opened and closed here
                os.close(open_shared(self.file, os.O_RDWR | os.O_CREAT, self._policy))
        self._connection = sqlite3.connect(
            f"file:{_quoted(self.file)}?mode=rw", timeout=_BUSY, isolation_level=None, check_same_thread=False, uri=True
        )
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("BEGIN IMMEDIATE")
        (application,), (version,) = (
            execute("PRAGMA application_id").fetchone(),
            execute("PRAGMA user_version").fetchone(),
        )
        (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application, version, tables) == (0, 0, 0):
            execute(_TABLE)
            execute("CREATE INDEX attempts_time ON attempts (time)")
            execute(f"PRAGMA application_id = {APPLICATION}")
            execute(f"PRAGMA user_version = {FORMAT}")
        elif (application, version) != (APPLICATION, FORMAT):
            raise sqlite3.DatabaseError("the file is no ledger of this version")
        execute("COMMIT")
        self._identity = _identity(self.file)

    def _disconnect(self) -> None:
        import sqlite3

        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _tell(self, reason: str) -> None:
        if reason != self._trouble:
            self._trouble, self._told = reason, self.lost
            self._on_trouble(reason, self.lost)

    def _tell_lost(self) -> None:
        lost = self.lost + len(self._calls)
        if lost > self._told:
            self._told = lost
            self._on_trouble(self._trouble or "more calls came than could be written", lost)

    # --- forks ---

    def before_fork(self) -> bool:
        """Leave the file; say whether nobody has it open now."""
        if not self._disk.acquire(timeout=2 * _BUSY):
            return False
        self._disconnect()
        return True

    def after_fork(self, *, child: bool, left: bool) -> None:
        """Go on; a child that may have SQLite's locks in a state that is not its own never writes."""
        if not child:
            if left:
                self._disk.release()
            return
        self._begin_anew()
        if not left:
            self.add = _nowhere  # type: ignore[assignment,method-assign]  # for good


def _nowhere(_lines: Sequence[Line]) -> None:
    return


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _quoted(file: Path) -> str:
    from urllib.parse import quote

    return quote(str(file.absolute()))


_ledgers: WeakSet[Ledger] = WeakSet()
_making = threading.Lock()
_left: list[tuple[Ledger, bool]] = []


def _before_fork() -> None:
    _left[:] = [(ledger, ledger.before_fork()) for ledger in list(_ledgers)]


def _after_fork(*, child: bool) -> None:
    global _making  # noqa: PLW0603  # another thread may have held it
    if child:
        _making = threading.Lock()
    for ledger, left in _left:
        ledger.after_fork(child=child, left=left)
    _left.clear()


def _close_all() -> None:
    for ledger in list(_ledgers):
        ledger.close()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(child=False),
        after_in_child=lambda: _after_fork(child=True),
    )
