"""How calls, tokens and money are divided, and how concentrated they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..ledger import Flow
from .members import THIS_MACHINE, RoutePlan, Whose

__all__ = ["Concentration", "Herfindahl", "Measure", "Share", "divided", "shares_of_policy", "shares_of_traffic"]

Measure: TypeAlias = Literal["calls", "tokens", "spend"]


@dataclass(frozen=True, slots=True)
class Share:
    """One name's part of a whole."""

    name: str
    amount: float
    share: float


@dataclass(frozen=True, slots=True)
class Herfindahl:
    """The sum of the squared shares in percent, 0 to 10,000: its least and its most, by what is unknown."""

    least: int
    most: int

    def __str__(self) -> str:
        return f"{self.most:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"


@dataclass(frozen=True, slots=True)
class Concentration:
    """How one measure is divided.

    :ivar of: ``calls`` that were answered, ``tokens`` of input and output, or ``spend`` in US dollars.
    :ivar total: all of it, as far as it is known; None when nothing is.
    :ivar shares: the largest first.
    :ivar unknown: the part of which nobody knows whose it is.
    :ivar incomplete: attempts that are not in it, because nobody knows how much they took: all else is of the others.
    :ivar herfindahl: None where nothing is known.
    """

    by: Whose
    of: Measure
    total: float | None
    shares: tuple[Share, ...] = ()
    unknown: float = 0.0
    incomplete: int = 0
    herfindahl: Herfindahl | None = None

    @property
    def parts(self) -> dict[str | None, float]:
        """The shares by name; None is the part of which nobody knows whose it is."""
        known: dict[str | None, float] = {share.name: share.share for share in self.shares}
        return known | {None: self.unknown} if self.unknown else known


def shares_of_policy(routes: Sequence[RoutePlan], by: Whose, of: Measure) -> Concentration:
    """Return the shares that a policy means. Nobody knows how long its calls will be, so that they alone can be told."""
    if of != "calls":
        return Concentration(by, of, None)
    members = (member for plan in routes for member in plan.counted)
    return divided(by, of, [(member.name(by), member.weight) for member in members])


def shares_of_traffic(flows: Sequence[Flow], local: Collection[str], by: Whose, of: Measure) -> Concentration:
    """Return the shares of real traffic.

    :param local: the providers that are weights on this machine.
    """
    amount: Callable[[Flow], float]
    match of:
        case "calls":
            amount, missing = (lambda flow: flow.calls), 0
        case "tokens":
            amount, missing = (lambda flow: flow.tokens), sum(flow.uncounted for flow in flows)
        case "spend":
            amount, missing = (lambda flow: flow.cost), sum(flow.unpriced for flow in flows)
    return divided(by, of, [(_name(flow, local, by), amount(flow)) for flow in flows], missing)


def _name(flow: Flow, local: Collection[str], by: Whose) -> str | None:
    if by != "author" and flow.operator is None and flow.target.partition(":")[0] in local:
        return THIS_MACHINE
    found: str | None = getattr(flow, by)
    return found


def divided(by: Whose, of: Measure, amounts: Sequence[tuple[str | None, float]], missing: int = 0) -> Concentration:
    """Return how a measure is divided.

    :param amounts: by name, which may come several times; None is unknown.
    :param missing: attempts whose amount nobody knows.
    """
    sums: dict[str | None, float] = {}
    for name, size in amounts:
        if size:
            sums[name] = sums.get(name, 0.0) + size
    total = sum(sums.values())
    if not total:
        return Concentration(by, of, None, incomplete=missing)
    unknown = sums.pop(None, 0.0) / total
    shares = sorted((Share(str(name), size, size / total) for name, size in sums.items()), key=_largest_first)
    return Concentration(by, of, total, tuple(shares), unknown, missing, _herfindahl(shares, unknown))


def _largest_first(share: Share) -> tuple[float, str]:
    return -share.share, share.name


def _herfindahl(shares: Sequence[Share], unknown: float) -> Herfindahl:
    largest = shares[0].share if shares else 0.0
    least = sum(share.share**2 for share in shares)
    most = least - largest**2 + (largest + unknown) ** 2
    return Herfindahl(round(10_000 * least), round(10_000 * most))
