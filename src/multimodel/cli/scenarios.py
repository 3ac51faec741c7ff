"""From arguments to what ``simulate`` plays."""

from __future__ import annotations

import re
from argparse import Namespace
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple, get_args

from ..client.core import Core
from ..config import MistakeError, parse_duration
from ..errors import ConfigurationError
from ..rehearsal.scenario import Fault, Habits, OutageSpan, Scenario
from .parser import MisuseError
from .printing import tell

__all__ = ["route_of", "scenario_of"]

_MOST = 20_000_000
"""Calls that are played at most: a quarter of an hour or so."""
_FAULTS = get_args(Fault)
_OUTAGE = "write `NAME:SPAN`, `NAME:START+SPAN` or either with `:KIND`, as in `alibaba:10m+2h:silent`"
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/([smh]))?", re.ASCII)
_PER = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_TOKENS = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)
_LONGEST_LEAD, _SHORTEST_LEAD = 300.0, 30.0


def route_of(args: Namespace, core: Core) -> str:
    """Return the route to play: the one that is named, the only one, `chat`, or the first."""
    if args.route is not None:
        return core.route(args.route)[0]
    first, *others = core.policy.routes
    route = "chat" if "chat" in others else first
    if others:
        tell(f"note: route `{route}` is played; `--route` names another of {len(others) + 1}")
    return route


class _Outage(NamedTuple):
    """An outage as it was written."""

    name: str
    start: float | None
    seconds: float
    fault: Fault


def scenario_of(args: Namespace, core: Core, route: str) -> Scenario:
    """Read the arguments.

    :raises MisuseError: one of them makes no sense.
    :raises ConfigurationError: a name means nothing in the policy, or nobody in the route.
    """
    written = [_outage(text) for text in args.outage]
    rate = _rate(args.rate)
    longest = max((one.seconds for one in written), default=0.0)
    lead = min(_LONGEST_LEAD, max(_SHORTEST_LEAD, longest / 4.0))
    spans = [
        OutageSpan(core.switchboard.subject(one.name), lead if one.start is None else one.start, one.seconds, one.fault)
        for one in written
    ]
    seconds = _duration("--for", args.duration) if args.duration is not None else None
    if seconds is None:
        seconds = max(span.end for span in spans) + 2.0 * lead if spans else 600.0
    for span in spans:
        if span.start >= seconds:
            raise MisuseError(f"`--outage`: `{span.subject.name}` goes out after the end", "give `--for` a longer span")
        if span.end > seconds:
            tell(f"note: the calls end before the outage of `{span.subject.name}` does")
    if rate * seconds > _MOST:
        raise MisuseError(f"{rate * seconds:,.0f} calls would take too long", "lower `--rate`, or `--for`")
    return Scenario(
        outages=tuple(sorted(spans, key=lambda span: span.start)),
        rate=rate,
        seconds=seconds,
        habits=_habits(args, core, route),
        seed=args.seed,
    )


def _outage(text: str) -> _Outage:
    rest, _, last = text.rpartition(":")
    fault: Fault = last if last in _FAULTS else "503"  # type: ignore[assignment]  # it is one of them
    name, _, span = (rest if last in _FAULTS else text).rpartition(":")
    start, plus, length = span.rpartition("+")
    if not name:
        raise MisuseError(f"`--outage`: `{text}` names nobody, or no span", _OUTAGE)
    try:
        seconds = parse_duration(length)
        begins = parse_duration(start) if plus else None
    except MistakeError:
        raise MisuseError(f"`--outage`: `{span}` is no span", f"{_OUTAGE}; kinds are {', '.join(_FAULTS)}") from None
    if not seconds:
        raise MisuseError(f"`--outage`: `{text}` takes no time", _OUTAGE)
    return _Outage(name, begins, seconds, fault)


def _rate(text: str) -> float:
    match = _RATE.fullmatch(text)
    rate = float(match[1]) / _PER[match[2]] if match else 0.0
    if not 0.0 < rate < float("inf"):
        raise MisuseError(f"`--rate`: `{text}` is no rate", "write it as in `50/s`, `200/m` or `1000/h`")
    return rate


def _duration(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except MistakeError as mistake:
        raise MisuseError(f"`{option}`: {mistake.message}", mistake.hint) from None
    if not seconds:
        raise MisuseError(f"`{option}`: `{text}` is no time at all")
    return seconds


def _habits(args: Namespace, core: Core, route: str) -> dict[str, Habits]:
    """Read what is assumed of the targets; of two words about the same, the later one holds."""
    habits = {str(planned.plan.target): Habits() for planned in core.chain(route)}
    for text in args.latency:
        name, _, times = text.rpartition(":")
        first, slash, total = times.partition("/")
        begins, ends = _time(first), _time(total)
        if not slash or begins is None or ends is None or not ends or begins > ends:
            hint = "write `NAME:FIRST/TOTAL`, as in `dashscope:400ms/2s`; without a name it holds for all"
            raise MisuseError(f"`--latency`: `{text}` is no pair of times, the first content's and the end's", hint)
        for key in _targets(core, route, name):
            habits[key] = replace(habits[key], first=begins, total=ends)
    for text in args.tokens:
        name, _, tokens = text.rpartition(":")
        match = _TOKENS.fullmatch(tokens)
        if match is None:
            hint = "write `NAME:INPUT/OUTPUT`, as in `dashscope:1000/300`; without a name it holds for all"
            raise MisuseError(f"`--tokens`: `{text}` is no pair of numbers", hint)
        for key in _targets(core, route, name):
            habits[key] = replace(habits[key], prompt=int(match[1]), output=int(match[2]))
    return habits


def _time(text: str) -> float | None:
    """Read a time with a unit, or in seconds."""
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        return parse_duration(text)
    except MistakeError:
        return None


def _targets(core: Core, route: str, name: str) -> list[str]:
    """Return the targets of a route that a name means; no name means all."""
    chain, moment = core.chain(route), datetime.now(UTC)
    if not name:
        return [str(planned.plan.target) for planned in chain]
    subject = core.switchboard.subject(name)
    found = [
        str(one.plan.target)
        for one in chain
        if subject.covers(one.plan.target, jurisdiction=one.plan.jurisdiction, at=moment)
    ]
    if not found:
        raise ConfigurationError(f"{subject.kind} `{name}` has no target in route `{route}`")
    return found
