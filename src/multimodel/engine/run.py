"""One call as a generator: the chain, the visits, the attempts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from random import Random
from typing import Literal

from ..errors import CallError, RateLimitError, StreamInterruptedError
from ..types import AttemptReason, AttemptRecord, Limits
from .call import Call
from .health import Health, Obstacle
from .rules import NOT_SENT, RULES
from .settings import TargetPlan
from .steps import Commit, End, Ended, Event, First, Start, Step, ToolShown

__all__ = ["Call", "run"]

MIN_ATTEMPT = 0.5
"""Seconds: nothing starts that could not run this long."""
_LONGEST_WAIT = 60.0
_LEASE_GRACE = 5.0
_OK = 200
_EDGE = 1e-6  # past the gate's instant, not on it


def run(call: Call, plans: Sequence[TargetPlan], health: Health, rng: Random) -> Generator[Step, Event, End]:
    """Decide one call.

    :param call: the call's memory; ``call.started`` is the first ``now``.
    :param plans: the eligible targets in order.
    :param health: the client's memory. The driver holds the client's lock around each ``send`` and ``close``.
    :param rng: chance for jitter.
    :returns: how it ended; nothing but bugs is raised.
    """
    return _Run(call, plans, health, rng).chain()


class _Run:
    def __init__(self, call: Call, plans: Sequence[TargetPlan], health: Health, rng: Random) -> None:
        self.call = call
        self.plans = plans
        self.health = health
        self.rng = rng
        self.now = call.started
        self.deadline = call.deadline
        self.committed = False  # content was handed to the caller
        self.final = False  # and it cannot be taken back
        self.unseen = False  # content came that must be thrown away before another attempt's
        self.rest: Sequence[TargetPlan] = plans  # those that may still be asked after the current one
        self.last = False  # whether this is the last resort
        self.window_floor: int | None = None

    # --- the chain ---

    def chain(self) -> Generator[Step, Event, End]:
        deferred: list[TargetPlan] = []
        for position, plan in enumerate(self.plans):
            self.rest = self.plans[position + 1 :]
            if self._too_late():
                return self._fail(self.call.out_of_time(self.now))
            if self._skipped(plan):
                continue
            obstacle = self.health.obstacle(plan, self.now)
            if obstacle is not None:
                self._record_obstacle(plan, obstacle)
                deferred.append(plan)
                continue
            end = yield from self._try(plan, "fallback" if position else "first")
            if end is not None:
                return end
        self.last = True
        return (yield from self._last_resort(deferred))

    def _last_resort(self, deferred: list[TargetPlan]) -> Generator[Step, Event, End]:
        now = self.now
        soonest = sorted(deferred, key=lambda plan: self.health.clear_at(plan, now))
        for position, plan in enumerate(soonest):
            self.rest = soonest[position + 1 :]
            if self._too_late():
                return self._fail(self.call.out_of_time(self.now))
            if len(self.call.attempts) >= self.call.settings.max_attempts:
                break
            if not (yield from self._cleared(plan)):
                continue
            end = yield from self._try(plan, "last_resort")
            if end is not None:
                return end
        return self._failed_all()

    def _failed_all(self) -> End:
        failure = self.call.failure(self.now)
        return self._fail(self._interrupted(failure) if self.committed else failure)

    def _cleared(self, plan: TargetPlan) -> Generator[Step, Event, bool]:
        """Wait for a gate if that is worth it; say whether the target may be asked as the last resort."""
        wait = self.health.not_before(plan) - self.now + _EDGE
        if wait > _EDGE:
            if wait > _LONGEST_WAIT or self.now + wait + MIN_ATTEMPT > self.deadline:
                return False
            yield from self._sleep(wait)
        obstacle = self.health.obstacle(plan, self.now)
        if obstacle is None:
            return True
        if obstacle.reason == "gate" or not obstacle.last_resort:
            return False
        if not self.health.take_last_resort(plan, self.now):
            self.call.note(f"{plan.target}: no last resort, at most four a second")
            return False
        return True

    def _try(self, plan: TargetPlan, reason: AttemptReason) -> Generator[Step, Event, End | None]:
        """Visit one target; None means: ask the next."""
        ended = yield from self._visit(plan, reason)
        error = ended.error
        if error is None:
            return End(self.call.report("ok", self.now), plan)
        if self.final or (self.committed and RULES[error.kind].next != "yes"):
            return self._fail(self._interrupted(error))
        if error.kind == "deadline_exceeded":
            return self._fail(self.call.out_of_time(self.now))
        match RULES[error.kind].next:
            case "no":
                return self._fail(error)
            case "filter" if self.call.settings.on_content_filter == "stop":
                return self._fail(error)
            case "window":
                self.window_floor = max(self.window_floor or 0, plan.window or 0)
            case _:
                pass
        return None

    def _skipped(self, plan: TargetPlan) -> bool:
        if len(self.call.attempts) >= self.call.settings.max_attempts:
            self.call.skip(plan.target, "max_attempts", f"{self.call.settings.max_attempts} requests were sent")
            return True
        if self.window_floor is not None and plan.window is not None and plan.window <= self.window_floor:
            self.call.skip(plan.target, "window", f"its window of {plan.window} tokens is not larger")
            return True
        return False

    def _record_obstacle(self, plan: TargetPlan, obstacle: Obstacle) -> None:
        left = obstacle.until - self.now
        if obstacle.reason == "gate":
            cause: CallError | None = RateLimitError(retry_after=left)
            detail = f"opens in {left:.1f} s"
        else:
            cause = obstacle.cause
            detail = f"probe in {left:.1f} s, opened by {cause.kind}" if cause else f"probe in {left:.1f} s"
        self.call.skip(plan.target, obstacle.reason, detail, cause)
        self.call.errors[-1].retry_after = left

    # --- one target ---

    def _visit(self, plan: TargetPlan, reason: AttemptReason) -> Generator[Step, Event, Ended]:
        self.health.earn(plan)
        ended = yield from self._attempt(plan, reason)
        error = ended.error
        if error is not None and error.path is not None and plan.retry.attempts > 1 and self._may_send():
            before = self.health.paths.get(plan.key)
            self.health.paths[plan.key] = error.path
            ended = yield from self._attempt(plan, "path")
            if ended.error is not None and ended.error.path is not None:
                self.health.paths.pop(plan.key, None)
                if before is not None:
                    self.health.paths[plan.key] = before
            return ended
        if reason == "last_resort" or plan.retry.attempts < 2 or not self._repeatable(ended):  # noqa: PLR2004  # one is no repeat
            return ended
        from .retry import RetrySteps, wait_retry_after

        repeat = RetrySteps(
            plan.retry.attempts,
            self._repeatable,
            lambda result, sleep: self._forbidden(plan, result, sleep),
            wait_retry_after(self.rng, lambda result: self._gate_wait(plan, result)),
        )
        return (yield from repeat(lambda: self._attempt(plan, "retry"), ended, self.call.started, self._sleep))

    def _may_send(self) -> bool:
        return not self._too_late() and len(self.call.attempts) < self.call.settings.max_attempts

    def _repeatable(self, ended: Ended) -> bool:
        error = ended.error
        if error is None or self.committed or error.should_retry is False:
            return False  # an answer of which something was shown begins anew elsewhere, or not at all
        rule = RULES[error.kind]
        return rule.same != "never" or (error.should_retry is True and rule.next == "yes")

    def _gate_wait(self, plan: TargetPlan, ended: Ended) -> float:
        wait = self.health.not_before(plan) - ended.now
        return wait + _EDGE if wait > 0.0 else 0.0

    def _forbidden(self, plan: TargetPlan, ended: Ended, sleep: float) -> bool:
        """Whether the repeat after ``sleep`` must not be; takes the token when it may."""
        error = ended.error
        if error is None or self.now + sleep + MIN_ATTEMPT > self.deadline:
            return True
        if len(self.call.attempts) >= self.call.settings.max_attempts:
            return True
        hint = error.retry_after
        if hint is not None and hint > (plan.retry.patience if self._others() else _LONGEST_WAIT):
            return True
        if hint is None and error.kind == "rate_limited" and self._others():
            return True
        if self.health.obstacle(plan, self.now + sleep) is not None:
            return True
        stale = sum(one.outcome == error.kind and one.target == plan.target for one in self.call.attempts)
        free = RULES[error.kind].same == "free" and stale == 1
        return not free and not self.health.take_retry(plan)

    def _others(self) -> bool:
        """Whether another target of the chain could be asked now."""
        return any(map(self._askable, self.rest))

    def _askable(self, plan: TargetPlan) -> bool:
        obstacle = self.health.obstacle(plan, self.now)
        return obstacle is None or (self.last and obstacle.reason == "breaker" and obstacle.last_resort)

    def _sleep(self, seconds: float) -> Generator[Step, Event, None]:
        until = self.now + seconds
        while self.now < until:
            event = yield Step(None, until)
            self.now = max(self.now, event.now)

    # --- one attempt ---

    def _attempt(self, plan: TargetPlan, reason: AttemptReason) -> Generator[Step, Event, Ended]:
        number = len(self.call.attempts) + 1
        started = self.now
        probe = self.health.is_probe(plan, started)
        limits, own = self._limits(plan, probe=probe)
        lease = min(self.deadline, max(limits.first_content, limits.whole if not plan.stream else 0.0)) + _LEASE_GRACE
        permit = self.health.admit(plan, lease)
        how: Literal["fresh", "restart"] = "restart" if self.unseen else "fresh"
        start = Start(
            number,
            plan,
            limits,
            "probe" if probe and reason != "last_resort" else reason,
            how,
            self.health.paths.get(plan.key),
        )
        first: float | None = None
        ended: Ended | None = None
        unfinished = "error"
        try:
            event = yield Step(start)
            while not isinstance(event, Ended):
                self.now = max(self.now, event.now)
                do: Commit | None = None
                if isinstance(event, First) and first is None:
                    first = self.now
                    self.health.first_content(permit, plan, self.now, first - started)
                    do = self._show(number)
                elif isinstance(event, ToolShown):
                    self.final = self.final or self.committed
                event = yield Step(do)
            self.now = max(self.now, event.now)
            ended = event
        except GeneratorExit:
            unfinished = "cancelled"
            raise
        finally:
            if ended is None:
                self.health.release(permit)
                self._record(start, started, first, None, unfinished)
        blame = self._blamed(plan, ended.error, started, first, own)
        self.health.settle(permit, plan, self.now, ended.error, blame=blame)
        self._record(start, started, first, ended, "ok" if ended.error is None else ended.error.kind)
        return ended

    def _show(self, number: int) -> Commit | None:
        """Decide what becomes of an attempt's content, now that its first piece is there."""
        mode = self.call.settings.mid_stream
        self.unseen = mode != "error"
        if mode == "unseen" or not self.call.stream:
            return None
        self.committed = True
        self.final = mode == "error"
        return Commit(number)

    def _limits(self, plan: TargetPlan, *, probe: bool) -> tuple[Limits, float]:
        """The attempt's limits, and the target's own limit for its first content in seconds."""
        own = plan.first_content if plan.stream else plan.whole
        if probe:
            own = self._fair_chance(plan, own)
        remaining = self.deadline - self.now
        eligible = 1
        for other in self.rest:
            eligible += self._askable(other)
            if eligible == 3:  # noqa: PLR2004  # no more than a third is set aside
                break
        limit = self.now + min(own, remaining / eligible)
        return Limits(plan.connect, limit, plan.idle, limit, self.deadline), own

    def _fair_chance(self, plan: TargetPlan, own: float) -> float:
        """Seconds within which a healthy target would have begun; its own limit while that was never measured."""
        usual = self.health.usual_first_content(plan)
        return own if usual is None else min(own, max(1.0, 2.0 * usual))

    def _blamed(
        self, plan: TargetPlan, error: CallError | None, started: float, first: float | None, own: float
    ) -> bool:
        """A time-out that the caller's haste cut short counts only if the attempt had a fair chance."""
        if error is None or error.kind not in ("timeout.first", "timeout.whole", "deadline_exceeded"):
            return True
        if first is not None and error.kind == "deadline_exceeded":
            return False
        return self.now - started >= self._fair_chance(plan, own) - 1e-3

    def _record(self, start: Start, started: float, first: float | None, ended: Ended | None, outcome: str) -> None:
        error = ended.error if ended is not None else None
        target = start.plan.target
        if error is not None:
            error.target, error.provider = str(target), target.provider
            if error.kind in NOT_SENT:
                self.call.skip(target, error.code or error.kind, error.message, error)
                return
            self.call.errors.append(error)
        begun = self.call.started
        self.call.attempts.append(
            AttemptRecord(
                start.attempt,
                target,
                start.reason,
                outcome,
                started - begun,
                self.now - begun,
                None if first is None else first - begun,
                error.status if error is not None else (_OK if ended is not None and start.plan.http else None),
                error.code if error is not None else None,
                error.request_id if error is not None else (ended.request_id if ended is not None else None),
                self.committed and first is not None,
                ended.usage if ended is not None else None,
            )
        )

    # --- ends ---

    def _too_late(self) -> bool:
        return self.deadline - self.now < MIN_ATTEMPT

    def _fail(self, error: CallError) -> End:
        report = self.call.report(error.kind, self.now)
        error.report = report
        return End(report, None, error)

    def _interrupted(self, error: CallError) -> StreamInterruptedError:
        interrupted = StreamInterruptedError(
            f"the stream broke after its first content: {error.message or error.kind}",
            provider=error.provider,
            target=error.target,
            status=error.status,
            code=error.code,
            request_id=error.request_id,
            hint="what came before is in `partial`; use `complete()` for answers that are whole or not at all",
        )
        interrupted.__cause__ = error
        return interrupted
