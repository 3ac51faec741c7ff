"""The targets of a route as a scenario has them: no adapter behind them, and keys do not matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..client.accounts import Accounts
from ..client.core import Core
from ..client.needs import too_small
from ..client.targets import Planned, plan_route
from ..config import Policy, Route
from ..errors import ConfigurationError
from ..providers.pricing import priced
from ..providers.profile import Profile
from ..types import AnswerEvent, Attempt, Target, Usage
from .scenario import LOCAL_QUEUE, LOCAL_ROWS, Habits, OutageSpan, Scenario

__all__ = ["Stage", "plan_without_keys", "set_stage"]


class _StandIn:
    """Takes the place of an adapter where nothing is sent."""

    def stream(self, attempt: Attempt) -> Iterator[AnswerEvent]:
        raise RuntimeError(f"{attempt.model} was asked, where nothing is sent")


def plan_without_keys(policy: Policy, route: Route, profiles: Mapping[str, Profile]) -> tuple[Planned, ...]:
    """Resolve a chain as if every provider had a key of its own, weights, and what else it needs."""
    stand_ins = {member.provider: _StandIn() for member in route.chain}
    planned = plan_route(route, Accounts(policy, profiles, {}, stand_ins))
    return tuple(
        replace(one, plan=replace(one.plan, key=str(one.plan.target), credential=one.account.name)) for one in planned
    )


@dataclass(frozen=True, slots=True)
class Stage:
    """Who plays.

    :ivar route: the route's name.
    :ivar chain: the targets that calls ask, in order.
    :ivar habits: what is assumed of each, by ``provider:model``.
    :ivar usages: tokens of an answer of each, and what they cost.
    :ivar left_out: the targets that no call would ask, and why.
    :ivar lent: those that could not be asked from here, and why: a key or weights are missing.
    """

    route: str
    settings: Route
    chain: tuple[Planned, ...]
    habits: Mapping[str, Habits]
    usages: Mapping[str, Usage]
    left_out: tuple[tuple[Target, str], ...]
    lent: tuple[tuple[Target, str], ...]

    def out(self, span: OutageSpan) -> list[Planned]:
        """Return the targets that an outage takes away."""
        moment = datetime.now(UTC)
        return [
            one
            for one in self.chain
            if span.subject.covers(one.plan.target, jurisdiction=one.plan.jurisdiction, at=moment)
        ]


def set_stage(core: Core, route: str, scenario: Scenario) -> Stage:
    """Find out which targets of a route calls would ask, whatever keys and weights are here.

    :raises ConfigurationError: there is no such route, or it has no target that may be asked.
    """
    held = core.current()
    name, settings = held.route(route)
    chain, left_out, lent = [], [], []
    stand_ins = plan_without_keys(held.policy, settings, held.accounts.profiles)
    for real, stand_in in zip(held.chain(name), stand_ins, strict=True):
        planned, target = replace(stand_in, outside=real.outside), stand_in.plan.target  # which opens no host
        why = core.ruled_out(planned) or too_small(planned, _habits(planned, scenario.habits).prompt, 0)
        if why is not None:
            left_out.append((target, f"{why[0]}: {why[1]}"))
            continue
        chain.append(planned)
        if real.why_not is not None:
            lent.append((target, real.why_not.partition("\n")[0]))
    if not chain:
        reasons = "; ".join(f"{target}: {why}" for target, why in left_out)
        raise ConfigurationError(f"no target of route `{name}` may be asked", hint=reasons)
    habits = {one.plan.key: _habits(one, scenario.habits) for one in chain}
    usages = {one.plan.key: _usage(one, habits[one.plan.key]) for one in chain}
    return Stage(name, settings, tuple(chain), habits, usages, tuple(left_out), tuple(lent))


def _habits(planned: Planned, given: Mapping[str, Habits]) -> Habits:
    habits = given.get(planned.plan.key, Habits())
    if planned.account.profile.adapter != "local":
        return habits
    options = planned.account.setup.options
    return replace(habits, rows=options.get("max_rows") or LOCAL_ROWS, queue=options.get("queue") or LOCAL_QUEUE)


def _usage(planned: Planned, habits: Habits) -> Usage:
    total = habits.prompt + habits.output
    return priced(Usage(input_tokens=habits.prompt, output_tokens=habits.output, total_tokens=total), planned.prices)
