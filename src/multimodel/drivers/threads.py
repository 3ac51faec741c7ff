"""Attempts side by side, each on a thread of its own."""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from ..engine.steps import Start
from ..errors import CallError, ConfigurationError, LocalOverloadError, MultimodelError
from ..types import AnswerEvent, Finished
from .base import close, now

if TYPE_CHECKING:
    from .blocking import Port

__all__ = ["AHEAD", "Over", "Threads"]

Over: TypeAlias = tuple[MultimodelError | None, Finished | None]
"""How an attempt ended: its error, or its terminal event."""

AHEAD = 64  # pieces that a thread may read before the caller takes them
_LOOK = 0.05  # seconds between two looks at whether anybody still waits
_PATIENCE = 0.25  # seconds for a thread to close what it has open; one that is still connecting sends nothing any more


class Threads:
    """The attempts of one call that are under way. Leaving it breaks all of them off.

    :ivar flying: their starts, by number. Whoever takes an ``Over`` removes its start.
    """

    def __init__(self, port: Port) -> None:
        self._port = port
        self._came: SimpleQueue[tuple[int, AnswerEvent | Over | BaseException]] = SimpleQueue()
        self._kept: deque[tuple[int, AnswerEvent | Over]] = deque()
        self._threads: dict[int, tuple[Thread, Event]] = {}
        self._room: dict[int, Semaphore] = {}
        self.flying: dict[int, Start] = {}

    def start(self, start: Start) -> None:
        """Begin an attempt."""
        given_up = Event()
        self._room[start.attempt] = Semaphore(AHEAD)
        context = copy_context()
        thread = Thread(target=context.run, args=(self._work, start, given_up), name="multimodel-hedge", daemon=True)
        self.flying[start.attempt] = start
        try:
            thread.start()
        except RuntimeError:  # the process may have no more of them
            self._came.put((start.attempt, (LocalOverloadError("no thread for an attempt"), None)))
        else:
            self._threads[start.attempt] = (thread, given_up)

    def next(self, until: float | None) -> tuple[int, AnswerEvent | Over] | None:
        """Wait for what comes next of the attempts under way; None at the instant ``until``."""
        while True:
            came = self._kept.popleft() if self._kept else self._take(until)
            if came is None or came[0] in self.flying:
                return came

    def stop(self, number: int) -> MultimodelError | None:
        """Break an attempt off and wait until it has closed; return what it had failed by before."""
        over = self._drain(number, now())
        if over is None:
            self._threads[number][1].set()
            self._drain(number, now() + _PATIENCE)
        del self.flying[number]
        return None if over is None else over[0]

    def _drain(self, number: int, until: float) -> Over | None:
        """Wait for the end of an attempt; what comes of the others is kept."""
        kept: list[tuple[int, AnswerEvent | Over]] = []
        over: Over | None = None
        while over is None and (came := self.next(until)) is not None:
            if came[0] != number:
                kept.append(came)
            elif isinstance(came[1], tuple):
                over = came[1]
        self._kept.extendleft(reversed(kept))
        return over

    def _take(self, until: float | None) -> tuple[int, AnswerEvent | Over] | None:
        try:
            number, item = self._came.get(timeout=None if until is None else max(0.0, until - now()))
        except Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        if not isinstance(item, tuple):
            self._room[number].release()
        return number, item

    def _work(self, start: Start, given_up: Event) -> None:
        number, finished = start.attempt, None
        room = self._room[number]
        try:
            events = self._port.open(start, now, given_up.is_set)
            try:
                for event in events:
                    if type(event) is Finished:
                        finished = event
                        continue
                    while not room.acquire(timeout=_LOOK):
                        if given_up.is_set():
                            break
                    if given_up.is_set():
                        break
                    self._came.put((number, event))
            finally:
                close(events)
        except (CallError, ConfigurationError) as failed:
            self._came.put((number, (failed, None)))
        except BaseException as bug:  # noqa: BLE001  # whatever it is, it belongs to the caller's thread
            self._came.put((number, (None, None) if given_up.is_set() else bug))
        else:
            self._came.put((number, (None, finished)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        left = [self._threads[number] for number in self.flying if number in self._threads]
        for _, given_up in left:
            given_up.set()
        limit = now() + _PATIENCE
        for thread, _ in left:
            thread.join(max(0.0, limit - now()))
