"""The ledger: one line for each request that was put on the wire. Never a prompt, an answer or a key.

1. A call leaves its lines in memory and goes on. It never waits for the disk, and what the disk does is not its failure.
2. One thread of the process writes them; it begins with a line, and ends when none comes for a while.
3. What cannot be written is tried again. When as many calls wait as may, further ones are dropped, counted and told.
4. The file is SQLite with a write-ahead log: processes write it together, each waits for another only a moment.
5. No connection is open while the process forks, for SQLite's locks are the process's. A child begins with no lines, and
   keeps the calls that it began.
6. ``close``, and the end of the process, write what is left.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from .ends import watch
from .file import BUSY, LedgerFile, Line, is_busy

__all__ = ["Ledger"]

_MOST = 10_000
"""Calls that may wait to be written."""
_BATCH = 1_000
_GATHER = 0.05
_LINGER = 10.0
_RETRY = 1.0
_PATIENCE = 10.0
"""Seconds that ``close``, at most, waits for other processes to have written."""


class Ledger:
    """The ledger of one client.

    :param file: is made when the first line is written.
    :param policy: the policy file, whose reading rights it gets.
    :param on_trouble: called with a reason, and the number of calls lost so far, when lines cannot be written: once,
        and again when calls were lost since.
    :ivar lost: calls that were dropped.
    :ivar began: when it began in this process, on the clock of calls: those that began before it are the parent's.
    """

    def __init__(
        self,
        file: Path,
        *,
        policy: Path | None = None,
        on_trouble: Callable[[str, int], None] = lambda _reason, _lost: None,
    ) -> None:
        self._path = file.absolute()  # wherever the process goes from here, it is that file
        self._policy = policy
        self._on_trouble = on_trouble
        self._begin_anew()
        watch(self)

    def _begin_anew(self) -> None:
        self.began = time.monotonic()
        self.lost = 0
        self._told = 0
        self._trouble: str | None = None
        self._is_busy = False
        self._calls: deque[Sequence[Line]] = deque()
        self._bell: SimpleQueue[None] = SimpleQueue()  # which a destructor may ring, too
        self._state = threading.RLock()
        self._writer: threading.Thread | None = None
        self._disk = threading.RLock()
        self._file = LedgerFile(self._path, self._policy)

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
        """Write what waits, leave the file, and end the thread. Lines that come later are written as well."""
        with self._state:
            self._writer = None
            self._bell.put(None)
        until = time.monotonic() + _PATIENCE
        if not self._disk.acquire(timeout=_PATIENCE):
            return
        try:
            while not self._flush() and self._is_busy and time.monotonic() < until:
                time.sleep(_GATHER)
            self._tell_lost()
            self._file.close()
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
        while self._is_writer():
            try:
                self._bell.get(timeout=_LINGER)
            except Empty:
                if self._ends():
                    return
                continue
            if not self._is_writer():
                self._bell.put(None)  # it may have been for the next one
                return
            time.sleep(_GATHER)
            with self._disk:
                written = self._flush()
            if not written:
                time.sleep(_RETRY)
                self._bell.put(None)

    def _is_writer(self) -> bool:
        return self._writer is threading.current_thread()

    def _ends(self) -> bool:
        """Say whether there is nothing left to do; then nobody is the writer any more."""
        with self._state:
            if not self._is_writer():
                return True
            if not self._bell.empty():
                return False
            self._writer = None
        with self._disk:
            self._file.close()
        return True

    # --- the file, for whoever holds `_disk` ---

    def _flush(self) -> bool:
        """Write what waits; say whether that worked."""
        while self._calls:
            batch = [self._calls.popleft() for _ in range(min(len(self._calls), _BATCH))]
            try:
                self._file.write([line for lines in batch for line in lines])
            except Exception as error:  # noqa: BLE001  # whatever it is: it is told, and the thread goes on
                self._calls.extendleft(reversed(batch))
                self._is_busy = is_busy(error)
                self._file.close()
                self._tell(getattr(error, "strerror", None) or str(error))
                return False
        if self._trouble is not None or self.lost >= 2 * self._told:
            self._tell_lost()
        self._trouble = None
        return True

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
        if not self._disk.acquire(timeout=2 * BUSY):
            return False
        self._file.close()
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
