"""The laws of what lies between attempts: skips, and sleeps."""

from __future__ import annotations

from ...engine.settings import TargetPlan
from .memory import LIMITED_FOR, MIN_ATTEMPT, ROUNDING, Memory, Trace

__all__ = ["check_skips", "check_sleep"]

_BACKOFF, _BACKOFF_CAP = 0.5, 8.0
_LONGEST_WAIT = 60.0


def check_skips(memory: Memory, trace: Trace, now: float) -> None:
    """Targets were skipped: whether the reasons are true."""
    skipped = trace.call.skipped
    for skip in skipped[trace.skips :]:
        plan = next(one for one in trace.plans if one.target == skip.target)
        if not _is_true(memory, trace, plan, skip.reason, now):
            memory.tell("skips", f"{skip.target} is skipped for {skip.reason}", trace, now)
    trace.skips = len(skipped)


def _is_true(memory: Memory, trace: Trace, plan: TargetPlan, reason: str, now: float) -> bool:
    match reason:
        case "breaker":
            true = memory.books.blocked(plan, now)
        case "gate":
            true = now <= memory.gates.may(plan) + ROUNDING
        case "bulkhead":
            true = plan.at_most is not None or now - memory.limited_at.get(plan.key, -LIMITED_FOR) <= LIMITED_FOR
        case "max_attempts":
            true = trace.sent - trace.unsent >= trace.call.settings.max_attempts
        case "window":
            true = (plan.window or 0) <= (trace.window or 0)
        case "prefill":
            true = trace.committed and not plan.prefill
        case _:
            true = trace.unsent > 0  # an attempt that was not put on the wire after all
    return true


def check_sleep(memory: Memory, trace: Trace, wake: float, now: float) -> None:
    """The call sleeps, with nothing under way."""
    wait, error, last = wake - now, trace.last_error, trace.last
    if wake + MIN_ATTEMPT > trace.deadline + 2.0 * ROUNDING:
        memory.tell("deadline", f"a sleep of {wait:.3f} s ends too late", trace, now)
    if wait > _LONGEST_WAIT * 1.1 + ROUNDING:
        memory.tell("backoff", f"a sleep of {wait:.3f} s", trace, now)
    if error is None or last is None or now > trace.idle_since + ROUNDING:
        return
    shut = memory.gates.may(last.plan) - now
    hint = error.retry_after
    blind = hint is None and error.kind == "rate_limited"
    if (blind or (hint is not None and hint > last.plan.retry.patience)) and any(
        memory.askable(trace, one, now) for one in trace.plans
    ):
        memory.tell("gate", f"a sleep of {wait:.3f} s though another target could be asked", trace, now)
    longest = min(_BACKOFF_CAP, _BACKOFF * 2.0**trace.repeats)
    deferred = any(skip.reason in ("gate", "bulkhead", "breaker") for skip in trace.call.skipped)
    if not deferred and wait > max(longest, shut) + 2.0 * ROUNDING:
        memory.tell("backoff", f"a sleep of {wait:.3f} s before repeat {trace.repeats + 1}", trace, now)
