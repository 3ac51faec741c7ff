"""The report of a drill as a page that an auditor can keep.

Its headings are questions of articles 28 and 29 of Regulation (EU) 2022/2554, which it names and does not answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .drill import Call, DrillReport, Substitute, Vendor
from .drill_words import agreement, barrier, both_phases, count, milliseconds, verdict
from .figures import percent
from .page import Html, bars, items, link, page, paragraph, section, shares, table, tag
from .risk.shares import Concentration

__all__ = ["drill_page"]

_SHOWN = 200
_DORA = "https://eur-lex.europa.eu/eli/reg/2022/2554/oj"


def drill_page(report: DrillReport, shown: bytes) -> str:
    """Return the page.

    :param shown: the report as the JSON that is hashed and shown.
    """
    return page(
        f"Drill: route {report.route} without {report.blocked.kind} {report.blocked.name}",
        *_opening(report),
        section("The exit, as tested (article 28(8), exit strategies)", *_exit(report)),
        section("Register of vendors (article 28(3), register of information)", _register(report.vendors)),
        section("Concentration (article 29(1)(b), the same or connected providers)", *_concentration(report)),
        section("Substitutability (article 29(1)(a), easily substitutable)", _substitutes(report.substitutes)),
        section("Places (article 29(2), third countries)", _places(report.vendors), *_sources(report.vendors)),
        section("How it was done", *_method(report)),
        section("Calls", _calls(report)),
        report=shown,
    )


def _opening(report: DrillReport) -> Iterator[Html]:
    said = _bare(verdict(report))
    yield paragraph(tag("strong", f"{said[0].upper()}{said[1:]}."))
    if report.verdict.reasons:
        yield items(map(_bare, report.verdict.reasons))
    by = f" by {report.made_by}" if report.made_by else ""
    yield paragraph(f"Made on {report.made_at:%Y-%m-%d at %H:%M} UTC{by}, with multimodel {report.version}.")
    yield paragraph(
        "The headings name questions of articles 28 and 29 of ",
        link("Regulation (EU) 2022/2554 (DORA)", _DORA),
        " of 14 December 2022, which applies from 17 January 2025. Below each stands what was measured, or what the "
        "catalogue says, with its sources. Whether that answers the question is for the reader to judge.",
    )


def _exit(report: DrillReport) -> Iterator[Html]:
    yield paragraph(f"{_bare(barrier(report))}: this process refused to connect.")
    heads = ("", "as it is", f"without {report.blocked.name}")
    yield table("Both phases", heads, both_phases(report))
    rows = [
        (f"{name}, {rank}", None if phase.latency is None else getattr(phase.latency, rank))
        for rank in ("p50", "p95")
        for name, phase in ((heads[1], report.baseline), (heads[2], report.drill))
    ]
    yield bars(
        "Latency of the calls that were answered",
        [(name, value, None if value is None else milliseconds(value)) for name, value in rows],
    )
    pairs = f"In {count(report.paired.pairs, 'pair')} of answers to the same prompt"
    yield table(pairs, ("", "found"), agreement(report.paired))


def _register(vendors: Iterable[Vendor]) -> Html:
    return table(
        "Targets of the route, in the order in which they are asked",
        ("target", "vendor", "operator", "author of the weights", "licence", "open weights", "in this drill"),
        [
            (
                vendor.target,
                vendor.title,
                vendor.operator,
                vendor.author,
                vendor.licence,
                _yes(vendor.open_weights),
                "blocked" if vendor.blocked else _bare(vendor.state),
            )
            for vendor in vendors
        ],
    )


def _concentration(report: DrillReport) -> Iterator[Html]:
    name = report.blocked.name
    for one in report.concentration:
        bars_of = {"as it is": one.baseline.parts, f"without {name}": one.drill.parts}
        yield shares(f"Answers by {one.by}", bars_of)
    yield table(
        "Shares of the answers, and their Herfindahl index",
        ("by", "as it is", "index", f"without {name}", "index"),
        [
            (one.by, _shares(one.baseline), one.baseline.herfindahl, _shares(one.drill), one.drill.herfindahl)
            for one in report.concentration
        ],
        right=(2, 4),
    )
    yield paragraph(
        "The index is the sum of the squared shares in percent: 10,000 is all at one. Where a part is unknown it is a range: "
        "from all of that part being different names, to all of it being the largest name's."
    )


def _shares(one: Concentration) -> str | None:
    return ", ".join(f"{name or 'unknown'} {percent(share)}" for name, share in one.parts.items()) or None


def _substitutes(found: Iterable[Substitute]) -> Html:
    return table(
        "What is left of the route",
        ("without", "targets left, in order", "what none of them is known to do", "tried in this drill"),
        [
            (one.without, ", ".join(one.left) or "none", ", ".join(one.needs) or "nothing", _yes(one.tested))
            for one in found
        ],
    )


def _places(vendors: Iterable[Vendor]) -> Html:
    return table(
        "Where the operator sits, data is stored and inference runs",
        ("target", "endpoint", "seat of the operator", "region", "stored in", "inference in"),
        [
            (
                vendor.target,
                vendor.endpoint,
                vendor.jurisdiction,
                vendor.region,
                _listed(vendor.stored_in),
                _listed(vendor.inference_in),
            )
            for vendor in vendors
        ],
    )


def _sources(vendors: Iterable[Vendor]) -> Iterator[Html]:
    sources = dict.fromkeys(source for vendor in vendors for source in vendor.sources)
    if sources:
        yield paragraph("What the catalogue says of them comes from:")
        yield items(sources)


def _method(report: DrillReport) -> Iterator[Html]:
    calls, limits = count(report.baseline.calls, "real call"), report.verdict.limits
    yield paragraph(
        f"{calls} went to the route as it is, then as many with the same prompts while this process refused every "
        f"connection to {_listed(report.blocked.targets)}, below retries, breakers and fallbacks. Each phase began without "
        f"knowledge of any vendor's health. Calls at a time: {report.concurrency}. Percentiles are by nearest rank, costs by "
        "list price. No prompt and no answer is kept in this report."
    )
    added = "" if limits.added is None else f" At p95, {milliseconds(limits.added)} of latency might be added."
    yield paragraph(
        f"To pass, {percent(limits.success)} of the calls had to be answered, and no more answers than before might be unfit for "
        f"what was asked.{added}"
    )
    yield items(map(_bare, report.remarks))
    yield table(
        "What it was done with",
        ("", "name", "SHA-256"),
        [("policy", report.policy, report.policy_hash), ("prompts", report.prompts, report.prompts_hash)],
    )


def _calls(report: DrillReport) -> Html:
    heads = ("call", "prompt", "kind", "as it is", "latency", f"without {report.blocked.name}", "latency", "added")
    rows = [
        (
            str(number),
            f"{pair.prompt}",
            pair.kind,
            _outcome(pair.baseline),
            milliseconds(pair.baseline.latency),
            _outcome(pair.drill),
            milliseconds(pair.drill.latency),
            None if pair.added is None else milliseconds(pair.added, signed=True),
        )
        for number, pair in enumerate(report.calls[:_SHOWN], 1)
    ]
    all_of_them = len(rows) == len(report.calls)
    caption = "Both calls of each pair" if all_of_them else f"The first {_SHOWN} pairs; the JSON below has all"
    return table(caption, heads, rows, right=(4, 6, 7))


def _outcome(call: Call) -> str:
    if call.outcome == "ok":
        return str(call.target)
    return f"{call.target}, does not fit" if call.target else f"failed: {', '.join(call.causes) or call.outcome}"


def _bare(words: str) -> str:
    return words.replace("`", "")


def _yes(value: bool | None) -> str | None:  # noqa: FBT001  # it is the value that is told
    return None if value is None else "yes" if value else "no"


def _listed(names: Iterable[str] | None) -> str | None:
    return None if names is None else ", ".join(names)
