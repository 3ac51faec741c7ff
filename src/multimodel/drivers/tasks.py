"""Attempts side by side, each in a task of its own: the twin of ``threads``."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..engine.steps import Start
from ..errors import CallError, ConfigurationError, MultimodelError
from ..types import AnswerEvent, Finished
from .base import aclose, now
from .threads import AHEAD, Over

if TYPE_CHECKING:
    from .aio import AsyncPort

__all__ = ["Tasks"]

_PATIENCE = 1.0  # seconds for a task to close what it has open


class Tasks:
    """The attempts of one call that are under way. Leaving it breaks all of them off.

    :ivar flying: their starts, by number. Whoever takes an ``Over`` removes its start.
    """

    def __init__(self, port: AsyncPort) -> None:
        self._port = port
        self._came: asyncio.Queue[tuple[int, AnswerEvent | Over | BaseException]] = asyncio.Queue()
        self._kept: deque[tuple[int, AnswerEvent | Over]] = deque()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._room: dict[int, asyncio.Semaphore] = {}
        self.flying: dict[int, Start] = {}

    def start(self, start: Start) -> None:
        """Begin an attempt."""
        self.flying[start.attempt] = start
        self._room[start.attempt] = asyncio.Semaphore(AHEAD)
        self._tasks[start.attempt] = asyncio.create_task(self._work(start), name="multimodel-hedge")

    async def next(self, until: float | None) -> tuple[int, AnswerEvent | Over] | None:
        """Wait for what comes next of the attempts under way; None at the instant ``until``."""
        while True:
            came = self._kept.popleft() if self._kept else await self._take(until)
            if came is None or came[0] in self.flying:
                return came

    async def stop(self, number: int) -> MultimodelError | None:
        """Break an attempt off and wait until it has closed; return what it had failed by before."""
        over = await self._drain(number)
        if over is None:
            task = self._tasks[number]
            task.cancel()
            await asyncio.wait({task}, timeout=_PATIENCE)
        del self.flying[number]
        return None if over is None else over[0]

    async def _drain(self, number: int) -> Over | None:
        """Look for the end of an attempt in what has come; what came of the others is kept."""
        kept: list[tuple[int, AnswerEvent | Over]] = []
        over: Over | None = None
        while over is None and (came := await self.next(now())) is not None:
            if came[0] != number:
                kept.append(came)
            elif isinstance(came[1], tuple):
                over = came[1]
        self._kept.extendleft(reversed(kept))
        return over

    async def _take(self, until: float | None) -> tuple[int, AnswerEvent | Over] | None:
        if not self._came.empty():
            number, item = self._came.get_nowait()
        else:
            try:
                async with asyncio.timeout(None if until is None else max(0.0, until - now())):
                    number, item = await self._came.get()
            except TimeoutError:
                return None
        if isinstance(item, BaseException):
            if number in self.flying:
                raise item
            return number, (None, None)  # nobody waits for it any more
        if not isinstance(item, tuple):
            self._room[number].release()
        return number, item

    async def _work(self, start: Start) -> None:
        number, finished = start.attempt, None
        try:
            events = self._port.aopen(start, now)
            try:
                async for event in events:
                    if type(event) is Finished:
                        finished = event
                        continue
                    await self._room[number].acquire()
                    self._came.put_nowait((number, event))
            finally:
                await aclose(events)
        except asyncio.CancelledError as cancelled:
            self._came.put_nowait((number, cancelled))
            raise
        except (CallError, ConfigurationError) as failed:
            self._came.put_nowait((number, (failed, None)))
        except Exception as bug:  # noqa: BLE001  # whatever it is, it belongs to the caller's task
            self._came.put_nowait((number, bug))
        else:
            self._came.put_nowait((number, (None, finished)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        left = {task for task in self._tasks.values() if not task.done()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_PATIENCE)
