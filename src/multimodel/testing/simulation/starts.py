"""The laws of an attempt that begins: whether it may, when, and for how long."""

from __future__ import annotations

from ...engine import Start
from ...engine.settings import TargetPlan
from .breakers import Flown
from .memory import LAST_RESORT_GAP, MIN_ATTEMPT, ROUNDING, TABLE, Memory, Trace

__all__ = ["check_start"]

_START_TOKENS = 10.0
_HEDGE_AFTER = 1.0


def check_start(memory: Memory, trace: Trace, start: Start, now: float) -> None:
    """An attempt begins."""
    plan, call = start.plan, trace.call
    key = plan.key
    flown = Flown(start, now)
    if now + MIN_ATTEMPT > trace.deadline + ROUNDING or start.limits.deadline > trace.deadline + ROUNDING:
        memory.tell("deadline", f"{plan.target} is asked {trace.deadline - now:.3f} s before the end", trace, now)
    if key in trace.spared:
        trace.per_target[key] = 0
    count = trace.per_target[key] = trace.per_target.get(key, 0) + 1
    if count > plan.retry.attempts or trace.sent - trace.unsent >= call.settings.max_attempts:
        memory.tell("attempts", f"request {count} to {plan.target}, {trace.sent + 1} in all", trace, now)
    if trace.sent or trace.skips or plan is not trace.plans[0]:
        _follows(memory, trace, start, now)
    else:
        trace.position = 0
        trace.visited.append(key)
        _earn(memory, plan)
    _within_share(memory, trace, start, now)
    if memory.gates.any and now < memory.gates.must(plan) - ROUNDING:
        memory.tell("gate", f"{plan.target} is asked before it may be", trace, now)
    memory.under_way[key] += 1
    if plan.at_most is not None and memory.under_way[key] > plan.at_most:
        memory.tell("bulkhead", f"{memory.under_way[key]} attempts are under way on {plan.target}", trace, now)
    if memory.books.tracks:
        memory.tell_all(memory.books.started(flown, now), trace, now)
    if flown.overruled and start.reason == "last_resort":
        if now - memory.last_resort.get(key, -1.0) < LAST_RESORT_GAP - ROUNDING:
            memory.tell("last resort", f"{plan.target} is asked more than four times a second", trace, now)
        memory.last_resort[key] = now
    trace.sent += 1
    trace.flying[start.attempt] = trace.last = flown


def _earn(memory: Memory, plan: TargetPlan) -> None:
    memory.earned[plan.credential] = memory.earned.get(plan.credential, _START_TOKENS) + plan.retry.budget


def _follows(memory: Memory, trace: Trace, start: Start, now: float) -> None:
    """It is not the first target at the beginning of a call: whether it may be asked now, and how."""
    plan, settings, target = start.plan, trace.call.settings, start.plan.target
    if trace.flying:
        _joins(memory, trace, start, now)
    elif trace.last is not None and trace.last.plan.key == plan.key and plan.key not in trace.spared:
        _repeats_target(memory, trace, start, now)
    else:
        _visits(memory, trace, start, now)
    if trace.fatal is not None:
        memory.tell("rules", f"{target} is asked after {trace.fatal.kind}", trace, now)
    if trace.done and settings.effects:
        memory.tell("effects", f"{target} is asked though the request may have been carried out", trace, now)
    if trace.whole is not None:
        memory.tell("success", f"{target} is asked though there is an answer", trace, now)
    if trace.window is not None and plan.window is not None and plan.window <= trace.window:
        memory.tell("rules", f"{target} has no larger window", trace, now)
    if trace.committed and (trace.tool or settings.mid_stream == "error"):
        memory.tell("commit", f"{target} is asked after the caller saw content", trace, now)
    goes_on = trace.committed and settings.mid_stream == "continue"
    how = "fresh" if not trace.content or settings.mid_stream == "error" else "continue" if goes_on else "restart"
    if start.how != how or (goes_on and not plan.prefill):
        memory.tell("commit", f"{target} begins as {start.how}, which should be {how}", trace, now)


def _visits(memory: Memory, trace: Trace, start: Start, now: float) -> None:
    plan, target = start.plan, start.plan.target
    _earn(memory, plan)
    spared = plan.key in trace.spared
    if plan.key in trace.visited and not spared:
        memory.tell("order", f"{target} is visited again", trace, now)
    trace.visited.append(plan.key)
    trace.spared.discard(plan.key)
    trace.repeats = trace.stale = 0
    if start.reason == "last_resort" or spared:
        return
    position = next(at for at, one in enumerate(trace.plans) if one.key == plan.key)
    skipped = {str(skip.target) for skip in trace.call.skipped}
    if position < trace.position or any(
        one.key not in trace.visited and str(one.target) not in skipped for one in trace.plans[:position]
    ):
        memory.tell("order", f"{target} is asked out of its turn", trace, now)
    if now > trace.idle_since + ROUNDING and not _overtaken(memory, trace, now):
        memory.tell("backoff", f"{target} is asked {now - trace.idle_since:.3f} s late", trace, now)
    trace.position = position


def _overtaken(memory: Memory, trace: Trace, now: float) -> bool:
    """Whether a repeat was waited for that something forbade in the meantime."""
    return trace.last is not None and memory.health.state(trace.last.plan, now)[0] not in ("closed", "half_open")


def _repeats_target(memory: Memory, trace: Trace, start: Start, now: float) -> None:
    error, plan, target = trace.last_error, start.plan, start.plan.target
    trace.repeats += 1
    if error is None or trace.committed:
        memory.tell("rules", f"{target} is asked again after its content was shown", trace, now)
        return
    if trace.last is not None and trace.last.start.reason == "last_resort" and error.path is None:
        memory.tell("last resort", f"{target} is asked again", trace, now)
    if error.path is not None:
        trace.fatal = None  # it was asked in the wrong place
        return
    rule = TABLE[error.kind]
    repeatable = rule.same != "never" or (error.should_retry is True and rule.next == "yes")
    if not repeatable or error.should_retry is False:
        memory.tell("rules", f"{target} is asked again after {error.kind}", trace, now)
    if rule.same == "free" and trace.stale == 1:
        return
    memory.repeats[plan.credential] += 1
    if memory.repeats[plan.credential] > memory.earned[plan.credential] + ROUNDING:
        memory.tell("budget", f"{memory.repeats[plan.credential]} repeats on {plan.credential}", trace, now)


def _joins(memory: Memory, trace: Trace, start: Start, now: float) -> None:
    plan, settings = start.plan, trace.call.settings
    (first, *more) = trace.flying.values()
    hedge = settings.hedge
    after = _HEDGE_AFTER if hedge is None or hedge.after is None else hedge.after
    level = memory.hedges.get(trace.call.route, 0.0)
    wrong = {
        "more than two are under way": bool(more),
        "the policy has none": hedge is None or settings.effects,
        "it is not said to be one": start.reason != "hedge",
        "content has come already": first.first is not None,
        "it is on the same credential": plan.credential == first.plan.credential,
        "it is at the same endpoint": plan.endpoint == first.plan.endpoint,
        "it is too early": now < first.begun + after - ROUNDING,
        "its breaker is not closed": not memory.books.closed(plan),
        "there is no token": level < 1.0 - ROUNDING,
        "it was asked before": plan.key in trace.visited and plan.key not in trace.spared,
    }
    for why, is_so in wrong.items():
        if is_so:
            memory.tell("hedge", f"{plan.target} joins though {why}", trace, now)
    memory.hedges[trace.call.route] = 0.0
    trace.visited.append(plan.key)
    trace.spared.discard(plan.key)
    _earn(memory, plan)


def _within_share(memory: Memory, trace: Trace, start: Start, now: float) -> None:
    plan = start.plan
    limits, remaining = start.limits, trace.deadline - now
    limit, own = (limits.first_content - now, plan.first_content) if plan.stream else (limits.whole - now, plan.whole)
    if start.reason == "probe":
        usual = memory.health.usual_first_content(plan)
        own = own if usual is None else min(own, max(1.0, 2.0 * usual))
    if limit > min(own, remaining) + ROUNDING:
        memory.tell("share", f"{plan.target} is given {limit:.3f} s", trace, now)
    if limit > remaining / 3.0 + ROUNDING and start.reason != "last_resort":
        others = min(2, sum(memory.askable(trace, one, now) for one in trace.plans if one.key != plan.key))
        if limit > remaining / (1.0 + others) + ROUNDING:
            memory.tell("share", f"{plan.target} is given {limit:.3f} s of {remaining:.3f} s", trace, now)
