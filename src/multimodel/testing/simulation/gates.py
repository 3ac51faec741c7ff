"""When a credential may be asked again, as its vendor's answers say."""

from __future__ import annotations

from collections import Counter

from ...engine.settings import TargetPlan
from ...errors import CallError

__all__ = ["Gates"]

_BLIND_MOST = 20.0
_LONGER = 1.1  # than asked for, at most


class Gates:
    """The instants until which each credential must, and may, be left alone.

    :ivar any: whether there ever was such an instant.
    """

    def __init__(self) -> None:
        self.any = False
        self._least: dict[str, float] = {}
        self._most: dict[str, float] = {}
        self._in_a_row: Counter[str] = Counter()

    def must(self, plan: TargetPlan) -> float:
        """Nothing may be sent before this instant."""
        return self._least.get(plan.credential, 0.0)

    def may(self, plan: TargetPlan) -> float:
        """Nobody may be kept from sending after this instant."""
        return self._most.get(plan.credential, 0.0)

    def answered(self, plan: TargetPlan) -> None:
        """An answer came."""
        self._in_a_row.pop(plan.credential, None)

    def refused(self, plan: TargetPlan, error: CallError, now: float) -> None:
        """A refusal came that says how long to wait, or that there were too many requests."""
        key, hint = plan.credential, error.retry_after
        self._in_a_row[key] += error.kind == "rate_limited"
        if hint is not None:
            least, most = hint, _LONGER * hint
        else:
            most = min(_BLIND_MOST, 2.0 ** min(self._in_a_row[key] - 1, 30))
            least = most / 2.0
        self.any = True
        self._least[key] = max(self.must(plan), now + least)
        self._most[key] = max(self.may(plan), now + most)
