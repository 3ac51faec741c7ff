"""From arguments to what ``simulate`` plays."""

from __future__ import annotations

import re
from argparse import Namespace
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple, get_args

from ..client.core import Core
from ..config import MistakeError, OffEntry, parse_duration
from ..errors import ConfigurationError
from ..rehearsal.scenario import Fault, Habits, OutageSpan, Scenario
from .parser import MisuseError
from .printing import tell

__all__ = ["Asked", "read", "route_of", "scenario_of"]

_MOST = 20_000_000
"""Calls that are played at most: a quarter of an hour or so."""
_FAULTS = get_args(Fault)
_OUTAGE = "write `NAME:SPAN`, `NAME:START+SPAN`, or either with `:KIND`, as in `alibaba:10m+2h:silent`"
_LATENCY = "write `NAME:FIRST/TOTAL`, as in `dashscope:400ms/2s`; without a name it holds for all"
_TOKENS = "write `NAME:INPUT/OUTPUT`, as in `dashscope:1000/300`; without a name it holds for all"
_PER = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/([smh]))?", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_COUNTS = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)
_LEAD = (30.0, 300.0)  # seconds before an outage, at least and at most
_USUAL = 600.0


class _Outage(NamedTuple):
    name: str
    start: float | None
    seconds: float
    fault: Fault


class _Latency(NamedTuple):
    name: str
    first: float
    total: float


class _Tokens(NamedTuple):
    name: str
    prompt: int
    output: int


class _Limit(NamedTuple):
    name: str
    limit: int


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments, read without a policy.

    :ivar outages: one without a start begins when calls have come for a while.
    """

    outages: tuple[_Outage, ...]
    latencies: tuple[_Latency, ...]
    tokens: tuple[_Tokens, ...]
    limits: tuple[_Limit, ...]
    rate: float
    seconds: float
    seed: int


def read(args: Namespace) -> Asked:
    """Read the arguments.

    :raises MisuseError: one of them makes no sense.
    """
    outages = [_outage(text) for text in args.outage]
    least, most = _LEAD
    lead = min(most, max(least, max((one.seconds for one in outages), default=0.0) / 4.0))
    outages = [one._replace(start=lead) if one.start is None else one for one in outages]
    ends = [(one.start or 0.0) + one.seconds for one in outages]
    seconds = max(ends) + 2.0 * lead if ends else _USUAL
    if args.duration is not None:
        seconds = _duration("--for", args.duration)
    rate = _rate("--rate", args.rate)
    for one in outages:
        if (one.start or 0.0) >= seconds:
            raise MisuseError(f"`--outage`: `{one.name}` goes out after the end", "give `--for` a longer span")
    if rate * seconds > _MOST:
        raise MisuseError(f"{rate * seconds:,.0f} calls would take too long", "lower `--rate`, or `--for`")
    return Asked(
        tuple(outages),
        tuple(map(_latency, args.latency)),
        tuple(map(_tokens, args.tokens)),
        tuple(map(_limit, args.limit)),
        rate,
        seconds,
        args.seed,
    )


def route_of(name: str | None, asked: Asked, core: Core) -> str:
    """Return the route to play: the one that is named, else `chat` or the first that who is out has a target of."""
    if name is not None:
        return core.route(name)[0]
    routes = sorted(core.policy.routes, key=lambda route: route != "chat")
    subjects = [core.switchboard.subject(one.name) for one in asked.outages]
    hit = (route for route in routes if all(_covered(core, route, subject) for subject in subjects))
    found = next(hit, routes[0])
    if len(routes) > 1:
        tell(f"note: of {len(routes)} routes `{found}` is played; `--route` names another")
    return found


def scenario_of(asked: Asked, core: Core, route: str) -> Scenario:
    """Look up who is meant.

    :raises ConfigurationError: a name means nothing in the policy, or nobody in the route.
    """
    spans = [
        OutageSpan(core.switchboard.subject(one.name), one.start or 0.0, one.seconds, one.fault)
        for one in asked.outages
    ]
    for span in spans:
        if span.end > asked.seconds:
            tell(f"note: the calls end before the outage of `{span.subject.name}` does")
    habits = {str(planned.plan.target): Habits() for planned in core.chain(route)}
    for name, first, total in asked.latencies:  # of two words about the same target, the later one holds
        for key in _targets(core, route, name):
            habits[key] = replace(habits[key], first=first, total=total)
    for name, prompt, output in asked.tokens:
        for key in _targets(core, route, name):
            habits[key] = replace(habits[key], prompt=prompt, output=output)
    for name, limit in asked.limits:
        for key in _targets(core, route, name):
            habits[key] = replace(habits[key], limit=limit)
    outages = tuple(sorted(spans, key=lambda span: span.start))
    return Scenario(outages, asked.rate, asked.seconds, habits, asked.seed)


def _targets(core: Core, route: str, name: str) -> list[str]:
    """Return the targets of a route that a name means; no name means all."""
    if not name:
        return [str(planned.plan.target) for planned in core.chain(route)]
    subject = core.switchboard.subject(name)
    found = _covered(core, route, subject)
    if not found:
        raise ConfigurationError(f"{subject.kind} `{name}` has no target in route `{route}`")
    return found


def _covered(core: Core, route: str, subject: OffEntry) -> list[str]:
    moment = datetime.now(UTC)
    return [
        str(one.plan.target)
        for one in core.chain(route)
        if subject.covers(one.plan.target, jurisdiction=one.plan.jurisdiction, at=moment)
    ]


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


def _rate(option: str, text: str) -> float:
    match = _RATE.fullmatch(text)
    rate = float(match[1]) / _PER[match[2]] if match else 0.0
    if not 0.0 < rate < float("inf"):
        raise MisuseError(f"`{option}`: `{text}` is no rate", "write it as in `50/s`, `200/m` or `1000/h`")
    return rate


def _duration(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except MistakeError as mistake:
        raise MisuseError(f"`{option}`: {mistake.message}", mistake.hint) from None
    if not seconds:
        raise MisuseError(f"`{option}`: `{text}` is no time at all")
    return seconds


def _latency(text: str) -> _Latency:
    name, _, times = text.rpartition(":")
    first, _, total = map(_time, times.partition("/"))
    if first is None or not total or first > total:
        raise MisuseError(f"`--latency`: `{text}` is no pair of times, of the first content and the end", _LATENCY)
    return _Latency(name, first, total)


def _tokens(text: str) -> _Tokens:
    name, _, counts = text.rpartition(":")
    match = _COUNTS.fullmatch(counts)
    if match is None:
        raise MisuseError(f"`--tokens`: `{text}` is no pair of numbers, of the prompt and the answer", _TOKENS)
    return _Tokens(name, int(match[1]), int(match[2]))


def _limit(text: str) -> _Limit:
    name, _, rate = text.rpartition(":")
    limit = int(60.0 * _rate("--limit", rate))
    if limit < 1:
        raise MisuseError(f"`--limit`: `{text}` is less than one request a minute")
    return _Limit(name, limit)


def _time(text: str) -> float | None:
    """Read a time with a unit, or in seconds."""
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        return parse_duration(text)
    except MistakeError:
        return None
