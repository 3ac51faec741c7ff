"""The file of a ledger: SQLite, with a write-ahead log so that processes write it together."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from urllib.parse import quote

from ..files import open_shared

if TYPE_CHECKING:
    import sqlite3

__all__ = ["BUSY", "LedgerFile", "Line", "Verb", "address", "check_ledger", "is_busy"]

Verb: TypeAlias = Literal["complete", "stream", "embed", "shadow"]

BUSY = 2.0
"""Seconds that one process waits for another one to have written."""
_APPLICATION = 0x6D6D6C67  # "mmlg", in the file's header
_FORMAT = 1


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
_CHECK = """
SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)
FROM pragma_application_id, pragma_user_version
"""  # in one query, or another process makes the ledger in between
_INSERT = f"INSERT INTO attempts VALUES ({', '.join('?' * len(Line._fields))})"  # noqa: S608  # marks for values


class LedgerFile:
    """The file, for one thread at a time.

    :param path: is made when the first line is written.
    :param policy: the policy file, whose reading rights it gets.
    """

    def __init__(self, path: Path, policy: Path | None) -> None:
        self.path = path
        self._policy = policy
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None

    def write(self, lines: Sequence[Line]) -> None:
        """Write lines, all or none.

        :raises OSError: it cannot be made.
        :raises sqlite3.Error: it cannot be written, or is no ledger.
        """
        if self._connection is None or self._identity != _identity(self.path):  # it was moved away
            self.close()
            self._connect()
        assert self._connection is not None
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(_INSERT, lines)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Leave the file; the next line opens it again."""
        import sqlite3

        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _connect(self) -> None:
        import sqlite3

        with _making:
            if not self.path.exists():  # SQLite would forget its locks if one that is there were opened and closed here
                os.close(open_shared(self.path, os.O_RDWR | os.O_CREAT, self._policy))
        self._connection = sqlite3.connect(
            f"{address(self.path)}?mode=rw", timeout=BUSY, isolation_level=None, check_same_thread=False, uri=True
        )
        execute = self._connection.execute
        check_ledger(self._connection)  # before anything is changed in a file that may be somebody else's
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("BEGIN IMMEDIATE")
        if not check_ledger(self._connection):
            execute(_TABLE)
            execute("CREATE INDEX attempts_time ON attempts (time)")
            execute(f"PRAGMA application_id = {_APPLICATION}")
            execute(f"PRAGMA user_version = {_FORMAT}")
        execute("COMMIT")
        self._identity = _identity(self.path)


def address(path: Path) -> str:
    """Return a path as SQLite wants it, for options to follow."""
    return f"file:{quote(os.fsencode(path.absolute()))}"


def check_ledger(connection: sqlite3.Connection) -> bool:
    """Say whether a file is a ledger, or empty.

    :raises sqlite3.DatabaseError: it is something else.
    """
    import sqlite3

    application, version, tables = connection.execute(_CHECK).fetchone()
    if (application, version) == (_APPLICATION, _FORMAT):
        return True
    if (application, version, tables) != (0, 0, 0):
        raise sqlite3.DatabaseError("the file is no ledger of this version")
    return False


def is_busy(error: Exception) -> bool:
    """Whether another process kept a file from being written: it is sooner or later done."""
    import sqlite3

    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


_making = threading.Lock()


def _after_fork() -> None:
    global _making  # noqa: PLW0603  # another thread may have held it
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
