"""The simulated driver: the shipped engine in virtual time, over scripted vendors."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeAlias

from ..engine.settings import TargetPlan
from ..engine.steps import Commit, End, Ended, Event, First, Start, Step, ToolShown, Woke
from ..errors import CallError, error_for
from ..types import AnswerEvent, Finished, Restarted, StreamEvent, ToolCallDelta, Usage
from .base import Driver

__all__ = ["Script", "SimulatedDriver", "VirtualClock"]

Script: TypeAlias = Iterable[tuple[float, "AnswerEvent | CallError"]]
"""What a vendor does in one attempt: after so many seconds, this event or this error."""


@dataclass(slots=True)
class VirtualClock:
    """Time that passes only when somebody waits."""

    now: float = 0.0

    def pass_until(self, instant: float) -> None:
        """Move on to ``instant``; time never goes back."""
        self.now = max(self.now, instant)


class SimulatedDriver(Driver):
    """Performs one call without waiting and without I/O. Each attempt keeps its limits, as real adapters do.

    :param vendor: returns what happens in an attempt, given its start and the current instant.
    :ivar delivered: the events that the caller of a stream would have seen.
    """

    def __init__(
        self, steps: Generator[Step, Event, End], vendor: Callable[[Start, float], Script], clock: VirtualClock
    ) -> None:
        super().__init__(steps, nullcontext())
        self._vendor = vendor
        self._clock = clock
        self.delivered: list[StreamEvent] = []

    def price(self, plan: TargetPlan, usage: Usage) -> Usage:  # noqa: ARG002  # the protocol's signature
        """Nothing has a price here."""
        return usage

    def run(self) -> End:
        """Perform the call."""
        step = self._send(None)
        while step is not None:
            if isinstance(step.do, Start):
                step = self._attempt(step.do)
            else:
                self._clock.pass_until(step.wake or 0.0)
                step = self._send(Woke(self._clock.now))
        if self.end is None:
            raise RuntimeError("the engine ended without saying how")
        return self.end

    def _attempt(self, start: Start) -> Step | None:
        limits, clock = start.limits, self._clock
        shown: list[AnswerEvent] = []
        committed = False
        if start.how == "restart":
            self.delivered.append(Restarted(start.plan.target))
        limit, late = limits.first_content, "timeout.first" if start.plan.stream else "timeout.whole"
        for delay, event in self._vendor(start, clock.now):
            allowed = min(limit, limits.deadline)
            if clock.now + delay > allowed:
                clock.pass_until(allowed)
                kind = "deadline_exceeded" if allowed == limits.deadline else late
                return self._finish(start, error_for(kind), None)  # type: ignore[arg-type]  # a Kind by construction
            clock.pass_until(clock.now + delay)
            if isinstance(event, CallError):
                return self._finish(start, event, None)
            if isinstance(event, Finished):
                return self._finish(start, None, event)
            if not shown:
                step = self._send(First(clock.now, start.attempt))
                committed = step is not None and isinstance(step.do, Commit)
            if isinstance(event, ToolCallDelta) and not any(isinstance(one, ToolCallDelta) for one in shown):
                self._send(ToolShown(clock.now, start.attempt))
            shown.append(event)
            if committed:
                self.delivered.append(event)
            limit, late = clock.now + limits.idle, "timeout.idle"
        return self._finish(start, None, None)

    def _finish(self, start: Start, error: CallError | None, finished: Finished | None) -> Step | None:
        if error is None and finished is None:
            error = error_for("truncated_stream")
        self.finished = finished if error is None else None
        usage = finished.usage if finished is not None and error is None else None
        return self._send(Ended(self._clock.now, start.attempt, error, usage))
