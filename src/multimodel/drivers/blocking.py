"""The blocking driver: a lone attempt runs on the caller's thread; no loop, no helper thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..engine.steps import End, Event, Start, Step, Woke
from ..errors import CallError, ConfigurationError, MultimodelError
from ..types import AnswerEvent, Finished, Restarted, StreamEvent, ToolCallDelta
from .base import Driver, Priced, now

__all__ = ["BlockingDriver", "Port"]


class Port(Priced, Protocol):
    """How the driver reaches a target."""

    def open(self, start: Start, now: Callable[[], float]) -> Iterator[AnswerEvent]:
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
                    if step.wake is not None:
                        time.sleep(max(0.0, step.wake - now()))
                    step = self._send(Woke(now()))
                    continue
                if start.how == "restart":
                    yield Restarted(start.plan.target)
                error: MultimodelError | None = None
                finished: Finished | None = None
                first = tool = False
                try:
                    events = self._port.open(start, now)
                    try:
                        for event in events:
                            if type(event) is Finished:
                                finished = event
                                continue
                            if not first or (type(event) is ToolCallDelta and not tool):
                                first, tool = self._milestone(event, start.attempt, first=first, tool=tool)
                            yield event
                    finally:
                        close = getattr(events, "close", None)
                        if close is not None:
                            close()
                except (CallError, ConfigurationError) as failed:
                    error = failed
                step = self._ended(start, error, finished, self._port)
        except Exception as bug:
            self._abort(bug)
            raise
        finally:
            self._close()
