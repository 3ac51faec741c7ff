"""What is doubtful about what the catalogue says of one model: it goes, its licence asks for more, its facts are old.

Only the models that a policy uses are judged. A price is stale after 180 days and any other fact after 365: vendors
change their prices several times a year, and a model about once. A licence that asks for more than attribution binds
whoever serves the weights: it is a warning about weights of one's own, and a note about those that a vendor serves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from ..providers.profile import Fact, ModelFacts
from .problems import Severity

__all__ = ["FACTS_AGE", "PRICES_AGE", "RETIRES_SOON", "Doubt", "doubts", "is_stale"]

RETIRES_SOON = timedelta(days=30)
PRICES_AGE = timedelta(days=180)
FACTS_AGE = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing to tell about a model; the message goes on after its name."""

    severity: Severity
    code: str
    message: str
    hint: str


def doubts(facts: ModelFacts, *, region: str | None, hosted: bool, today: date) -> Iterator[Doubt]:
    """Tell what is doubtful about a model.

    :param region: the region it is asked in, by which its prices are chosen; None for all.
    :param hosted: whether a vendor serves it, not the user.
    """
    yield from _retirement(facts, today)
    if facts.restricts is not None:
        message = f"is under the licence `{facts.licence or 'of its author'}`: {facts.restricts}"
        if hosted:
            yield Doubt(
                "note",
                "licence-restricts",
                message,
                "it binds who serves the weights; read it before you serve them yourself",
            )
        else:
            yield Doubt("warning", "licence-restricts", message, "read the licence before you build on these weights")
    prices = [price.fact for price in facts.prices if region is None or price.region in (None, region)]
    oldest = min(prices, key=_day, default=None)
    if oldest is not None and is_stale(oldest, PRICES_AGE, today):
        yield Doubt("warning", "stale-price", f"has a price of {oldest.date}, which may have changed", _compare(oldest))
    rest = min((facts.fact, *facts.sources.values()), key=_day)
    if is_stale(rest, FACTS_AGE, today):
        yield Doubt("warning", "stale-facts", f"is described as of {rest.date}, which may have changed", _compare(rest))


def is_stale(fact: Fact, age: timedelta, today: date) -> bool:
    """Say whether a fact is older than ``age``."""
    return fact.date < today - age


def _retirement(facts: ModelFacts, today: date) -> Iterator[Doubt]:
    if facts.retired is None or facts.retired > today + RETIRES_SOON:
        return
    hint = f"use `{facts.replaced_by}`" if facts.replaced_by else "use another model"
    if facts.retired <= today:
        yield Doubt("warning", "model-retired", f"is retired since {facts.retired}", hint)
    else:
        yield Doubt("warning", "model-retires-soon", f"retires on {facts.retired}", hint)


def _compare(fact: Fact) -> str:
    return f"compare it with {fact.source}"


def _day(fact: Fact) -> date:
    return fact.date
