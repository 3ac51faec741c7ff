"""What became of the calls of a rehearsal."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ..engine import End
from ..governance.figures import nearest_rank
from .scenario import Scenario

__all__ = ["Figures", "Slot", "slots_of"]

_SLOTS = 120


@dataclass(slots=True)
class Slot:
    """The calls that began in one part of the time.

    :ivar phase: how many starts and ends of outages lie before it.
    :ivar latencies: seconds of each answered call.
    :ivar answered: calls by who answered.
    :ivar failed: calls by the kind of their error.
    :ivar reasons: of calls that no target answered: in how many something was wrong with a target, by what it was.
    :ivar lost: US dollars that attempts without an answer can have cost at most.
    :ivar unpriced: such attempts of which nobody knows what they can cost.
    """

    start: float
    end: float
    phase: int
    calls: int = 0
    attempts: int = 0
    latencies: array[float] = field(default_factory=lambda: array("d"))
    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    lost: float = 0.0
    unpriced: int = 0

    def take(self, end: End) -> None:
        """Count a call that has ended."""
        report, error = end.report, end.error
        self.attempts += len(report.attempts)
        if error is None and end.plan is not None:
            self.latencies.append(report.duration)
            self.answered[end.plan.key] += 1
            if len(report.attempts) == 1:
                return
        elif error is not None:
            self.failed[error.kind] += 1
            if error.kind == "all_targets_failed":
                reasons = {one.outcome for one in report.attempts} | {one.reason for one in report.skipped}
                self.reasons.update(reasons)
        for attempt in report.attempts:
            if attempt.outcome == "ok":
                continue
            if attempt.cost is None:
                self.unpriced += 1
            else:
                self.lost += attempt.cost


def slots_of(scenario: Scenario) -> list[Slot]:
    """Cut the time into parts; each start and each end of an outage is an edge."""
    edges = {edge for span in scenario.outages for edge in (span.start, span.end) if 0.0 < edge < scenario.seconds}
    corners = [0.0, *sorted(edges), scenario.seconds]
    slots = []
    for phase, (start, end) in enumerate(pairwise(corners)):
        count = max(1, round(_SLOTS * (end - start) / scenario.seconds))
        steps = [start + (end - start) * step / count for step in range(count)]
        slots += [Slot(one, after, phase) for one, after in zip(steps, [*steps[1:], end], strict=True)]
    return slots


@dataclass(frozen=True, slots=True)
class Figures:
    """Some of the calls, together.

    :ivar answered: calls by who answered, as ``provider:model``.
    :ivar failed: calls by the kind of their error.
    :ivar p50: seconds within which half of the answered calls were done; None when there are none.
    :ivar attempts: requests on the wire.
    :ivar cost: US dollars for the answers; None when the price of one of them is unknown.
    :ivar known_cost: US dollars for those of known price.
    :ivar unpriced: answers of unknown price.
    """

    calls: int
    answered: Mapping[str, int]
    failed: Mapping[str, int]
    p50: float | None
    p95: float | None
    p99: float | None
    attempts: int
    cost: float | None
    known_cost: float
    unpriced: int

    @classmethod
    def of(cls, slots: Sequence[Slot], prices: Mapping[str, float | None]) -> Figures:
        """Add up some parts of the time.

        :param prices: US dollars for one answer, by who gives it.
        """
        latencies = sorted(seconds for slot in slots for seconds in slot.latencies)
        answered = sum((slot.answered for slot in slots), Counter[str]())
        known = sum((prices[key] or 0.0) * count for key, count in answered.items())
        unpriced = sum(count for key, count in answered.items() if prices[key] is None)
        return cls(
            calls=sum(slot.calls for slot in slots),
            answered=dict(answered),
            failed=dict(sum((slot.failed for slot in slots), Counter[str]())),
            p50=_quantile(latencies, 0.5),
            p95=_quantile(latencies, 0.95),
            p99=_quantile(latencies, 0.99),
            attempts=sum(slot.attempts for slot in slots),
            cost=None if unpriced else known,
            known_cost=known,
            unpriced=unpriced,
        )


def _quantile(values: Sequence[float], share: float) -> float | None:
    return nearest_rank(values, share) if values else None
