"""The laws of the engine, checked on everything that passes between it and a driver.

The checker keeps its own books: it does not ask the engine why it did something, it says whether that was allowed.
Of the engine's memory it looks at the breakers only, to see when they open and close.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ...engine import Call, CallSettings, Cancel, Commit, End, Ended, Event, First, Health, Start, Step, ToolShown
from ...engine.rules import NOT_SENT
from ...engine.settings import TargetPlan
from ...errors import CallError
from .breakers import Flown, Name, Result
from .ends import check_cancelled, check_end
from .memory import DONE, ROUNDING, TABLE, Memory, Trace
from .starts import check_start
from .violations import Violation
from .waits import check_skips, check_sleep

__all__ = ["Laws"]

_SLACK = 2e-3  # a limit that ran out may be measured a moment early


class Laws:
    """Checks one client's calls as they go.

    :param health: the client's memory.
    :param tell: called with each violation; without it, the first are kept.
    """

    def __init__(self, health: Health, tell: Callable[[Violation], None] | None = None) -> None:
        self._memory = Memory(health, tell)
        self._calls = 0

    @property
    def violations(self) -> list[Violation]:
        """The first of them."""
        return self._memory.findings.violations

    @property
    def broken(self) -> Counter[str]:
        """How many there were, by law."""
        return self._memory.findings.broken

    def trace(self, call: Call, plans: Sequence[TargetPlan]) -> Trace:
        """Open the book of a call, before it begins."""
        self._calls += 1
        hedge = call.settings.hedge
        if hedge is not None:
            saved = self._memory.hedges
            saved[call.route] = min(1.0, saved.get(call.route, 0.0) + hedge.budget)
        return Trace(self._calls, call, plans)

    def saw(self, trace: Trace, event: Event | None, answer: Step | End | None, now: float) -> None:
        """Take what the engine was told and what it answered."""
        memory = self._memory
        memory.findings.tail.append((trace.number, event, answer))
        kind = type(event)
        if kind is Ended:
            self._landed(trace, event, answer, now)  # type: ignore[arg-type]  # `type() is` is the fast path, mypy wants isinstance
        elif kind is First:
            self._first(trace, event, answer, now)  # type: ignore[arg-type]  # likewise
        elif kind is ToolShown:
            trace.tool = True
        if len(trace.call.skipped) > trace.skips:
            check_skips(memory, trace, now)
        if type(answer) is Step:
            do = answer.do
            if type(do) is Start:
                check_start(memory, trace, do, now)
            elif type(do) is Commit:
                self._commits(trace, do.attempt, now)
            elif do is None and not trace.flying and answer.wake is not None:
                check_sleep(memory, trace, answer.wake, now)
        elif answer is None:
            check_cancelled(memory, trace, now)
        else:
            check_end(memory, trace, answer, now)  # type: ignore[arg-type]  # an End: nothing else is left

    def at_rest(self, now: float) -> None:
        """Check that nothing is held once no call is under way."""
        memory = self._memory
        nobody = Trace(0, Call("", CallSettings(), now, stream=False), ())
        if memory.health.flying:
            memory.tell("permits", f"{memory.health.flying} permits are held at rest", nobody, now)
        for name in memory.books.held(now):
            memory.tell("permits", f"the probe of {name} is held at rest", nobody, now)

    def _first(self, trace: Trace, event: First, answer: Step | End | None, now: float) -> None:
        memory = self._memory
        flown = trace.flying[event.attempt]
        do = answer.do if type(answer) is Step else None
        flown.first = now
        trace.content = True
        if len(trace.flying) > 1:
            other = next(attempt for attempt in trace.flying if attempt != event.attempt)
            if not isinstance(do, Cancel) or do.attempt != other:
                memory.tell("hedge", f"attempt {other} is not broken off", trace, now)
        elif trace.call.stream and trace.call.settings.mid_stream != "unseen" and type(do) is not Commit:
            memory.tell("commit", "content came and is not shown", trace, now)
        if memory.books.tracks:
            memory.tell_all(memory.books.first_content(flown, now), trace, now)

    def _commits(self, trace: Trace, attempt: int, now: float) -> None:
        memory = self._memory
        flown = trace.flying.get(attempt)
        if flown is None or flown.first is None or len(trace.flying) > 1:
            memory.tell("commit", f"attempt {attempt} is shown though it is not the one that speaks", trace, now)
        elif (trace.committed and flown.start.how == "fresh") or not trace.call.stream:
            memory.tell("commit", f"attempt {attempt} is shown behind another", trace, now)
        trace.committed = True

    def _landed(self, trace: Trace, event: Ended, answer: Step | End | None, now: float) -> None:
        memory = self._memory
        flown, error = trace.flying.pop(event.attempt), event.error
        plan = flown.plan
        memory.under_way[plan.key] -= 1
        if not trace.flying:
            trace.idle_since = now
        result: Result = "neutral"
        blamed: Name | None = None
        if error is not None:
            trace.outcomes[event.attempt] = error.kind
            trace.last_error = error
            result, blamed = self._failed(trace, flown, error, now)
        elif event.cancelled:
            trace.outcomes[event.attempt] = "lost"
            trace.lost = flown.plan.key
        else:
            trace.outcomes[event.attempt] = "ok"
            trace.whole = plan
            memory.gates.answered(plan)
            result = "success"
        if trace.lost is not None and not trace.flying:
            if trace.whole is None:  # so what had won broke
                trace.spared.add(trace.lost)
            trace.lost = None
        if blamed is None and not memory.books.tracks:
            return
        answered = error is not None and error.status is not None
        then = answer.do.plan if type(answer) is Step and type(answer.do) is Start else None
        broken = memory.books.landed(flown, now, result, blamed, answered=answered, then=then)
        memory.tell_all(broken, trace, now)

    def _failed(self, trace: Trace, flown: Flown, error: CallError, now: float) -> tuple[Result, Name | None]:
        """Remember what a failure forbids, and say what it says of which breaker."""
        plan, kind = flown.plan, error.kind
        rule = TABLE[kind]
        trace.unsent += kind in NOT_SENT
        trace.stale += kind == "connection.stale"
        trace.done = trace.done or kind in DONE
        refused = flown.start.how == "continue" and flown.first is None
        filtered = rule.next == "filter" and trace.call.settings.on_content_filter == "stop"
        if rule.next == "no" or (filtered and not trace.committed):
            trace.fatal = None if refused and kind != "deadline_exceeded" else error
        elif trace.committed and rule.next != "yes" and not refused:
            trace.fatal = error
        if rule.next == "window":
            trace.window = max(trace.window or 0, plan.window or 0)
        if kind == "rate_limited" or error.retry_after is not None:
            self._memory.gates.refused(plan, error, now)
        if kind == "rate_limited":
            self._memory.limited_at[plan.key] = now
        if rule.blame not in ("count", "open"):
            return "neutral", None
        blamed = plan.scope_key(error.scope or rule.scope)
        return ("trips" if rule.blame == "open" else self._counted(flown, error, now)), blamed

    def _counted(self, flown: Flown, error: CallError, now: float) -> Result:
        """A time-out that the caller's haste cut short counts only if the target had a fair chance."""
        if error.kind not in ("timeout.first", "timeout.whole", "deadline_exceeded"):
            return "counted"
        ran, own = now - flown.begun, flown.plan.first_content if flown.plan.stream else flown.plan.whole
        if (flown.first is not None and error.kind == "deadline_exceeded") or ran < min(own, 1.0) - _SLACK:
            return "neutral"
        return "counted" if ran >= own - ROUNDING else "perhaps"
