"""What a call on a route would do now, and the worst that can become of it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, get_args

from ..config.problems import did_you_mean
from ..config.routes import Need, Route
from ..engine import Call, TargetPlan
from ..engine.limits import own_limit
from ..engine.race import hedge_after
from ..engine.worst import Turn, dearest, turns
from ..errors import ConfigurationError
from ..types import Report, Target
from .cost import told_at_most
from .explanation import ExplainedBudget, ExplainedCost, ExplainedLimits, ExplainedTarget, Explanation
from .needs import split_needs
from .rehearsal import unanswered
from .standing import Demanded, Standing
from .targets import Planned

if TYPE_CHECKING:
    from .core import Core
    from .snapshot import Snapshot

__all__ = ["explain"]

_NEEDS = frozenset(get_args(Need))
_JUDGED = frozenset({"tools", "parallel_tools", "json_schema"})
"""Needs of requests whose answers are judged: one that does not fit is asked for once more."""


def explain(core: Core, name: str, needs: frozenset[str]) -> Explanation:
    """Say what a call would do now.

    :param needs: words, and ``input=N`` and ``output=N``.
    :raises ConfigurationError: unknown route or need.
    """
    held = core.current()
    name, route = held.route(name)
    demanded = Demanded(*split_needs(needs))
    for need in demanded.words - _NEEDS:
        hint = did_you_mean(str(need), sorted(_NEEDS)) or f"known are {', '.join(sorted(_NEEDS))}"
        raise ConfigurationError(f"`{str(need)[:100]}` is nothing that a request can need", hint=hint)
    return _Explaining(core, held, name, route, demanded).explanation()


class _Explaining:
    """One route at one moment."""

    def __init__(self, core: Core, held: Snapshot, name: str, route: Route, needs: Demanded) -> None:
        self._core = core
        self._held = held
        self._name = name
        self._route = route
        self._needs = needs
        self._settings = held.limits(name, stream=False, deadline=None)
        chain = held.chain(name)
        self._costs = {one.plan.target: self._cost(one) for one in chain}
        self._standing = Standing(core, name, route, chain, needs, self._costs)

    def explanation(self) -> Explanation:
        """Put it together."""
        standing, latest = self._standing, self._latest()
        return Explanation(
            self._name,
            tuple(self._explained(planned, latest.get(planned.plan.target)) for planned in standing.chain),
            self._settings.deadline,
            standing.first(),
            self._settings.max_attempts,
            self._unanswered(latest),
            self._silent() if standing.plans else None,
            self._call_cost(),
            self._budget(),
        )

    def _explained(self, planned: Planned, turn: Turn | None) -> ExplainedTarget:
        plan, account = planned.plan, planned.account
        facts = account.profile.facts(plan.target.model)
        reason, detail = self._standing.skip(planned)
        return ExplainedTarget(
            plan.target,
            reason,
            detail,
            restricts=facts.restricts if facts is not None else None,
            share=self._standing.shares().get(plan.target, 0.0),
            region=account.region,
            stored_in=account.place.stored_in,
            inference_in=account.place.inference_in,
            here=account.profile.adapter == "local",
            prompt=None if planned.prompt is None else (planned.prompt_of, planned.prompt.file.name),
            prices=(planned.prices[0].input, planned.prices[0].output) if planned.prices else None,
            cost=self._costs[plan.target],
            limits=self._limits(plan),
            turn=turn,
        )

    def _limits(self, plan: TargetPlan) -> ExplainedLimits:
        hedge = self._settings.hedge
        after = None if hedge is None else hedge_after(hedge, plan, self._standing.health)
        return ExplainedLimits(plan.connect, own_limit(plan), plan.idle if plan.stream else None, after)

    # --- when ---

    def _latest(self) -> dict[Target, Turn]:
        """The latest turn of each target, whoever is drawn to be first."""
        standing, dear = self._standing, self._may_not_fit()
        blocked = {
            plan.key: obstacle.until - standing.now
            for plan in standing.plans
            if (obstacle := standing.obstacles[plan.target]) is not None
        }
        latest: dict[Target, Turn] = {}
        for _, plans in standing.orders:
            for plan, turn in zip(plans, turns(plans, self._settings, blocked, dear), strict=True):
                known = latest.get(plan.target)
                latest[plan.target] = turn if known is None else known.later(turn)
        return latest

    def _unanswered(self, latest: dict[Target, Turn]) -> float:
        if any(turn.passed_by for turn in latest.values()):  # it may be the last resort, which waits
            return self._settings.deadline
        return max((turn.ends for turn in latest.values()), default=0.0)

    def _silent(self) -> Report:
        standing = self._standing
        call = Call(self._name, self._settings, standing.now, stream=False)
        return unanswered(call, standing.usual, standing.health, Random(0))

    # --- what it costs ---

    def _cost(self, planned: Planned) -> float | None:
        """What one request costs at most; None when nobody knows."""
        prices = planned.prices
        if prices and not any(price.input or price.output or price.thinking_output for price in prices):
            return 0.0
        if not self._needs.taken:
            return None
        limits = self._route.budget
        held = limits is not None and (limits.per_call, limits.per_day) != (None, None)
        return told_at_most(planned, self._needs.taken, self._needs.given, held=held)

    def _dearest(self) -> float | None:
        """What a call costs at most, whatever it may."""
        again = bool(self._needs.words & _JUDGED) and self._route.on_invalid_output == "reask"
        plans = self._standing.plans
        return dearest(plans, self._settings, [self._costs[plan.target] for plan in plans], 1 + again)

    def _may_not_fit(self) -> set[str]:
        """Keys of targets that the budget may leave out once others have spent of it, as far as their costs are known."""
        budget, most = self._standing.budget, self._dearest()
        if budget is None or most is None or budget.refusal(most) is None:
            return set()
        return {plan.key for plan in self._standing.plans if self._costs[plan.target] != 0.0}

    def _call_cost(self) -> ExplainedCost:
        unknown = tuple(plan.target for plan in self._standing.plans if self._costs[plan.target] is None)
        most, budget = self._dearest(), self._budget()
        caps = () if budget is None else (budget.per_call, None if budget.today is None else budget.today.left)
        for cap in caps:
            most = most if cap is None or (most is not None and most <= cap) else cap
        return ExplainedCost(self._needs.taken, self._needs.given, most, unknown)

    def _budget(self) -> ExplainedBudget | None:
        limits = self._route.budget
        if limits is None:
            return None
        today = next((one for one in self._core.budgets(self._held) if one.route == self._name), None)
        return ExplainedBudget(limits.per_call, limits.per_day, limits.then, today)
