"""What a call on a route would do now, and the worst that can become of it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, get_args

from ..config import MistakeError
from ..config.problems import did_you_mean
from ..config.provider import Place, place_of
from ..config.routes import Need, Route
from ..drivers.base import now
from ..engine import Call, TargetPlan
from ..engine.limits import own_limit
from ..engine.worst import Turn, dearest, turns
from ..errors import ConfigurationError
from ..types import Report, Target
from .cost import told_at_most
from .explanation import ExplainedBudget, ExplainedCost, ExplainedLimits, ExplainedTarget, Explanation
from .needs import split_needs, too_small
from .rehearsal import unanswered
from .targets import Planned, draws

if TYPE_CHECKING:
    from .core import Core

__all__ = ["explain"]

_NEEDS = frozenset(get_args(Need))
_JUDGED = frozenset({"tools", "json_object", "json_schema"})
"""Needs of requests whose answers are judged: one that does not fit is asked for once more."""


def explain(core: Core, name: str, needs: frozenset[str]) -> Explanation:
    """Say what a call would do now.

    :raises ConfigurationError: unknown route or need.
    """
    name, route = core.route(name)
    return _Explaining(core, name, route, needs).explanation()


class _Explaining:
    """One route at one moment.

    :param needs: words, and ``input=N`` and ``output=N``.
    """

    def __init__(self, core: Core, name: str, route: Route, needs: frozenset[str]) -> None:
        self._needs, self._input, self._output = split_needs(needs)
        for need in self._needs - _NEEDS:
            hint = did_you_mean(str(need), sorted(_NEEDS)) or f"known are {', '.join(sorted(_NEEDS))}"
            raise ConfigurationError(f"`{str(need)[:100]}` is nothing that a request can need", hint=hint)
        self._core = core
        self._name = name
        self._route = route
        self._settings = core.limits(name, stream=False, deadline=None)
        self._now = now()
        self._chain = core.chain(name)
        self._costs = {one.plan.target: self._cost(one) for one in self._chain}
        self._budget = None if route.budget is None else core.budget(name, route.budget)
        self._unfit = {one.plan.target: misfit for one in self._chain if (misfit := self._misfit(one)) is not None}
        able = [one for one in self._chain if one.plan.target not in self._unfit]
        with core.lock:
            self._obstacles = {one.plan.target: self._core.health.obstacle(one.plan, self._now) for one in able}
            self._probes = {one.plan.target for one in able if self._core.health.is_probe(one.plan, self._now)}
            self._dear = {one.plan.target: why for one in able if (why := self._too_dear(one.plan)) is not None}
            self._health = core.health.copy_for([one.plan for one in able], Random(0))
        self._orders = [(share, self._asked(order)) for share, order in draws(able, route.traffic)]

    def explanation(self) -> Explanation:
        """Put it together."""
        latest = self._latest()
        usual = max(self._orders, key=lambda order: order[0], default=(0.0, []))[1]
        return Explanation(
            self._name,
            tuple(self._explained(planned, latest.get(planned.plan.target)) for planned in self._chain),
            self._settings.deadline,
            self._first(),
            self._settings.max_attempts,
            self._unanswered(latest),
            self._silent(usual) if usual else None,
            self._call_cost(),
            self._explained_budget(),
        )

    # --- who is asked ---

    def _misfit(self, planned: Planned) -> tuple[str, str] | None:
        small = too_small(planned, self._input, self._output)
        return self._core.obstacle(planned, self._needs) or (None if small is None else (small.reason, small.detail))

    def _too_dear(self, plan: TargetPlan) -> str | None:
        cost, prices = self._costs[plan.target], self._prices(plan.target)
        if self._budget is None or (cost is None and prices is not None):
            return None
        return self._budget.refusal(cost)

    def _asked(self, order: Sequence[Planned]) -> list[TargetPlan]:
        """The targets of an order that a call can come to."""
        plans: list[TargetPlan] = []
        for planned in order:
            if planned.plan.target not in self._dear:
                plans.append(planned.plan)
            elif self._route.budget is not None and self._route.budget.then == "error":
                break
        return plans

    def _first(self) -> str:
        """Say who is asked first, and why."""
        shares = self._shares()
        if len(shares) > 1:
            drawn = ", ".join(f"{target} {100 * share:.3g} %" for target, share in shares.items())
            return f"drawn by `traffic`: {drawn}; the others keep their order"
        for target in shares:
            if target == self._chain[0].plan.target:
                return f"{target}: it stands first in the chain"
            return f"{target}: " + (
                "`traffic` says so" if sum(self._route.traffic.values()) else "the first of the chain that can be asked"
            )
        if any(plans for _, plans in self._orders):
            return "nobody in turn: those that can be asked at all are asked as a last resort"
        return "nobody: no target can be asked"

    def _shares(self) -> dict[Target, float]:
        """By target, of how many calls it is the first that is asked."""
        shares: dict[Target, float] = {}
        for share, plans in self._orders:
            first = next((plan.target for plan in plans if self._obstacles[plan.target] is None), None)
            if first is not None and share:
                shares[first] = shares.get(first, 0.0) + share
        return shares

    def _explained(self, planned: Planned, turn: Turn | None) -> ExplainedTarget:
        target, account = planned.plan.target, planned.account
        facts = account.profile.facts(target.model)
        reason, detail = self._skip(planned)
        place = self._place(planned)
        prompt = None if planned.prompt is None else (planned.prompt_of, planned.prompt.file.name)
        return ExplainedTarget(
            target,
            reason,
            detail,
            facts.restricts if facts is not None else None,
            self._shares().get(target, 0.0),
            place.region,
            place.stored_in,
            place.inference_in,
            account.profile.adapter == "local",
            prompt,
            self._prices(target),
            self._costs[target],
            _limits(planned.plan),
            turn,
        )

    def _skip(self, planned: Planned) -> tuple[str | None, str]:
        target = planned.plan.target
        if target in self._unfit:
            return self._unfit[target]
        if target in self._dear:
            return "budget", self._dear[target]
        obstacle = self._obstacles[target]
        if obstacle is not None:
            left = obstacle.until - self._now
            cause = f", opened by {obstacle.cause.kind}" if obstacle.cause is not None else ""
            return obstacle.reason, f"for {left:.1f} s{cause}" if left else ""
        if all(target != plan.target for plan in self._plans):
            return "budget", "the call ends at one before it that does not fit"
        unknown = sorted(self._needs - planned.known)
        details = ["as a probe: its breaker was open"] if target in self._probes else []
        return None, "; ".join([*details, *([f"not known: {', '.join(unknown)}"] if unknown else [])])

    def _place(self, planned: Planned) -> Place:
        account = planned.account
        try:
            return place_of(self._core.policy.provider(account.name), account.profile)
        except MistakeError:  # a variable that is not set
            return Place(region=account.region)

    # --- when ---

    def _latest(self) -> dict[Target, Turn]:
        """The latest turn of each target, whoever is drawn to be first."""
        blocked = {
            plan.key: obstacle.until - self._now
            for plan in self._plans
            if (obstacle := self._obstacles[plan.target]) is not None
        }
        dear = self._may_not_fit()
        latest: dict[Target, Turn] = {}
        for _, plans in self._orders:
            for plan, turn in zip(plans, turns(plans, self._settings, blocked, dear), strict=True):
                known = latest.get(plan.target)
                latest[plan.target] = turn if known is None else known.later(turn)
        return latest

    def _may_not_fit(self) -> set[str]:
        """Keys of targets that the budget may leave out once others have spent of it, as far as their costs are known."""
        plans, most = self._plans, self._dearest()
        if self._budget is None or most is None or self._budget.refusal(most) is None:
            return set()
        return {plan.key for plan in plans if self._costs[plan.target] != 0.0}

    def _unanswered(self, latest: dict[Target, Turn]) -> float:
        if any(turn.passed_by for turn in latest.values()):  # it may be the last resort, which waits
            return self._settings.deadline
        return max((turn.ends for turn in latest.values()), default=0.0)

    def _silent(self, plans: Sequence[TargetPlan]) -> Report:
        call = Call(self._name, self._settings, self._now, stream=False)
        return unanswered(call, plans, self._health, Random(0))

    # --- what it costs ---

    def _cost(self, planned: Planned) -> float | None:
        prices = planned.prices
        if prices and not any(price.input or price.output or price.thinking_output for price in prices):
            return 0.0
        if not self._input:
            return None
        limits = self._route.budget
        held = limits is not None and (limits.per_call, limits.per_day) != (None, None)
        return told_at_most(planned, self._input, self._output, held=held)

    def _prices(self, target: Target) -> tuple[float, float] | None:
        planned = next(one for one in self._chain if one.plan.target == target)
        return (planned.prices[0].input, planned.prices[0].output) if planned.prices else None

    def _call_cost(self) -> ExplainedCost:
        unknown = tuple(plan.target for plan in self._plans if self._costs[plan.target] is None)
        most, limits = self._dearest(), self._route.budget
        for cap in () if limits is None else (limits.per_call, limits.per_day):
            most = most if cap is None or (most is not None and most <= cap) else cap
        return ExplainedCost(self._input, self._output, most, unknown)

    def _dearest(self) -> float | None:
        """What a call costs at most, whatever it may."""
        again = bool(self._needs & _JUDGED) and self._route.on_invalid_output == "reask"
        return dearest(self._plans, self._settings, [self._costs[plan.target] for plan in self._plans], 1 + again)

    @property
    def _plans(self) -> list[TargetPlan]:
        """The targets that a call can come to."""
        return list({plan.target: plan for _, plans in self._orders for plan in plans}.values())

    def _explained_budget(self) -> ExplainedBudget | None:
        limits = self._route.budget
        if limits is None:
            return None
        today = next((one for one in self._core.budgets() if one.route == self._name), None)
        return ExplainedBudget(limits.per_call, limits.per_day, limits.then, today)


def _limits(plan: TargetPlan) -> ExplainedLimits:
    return ExplainedLimits(plan.connect, own_limit(plan), plan.idle if plan.stream else None)
