"""The whole report, as it is written to JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from ..ledger import Traffic
from .dependence import Exit, Shared, Substitute, Untested, exits, shared, substitutes, untested
from .members import Member, RoutePlan, Whose
from .shares import Concentration, Measure, shares_of_policy, shares_of_traffic

__all__ = ["Registered", "Risk", "Span", "assess"]


@dataclass(frozen=True, slots=True)
class Span:
    """What was looked at of a ledger. Instants are ISO 8601, in UTC.

    :ivar since: from when on; None is from its beginning.
    :ivar calls: calls that put something on the wire; ``answered`` of them ended with an answer.
    :ivar estimated: US dollars of the spend that are the most which attempts without a whole answer can have cost.
    """

    file: str
    since: str | None
    first: str | None
    last: str | None
    calls: int
    answered: int
    estimated: float


@dataclass(frozen=True, slots=True)
class Registered:
    """One target of one route, of the policy or of earlier calls. None is unknown.

    :ivar credential: the provider whose key it is asked with; empty where none is needed.
    :ivar why_not: why it does not count; None when it does.
    :ivar answered: real calls of the route that it answered, ``first_answer`` and ``last_answer`` when; None without a
        ledger, or without an answer.
    """

    route: str
    target: str
    operator: str | None
    author: str | None
    jurisdiction: str | None
    credential: str | None
    host: str | None
    why_not: str | None
    answered: int | None = None
    first_answer: str | None = None
    last_answer: str | None = None


@dataclass(frozen=True, slots=True)
class Risk:
    """The report.

    :ivar multimodel: the version that made it.
    :ivar basis: where the shares come from.
    :ivar stranded: routes of which no target counts.
    :ivar single_points: what takes a whole route with it.
    :ivar correlated: those of them that fallbacks were meant for, and which they share.
    :ivar untested: fallbacks that never answered; None: there is no ledger to tell.
    """

    multimodel: str
    made: str
    policy: str | None
    basis: Literal["ledger", "policy"]
    ledger: Span | None
    register: tuple[Registered, ...]
    stranded: tuple[str, ...]
    concentration: tuple[Concentration, ...]
    shared: tuple[Shared, ...]
    single_points: tuple[Shared, ...]
    correlated: tuple[Shared, ...]
    untested: tuple[Untested, ...] | None
    substitutes: tuple[Substitute, ...]
    exits: tuple[Exit, ...]
    format: int = 1


def assess(
    routes: Sequence[RoutePlan], traffic: Traffic | None, *, made: datetime, policy: str | None, version: str
) -> Risk:
    """Return the report.

    :param traffic: what a ledger says, if there is one.
    """
    facts = tuple(fact for plan in routes if plan.counted for fact in shared(plan))
    single = tuple(fact for fact in facts if fact.state == "one")
    return Risk(
        multimodel=version,
        made=_moment(made.timestamp()) or "",
        policy=policy,
        basis="policy" if traffic is None or not traffic.answered else "ledger",
        ledger=None if traffic is None else _span(traffic),
        register=tuple(_register(routes, traffic)),
        stranded=tuple(plan.route for plan in routes if not plan.counted),
        concentration=tuple(_concentration(routes, traffic)),
        shared=facts,
        single_points=single,
        correlated=tuple(fact for fact in single if fact.targets > 1),
        untested=None if traffic is None else tuple(untested(routes, traffic)),
        substitutes=tuple(substitutes(routes)),
        exits=tuple(exits(routes, traffic)),
    )


def _concentration(routes: Sequence[RoutePlan], traffic: Traffic | None) -> Iterator[Concentration]:
    local = {member.target.partition(":")[0] for plan in routes for member in plan.members if member.local}
    for by in get_args(Whose):
        for of in get_args(Measure):
            if traffic is None or not traffic.answered:
                yield shares_of_policy(routes, by, of)
            else:
                yield shares_of_traffic(traffic.flows, local, by, of)


def _register(routes: Sequence[RoutePlan], traffic: Traffic | None) -> Iterator[Registered]:
    """Yield the targets of the policy, then those that it does not have any more."""
    known = {(plan.route, member.target) for plan in routes for member in plan.members}
    for plan in routes:
        for member in plan.members:
            yield _registered(plan.route, member, traffic)
    for flow in traffic.flows if traffic is not None else ():
        if (flow.route, flow.target) not in known:
            known.add((flow.route, flow.target))
            gone = Member(
                flow.target, flow.operator, flow.author, flow.jurisdiction, why_not="not in the policy any more"
            )
            yield _registered(flow.route, gone, traffic)


def _registered(route: str, member: Member, traffic: Traffic | None) -> Registered:
    first, last = (None, None) if traffic is None else traffic.answered_between(route, member.target)
    return Registered(
        route=route,
        target=member.target,
        operator=member.name("operator"),
        author=member.author,
        jurisdiction=member.name("jurisdiction"),
        credential=member.credential,
        host=member.name("host"),
        why_not=member.why_not,
        answered=None if traffic is None else traffic.answers(route, member.target),
        first_answer=_moment(first),
        last_answer=_moment(last),
    )


def _span(traffic: Traffic) -> Span:
    return Span(
        file=traffic.file,
        since=_moment(traffic.since),
        first=_moment(traffic.first),
        last=_moment(traffic.last),
        calls=traffic.calls,
        answered=traffic.answered,
        estimated=sum(flow.estimated for flow in traffic.flows),
    )


def _moment(seconds: float | None) -> str | None:
    """Return an instant to the second."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
