"""The report as a page, along the questions of DORA articles 28 and 29."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, get_args

from ..figures import percent
from ..page import Html, bars, items, json_bytes, link, page, paragraph, section, shares, table, tag, timeline
from .members import Fact, Whose
from .shares import Concentration

if TYPE_CHECKING:
    from .dependence import Substitute
    from .report import Risk

__all__ = ["risk_page"]

_DORA = link("Regulation (EU) 2022/2554 (DORA)", "https://eur-lex.europa.eu/eli/reg/2022/2554/oj")
_HERFINDAHL = link(
    "U.S. Department of Justice and Federal Trade Commission, Merger Guidelines, section 2.1",
    "https://www.justice.gov/atr/merger-guidelines/applying-merger-guidelines/guideline-1",
)
_DAY = 86_400
_NOBODY = tag("b", "nobody")


def risk_page(risk: Risk) -> str:
    """Return the report as one HTML file, which holds its JSON and the hash of that."""
    return page(
        f"Vendor risk of {risk.policy or 'the built-in policy'}",
        paragraph(f"Made {risk.made} by multimodel {risk.multimodel}. ", _basis(risk)),
        paragraph(
            "What nobody knows is shown as unknown, and counted as a part of its own. The headings follow questions that "
            "articles 28 and 29 of DORA ask; whether an answer is enough is not for this page to say."
        ),
        section("In short", items(_summary(risk))),
        section("Register of vendors (article 28, paragraph 3)", *_register(risk)),
        section("Concentration (article 29, paragraph 1)", *_concentration(risk)),
        section("Single points and correlated fallbacks (article 29, paragraph 1, point b)", *_points(risk)),
        section("Substitutability (article 29, paragraph 1, point a)", _substitutes(risk)),
        section("Exit (article 28, paragraph 8)", *_exits(risk)),
        section("Sources", items(_sources())),
        report=json_bytes(risk),
    )


def _basis(risk: Risk) -> str:
    span = risk.ledger
    if span is None:
        return "There is no ledger. " + _POLICY
    when = f"since {span.since}" if span.since else "since it begins"
    if risk.basis == "policy":
        return f"The ledger {span.file} has no answered call {when}. " + _POLICY
    return (
        f"Shares are those of real traffic: the ledger {span.file} has {span.calls:,} calls {when}, "
        f"the first of {span.first}, the last of {span.last}; {span.answered:,} were answered."
    )


_POLICY = (
    "Shares are what the policy alone says: every route counts the same, and goes to its first target, or to several by "
    "its traffic weights. They say nothing of real calls."
)


def _summary(risk: Risk) -> Iterator[str]:
    for route in risk.stranded:
        yield f"Route {route} asks nobody."
    for one in risk.substitutes:
        if one.next is None:
            yield f"Route {one.route} has one target only: {one.first}."
    for route, facts in groupby(risk.correlated, key=lambda fact: fact.route):
        named = ", ".join(f"{fact.by} {fact.name}" for fact in facts)
        yield f"All targets of route {route} have the same {named}."
    for fallback in risk.untested or ():
        yield f"The fallback {fallback.target} of route {fallback.route} has answered no real call."
    if risk.untested is None:
        yield "Which fallbacks have answered real calls is unknown: there is no ledger."
    stranded: dict[str, list[str]] = {}
    for (by, name), exits in groupby(risk.exits, key=lambda one: (one.by, one.name)):
        routes = ", ".join(one.route for one in exits if one.next is None)
        if routes:
            stranded.setdefault(routes, []).append(f"{by} {name}")
    for routes, names in stranded.items():
        yield f"Without {' or '.join(names)}, nobody is left for {routes}."
    if not stranded:
        yield "Whatever known operator, author or jurisdiction goes, the routes that ask somebody go on, as far as is known."


def _register(risk: Risk) -> Iterator[Html]:
    heads = ("target", "route", "operator", "author", "jurisdiction", "key of", "host", "answered")
    rows = [
        (
            one.target,
            one.route,
            one.operator,
            one.author,
            one.jurisdiction,
            "none needed" if not one.credential and one.credential is not None else one.credential,
            one.host,
            one.answered,
        )
        for one in risk.register
    ]
    yield table(
        "The targets of each route in the order in which they are asked, and the real calls they answered",
        heads,
        rows,
        right={7},
    )
    left_out = [f"{one.target} of route {one.route}: {one.why_not}" for one in risk.register if one.why_not is not None]
    if left_out:
        yield paragraph("These do not count as targets below:")
        yield items(left_out)


def _concentration(risk: Risk) -> Iterator[Html]:
    told = [one for one in risk.concentration if risk.basis == "ledger" or one.of == "calls"]
    yield paragraph(
        "Calls are those that were answered; tokens and spend are of all requests, also of those that were broken off."
        if risk.basis == "ledger"
        else "Tokens and spend are unknown without a ledger."
    )
    for by in get_args(Whose):
        mine = [one for one in told if one.by == by]
        yield shares(f"Shares by {by}", {_measure(one): one.parts for one in mine})
        heads = [head for one in mine for head in (one.of, "share")]
        yield table(f"By {by}", (by, *heads), _figures(mine), right=range(1, 1 + len(heads)))
    gaps = list(_gaps(risk))
    if gaps:
        yield items(gaps)
    yield bars(
        "Herfindahl index, 0 (spread) to 10,000 (all at one)",
        [
            (f"{one.by}, {_measure(one)}", one.herfindahl.most if one.herfindahl else None, one.herfindahl)
            for one in told
        ],
        most=10_000,
    )
    yield paragraph(
        "The index is the sum of the squared shares in percent (definition: ",
        _HERFINDAHL,
        "). Where a part is unknown it is a range: from all of that part being different names, to all of it being the "
        "largest name's; the bar shows the most. It is a measure of markets: no threshold for dependence is implied.",
    )


def _gaps(risk: Risk) -> Iterator[str]:
    for one in risk.concentration:
        if one.incomplete and one.by == "operator":
            what = "What {:,} attempts cost" if one.of == "spend" else "How many tokens {:,} attempts took"
            yield f"{what.format(one.incomplete)} is unknown, and not in these figures."
    if risk.ledger is not None and risk.ledger.estimated:
        yield (
            f"{risk.ledger.estimated:,.4f} USD of the spend are estimates: "
            "the most that attempts without a whole answer can have cost."
        )


def _figures(columns: Sequence[Concentration]) -> Iterator[Sequence[object]]:
    amounts = [one.parts for one in columns]
    for name in dict.fromkeys(name for some in amounts for name in sorted(some, key=lambda name: name is None)):
        row: list[object] = [name]
        for one, some in zip(columns, amounts, strict=True):
            share = some.get(name, 0.0)
            unknown = one.total is None or (not share and one.incomplete)
            row += (None, None) if unknown else (_amount(one, share * (one.total or 0.0)), percent(share))
        yield row


def _measure(one: Concentration) -> str:
    return f"{one.of}, as far as known" if one.incomplete else one.of


def _amount(one: Concentration, amount: float) -> str:
    return f"{amount:,.4f} USD" if one.of == "spend" else f"{amount:,.2f}".removesuffix(".00")


def _points(risk: Risk) -> Iterator[Html]:
    heads = ("route", "targets", *get_args(Fact))
    rows = []
    for route, facts in groupby(risk.shared, key=lambda fact: fact.route):
        mine = list(facts)
        rows.append((route, mine[0].targets, *(_shared(fact.state, fact.name) for fact in mine)))
    yield table("What all targets of a route have in common", heads, rows, right={1})
    yield paragraph(
        "A name in bold is a single point of failure: all targets of the route have it. With more than one target, the "
        "fallbacks are correlated."
    )
    yield _fallbacks(risk)


def _shared(state: str, name: str | None) -> object:
    return tag("b", name) if name is not None else "several" if state == "several" else None


def _fallbacks(risk: Risk) -> Html:
    if risk.untested is None:
        return paragraph("Which fallbacks have answered real calls is unknown: there is no ledger.")
    if not risk.untested:
        return paragraph("Every fallback has answered a real call in this time.")
    rows = [(one.target, one.route, one.attempts) for one in risk.untested]
    return table("Fallbacks that answered no real call", ("target", "route", "times asked"), rows, right={2})


def _substitutes(risk: Risk) -> Html:
    heads = ("route", "first", "next", "lacks", "not known", "longest prompt", "longest answer", "price")
    return table(
        "Who is asked when the first target is gone: tokens, and US dollars per million tokens of input + output",
        heads,
        [_substitute(one) for one in risk.substitutes],
    )


def _substitute(one: Substitute) -> Sequence[object]:
    if one.next is None:
        return one.route, one.first, _NOBODY, *("-" for _ in range(5))
    return (
        one.route,
        one.first,
        one.next,
        ", ".join(one.lacks) or "nothing known",
        ", ".join(one.unknown) or "nothing",
        _both(*(None if tokens is None else f"{tokens:,}" for tokens in one.room)),
        _both(*(None if tokens is None else f"{tokens:,}" for tokens in one.longest)),
        _both(*(None if price is None else f"{price[0]:g} + {price[1]:g}" for price in one.prices)),
    )


def _both(before: str | None, after: str | None) -> str | None:
    if before == after:
        return before
    return f"{before or 'unknown'} → {after or 'unknown'}"


def _exits(risk: Risk) -> Iterator[Html]:
    heads = ("without", "route", "goes on with", "which answered")
    rows = [
        (
            f"{one.by} {one.name}",
            one.route,
            one.next if one.next is not None else _NOBODY,
            _tested(one.answered, one.next),
        )
        for one in risk.exits
    ]
    yield table("What is left of each route", heads, rows)
    unsure = sorted({f"{target} ({one.by})" for one in risk.exits for target in one.unsure})
    if unsure:
        yield paragraph(
            "These are left only as far as is known, because nobody knows whose they are: ", ", ".join(unsure)
        )
    lanes = {
        f"{one.route}: {one.target}": [(_day(one.first_answer), _day(one.last_answer), "answered real calls")]
        for one in risk.register
        if one.first_answer is not None and one.last_answer is not None
    }
    if lanes:
        begin = min(start for lane in lanes.values() for start, _, _ in lane)
        moved = {
            name: [(start - begin, end - begin, kind) for start, end, kind in lane] for name, lane in lanes.items()
        }
        first = min(one.first_answer for one in risk.register if one.first_answer is not None)
        yield timeline(f"From the first to the last answer of each target, days since {first}", moved, unit="d")


def _tested(answered: int | None, following: str | None) -> str | None:
    if following is None:
        return "-"
    return None if answered is None else f"{answered:,} real calls" if answered else "no real call"


def _day(moment: str | None) -> float:
    return 0.0 if moment is None else datetime.fromisoformat(moment).timestamp() / _DAY


def _sources() -> Iterator[Html]:
    yield Html(f"{_DORA} of 14 December 2022, OJ L 333, 27.12.2022, p. 1, articles 28 and 29")
    yield Html(f"{_HERFINDAHL}, 18 December 2023")
    yield Html(
        "Operators, authors, jurisdictions and prices: the catalogue of multimodel, each with its source and date"
    )
