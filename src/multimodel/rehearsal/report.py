"""One rehearsal from its scenario to its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import exp
from typing import Literal

from ..client.core import Core
from ..errors import ConfigurationError
from .figures import Figures, Slot
from .lookout import Met
from .play import Play
from .scenario import FAULTS, SPREAD, Habits, Scenario
from .stage import Stage, set_stage

__all__ = ["OutageFigures", "Phase", "Rehearsal", "TargetFigures", "rehearse"]


@dataclass(frozen=True, slots=True)
class Phase:
    """The calls that began between two instants, in seconds from the start.

    :ivar name: ``before``, ``during``, ``between`` or ``after`` the outages.
    :ivar out: who was out.
    """

    name: Literal["before", "during", "between", "after"]
    start: float
    end: float
    out: tuple[str, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class OutageFigures:
    """What an outage did.

    :ivar kind: what ``name`` is: ``operator``, ``author``, ``provider`` or ``target``.
    :ivar targets: who was out.
    :ivar attempts: requests that were sent into it, by target.
    :ivar noticed: by target, seconds from its start until a breaker opened; those that are missing never did.
    :ivar used_again: by target, seconds from its end until an answer began, where it was noticed.
    """

    kind: str
    name: str
    start: float
    seconds: float
    fault: str
    targets: tuple[str, ...]
    attempts: Mapping[str, int]
    noticed: Mapping[str, float]
    used_again: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TargetFigures:
    """One target of the route, as it was played.

    :ivar habits: what was assumed of it.
    :ivar price: US dollars for one answer by the catalogue's list price; None when it is unknown.
    """

    target: str
    habits: Habits
    price: float | None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What became of a route in a scenario.

    :ivar whole: all calls.
    :ivar phases: the calls before, during and after the outages.
    :ivar timeline: the same, in small steps.
    :ivar reasons: of the calls that no target answered: in how many something was wrong with a target, by what it was.
    :ivar lost: US dollars that attempts without an answer can have cost at most; None when nobody knows.
    :ivar assumptions: what the figures rest on.
    """

    route: str
    rate: float
    seconds: float
    seed: int
    whole: Figures
    phases: tuple[Phase, ...]
    outages: tuple[OutageFigures, ...]
    targets: tuple[TargetFigures, ...]
    reasons: Mapping[str, int]
    lost: float | None
    assumptions: tuple[str, ...]
    timeline: tuple[Phase, ...]


def rehearse(core: Core, route: str, scenario: Scenario) -> Rehearsal:
    """Play a scenario on a route.

    :raises ConfigurationError: there is no such route, no target of it may be asked, or an outage is of nobody in it.
    """
    stage = set_stage(core, route, scenario)
    for span in scenario.outages:
        if not stage.out(span):
            names = ", ".join(f"`{one.plan.key}`" for one in stage.chain)
            what = f"{span.subject.kind} `{span.subject.name}` has no target that route `{stage.route}` asks"
            raise ConfigurationError(what, hint=f"it asks {names}")
    play = Play(stage, scenario)
    play.run()
    slots, prices = play.slots, {key: usage.cost for key, usage in stage.usages.items()}

    def phase(some: Sequence[Slot]) -> Phase:
        start, end, spans = some[0].start, some[-1].end, scenario.outages
        out = {span.subject.name: None for span in spans if span.start < end and start < span.end}
        name: Literal["before", "during", "between", "after"] = "during" if out else "between"
        if all(end <= span.start for span in spans):
            name = "before"
        elif all(span.end <= start for span in spans):
            name = "after"
        return Phase(name, start, end, tuple(out), Figures.of(some, prices))

    unpriced = sum(slot.unpriced for slot in slots)
    return Rehearsal(
        route=stage.route,
        rate=scenario.rate,
        seconds=scenario.seconds,
        seed=scenario.seed,
        whole=Figures.of(slots, prices),
        phases=tuple(phase(list(some)) for _, some in groupby(slots, lambda slot: slot.phase)),
        outages=tuple(map(_outage, play.outages)),
        targets=tuple(TargetFigures(key, stage.habits[key], prices[key]) for key in stage.habits),
        reasons=dict(sum((slot.reasons for slot in slots), Counter[str]())),
        lost=None if unpriced else sum(slot.lost for slot in slots),
        assumptions=tuple(_assumptions(stage, scenario)),
        timeline=tuple(phase([slot]) for slot in slots),
    )


def _outage(met: Met) -> OutageFigures:
    span = met.span
    return OutageFigures(
        span.subject.kind,
        span.subject.name,
        span.start,
        span.seconds,
        span.fault,
        tuple(plan.key for plan in met.plans),
        dict(met.attempts),
        met.noticed,
        met.used_again,
    )


def _assumptions(stage: Stage, scenario: Scenario) -> Iterator[str]:
    """What the figures rest on, for people."""
    yield "calls are `complete()`, by one process with its own breakers; they come at random"
    yield f"times of a target are medians; one answer in twenty takes {_TAIL:.1f} times as long, or longer"
    for fault in dict.fromkeys(span.fault for span in scenario.outages):
        yield f"outage `{fault}`: {FAULTS[fault]}; what is under way when it begins is finished"
    yield "nothing else fails, and vendors refuse nothing for its rate but where a limit is given"
    for key, habits in stage.habits.items():
        if habits.limit is not None:
            yield f"{key} takes {habits.limit:,} requests in any minute, and says how long the others are to wait"
        if habits.rows is not None:
            yield f"{key} writes {habits.rows} answers at a time, {habits.queue} requests wait; its weights are loaded"
    yield "prices are the catalogue's list prices"
    for target, why in stage.lent:
        yield f"{target} is played, though from here it cannot be asked: {why}"
    for target, why in stage.left_out:
        yield f"{target} is left out: {why}"
    if stage.settings.shadow is not None:
        yield "the shadow is left out"


_TAIL = exp(1.645 * SPREAD)
"""The 95th percentile of a lognormal distribution, as a multiple of its median."""
