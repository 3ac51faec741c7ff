"""The asyncio driver: a lone attempt runs in the caller's task; tasks only when a second one may join it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import AbstractContextManager, aclosing
from typing import Any, Protocol

from ..engine.steps import Cancel, End, Event, First, Start, Step, ToolShown, Woke
from ..errors import CallError, ConfigurationError, MultimodelError
from ..types import AnswerEvent, Finished, StreamEvent, ToolCallDelta
from .base import Driver, Priced, aclose, news, now

__all__ = ["AsyncPort", "AsyncioDriver"]


class AsyncPort(Priced, Protocol):
    """How the driver reaches a target."""

    def aopen(self, start: Start, now: Callable[[], float]) -> AsyncIterator[AnswerEvent]:
        """Begin an attempt; raises ``PolicyDeniedError`` when the target was switched off meanwhile."""
        ...


class AsyncioDriver(Driver):
    """Performs one call on the running event loop."""

    def __init__(self, steps: Generator[Step, Event, End], port: AsyncPort, lock: AbstractContextManager[Any]) -> None:
        super().__init__(steps, lock)
        self._port = port
        self._step: Step | None = None

    async def events(self) -> AsyncGenerator[StreamEvent, None]:  # noqa: PLR0912  # a further generator would cost each piece
        """Yield the answer's events; ``end`` and ``finished`` are set when it returns. Close it to cancel the call."""
        try:
            self._step = self._send(None)
            while (step := self._step) is not None:
                start = step.do
                if not isinstance(start, Start):
                    await self._wait(step)
                    continue
                if step.wake is not None:
                    async with aclosing(self._race(start, step.wake)) as race:
                        async for raced in race:
                            yield raced
                    continue
                error: MultimodelError | None = None
                finished: Finished | None = None
                self._nothing_yet, self._tool_shown = True, False
                try:
                    events = self._port.aopen(start, now)
                    try:
                        async for event in events:
                            if type(event) is Finished:
                                finished = event
                                continue
                            if self._nothing_yet or type(event) is ToolCallDelta:
                                told = self._milestone(event, start)
                                if told is not None:
                                    yield told
                            yield event
                    finally:
                        await aclose(events)
                except (CallError, ConfigurationError) as failed:
                    error = failed
                if error is None and finished is not None and self._nothing_yet and (told := news(start)) is not None:
                    yield told
                self._step = self._ended(start, error, finished, self._port)
        except Exception as bug:
            self._abort(bug)
            raise
        finally:
            self._close()

    async def _wait(self, step: Step) -> None:
        if step.wake is not None:
            import asyncio

            await asyncio.sleep(max(0.0, step.wake - now()))
        self._step = self._send(Woke(now()))

    async def _race(self, start: Start, wake: float | None) -> AsyncGenerator[StreamEvent, None]:
        """Perform an attempt that a second one may join; only the winner's events are yielded."""
        from .tasks import Tasks

        winner: int | None = None
        tool = False
        async with Tasks(self._port) as crew:
            crew.start(start)
            step: Step | None = Step(None, wake)
            while step is not None and crew.flying:
                match step.do:
                    case Start():
                        crew.start(step.do)
                    case Cancel(number):
                        step = self._broken_off(number, await crew.stop(number))
                        continue
                    case _:
                        pass
                step = Step(None, step.wake)
                came = await crew.next(step.wake)
                if came is None:
                    step = self._send(Woke(now()))
                    continue
                number, event = came
                if isinstance(event, tuple):
                    if winner is None and event[1] is not None and (told := news(crew.flying[number])) is not None:
                        yield told
                    step = self._ended(crew.flying.pop(number), *event, self._port)
                    continue
                if winner is None:
                    winner = number
                    self.target = crew.flying[number].plan.target
                    step = self._send(First(now(), number))
                    while step is not None and isinstance(step.do, Cancel):
                        step = self._broken_off(step.do.attempt, await crew.stop(step.do.attempt))
                    told = news(crew.flying[number])
                    if told is not None:
                        yield told
                if type(event) is ToolCallDelta and not tool:
                    tool = True
                    step = self._send(ToolShown(now(), number))
                yield event
        self._step = step
