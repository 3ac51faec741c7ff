"""The laws of how a call ends."""

from __future__ import annotations

from ...engine import End
from ...engine.settings import TargetPlan
from ...errors import AllTargetsFailedError, CallError
from .memory import LAST_RESORT_GAP, LIMITED_FOR, MIN_ATTEMPT, ROUNDING, Memory, Trace

__all__ = ["check_cancelled", "check_end"]


def check_cancelled(memory: Memory, trace: Trace, now: float) -> None:
    """The caller gave the call up: what was under way gives its permits back."""
    for attempt, flown in trace.flying.items():
        memory.under_way[flown.plan.key] -= 1
        trace.outcomes[attempt] = "cancelled"
        broken = memory.books.landed(flown, now, "neutral", None, answered=False, then=None)
        memory.tell_all(broken, trace, now)
    trace.flying.clear()
    _recorded(memory, trace, now)


def check_end(memory: Memory, trace: Trace, end: End, now: float) -> None:
    """The call ended by itself: whether it may end now, and in this way."""
    error = end.error
    if trace.flying:
        memory.tell("ends", f"{len(trace.flying)} attempts are under way at the end", trace, now)
    if now > trace.deadline + ROUNDING:
        memory.tell("deadline", f"the call ends {now - trace.deadline:.3f} s late", trace, now)
    if (error is None) != (trace.whole is not None) or end.plan is not trace.whole:
        memory.tell("success", f"the call ends with {error.kind if error else 'an answer'}", trace, now)
    _recorded(memory, trace, now)
    if error is not None and trace.whole is None:
        _fails(memory, trace, error, now)


def _recorded(memory: Memory, trace: Trace, now: float) -> None:
    records, outcomes = trace.call.attempts, trace.outcomes
    if len(records) != trace.sent - trace.unsent:
        memory.tell("ends", f"{len(records)} records of {trace.sent - trace.unsent} attempts", trace, now)
    for record in records:
        if record.outcome != outcomes.get(record.index):
            memory.tell("ends", f"attempt {record.index} is recorded as {record.outcome}", trace, now)


def _fails(memory: Memory, trace: Trace, error: CallError, now: float) -> None:
    call, last = trace.call, trace.last_error
    late = now > trace.deadline - MIN_ATTEMPT - ROUNDING
    match error.kind:
        case "stream_interrupted":
            wrong = not trace.committed
        case "deadline_exceeded":
            wrong = trace.committed or not late
        case "all_targets_failed":
            wrong = trace.committed or not _all_were_tried(trace, error)
        case kind:
            wrong = trace.committed or last is None or kind not in trace.outcomes.values() or trace.fatal is None
    if wrong:
        memory.tell("ends", f"the call ends with {error.kind}", trace, now)
    if error.kind == "all_targets_failed" and not trace.sent and now == call.started:
        for plan in trace.plans:
            if _could_be_last_resort(memory, trace, plan, now):
                memory.tell("last resort", f"{plan.target} is not asked though nothing else answers", trace, now)


def _all_were_tried(trace: Trace, error: CallError) -> bool:
    assert isinstance(error, AllTargetsFailedError)
    skipped = {str(skip.target) for skip in trace.call.skipped}
    complete = all(
        (plan.key in trace.visited and plan.key not in trace.spared) or str(plan.target) in skipped
        for plan in trace.plans
    )
    failed = sum(outcome != "lost" for outcome in trace.outcomes.values()) - trace.unsent
    counted = len(error.exceptions) == max(1, failed + len(trace.call.skipped))
    return counted and trace.fatal is None and (complete or (trace.done and trace.call.settings.effects))


def _could_be_last_resort(memory: Memory, trace: Trace, plan: TargetPlan, now: float) -> bool:
    return (
        trace.deadline - now >= MIN_ATTEMPT
        and now > memory.gates.may(plan)
        and plan.at_most is None
        and now - memory.limited_at.get(plan.key, -LIMITED_FOR) >= LIMITED_FOR
        and memory.books.rested(plan, now)
        and now - memory.last_resort.get(plan.key, -1.0) >= LAST_RESORT_GAP
    )
