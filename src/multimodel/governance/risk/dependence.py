"""What the targets of a route have in common, and who is left without one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ..ledger import Traffic
from .members import THIS_MACHINE, Fact, Member, RoutePlan, Whose

__all__ = ["Exit", "Shared", "Substitute", "Untested", "exits", "shared", "substitutes", "untested"]


@dataclass(frozen=True, slots=True)
class Shared:
    """Whether all targets of a route that count have one thing in common: what takes it away stops the route.

    :ivar targets: how many count.
    :ivar state: ``one`` is a single point of failure; ``unknown``: the targets of which it is known have one.
    :ivar name: the one.
    """

    route: str
    targets: int
    by: Fact
    state: Literal["one", "several", "unknown"]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Untested:
    """A fallback that answered no real call of its route in the time that was looked at.

    :ivar attempts: how often it was asked.
    """

    route: str
    target: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Substitute:
    """Who is asked on a route when its first target is gone, and what is missing then. None is unknown.

    :ivar next: None: nobody is left.
    :ivar lacks: what it is known not to be able to do, and the first is.
    :ivar unknown: what the first is able to do, and of it nobody knows.
    :ivar room: tokens of the longest prompt, of the first and of the next.
    :ivar longest: tokens of the longest answer, of both.
    :ivar prices: US dollars per million tokens of input, and of output, of both.
    """

    route: str
    first: str
    next: str | None
    lacks: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    room: tuple[int | None, int | None] = (None, None)
    longest: tuple[int | None, int | None] = (None, None)
    prices: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Exit:
    """What is left of one route without one operator, author or jurisdiction.

    :ivar next: who is asked first then; None: nobody is left.
    :ivar answered: real calls of the route that it answered; None: nobody is left, or there is no ledger.
    :ivar unsure: targets that are left only if they are not of that name, which nobody knows.
    """

    by: Whose
    name: str
    route: str
    next: str | None
    answered: int | None = None
    unsure: tuple[str, ...] = ()


def shared(plan: RoutePlan) -> Iterator[Shared]:
    """Yield for each fact whether the targets of a route have one in common."""
    members = plan.counted
    for by in get_args(Fact):
        names = {member.name(by) for member in members}
        known = names - {None}
        if len(known) > 1 or (by == "credential" and "" in known):  # who needs no key goes on without
            yield Shared(plan.route, len(members), by, "several")
        elif None in names or not known:
            yield Shared(plan.route, len(members), by, "unknown")
        else:
            yield Shared(plan.route, len(members), by, "one", known.pop())


def untested(routes: Sequence[RoutePlan], traffic: Traffic) -> Iterator[Untested]:
    """Yield the fallbacks that never answered."""
    for plan in routes:
        for member in plan.counted[1:]:
            if not traffic.answers(plan.route, member.target):
                yield Untested(plan.route, member.target, traffic.attempts(plan.route, member.target))


def substitutes(routes: Sequence[RoutePlan]) -> Iterator[Substitute]:
    """Yield for each route who is next."""
    for plan in routes:
        match plan.counted:
            case [first]:
                yield Substitute(plan.route, first.target, None)
            case [first, second, *_]:
                yield _substitute(plan.route, first, second)
            case _:
                pass


def _substitute(route: str, first: Member, second: Member) -> Substitute:
    return Substitute(
        route,
        first.target,
        second.target,
        lacks=tuple(sorted(first.able & second.lacks)),
        unknown=tuple(sorted(first.able - second.able - second.lacks)),
        room=(first.room, second.room),
        longest=(first.longest, second.longest),
        prices=(first.price, second.price),
    )


def exits(routes: Sequence[RoutePlan], traffic: Traffic | None) -> Iterator[Exit]:
    """Yield what is left of each route that asks somebody, without them."""
    for by in get_args(Whose):
        members = [member for plan in routes for member in plan.counted]
        names = {name for member in members if (name := member.name(by)) is not None}
        for name in sorted(names - {THIS_MACHINE}):
            for plan in routes:
                if any(member.name(by) == name for member in plan.counted):
                    yield _exit(by, name, plan, traffic)


def _exit(by: Whose, name: str, plan: RoutePlan, traffic: Traffic | None) -> Exit:
    left = [member for member in plan.counted if member.name(by) != name]
    if not left:
        return Exit(by, name, plan.route, None)
    unsure = tuple(member.target for member in left if member.name(by) is None)
    answered = None if traffic is None else traffic.answers(plan.route, left[0].target)
    return Exit(by, name, plan.route, left[0].target, answered, unsure)
