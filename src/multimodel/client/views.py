"""What ``explain`` and ``status`` return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..config import OffEntry
from ..config.policy import OffKind
from ..types import Target

__all__ = ["BudgetStatus", "ExplainedTarget", "Explanation", "Impact", "RouteImpact", "Status", "TargetStatus"]


@dataclass(frozen=True, slots=True)
class ExplainedTarget:
    """One target of a chain, as a call would meet it now.

    :ivar reason: why it would be skipped (``off``, ``unavailable``, ``capability``, ``breaker``, ``gate``,
        ``bulkhead``), or None.
    :ivar restricts: what the licence of its weights asks for or forbids, as far as the catalogue knows.
    """

    target: Target
    reason: str | None = None
    detail: str = ""
    restricts: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a call on a route would do now. ``str()`` is a small table.

    :ivar slowest: seconds after which the call ends at the latest.
    """

    route: str
    targets: tuple[ExplainedTarget, ...]
    slowest: float

    def __str__(self) -> str:
        lines = [f"route `{self.route}`, at most {self.slowest:g} s"]
        for number, entry in enumerate(self.targets, 1):
            fate = "asked" if entry.reason is None else f"skipped: {entry.reason}"
            detail = f" ({entry.detail})" if entry.detail else ""
            by = " · ".join(
                f"{word} {name}"
                for word, name in (("operator", entry.target.operator), ("author", entry.target.author))
                if name
            )
            lines.append(f"  {number}. {entry.target}  {fate}{detail}" + (f"  [{by}]" if by else ""))
            if entry.restricts is not None:
                lines.append(f"     licence: {entry.restricts}")
        return "\n".join(lines)


State = Literal["closed", "open", "half_open", "gated", "full", "off", "unavailable"]


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """The health of one target.

    :ivar state: ``closed`` is healthy; ``gated`` waits as the vendor asked; ``full`` has as many attempts under way
        as may be; ``unavailable`` cannot be asked at all.
    :ivar seconds: until that may change by itself, 0 when unknown.
    """

    target: Target
    state: State
    seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """What one route has spent today (UTC), in US dollars.

    :ivar tenant: whose budget it is; None is the client's own.
    :ivar reserved: set aside for what is under way.
    """

    route: str
    tenant: str | None
    per_day: float
    spent: float
    reserved: float
    left: float


@dataclass(frozen=True, slots=True)
class Status:
    """What a client knows now.

    :ivar policy: the policy file, or None for a policy made in Python.
    :ivar routes: the targets of each route, in order.
    :ivar off: what is switched off.
    :ivar audit_head: the hash of the last line of the audit log; None when there is none. Keep it elsewhere:
        ``multimodel audit verify --head`` then tells whether the log was cut off or written anew.
    :ivar budgets: what was spent on the routes that may spend only so much a day.
    """

    version: str
    policy: str | None
    switch_file: str | None
    routes: dict[str, tuple[TargetStatus, ...]]
    off: tuple[OffEntry, ...]
    budgets: tuple[BudgetStatus, ...] = ()
    audit_head: str | None = None


@dataclass(frozen=True, slots=True)
class Impact:
    """What switching a name off would do.

    :ivar kind: what the name means.
    :ivar stops: the targets that are asked now and would not be any more.
    :ivar stranded: the routes that would lose their last target.
    :ivar changed: what the routes that go on would lose.
    """

    kind: OffKind
    stops: tuple[Target, ...]
    stranded: tuple[str, ...]
    changed: tuple[RouteImpact, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteImpact:
    """What one route that goes on would lose, as far as the catalogue knows.

    :ivar needs: what no target that is left is known to be able to do.
    :ivar room: tokens of the longest prompt that a target is known to take, before and after; None if that stays.
    :ivar places: where who is asked first stores and infers, before and after; None if that stays.
    :ivar prices: of who is asked first, before and after: US dollars per million tokens of input, and of output; None if
        they stay, or nobody knows them.
    """

    route: str
    needs: tuple[str, ...] = ()
    room: tuple[int, int] | None = None
    prices: tuple[tuple[float, float], tuple[float, float]] | None = None
    places: tuple[str, str] | None = None
