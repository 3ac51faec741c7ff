"""A route as it is judged: its targets as the engine sees them, and why some are not asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ...config import OffEntry, Policy, Problem, Route
from ...config.problems import Path
from ..core import Core
from ..targets import Planned

__all__ = ["Member", "Subject", "subjects"]


@dataclass(frozen=True, slots=True)
class Member:
    """One target of a chain.

    :ivar path: where it stands.
    :ivar off: the entry that forbids it, or None.
    :ivar unmet: what the route requires and it is known not to have.
    :ivar why: a word and a detail that say why a call would skip it now; None when it would not.
    """

    planned: Planned
    path: Path
    off: OffEntry | None
    unmet: tuple[str, ...]
    why: tuple[str, str] | None

    def __str__(self) -> str:
        return f"`{self.planned.plan.target}`"

    @property
    def in_play(self) -> bool:
        """Whether the policy lets it be asked, be it on this machine or on another."""
        return not self.unmet and (self.why is None or self.why[0] == "unavailable")

    @property
    def reason(self) -> str:
        """Why it is not asked, as words that go on after its name."""
        if self.off is not None:
            return f"is off ({self.off.kind} `{self.off.name}`)"
        if self.unmet:
            return f"lacks {', '.join(self.unmet)}"
        if self.why is not None and self.why[0] != "unavailable":
            return f"is ruled out ({self.why[1]})"
        return "has no key" if self.planned.account.lacks_key else "cannot be used"


@dataclass(frozen=True, slots=True)
class Subject:
    """One route.

    :ivar parent: the route that it extends, where what they have in common is told.
    :ivar tell: makes a problem of the policy.
    """

    name: str
    route: Route
    members: tuple[Member, ...]
    parent: Route | None
    policy: Policy
    tell: Callable[..., Problem]

    @property
    def in_play(self) -> tuple[Member, ...]:
        """The targets that the policy lets be asked."""
        return tuple(member for member in self.members if member.in_play)

    def inherits(self, *settings: str) -> bool:
        """Whether its chain and these settings are those of the route that it extends."""
        names = ("chain", "requires", *settings)
        return self.parent is not None and all(
            getattr(self.parent, name) == getattr(self.route, name) for name in names
        )

    def at(self, *steps: str | int) -> Path:
        """Return the way to one of its settings."""
        return ("routes", self.name, *steps)


def subjects(core: Core) -> Iterator[Subject]:
    """Yield the routes of a policy."""
    policy = core.policy
    for name, route in policy.routes.items():
        parent = policy.routes[route.extends] if route.extends is not None else None
        members = tuple(
            _member(core, route, ("routes", name, "chain", index), planned)
            for index, planned in enumerate(core.current().chain(name))
        )
        yield Subject(name, route, members, parent, policy, policy.origin.problem)


def _member(core: Core, route: Route, path: Path, planned: Planned) -> Member:
    plan = planned.plan
    off = core.switches.against(plan.target, plan.jurisdiction)
    unmet = tuple(sorted(plan.lacks.intersection(route.requires)))
    return Member(planned, path, off, unmet, core.ruled_out(planned))
