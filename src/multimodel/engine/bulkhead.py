"""How many attempts may be under way on one target.

1. What the policy allows always holds; by itself there is no limit.
2. A refusal for too many requests sets a limit: 0.7 of what was under way. Attempts that were begun before that
   lower it no further: they were begun under the old limit.
3. As many answers as the limit is high raise it by one. A minute without such a refusal, and it is forgotten.
"""

from __future__ import annotations

__all__ = ["Bulkhead"]

_CUT = 0.7
_FORGET = 60.0


class Bulkhead:
    """One target's count of attempts under way, and the limit that its refusals taught. All times are the engine's."""

    __slots__ = ("_answers", "_cut_at", "flying", "limit", "waiting")

    def __init__(self) -> None:
        self.flying = 0
        self.waiting = 0
        self.limit: int | None = None
        self._cut_at = 0.0
        self._answers = 0

    def full(self, now: float, at_most: int | None) -> bool:
        """Whether no further attempt may begin now."""
        if self.limit is not None and now - self._cut_at >= _FORGET:
            self.limit = None
        return (at_most is not None and self.flying >= at_most) or (
            self.limit is not None and self.flying >= self.limit
        )

    def answered(self) -> None:
        """Count an answer."""
        if self.limit is not None:
            self._answers += 1
            if self._answers >= self.limit:
                self.limit += 1
                self._answers = 0

    def refused(self, now: float, begun: float) -> None:
        """Take a refusal of an attempt that was begun at ``begun`` and is still counted as under way."""
        if self.limit is not None and begun <= self._cut_at:
            return
        under_way = self.flying if self.limit is None else min(self.flying, self.limit)
        self.limit = max(1, int(_CUT * under_way))
        self._cut_at = now
        self._answers = 0
