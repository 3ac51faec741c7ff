"""How the targets of a route stand at one moment: who can be asked, in which order, and what stands against the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from ..config.routes import Route
from ..drivers.base import now
from ..engine import TargetPlan
from ..types import Target
from .needs import too_small
from .targets import Planned, draws

if TYPE_CHECKING:
    from .core import Core

__all__ = ["Demanded", "Standing"]


class Demanded(NamedTuple):
    """What a call would need.

    :ivar words: ``tools``, ``vision``, ….
    :ivar taken: tokens of the prompt, 0 when unknown.
    :ivar given: tokens of the answer, 0 when unknown.
    """

    words: frozenset[str]
    taken: int
    given: int


class Standing:
    """One route at one moment.

    :param costs: of one request by target, in US dollars; None when nobody knows.
    :ivar chain: its targets, in order.
    :ivar now: that moment.
    :ivar budget: of a call that begins then.
    :ivar obstacles: by target, what of the client's health stands against asking it in its turn.
    :ivar health: a copy of what is known of the targets that are able.
    :ivar orders: the orders in which a call may go along the chain, with their probabilities.
    """

    def __init__(
        self,
        core: Core,
        name: str,
        route: Route,
        chain: Sequence[Planned],
        needs: Demanded,
        costs: Mapping[Target, float | None],
    ) -> None:
        self._core = core
        self._route = route
        self._needs = needs
        self._costs = costs
        self.now = now()
        self.budget = None if route.budget is None else core.budget(name, route.budget)
        self.chain = chain
        self._unfit = {one.plan.target: misfit for one in self.chain if (misfit := self._misfit(one)) is not None}
        able = [one for one in self.chain if one.plan.target not in self._unfit]
        with core.lock:
            self.obstacles = {one.plan.target: core.health.obstacle(one.plan, self.now) for one in able}
            self._probes = {one.plan.target for one in able if core.health.is_probe(one.plan, self.now)}
            self._dear = {one.plan.target: why for one in able if (why := self._too_dear(one)) is not None}
            self.health = core.health.copy_for([one.plan for one in able], Random(0))
        self.orders = [(share, self._asked(order)) for share, order in draws(able, route.traffic)]

    @property
    def plans(self) -> list[TargetPlan]:
        """The targets that a call can come to."""
        return list({plan.target: plan for _, plans in self.orders for plan in plans}.values())

    @property
    def usual(self) -> list[TargetPlan]:
        """The order that most calls follow."""
        return max(self.orders, key=lambda order: order[0])[1]

    def skip(self, planned: Planned) -> tuple[str | None, str]:
        """Say why a target would be skipped, if it would, and a detail for people."""
        target = planned.plan.target
        if target in self._unfit:
            return self._unfit[target]
        if target in self._dear:
            return "budget", self._dear[target]
        obstacle = self.obstacles[target]
        if obstacle is not None:
            left = obstacle.until - self.now
            cause = f", opened by {obstacle.cause.kind}" if obstacle.cause is not None else ""
            return obstacle.reason, f"for {left:.1f} s{cause}" if left else ""
        if all(target != plan.target for plan in self.plans):
            return "budget", "the call ends at one before it that does not fit"
        unknown = sorted(self._needs.words - planned.known)
        details = ["as a probe: its breaker was open"] if target in self._probes else []
        return None, "; ".join([*details, *([f"not known: {', '.join(unknown)}"] if unknown else [])])

    def shares(self) -> dict[Target, float]:
        """By target, of how many calls it is the first that is asked."""
        shares: dict[Target, float] = {}
        for share, plans in self.orders:
            first = next((plan.target for plan in plans if self.obstacles[plan.target] is None), None)
            if first is not None:
                shares[first] = shares.get(first, 0.0) + share
        return shares

    def first(self) -> str:
        """Say who is asked first, and why."""
        shares = self.shares()
        if len(shares) > 1:
            drawn = ", ".join(f"{target} {100 * share:.3g} %" for target, share in shares.items())
            return f"drawn by `traffic`: {drawn}; the others keep their order"
        for target in shares:
            if target == self.chain[0].plan.target:
                return f"{target}: it stands first in the chain"
            why = (
                "`traffic` says so" if any(self._route.traffic.values()) else "the first of the chain that can be asked"
            )
            return f"{target}: {why}"
        if self.plans:
            return "nobody in turn: those that can be asked at all are asked as a last resort"
        return "nobody: no target can be asked"

    def _misfit(self, planned: Planned) -> tuple[str, str] | None:
        why = self._core.ruled_out(planned, self._needs.words)
        if why is not None and why == planned.barred and why[0] == "budget":  # which may end the call
            why = self._core.obstacle(planned, self._needs.words)
        small = too_small(planned, self._needs.taken, self._needs.given)
        return why or (None if small is None else (small.reason, small.detail))

    def _too_dear(self, planned: Planned) -> str | None:
        cost = self._costs[planned.plan.target]
        if self.budget is None or (cost is None and planned.prices):  # its length is not known
            return None
        return self.budget.refusal(cost)

    def _asked(self, order: Sequence[Planned]) -> list[TargetPlan]:
        """The targets of an order that a call can come to."""
        plans: list[TargetPlan] = []
        for planned in order:
            if planned.plan.target not in self._dear:
                plans.append(planned.plan)
            elif self._route.budget is not None and self._route.budget.then == "error":
                break
        return plans
