"""``risk``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from .. import __version__
from ..client import Client
from ..client.exposure import exposures
from ..config import MistakeError, parse_duration
from ..governance.figures import percent
from ..governance.ledger import Traffic, read_ledger
from ..governance.page import json_bytes
from ..governance.risk import Risk, assess, risk_page
from ..governance.risk.members import Fact
from .opening import check_writable, open_to_look
from .parser import MisuseError
from .printing import print_table, tell

if TYPE_CHECKING:
    from ..governance.risk.shares import Concentration

__all__ = ["risk"]


def risk(args: Namespace) -> int:
    """Print shares, single points and what is left without each vendor."""
    now = datetime.now(UTC)
    since = None if args.since is None else _since(args.since, now)
    check_writable("--html", args.html)
    with open_to_look(args) as client:
        traffic = _traffic(args, client, since)
        source = client.policy.source
        routes = list(exposures(client._core))  # noqa: SLF001  # for people, so for no other caller
    name = None if source is None else source.name
    found = assess(routes, traffic, made=now, policy=name, version=__version__)
    if args.html is not None:
        Path(args.html).write_text(risk_page(found), encoding="utf-8")
        tell(f"written: {args.html}")
    if args.json:
        print(json_bytes(found).decode(), end="")
    else:
        _print(found)
    return 0


def _since(text: str, now: datetime) -> float:
    try:
        return max(0.0, now.timestamp() - parse_duration(text))
    except MistakeError as mistake:
        raise MisuseError(f"`--since`: {mistake.message}", "write a span back from now, as in `30d`") from None


def _traffic(args: Namespace, client: Client, since: float | None) -> Traffic | None:
    """Read the ledger that is named; the policy's own, as soon as it is there."""
    if args.ledger is not None:
        return read_ledger(Path(args.ledger), since)
    file = client.policy.ledger
    if file is None:
        tell("hint: `ledger: calls.db` in the policy keeps what real calls used")
        return None
    if not file.exists():
        tell(f"note: `{file}` is not there yet: no call was made")
        return None
    return read_ledger(file, since)


def _print(found: Risk) -> None:
    span = found.ledger
    if found.basis == "ledger" and span is not None:
        print(f"shares of {span.answered:,} answered calls, from {span.first} to {span.last}")
    else:
        print("shares by the policy alone: each route counts the same and goes to its first target, or by `traffic`")
    rows = [(one.by, one.of, _shares(one), _unknown(one), one.herfindahl) for one in found.concentration]
    print_table(("by", "of", "shares", "unknown", "herfindahl"), rows)
    print("\nwhat all targets of a route have in common: a name is a single point of failure")
    print_table(("route", "targets", *get_args(Fact)), _common(found))
    print("\nwhat is left without each")
    print_table(("without", "name", "route", "goes on with", "real calls it answered"), _exits(found))
    print("\nwhat the next target of a route lacks")
    rows_next = [(one.route, one.first, one.next or "nobody", one.lacks, one.unknown) for one in found.substitutes]
    print_table(("route", "first", "next", "lacks", "not known"), rows_next)
    for route in found.stranded:
        print(f"warning: `{route}` asks nobody")
    for fallback in found.untested or ():
        print(f"warning: `{fallback.target}` of `{fallback.route}` has answered no real call")
    if found.untested is None:
        tell("note: there is no ledger to tell which fallbacks have answered real calls")


def _shares(one: Concentration) -> str | None:
    return ", ".join(f"{share.name} {percent(share.share)}" for share in one.shares) or None


def _unknown(one: Concentration) -> str:
    if one.total is None:
        return "all"
    return percent(one.unknown) + (f" and {one.incomplete:,} attempts" if one.incomplete else "")


def _common(found: Risk) -> Iterator[Sequence[object]]:
    for route, facts in groupby(found.shared, key=lambda fact: fact.route):
        mine = list(facts)
        yield route, mine[0].targets, *(fact.name or fact.state for fact in mine)


def _exits(found: Risk) -> Iterator[Sequence[object]]:
    for one in found.exits:
        answered = None if one.answered is None else f"{one.answered:,}"
        perhaps = "perhaps " if one.next in one.unsure else ""  # nobody knows whether it is of that name
        yield one.by, one.name, one.route, f"{perhaps}{one.next or 'nobody'}", answered
