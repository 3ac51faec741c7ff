"""Where a call stands: what its steps decide by, and what they change."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal

from ..errors import CallError
from .call import Call
from .health import Health
from .limits import MIN_ATTEMPT
from .rules import RULES
from .settings import TargetPlan

__all__ = ["Course"]


class Course:
    """The state of one call under way.

    :ivar now: the instant of the last event.
    :ivar sent: attempts begun, those included that were not put on the wire in the end.
    :ivar committed: content was handed to the caller.
    :ivar final: and nothing can be added to it or put in its place.
    :ivar begun: an answer has begun, which the next attempt throws away or goes on with.
    :ivar broke: what first broke an answer of which the caller had seen something.
    :ivar asked: keys of targets that were asked side by side, and are not asked again.
    :ivar rest: the targets that may still be asked after the current one.
    :ivar last: whether this is the last resort.
    :ivar window_floor: a window that turned out too small.
    """

    __slots__ = (
        "asked",
        "begun",
        "broke",
        "call",
        "committed",
        "deadline",
        "final",
        "health",
        "last",
        "now",
        "rest",
        "rng",
        "sent",
        "settings",
        "window_floor",
    )

    def __init__(
        self, call: Call, plans: Sequence[TargetPlan], health: Health, rng: Random, now: float | None, *, begun: bool
    ) -> None:
        self.call = call
        self.settings = call.settings
        self.health = health
        self.rng = rng
        self.now = call.started if now is None else now
        self.deadline = call.deadline
        self.sent = 0 if now is None else max((attempt.index for attempt in call.attempts), default=0)
        self.committed = self.final = self.last = False
        self.begun = begun
        self.broke: CallError | None = None
        self.asked: set[str] = set()
        self.rest = plans
        self.window_floor: int | None = None

    @property
    def too_late(self) -> bool:
        """Whether the deadline leaves no time for an attempt."""
        return self.deadline - self.now < MIN_ATTEMPT

    @property
    def used_up(self) -> bool:
        """Whether as many requests were sent as the policy allows."""
        return len(self.call.attempts) >= self.settings.max_attempts

    def too_small(self, plan: TargetPlan) -> bool:
        """Whether a window as large as the target's turned out too small."""
        return self.window_floor is not None and plan.window is not None and plan.window <= self.window_floor

    def too_dear(self, plan: TargetPlan) -> str | None:
        """Say why an attempt does not fit the budget, or None."""
        budget = self.call.budget
        if budget is None:
            return None
        return budget.refusal(self.call.cost_at_most(plan, goes_on=self.how == "continue"))

    def leave_out(self, plan: TargetPlan) -> None:
        """Tell the budget of a target that does not fit."""
        if self.call.budget is not None:
            self.call.budget.leave_out(self.call.cost_at_most(plan, goes_on=self.how == "continue"))

    @property
    def how(self) -> Literal["fresh", "restart", "continue"]:
        """What the next attempt does with an answer that has begun."""
        if not self.begun:
            return "fresh"
        return "continue" if self.committed and self.settings.mid_stream == "continue" else "restart"

    def askable(self, plan: TargetPlan) -> bool:
        """Whether a target of the rest could be asked now."""
        if plan.key in self.asked or (self.call.budget is not None and self.too_dear(plan) is not None):
            return False
        obstacle = self.health.obstacle(plan, self.now)
        return obstacle is None or (self.last and obstacle.reason == "breaker" and obstacle.last_resort)

    def ends_the_call(self, error: CallError) -> bool:
        """Whether the error is the caller's to see, whatever other targets there are."""
        after = RULES[error.kind].next
        return after == "no" or (after == "filter" and self.settings.on_content_filter == "stop")
