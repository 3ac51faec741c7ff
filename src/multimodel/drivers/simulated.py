"""The simulated driver: the shipped engine in virtual time, over scripted vendors.

One heap of instants carries any number of calls. What is due first happens first; what is due at the same instant
happens in the order in which it was planned, so a run with the same seeds is the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeAlias

from ..engine.steps import Cancel, Commit, End, Ended, Event, First, Start, Step, ToolShown, Woke
from ..errors import CallError, Kind, error_for
from ..types import AnswerEvent, Finished, StreamEvent, ToolCallDelta
from .base import news

__all__ = ["Script", "SimulatedCall", "SimulatedDriver", "VirtualClock", "Watch"]

Script: TypeAlias = Iterable[tuple[float, "AnswerEvent | CallError"]]
"""What a vendor does in one attempt: after so many seconds, this event or this error."""
Watch: TypeAlias = Callable[[Any, "Event | None", "Step | End | None", float], None]
"""Sees each event that the engine is told of, its answer, and the instant, with the context that the call was begun with.

No event: the call begins. No answer: it was cancelled.
"""


@dataclass(slots=True)
class VirtualClock:
    """Time that passes only when somebody waits."""

    now: float = 0.0


class SimulatedDriver:
    """Performs calls without waiting and without I/O. Each attempt keeps its limits, as real adapters do.

    :param vendor: returns what happens in an attempt, given its start and the current instant.
    :param watch: sees all that passes between the engine and this driver.
    :param over: told of each call that has ended.
    """

    def __init__(
        self,
        vendor: Callable[[Start, float], Script],
        clock: VirtualClock | None = None,
        watch: Watch | None = None,
        over: Callable[[SimulatedCall], None] | None = None,
    ) -> None:
        self.clock = VirtualClock() if clock is None else clock
        self.vendor = vendor
        self.watch = watch
        self.over = over
        self._due: list[tuple[float, int, Any, int, Any]] = []
        self._order = count()

    def at(self, instant: float, action: Callable[[], None]) -> None:
        """Do something at an instant, for instance begin the next call."""
        self.plan(instant, _Action(action), 0, None)

    def begin(self, steps: Generator[Step, Event, End], context: Any = None) -> SimulatedCall:
        """Begin a call now. ``context`` is the watcher's own."""
        call = SimulatedCall(self, steps, context)
        call.send(None)
        return call

    def run(self) -> None:
        """Let time pass until nothing is left to happen."""
        due, clock = self._due, self.clock
        while due:
            instant, _, subject, token, what = heappop(due)
            if subject.token != token:
                continue  # something else came first
            if instant > clock.now:  # noqa: PLR1730  # `max` costs every event of every call
                clock.now = instant
            subject.occurs(what)

    def plan(self, instant: float, subject: Any, token: int, what: Any) -> None:
        """Let ``subject.occurs(what)`` happen at an instant, unless its ``token`` is another one by then."""
        heappush(self._due, (instant, next(self._order), subject, token, what))


class SimulatedCall:
    """One call under way.

    :ivar end: how it ended, once it has.
    :ivar finished: the terminal event of the answer, if there is one.
    :ivar cancelled: whether its caller gave it up.
    :ivar delivered: the events that the caller of a stream has seen.
    """

    __slots__ = (
        "_committed", "_driver", "_flights", "_steps", "cancelled", "context", "delivered", "end", "finished", "token",
    )  # fmt: skip

    def __init__(self, driver: SimulatedDriver, steps: Generator[Step, Event, End], context: Any) -> None:
        self._driver = driver
        self._steps = steps
        self._flights: dict[int, _Flight] = {}
        self._committed = 0
        self.token = 0
        self.context = context
        self.end: End | None = None
        self.finished: Finished | None = None
        self.cancelled = False
        self.delivered: list[StreamEvent] = []

    def cancel(self) -> None:
        """Give it up, as its caller may at any time."""
        if self.end is not None or self.cancelled:
            return
        self.cancelled = True
        self.token += 1
        for flight in self._flights.values():
            flight.token = -1
        self._steps.close()
        driver = self._driver
        if driver.watch is not None:
            driver.watch(self.context, None, None, driver.clock.now)
        if driver.over is not None:
            driver.over(self)

    def send(self, event: Event | None) -> None:
        """Tell the engine what happened, and do what it says."""
        self.token += 1
        driver = self._driver
        try:
            step = self._steps.send(event)  # type: ignore[arg-type]  # None begins a generator
        except StopIteration as stop:
            self.end = stop.value
            if driver.watch is not None:
                driver.watch(self.context, event, self.end, driver.clock.now)
            if driver.over is not None:
                driver.over(self)
            return
        if driver.watch is not None:
            driver.watch(self.context, event, step, driver.clock.now)
        do = step.do
        if do is not None:
            kind = type(do)
            if kind is Start:
                self._fly(do)  # type: ignore[arg-type]  # `type() is` is the fast path, mypy wants isinstance
            elif kind is Commit:
                self._committed = do.attempt
            else:
                assert isinstance(do, Cancel)
                self._break_off(do.attempt)
                return
        if step.wake is not None:
            driver.plan(step.wake, self, self.token, None)
        elif not self._flights:
            raise RuntimeError("the engine waits for nothing")

    def occurs(self, _what: None) -> None:
        """Wake the engine."""
        self.send(Woke(self._driver.clock.now))

    def arrived(self, flight: _Flight, event: AnswerEvent) -> None:
        """Content of an attempt came."""
        start, now = flight.start, self._driver.clock.now
        if not flight.begun:
            flight.begun = True
            self.send(First(now, start.attempt))
            if self._committed == start.attempt and start.how != "fresh":
                told = news(start)
                assert told is not None
                self.delivered.append(told)
        if self._committed == start.attempt:
            self.delivered.append(event)
            if type(event) is ToolCallDelta and not flight.tool:
                flight.tool = True
                self.send(ToolShown(now, start.attempt))

    def landed(self, flight: _Flight, error: CallError | None, finished: Finished | None) -> None:
        """An attempt is over."""
        attempt, now = flight.start.attempt, self._driver.clock.now
        flight.token = -1
        del self._flights[attempt]
        if error is not None or finished is None:
            self.send(Ended(now, attempt, error or error_for("truncated_stream")))
        else:
            self.finished = finished
            if self._committed and not flight.begun and (told := news(flight.start)) is not None:
                self.delivered.append(told)
            self.send(Ended(now, attempt, None, finished.usage, finished.request_id))

    def _fly(self, start: Start) -> None:
        flight = self._flights[start.attempt] = _Flight(self, self._driver, start)
        flight.plan_next(self._driver.clock.now)

    def _break_off(self, attempt: int) -> None:
        self._flights.pop(attempt).token = -1
        self.send(Ended(self._driver.clock.now, attempt, cancelled=True))


class _Flight:
    """One attempt under way."""

    __slots__ = ("_call", "_deadline", "_driver", "_late", "_limit", "_script", "begun", "start", "token", "tool")

    def __init__(self, call: SimulatedCall, driver: SimulatedDriver, start: Start) -> None:
        limits = start.limits
        self._call = call
        self._driver = driver
        self._deadline = limits.deadline
        self._limit = limits.first_content if start.plan.stream else limits.whole
        self._late: Kind = "timeout.first" if start.plan.stream else "timeout.whole"
        self._script = iter(driver.vendor(start, driver.clock.now))
        self.start = start
        self.begun = self.tool = False
        self.token = 0

    def plan_next(self, now: float) -> None:
        """Plan what comes next: an event of the script, its end, or the limit that it runs into."""
        delay, event = next(self._script, _CUT)
        instant = now + delay
        if instant > self._limit or instant > self._deadline:
            instant = min(self._limit, self._deadline)
            event = error_for("deadline_exceeded" if instant == self._deadline else self._late)
        self._driver.plan(instant, self, 0, event)

    def occurs(self, event: AnswerEvent | CallError | None) -> None:
        """Let it happen."""
        kind = type(event)
        if kind is Finished:
            self._call.landed(self, None, event)  # type: ignore[arg-type]  # `type() is` is the fast path, mypy wants isinstance
        elif event is None or isinstance(event, CallError):
            self._call.landed(self, event, None)
        else:
            self._call.arrived(self, event)
            if self.token == 0:
                now, start = self._driver.clock.now, self.start
                if start.plan.stream:
                    self._limit, self._late = now + start.limits.idle, "timeout.idle"
                self.plan_next(now)


class _Action:
    __slots__ = ("occurs", "token")

    def __init__(self, action: Callable[[], None]) -> None:
        self.occurs: Callable[[None], None] = lambda _what: action()
        self.token = 0


_CUT: tuple[float, None] = (0.0, None)
"""A script that is over without a terminal event: the connection is closed."""
