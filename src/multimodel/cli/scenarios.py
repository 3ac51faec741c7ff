"""From arguments to what ``simulate`` plays."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_args

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
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_RATE = re.compile(rf"({_NUMBER.pattern})(?:/([smh]))?", re.ASCII)
_COUNTS = re.compile(r"(\d{1,9})/(\d{1,9})", re.ASCII)
_LEAD = (30.0, 300.0)  # seconds before an outage, at least and at most
_LATER = -1.0  # when calls have come for a while
_USUAL = 600.0


class _Outage(NamedTuple):
    """An outage."""

    name: str
    start: float
    seconds: float
    fault: Fault


class _Habit(NamedTuple):
    """What is said of the targets that a name means; no name means all."""

    name: str
    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """The arguments, read without a policy.

    :ivar habits: later ones hold over those before them.
    """

    outages: tuple[_Outage, ...]
    habits: tuple[_Habit, ...]
    rate: float
    seconds: float
    seed: int


def read(args: Namespace) -> Asked:
    """Read the arguments.

    :raises MisuseError: one of them makes no sense.
    """
    written = [_outage(text) for text in args.outage]
    seconds = None if args.duration is None else _duration("--for", args.duration)
    least, most = _LEAD
    lead = min(most, max(least, max((one.seconds for one in written), default=0.0) / 4.0))
    if seconds is not None:
        lead = min(lead, seconds / 4.0)
    outages = tuple(one if one.start >= 0.0 else one._replace(start=lead) for one in written)
    if seconds is None:
        ends = [one.start + one.seconds for one in outages]
        seconds = max(ends) + 2.0 * lead if ends else _USUAL
    rate = _rate("--rate", args.rate)
    for one in outages:
        if one.start >= seconds:
            raise MisuseError(f"`--outage`: `{one.name}` goes out after the end", "give `--for` a longer span")
    if rate * seconds > _MOST:
        raise MisuseError(f"{rate * seconds:,.0f} calls would take too long", "lower `--rate`, or `--for`")
    return Asked(
        outages,
        (*map(_latency, args.latency), *map(_tokens, args.tokens), *map(_limit, args.limit)),
        rate,
        seconds,
        args.seed,
    )


def route_of(name: str | None, asked: Asked, core: Core) -> str:
    """Return the route to play: the one that is named, else `chat` or the first that who is out has a target of."""
    if name is not None:
        return core.current().route(name)[0]
    routes = sorted(core.policy.routes, key=lambda route: route != "chat")
    subjects = [core.switchboard.meaning(one.name) for one in asked.outages]
    hit = (route for route in routes if all(_covered(core, route, subject) for subject in subjects))
    found = next(hit, routes[0])
    if len(routes) > 1:
        tell(f"note: of {len(routes)} routes `{found}` is played; `--route` names another")
    return found


def scenario_of(asked: Asked, core: Core, route: str) -> Scenario:
    """Look up who is meant.

    :raises ConfigurationError: a name means nothing in the policy, or nobody in the route.
    """
    meaning = core.switchboard.meaning
    spans = [OutageSpan(meaning(one.name), one.start, one.seconds, one.fault) for one in asked.outages]
    for span in spans:
        if span.end > asked.seconds:
            tell(f"note: the calls end before the outage of `{span.subject.name}` does")
    habits = {str(planned.plan.target): Habits() for planned in core.current().chain(route)}
    for name, changes in asked.habits:
        for key in _targets(core, route, name):
            habits[key] = replace(habits[key], **changes)
    outages = tuple(sorted(spans, key=lambda span: span.start))
    return Scenario(outages, asked.rate, asked.seconds, habits, asked.seed)


def _targets(core: Core, route: str, name: str) -> list[str]:
    """Return the targets of a route that a name means; no name means all."""
    if not name:
        return [str(planned.plan.target) for planned in core.current().chain(route)]
    subject = core.switchboard.meaning(name)
    found = _covered(core, route, subject)
    if not found:
        raise ConfigurationError(f"{subject.kind} `{name}` has no target in route `{route}`")
    return found


def _covered(core: Core, route: str, subject: OffEntry) -> list[str]:
    moment = datetime.now(UTC)
    return [
        str(one.plan.target)
        for one in core.current().chain(route)
        if subject.covers(one.plan.target, jurisdiction=one.plan.jurisdiction, at=moment)
    ]


def _outage(text: str) -> _Outage:
    rest, _, last = text.rpartition(":")
    fault: Fault = last if last in _FAULTS else "503"  # type: ignore[assignment]  # it is one of them
    name, _, span = (rest if last in _FAULTS else text).rpartition(":")
    start, plus, length = span.rpartition("+")
    if not name:
        raise MisuseError(f"`--outage`: `{text}` is no name with a span", _OUTAGE)
    try:
        seconds = parse_duration(length)
        begins = parse_duration(start) if plus else _LATER
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


def _latency(text: str) -> _Habit:
    name, _, times = text.rpartition(":")
    first, _, total = map(_time, times.partition("/"))
    if first is None or not total or first > total:
        raise MisuseError(f"`--latency`: `{text}` is no pair of times, of the first content and the end", _LATENCY)
    return _Habit(name, {"first": first, "total": total})


def _tokens(text: str) -> _Habit:
    name, _, counts = text.rpartition(":")
    match = _COUNTS.fullmatch(counts)
    if match is None:
        raise MisuseError(f"`--tokens`: `{text}` is no pair of numbers, of the prompt and the answer", _TOKENS)
    return _Habit(name, {"prompt": int(match[1]), "output": int(match[2])})


def _limit(text: str) -> _Habit:
    name, _, rate = text.rpartition(":")
    limit = int(60.0 * _rate("--limit", rate))
    if limit < 1:
        raise MisuseError(f"`--limit`: `{text}` is less than one request a minute")
    return _Habit(name, {"limit": limit})


def _time(text: str) -> float | None:
    """Read a time with a unit, or in seconds."""
    if _NUMBER.fullmatch(text):
        return float(text)
    try:
        return parse_duration(text)
    except MistakeError:
        return None
