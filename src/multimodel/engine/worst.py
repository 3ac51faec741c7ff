"""The worst that can become of a call in which no answer begins, told before it is made: bounds for every run of it.

1. An attempt takes its limit to the last moment, and is then repeated as often as may be, each time after the longest
   wait that its failure allows.
2. Requests are spent where they delay a target most. What delays one does so for all that come after it: later is
   never sooner.
3. A target that shares a key or a host with one before it may be passed by because of that one; it then does not
   count among those that the time is shared with. With hedges nobody counts, since who comes next may have been asked.

An answer that has begun may take until the deadline; nothing here is about that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .limits import EDGE, HINT_SPREAD, MIN_ATTEMPT, SHARES, backoff_at_most, content_limit, longest_hint, own_limit
from .settings import CallSettings, TargetPlan

__all__ = ["Turn", "dearest", "turns"]


@dataclass(frozen=True, slots=True)
class Turn:
    """When a target is asked in its turn, in seconds from the start of the call.

    :ivar begins: at the latest; None when it is never asked in its turn.
    :ivar ends: when the next one is asked, or the call has ended, at the latest.
    :ivar requests: at most.
    :ivar kept_from: what may keep it from being asked: ``max_attempts``, ``deadline``, ``budget``.
    :ivar passed_by: whether what became of one before it may leave it for last.
    """

    begins: float | None
    ends: float
    requests: int
    kept_from: tuple[str, ...] = ()
    passed_by: bool = False

    def later(self, other: Turn) -> Turn:
        """Return what holds whichever of two orders of the chain a call follows."""
        begins = [turn.begins for turn in (self, other) if turn.begins is not None]
        return Turn(
            max(begins, default=None),
            max(self.ends, other.ends),
            max(self.requests, other.requests),
            tuple(sorted({*self.kept_from, *other.kept_from}, reverse=True)),
            self.passed_by or other.passed_by,
        )


def turns(
    plans: Sequence[TargetPlan],
    settings: CallSettings,
    blocked: Mapping[str, float] | None = None,
    dear: Collection[str] = (),
) -> tuple[Turn, ...]:
    """Return the turn of each target of a chain.

    :param blocked: keys of targets that cannot be asked before so many seconds have passed, and perhaps not then.
    :param dear: keys of targets that may not fit the budget once others have spent of it.
    """
    return tuple(_Walk(plans, settings, blocked or {}, dear).turns())


def dearest(
    plans: Sequence[TargetPlan], settings: CallSettings, costs: Sequence[float | None], visits: int = 1
) -> float | None:
    """Return the most that a call can cost in US dollars, every request billed; None when nobody knows.

    :param costs: of one request to each target, at most.
    :param visits: how often a target may be asked anew in one call.
    """
    if None in costs:
        return None
    lost = settings.hedge is not None  # in a race, and asked again when what won it broke
    each = [cost for plan, cost in zip(plans, costs, strict=True) for _ in range(visits * plan.retry.attempts + lost)]
    return sum(sorted((cost for cost in each if cost is not None), reverse=True)[: settings.max_attempts])


class _Walk:
    """Goes along the chain with the latest instant for each number of requests sent."""

    def __init__(
        self,
        plans: Sequence[TargetPlan],
        settings: CallSettings,
        blocked: Mapping[str, float],
        dear: Collection[str],
    ) -> None:
        self._plans = plans
        self._most = settings.max_attempts
        self._deadline = settings.deadline
        self._hedges = settings.hedge is not None
        self._blocked = blocked
        self._dear = dear

    def turns(self) -> list[Turn]:
        found: list[Turn] = []
        latest = {0: 0.0}
        for place, plan in enumerate(self._plans):
            left = {sent: at for sent, at in latest.items() if sent < self._most}
            begins = max(left.values(), default=None)
            if begins is not None and begins < self._blocked.get(plan.key, 0.0):
                found.append(Turn(None, max(latest.values()), 0, passed_by=True))
                continue
            passed = plan.key in self._blocked or self._depends(plan, self._plans[:place])
            optional = passed or self._hedges or plan.key in self._dear
            after = {sent: at for sent, at in latest.items() if optional or sent >= self._most}
            requests = 0
            for sent, at in left.items():
                for more, ends in self._visit(place, min(at, self._last), self._most - sent):
                    after[sent + more] = max(after.get(sent + more, 0.0), ends)
                    requests = max(requests, more)
            kept = ("max_attempts",) * (max(latest) >= self._most)
            kept += ("deadline",) * (begins is not None and begins > self._last)
            kept += ("budget",) * (plan.key in self._dear)
            begins = None if begins is None else max(0.0, min(begins, self._last))
            found.append(Turn(begins, max(after.values()), requests, kept, passed))
            latest = after
        return found

    @property
    def _last(self) -> float:
        """The last instant at which an attempt may begin."""
        return self._deadline - MIN_ATTEMPT

    def _visit(self, place: int, at: float, most: int) -> list[tuple[int, float]]:
        """Return how many requests a visit may take, and when it then has ended at the latest."""
        plan = self._plans[place]
        sure = self._sure(place)
        ends = [self._limit(plan, at, 1 + sure)]
        wait = longest_hint(plan.retry.patience, others=sure > 0) * HINT_SPREAD
        for requests in range(1, min(plan.retry.attempts, most)):
            again = min(ends[-1] + max(wait, backoff_at_most(requests)) + EDGE, self._last)
            ends.append(max(ends[-1], self._limit(plan, again, 1 + sure)))
        visits = list(enumerate(ends, 1))
        if self._hedges and most > 1:
            rivals = [self._limit(other, ends[0], 1) for other in self._plans[place + 1 :]]
            visits += [(2, max([ends[0], *rivals]))]
        return visits

    def _limit(self, plan: TargetPlan, at: float, eligible: int) -> float:
        return min(content_limit(at, self._deadline, own_limit(plan), min(eligible, SHARES)), self._deadline)

    def _sure(self, place: int) -> int:
        """How many of the targets after this one can be asked whatever becomes of those up to it."""
        if self._hedges:
            return 0
        before, rest = self._plans[: place + 1], self._plans[place + 1 :]
        unsure = {*self._blocked, *self._dear}
        return sum(plan.key not in unsure and not self._depends(plan, before) for plan in rest)

    @staticmethod
    def _depends(plan: TargetPlan, others: Sequence[TargetPlan]) -> bool:
        return any(plan.credential == one.credential or plan.endpoint == one.endpoint for one in others)
