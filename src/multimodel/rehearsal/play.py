"""The calls of a rehearsal: they come at random, and the shipped engine routes them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from random import Random

from ..client.cost import CostAtMost, budget_settings
from ..client.targets import call_settings, drawn
from ..drivers.simulated import Script, SimulatedCall, SimulatedDriver, VirtualClock
from ..engine import Call, Health, Start, TargetPlan, run
from ..engine.budget import Budget, Spendings
from ..types import Request
from .actors import Actor
from .figures import Slot, slots_of
from .lookout import Lookout, Met
from .scenario import Scenario
from .stage import Stage

__all__ = ["Play"]

_STEPS = 10  # of progress
_CHARACTERS = 4  # a token, for what a budget sets aside
_DAY = 86_400.0


class Play:
    """One rehearsal.

    :ivar slots: what became of the calls that began in each part of the time.
    :ivar outages: what was met of each outage.
    """

    def __init__(self, stage: Stage, scenario: Scenario) -> None:
        self._stage = stage
        self._scenario = scenario
        self.outages = [Met(span, tuple(one.plan for one in stage.out(span))) for span in scenario.outages]
        self.slots = slots_of(scenario)
        self._starts = [slot.start for slot in self.slots]
        self._actors = {key: (self._actor(key), Random(f"{scenario.seed} {key}")) for key in stage.habits}
        self._plans = [one.plan for one in stage.chain]
        self._settings = call_settings(stage.settings, stream=False)
        budget = stage.settings.budget
        self._budget = None if budget is None else budget_settings(budget)
        self._spendings = Spendings()
        prompt = "x" * _CHARACTERS * max(1, *(habits.prompt for habits in stage.habits.values()))
        self._cost_at_most = CostAtMost(Request.model_validate({"messages": prompt}), stage.chain)
        self._chance = Random(f"{scenario.seed} callers")
        self._rng = Random(f"{scenario.seed} engine")
        self._health = Health(Random(f"{scenario.seed} health"))
        self._clock = VirtualClock()
        self._driver = SimulatedDriver(self._vendor, self._clock, over=self._over)
        self._lookout = Lookout(self._driver, self._health, self.outages)
        self.token = 0

    def run(self) -> None:
        """Play it to the end: until the last call that began in its time is over."""
        progress, seconds = self._scenario.progress, self._scenario.seconds
        if progress is not None:
            for step in range(1, _STEPS):
                self._driver.at(seconds * step / _STEPS, partial(progress, step / _STEPS))
        self._driver.plan(self._gap(), self, self.token, None)
        self._driver.run()

    def occurs(self, _what: None) -> None:
        """Begin a call, and plan the next one."""
        now = self._clock.now
        if now >= self._scenario.seconds:
            return
        self._driver.plan(now + self._gap(), self, self.token, None)
        slot = self.slots[bisect_right(self._starts, now) - 1]
        slot.calls += 1
        call = Call(self._stage.route, self._settings, now, stream=False, cost_at_most=self._cost_at_most)
        if self._budget is not None:
            call.budget = Budget(self._budget, self._spendings.today((None, call.route), int(now // _DAY)))
        self._driver.begin(run(call, self._chain(), self._health, self._rng), slot)

    def _actor(self, key: str) -> Actor:
        outages = [met for met in self.outages if key in (plan.key for plan in met.plans)]
        return Actor(self._stage.habits[key], self._stage.usages[key], outages)

    def _gap(self) -> float:
        return self._chance.expovariate(self._scenario.rate)

    def _chain(self) -> Sequence[TargetPlan]:
        traffic = self._stage.settings.traffic
        return [one.plan for one in drawn(self._stage.chain, traffic, self._chance)] if traffic else self._plans

    def _vendor(self, start: Start, now: float) -> Script:
        actor, rng = self._actors[start.plan.key]
        return actor(start, now, rng)

    def _over(self, call: SimulatedCall) -> None:
        slot: Slot = call.context
        if call.end is not None:
            slot.take(call.end)
            self._lookout.over(call.end)
