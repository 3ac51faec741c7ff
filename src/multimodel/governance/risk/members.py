"""The targets of a policy, as far as they are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["THIS_MACHINE", "Fact", "Member", "RoutePlan", "Whose"]

THIS_MACHINE = "this machine"
Whose: TypeAlias = Literal["operator", "author", "jurisdiction"]
Fact: TypeAlias = Literal["operator", "author", "jurisdiction", "credential", "host"]


@dataclass(frozen=True, slots=True)
class Member:
    """One target of a route. None is unknown.

    :ivar credential: the provider whose key it is asked with; empty where none is needed.
    :ivar local: whether it is weights on this machine.
    :ivar why_not: why it does not count; None when it does.
    :ivar weight: its part of the route's calls, as the policy says.
    :ivar able: what it is known to be able to do.
    :ivar lacks: what it is known not to be able to do.
    :ivar room: tokens of the longest prompt.
    :ivar longest: tokens of the longest answer.
    :ivar price: US dollars per million tokens of input, and of output.
    """

    target: str
    operator: str | None = None
    author: str | None = None
    jurisdiction: str | None = None
    credential: str | None = None
    host: str | None = None
    local: bool = False
    why_not: str | None = None
    weight: float = 0.0
    able: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    room: int | None = None
    longest: int | None = None
    price: tuple[float, float] | None = None

    def name(self, by: Fact) -> str | None:
        """Return what it is called under ``by``."""
        if self.local and by in ("operator", "jurisdiction", "host"):
            return THIS_MACHINE
        found: str | None = getattr(self, by)
        return found


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """One route, its targets in the order in which they are asked: by traffic first, then as the chain has them."""

    route: str
    members: tuple[Member, ...]

    @property
    def counted(self) -> list[Member]:
        """The targets that can be asked."""
        return [member for member in self.members if member.why_not is None]
