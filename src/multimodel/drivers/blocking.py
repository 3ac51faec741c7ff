"""The blocking driver: a lone attempt runs on the caller's thread; threads only when a second one may join it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..engine.steps import Cancel, End, Event, First, Start, Step, ToolShown, Woke
from ..errors import CallError, ConfigurationError, MultimodelError
from ..types import AnswerEvent, Finished, StreamEvent, ToolCallDelta
from .base import Driver, Priced, close, news, now

__all__ = ["BlockingDriver", "Port"]


class Port(Priced, Protocol):
    """How the driver reaches a target."""

    def open(
        self, start: Start, now: Callable[[], float], given_up: Callable[[], bool] | None = None
    ) -> Iterator[AnswerEvent]:
        """Begin an attempt; raises ``PolicyDeniedError`` when the target was switched off meanwhile."""
        ...


class BlockingDriver(Driver):
    """Performs one call on the caller's thread."""

    def __init__(self, steps: Generator[Step, Event, End], port: Port, lock: AbstractContextManager[Any]) -> None:
        super().__init__(steps, lock)
        self._port = port

    def events(self) -> Generator[StreamEvent, None, None]:
        """Yield the answer's events; ``end`` and ``finished`` are set when it returns. Close it to cancel the call."""
        try:
            step = self._send(None)
            while step is not None:
                start = step.do
                if not isinstance(start, Start):
                    step = self._wait(step)
                    continue
                if step.wake is not None:
                    step = yield from self._race(start, step.wake)
                    continue
                error: MultimodelError | None = None
                finished: Finished | None = None
                self._nothing_yet, self._tool_shown = True, False
                try:
                    events = self._port.open(start, now)
                    try:
                        for event in events:
                            if type(event) is Finished:
                                finished = event
                                continue
                            if self._nothing_yet or type(event) is ToolCallDelta:
                                told = self._milestone(event, start)
                                if told is not None:
                                    yield told
                            yield event
                    finally:
                        close(events)
                except (CallError, ConfigurationError) as failed:
                    error = failed
                if error is None and finished is not None and self._nothing_yet and (told := news(start)) is not None:
                    yield told
                step = self._ended(start, error, finished, self._port)
        except Exception as bug:
            self._abort(bug)
            raise
        finally:
            self._close()

    def _wait(self, step: Step) -> Step | None:
        if step.wake is not None:
            time.sleep(max(0.0, step.wake - now()))
        return self._send(Woke(now()))

    def _race(self, start: Start, wake: float | None) -> Generator[StreamEvent, None, Step | None]:
        """Perform an attempt that a second one may join; only the winner's events are yielded."""
        from .threads import Threads

        winner: int | None = None
        tool = False
        with Threads(self._port) as crew:
            crew.start(start)
            step: Step | None = Step(None, wake)
            while step is not None and crew.flying:
                match step.do:
                    case Start():
                        crew.start(step.do)
                    case Cancel(number):
                        step = self._broken_off(number, crew.stop(number))
                        continue
                    case _:
                        pass
                step = Step(None, step.wake)
                came = crew.next(step.wake)
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
                        step = self._broken_off(step.do.attempt, crew.stop(step.do.attempt))
                    told = news(crew.flying[number])
                    if told is not None:
                        yield told
                if type(event) is ToolCallDelta and not tool:
                    tool = True
                    step = self._send(ToolShown(now(), number))
                yield event
        return step
