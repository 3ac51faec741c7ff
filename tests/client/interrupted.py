"""A call that is interrupted at one chosen moment, on a real event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from time import monotonic
from typing import Any, Generic, Literal, TypeVar

from typing_extensions import override

__all__ = ["How", "Interrupted", "TurningLoop"]

T = TypeVar("T")
How = Literal["waiting", "waking", "twice", "timeout", "turn"]
"""``waiting``: while it waits. ``waking``: what it waited for has come, and it has not run yet. ``twice``: once more
where it waits next, in the middle of its cleaning up. ``timeout``: by ``asyncio.timeout``. ``turn``: between two turns
of the event loop, whichever task they served."""


class TurningLoop(asyncio.SelectorEventLoop):
    """Tells somebody after each of its turns."""

    def __init__(self) -> None:
        super().__init__()
        self.turned: Callable[[], None] = lambda: None

    @override
    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]  # typeshed does not know it
        self.turned()


class Interrupted(Generic[T]):
    """Runs a coroutine in a task of its own and interrupts it.

    :param at: the number of the moment, 1 is the first; a call that has fewer is not interrupted.
    :ivar moments: how many there were.
    :ivar times: how often the task was cancelled.
    :ivar when: the instant of the first time.
    """

    def __init__(self, call: Coroutine[Any, Any, T], at: int, how: How) -> None:
        self._call = call
        self._at = at
        self._how = how
        self._timeout = asyncio.timeout(None)
        self._task: asyncio.Task[T] | None = None
        self.moments = 0
        self.times = 0
        self.when = 0.0

    async def run(self) -> asyncio.Task[T]:
        """Run it to its end, and return the task, which is done."""
        task = self._task = asyncio.create_task(self._limited())
        loop = asyncio.get_running_loop()
        if self._how == "turn":
            assert isinstance(loop, TurningLoop)
            loop.turned = self._turned
        await asyncio.wait([task])
        self._call.close()  # one that was cancelled before its first step
        if isinstance(loop, TurningLoop):
            loop.turned = lambda: None
        return task

    async def _limited(self) -> T:
        async with self._timeout:
            return await self

    def __await__(self) -> Generator[Any, Any, T]:
        step: Callable[[Any], Any] = self._call.send
        value: Any = None
        while True:
            try:
                awaited = step(value)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if self._how != "turn":
                self._waits(awaited)
            try:
                value = yield awaited
                step = self._call.send
            except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the call
                step, value = self._call.throw, error

    def _waits(self, awaited: asyncio.Future[Any] | None) -> None:
        self.moments += 1
        if self._how == "twice" and self.times == 1:
            self._cancel()
        if self.moments != self._at:
            return
        if self._how == "timeout":
            self._count()
            self._timeout.reschedule(asyncio.get_running_loop().time())
        elif self._how == "waking" and awaited is not None:
            awaited.add_done_callback(lambda _: self._cancel())
        else:
            self._cancel()

    def _turned(self) -> None:
        assert self._task is not None
        if self._task.done():
            return
        self.moments += 1
        if self.moments == self._at:
            self._cancel()

    def _cancel(self) -> None:
        assert self._task is not None
        self._count()
        self._task.cancel()

    def _count(self) -> None:
        self.when = self.when or monotonic()
        self.times += 1
