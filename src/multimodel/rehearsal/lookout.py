"""When an outage is noticed, and when who was out is used again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..drivers.simulated import SimulatedDriver
from ..engine import End, Ended, Event, Health, Step, TargetPlan
from .scenario import OutageSpan

__all__ = ["Lookout", "Met"]


@dataclass(slots=True)
class Met:
    """An outage, and what was met of it.

    :ivar plans: the targets that are out.
    :ivar attempts: requests that were sent into it, by target.
    :ivar noticed: by target, seconds from its start until a breaker opened.
    :ivar used_again: by target, seconds from its end until an answer began; only where it was noticed.
    """

    span: OutageSpan
    plans: tuple[TargetPlan, ...]
    attempts: Counter[str] = field(default_factory=Counter)
    noticed: dict[str, float] = field(default_factory=dict)
    used_again: dict[str, float] = field(default_factory=dict)


class Lookout:
    """Watches the breakers from the start of an outage until it is noticed, and the answers from its end."""

    def __init__(self, driver: SimulatedDriver, health: Health, outages: list[Met]) -> None:
        self._driver = driver
        self._health = health
        self._unnoticed: list[tuple[Met, TargetPlan]] = []
        self._unused: list[tuple[Met, str]] = []
        for met in outages:
            driver.at(met.span.start, partial(self._begins, met))
            driver.at(met.span.end, partial(self._ends, met))

    def _begins(self, met: Met) -> None:
        self._await([*self._unnoticed, *((met, plan) for plan in met.plans)])

    def _ends(self, met: Met) -> None:
        self._await([pair for pair in self._unnoticed if pair[0] is not met])
        self._unused += [(met, key) for key in met.noticed]

    def _await(self, unnoticed: list[tuple[Met, TargetPlan]]) -> None:
        self._unnoticed = unnoticed
        self._driver.watch = self._saw if unnoticed else None  # which would cost each event of each call

    def _saw(self, _context: Any, event: Event | None, _answer: Step | End | None, now: float) -> None:
        if type(event) is not Ended or event.error is None:
            return
        opened = [pair for pair in self._unnoticed if self._health.state(pair[1], now)[0] == "open"]
        for met, plan in opened:
            met.noticed[plan.key] = now - met.span.start
        if opened:
            self._await([pair for pair in self._unnoticed if pair not in opened])

    def over(self, end: End) -> None:
        """Look at a call that has ended."""
        if not self._unused or end.plan is None:
            return
        key, report = end.plan.key, end.report
        answer = next(attempt for attempt in report.attempts if attempt.outcome == "ok")
        began = self._driver.clock.now - report.duration
        for pair in [pair for pair in self._unused if pair[1] == key]:
            met = pair[0]
            if began + answer.started >= met.span.end and answer.first_content is not None:
                met.used_again[key] = began + answer.first_content - met.span.end
                self._unused.remove(pair)
