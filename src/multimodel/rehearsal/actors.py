"""What the targets of a rehearsal do: they answer as they are assumed to, and are out when the scenario says so."""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from random import Random

from ..drivers.simulated import Script
from ..engine.steps import Start
from ..errors import error_for
from ..types import Finished, TextDelta, Usage
from .lookout import Met
from .scenario import SPREAD, Fault, Habits
from .vendors import Failing, Quota, Silent, Vendor

__all__ = ["Actor"]

_WORD = TextDelta("word ")
_SLOWER = 10.0
_NEVER = 1e12
_BROKEN: dict[Fault, Vendor] = {
    "503": Failing("overloaded", after=0.05),
    "refused": Failing("connection.unsent", after=0.001),
    "silent": Silent(),
}


class Actor:
    """One target.

    :param usage: tokens of an answer, and what they cost.
    :param outages: those that it is in.
    """

    def __init__(self, habits: Habits, usage: Usage, outages: list[Met]) -> None:
        self._habits = habits
        self._end = Finished("stop", usage)
        self._outages = outages
        self._desk = None if habits.rows is None else _Desk(habits.rows, habits.queue)
        self._usual: Vendor = self._answer if habits.limit is None else Quota(habits.limit, otherwise=self._answer)

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        """Answer once, or be out."""
        for met in self._out(now):
            met.attempts[start.plan.key] += 1
            if met.span.fault in _BROKEN:
                return _BROKEN[met.span.fault](start, now, rng)
        return self._usual(start, now, rng)

    def _out(self, now: float) -> list[Met]:
        return [met for met in self._outages if met.span.start <= now < met.span.end]

    def _answer(self, start: Start, now: float, rng: Random) -> Script:
        factor = rng.lognormvariate(0.0, SPREAD) * (_SLOWER if self._out(now) else 1.0)
        first, total = self._habits.first * factor, self._habits.total * factor
        wait = 0.0
        if self._desk is not None:
            limits = start.limits
            patience = min(limits.first_content if start.plan.stream else limits.whole, limits.deadline)
            turn = self._desk.turn(now, total, patience)
            if turn is None:
                return ((0.0, error_for("local_overload")),)
            wait = turn
        if not start.plan.stream:
            return (wait + total, _WORD), (0.0, self._end)
        rest = total - first
        pieces = int(2.0 * rest / start.limits.idle) + 1  # content flows: no pause is an idle connection
        return (wait + first, _WORD), *((rest / pieces, _WORD),) * (pieces - 1), (rest / pieces, self._end)


class _Desk:
    """Writes so many answers at a time; further requests wait, up to a number."""

    def __init__(self, rows: int, queue: int) -> None:
        self._ends = [0.0] * rows
        self._leave: list[float] = []  # when those that wait do so no more
        self._queue = queue

    def turn(self, now: float, seconds: float, patience: float) -> float | None:
        """Return how long a request waits for its turn; None when too many do.

        :param seconds: how long its answer takes.
        :param patience: the instant at which it is given up.
        """
        while self._leave and self._leave[0] <= now:
            heappop(self._leave)
        begins = max(now, self._ends[0])
        if begins > now:
            if len(self._leave) >= self._queue:
                return None
            heappush(self._leave, min(begins, patience))
            if begins >= patience:
                return _NEVER
        heapreplace(self._ends, begins + seconds)
        return begins - now
