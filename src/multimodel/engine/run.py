"""One call as a generator: the chain, the visits, the repeats."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from random import Random

from ..errors import CallError, LocalOverloadError, PolicyDeniedError, RateLimitError, StreamInterruptedError
from ..types import AttemptReason
from .budget import UNPRICED
from .call import Call
from .course import Course
from .flight import Flight
from .health import Health, Obstacle
from .limits import EDGE, LONGEST_WAIT, MIN_ATTEMPT, longest_hint
from .race import Race
from .rules import MAYBE_DONE, RULES
from .settings import TargetPlan
from .steps import End, Ended, Event, Step

__all__ = ["Call", "run"]

_QUEUE_SHARE = 0.1
_QUEUE_LOOK = 0.05
_UNPRICED = "write its price into a profile, or take the budget away"


def run(
    call: Call,
    plans: Sequence[TargetPlan],
    health: Health,
    rng: Random,
    now: float | None = None,
    *,
    reask: bool = False,
    anew: bool = False,
) -> Generator[Step, Event, End]:
    """Decide one call, or the next part of one.

    :param call: the call's memory; ``call.started`` is the first ``now``.
    :param plans: the eligible targets in order.
    :param health: the client's memory. The driver holds the client's lock around each ``send`` and ``close``.
    :param rng: chance for jitter.
    :param now: when the next part of a call begins that has run before; None for the first.
    :param reask: whether the first of ``plans`` has answered before, and is asked once more.
    :param anew: whether the next part is an answer of its own: nothing of it has come before.
    :returns: how it ended; nothing but bugs is raised.
    """
    first: AttemptReason = "reask" if reask else "first" if now is None or anew else "fallback"
    course = Course(call, plans, health, rng, now, begun=now is not None and not anew)
    return _Run(course, plans).chain(first)


class _Run:
    def __init__(self, course: Course, plans: Sequence[TargetPlan]) -> None:
        self.course = course
        self.plans = plans
        self.call = course.call
        self.health = course.health
        self.settings = course.settings

    # --- the chain ---

    def chain(self, first: AttemptReason) -> Generator[Step, Event, End]:
        course = self.course
        if self.settings.hedge is not None and first == "first":
            self.health.earn_hedge(self.call.route, self.settings.hedge.budget)
        deferred: list[TargetPlan] = []
        position = -1
        while (position := position + 1) < len(self.plans):  # which may grow
            plan = self.plans[position]
            course.rest = self.plans[position + 1 :]
            if course.too_late:
                return self._out_of_time()
            if self._skipped(plan):
                continue
            obstacle = self.health.obstacle(plan, course.now)
            if obstacle is not None:
                self._record_obstacle(plan, obstacle)
                deferred.append(plan)
                continue
            if self.call.budget is not None and self._too_dear(plan):
                if self._stops:
                    return self._failed_all()
                continue
            end = yield from self._try(plan, "fallback" if position else first)
            if end is not None:
                return end
        course.last = True
        return (yield from self._last_resort(deferred))

    def _last_resort(self, deferred: list[TargetPlan]) -> Generator[Step, Event, End]:
        course, now = self.course, self.course.now
        soonest = sorted(deferred, key=lambda plan: self.health.clear_at(plan, now))
        for position, plan in enumerate(soonest):
            course.rest = soonest[position + 1 :]
            if course.too_late:
                return self._out_of_time()
            if self._skipped(plan) or not (yield from self._cleared(plan)):
                continue
            if self._too_dear(plan):
                if self._stops:
                    return self._failed_all()
                continue
            end = yield from self._try(plan, "last_resort")
            if end is not None:
                return end
        return self._failed_all()

    def _cleared(self, plan: TargetPlan) -> Generator[Step, Event, bool]:
        """Wait for a gate or a place if that is worth it; say whether the target may be asked as the last resort."""
        course, health = self.course, self.health
        wait = health.not_before(plan) - course.now + EDGE
        if wait > EDGE:
            if wait > LONGEST_WAIT or course.now + wait + MIN_ATTEMPT > course.deadline:
                return False
            yield from self._sleep(wait)
        obstacle = health.obstacle(plan, course.now)
        if obstacle is not None and obstacle.reason == "bulkhead":
            yield from self._queue(plan)
            obstacle = health.obstacle(plan, course.now)
        if obstacle is None:
            return True
        if obstacle.reason != "breaker" or not obstacle.last_resort or health.full(plan, course.now):
            return False
        if not health.take_last_resort(plan, course.now):
            self.call.note(f"{plan.target}: no last resort, at most four a second")
            return False
        return True

    def _queue(self, plan: TargetPlan) -> Generator[Step, Event, None]:
        """Wait for a place, for a tenth of the call's time at most."""
        course = self.course
        until = min(course.now + _QUEUE_SHARE * self.settings.deadline, course.deadline - MIN_ATTEMPT)
        if not self.health.queue(plan):
            return
        try:
            while course.now < until:
                yield from self._sleep(min(_QUEUE_LOOK, until - course.now))
                obstacle = self.health.obstacle(plan, course.now)
                if obstacle is None or obstacle.reason != "bulkhead":
                    return
        finally:
            self.health.dequeue(plan)

    def _try(self, plan: TargetPlan, reason: AttemptReason) -> Generator[Step, Event, End | None]:
        """Visit one target; None means: ask the next."""
        course = self.course
        flight, ended = yield from self._visit(plan, reason)
        error = ended.error
        if error is None:
            return End(self.call.report("ok", course.now), flight.plan)
        if course.committed:
            course.broke = course.broke or error
            return None if self._goes_on(flight, error) else self._fail(self._interrupted(course.broke, error))
        if error.kind == "deadline_exceeded":
            return self._out_of_time()
        if course.ends_the_call(error):
            return self._fail(error)
        if self._maybe_done(error):
            self.call.note(f"{plan.target}: not sent again, it may have been carried out")
            return self._failed_all()
        return None

    def _goes_on(self, flight: Flight, error: CallError) -> bool:
        """Whether an answer that broke after its first content begins anew, or goes on, elsewhere."""
        if self.course.final or error.kind == "deadline_exceeded" or self._maybe_done(error):
            return False
        refused = flight.start.how == "continue" and flight.first is None  # its own refusal is not the caller's matter
        return refused or RULES[error.kind].next == "yes"

    def _maybe_done(self, error: CallError) -> bool:
        """Whether the vendor may have carried out what must not be carried out twice."""
        return self.settings.effects and error.kind in MAYBE_DONE

    def _skipped(self, plan: TargetPlan) -> bool:
        course = self.course
        if plan.key in course.asked:
            return True
        if course.used_up:
            self.call.skip(plan.target, "max_attempts", f"{self.settings.max_attempts} requests were sent")
        elif course.too_small(plan):
            self.call.skip(plan.target, "window", f"its window of {plan.window} tokens is not larger")
        elif course.committed and self.settings.mid_stream == "continue" and not plan.prefill:
            self.call.skip(plan.target, "prefill", "it is not known to go on with an answer")
        else:
            return False
        return True

    def _too_dear(self, plan: TargetPlan) -> bool:
        """Record a target that does not fit the budget."""
        why = self.course.too_dear(plan)
        if why is None:
            return False
        self.course.leave_out(plan)
        self.call.skip(plan.target, "budget", why, PolicyDeniedError(hint=_UNPRICED if why == UNPRICED else None))
        return True

    @property
    def _stops(self) -> bool:
        """Whether the call ends at the first target that does not fit the budget."""
        return self.call.budget is not None and not self.call.budget.settings.goes_on

    def _record_obstacle(self, plan: TargetPlan, obstacle: Obstacle) -> None:
        left = obstacle.until - self.course.now
        cause: CallError | None
        match obstacle.reason:
            case "gate":
                cause, detail = RateLimitError(), f"opens in {left:.1f} s"
            case "bulkhead":
                cause, detail = LocalOverloadError(), "as many attempts are under way as may be"
            case "breaker":
                cause = obstacle.cause
                detail = f"probe in {left:.1f} s, opened by {cause.kind}" if cause else f"probe in {left:.1f} s"
        self.call.skip(plan.target, obstacle.reason, detail, cause)
        if left > 0.0:
            self.call.errors[-1].retry_after = left

    # --- one target ---

    def _visit(self, plan: TargetPlan, reason: AttemptReason) -> Generator[Step, Event, tuple[Flight, Ended]]:
        course = self.course
        self.health.earn(plan)
        flight, ended = yield from self._attempt(plan, reason)
        if ended.error is None or course.committed:
            return flight, ended
        if plan.key in course.asked or flight.plan is not plan:  # of two side by side neither is repeated
            return flight, ended
        if ended.error.path is not None and plan.retry.attempts > 1 and self._may_send(plan):
            return (yield from self._other_path(plan, ended.error.path))
        if reason == "last_resort" or plan.retry.attempts < 2 or not self._repeatable(ended):  # noqa: PLR2004  # one is no repeat
            return flight, ended
        from .retry import RetrySteps, wait_retry_after

        repeat = RetrySteps(
            plan.retry.attempts,
            self._repeatable,
            lambda result, sleep: self._forbidden(plan, result, sleep),
            wait_retry_after(course.rng, lambda result: self._gate_wait(plan, result)),
        )
        last = [flight]

        def again() -> Generator[Step, Event, Ended]:
            last[0], result = yield from self._attempt(plan, "retry")
            return result

        ended = yield from repeat(again, ended, self.call.started, self._sleep, lambda: self._may_send(plan))
        return last[0], ended

    def _may_send(self, plan: TargetPlan) -> bool:
        """Whether one more request to the target may be put on the wire now: other calls may have met it meanwhile."""
        course = self.course
        if course.too_late or course.used_up or course.too_dear(plan) is not None:
            return False
        return self.health.obstacle(plan, course.now) is None

    def _other_path(self, plan: TargetPlan, path: str) -> Generator[Step, Event, tuple[Flight, Ended]]:
        """Ask once more, where the vendor says that the model lives; remember it if that was right."""
        paths = self.health.paths
        before, right = paths.get(plan.key), False
        paths[plan.key] = path
        try:
            flight, ended = yield from self._attempt(plan, "path")
            right = ended.error is None or ended.error.path is None
        finally:
            if not right:
                paths.pop(plan.key, None)
                if before is not None:
                    paths[plan.key] = before
        return flight, ended

    def _attempt(self, plan: TargetPlan, reason: AttemptReason) -> Generator[Step, Event, tuple[Flight, Ended]]:
        """Send one request, or two side by side; return the one that decides, once all have ended."""
        course = self.course
        race = Race(course, plan, reason)
        outcome = "error"
        try:
            while race.verdict is None or race.flights:
                event = yield Step(race.do, race.wake)
                if event.now > course.now:  # noqa: PLR1730  # `max` costs every step of every call
                    course.now = event.now
                race.take(event)
        except GeneratorExit:
            outcome = "cancelled"
            raise
        finally:
            race.abandon(outcome)
        if race.loser is not None and race.verdict[1].error is not None:
            self._spare(race.loser)
        return race.verdict

    def _spare(self, loser: TargetPlan) -> None:
        """Give who lost a race its turn still, as the answer that won it broke: later in the chain, or at its end."""
        course = self.course
        course.asked.discard(loser.key)
        if loser not in course.rest:
            self.plans = [*self.plans, loser]
            course.rest = [*course.rest, loser]

    def _repeatable(self, ended: Ended) -> bool:
        error = ended.error
        if error is None or self.course.committed or error.should_retry is False:
            return False  # an answer of which something was shown begins anew elsewhere, or not at all
        if self._maybe_done(error):
            return False
        rule = RULES[error.kind]
        return rule.same != "never" or (error.should_retry is True and rule.next == "yes")

    def _gate_wait(self, plan: TargetPlan, ended: Ended) -> float:
        wait = self.health.not_before(plan) - ended.now
        return wait + EDGE if wait > 0.0 else 0.0

    def _forbidden(self, plan: TargetPlan, ended: Ended, sleep: float) -> bool:
        """Whether the repeat after ``sleep`` must not be; takes the token when it may."""
        course, error = self.course, ended.error
        if error is None or course.used_up or course.now + sleep + MIN_ATTEMPT > course.deadline:
            return True
        if course.too_dear(plan) is not None:
            return True
        others = any(map(course.askable, course.rest))
        hint = error.retry_after
        if hint is not None and hint > longest_hint(plan.retry.patience, others=others):
            return True
        if hint is None and error.kind == "rate_limited" and others:
            return True
        if self.health.obstacle(plan, course.now + sleep) is not None:
            return True
        stale = sum(one.outcome == error.kind and one.target == plan.target for one in self.call.attempts)
        free = RULES[error.kind].same == "free" and stale == 1
        return not free and not self.health.take_retry(plan)

    def _sleep(self, seconds: float) -> Generator[Step, Event, None]:
        course = self.course
        until = course.now + seconds
        while course.now < until:
            event = yield Step(None, until)
            course.now = max(course.now, event.now)

    # --- ends ---

    def _out_of_time(self) -> End:
        late = self.call.out_of_time(self.course.now)
        broke = self.course.broke
        return self._fail(late if broke is None else self._interrupted(broke, late))

    def _failed_all(self) -> End:
        failure, broke = self.call.failure(self.course.now), self.course.broke
        if broke is None:
            return self._fail(failure)
        return self._fail(self._interrupted(broke, failure if self.settings.mid_stream == "restart" else broke))

    def _fail(self, error: CallError) -> End:
        report = self.call.report(error.kind, self.course.now)
        error.report = report
        return End(report, None, error)

    def _interrupted(self, broke: CallError, cause: CallError) -> StreamInterruptedError:
        interrupted = StreamInterruptedError(
            f"the stream broke after its first content: {broke.message or broke.kind}",
            provider=broke.provider,
            target=broke.target,
            status=broke.status,
            code=broke.code,
            request_id=broke.request_id,
            hint="what came before is in `partial`; use `complete()` for answers that are whole or not at all",
        )
        interrupted.__cause__ = cause
        return interrupted
