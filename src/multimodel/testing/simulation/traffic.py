"""Calls that arrive at random, over one client's health and scripted vendors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

from ...drivers.simulated import Script, SimulatedCall, SimulatedDriver, VirtualClock
from ...engine import Call, CallSettings, Health, Start, TargetPlan, run
from ...rehearsal.vendors import Vendor
from .laws import Laws
from .violations import Violation

__all__ = ["Tally", "Traffic", "Way"]


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which an application calls: a route, and what the call asks for."""

    route: str
    plans: tuple[TargetPlan, ...]
    settings: CallSettings
    stream: bool = False


@dataclass(slots=True)
class Tally:
    """What became of the calls.

    :ivar failed: calls by the kind of their error.
    :ivar attempts: requests on the wire by the key of their plan.
    :ivar added: for each answered call, the seconds before the attempt that answered began.
    """

    calls: int = 0
    answered: int = 0
    cancelled: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)
    added: list[float] = field(default_factory=list)


class Traffic:
    """One run.

    :param ways: draws how the next call is made.
    :param vendors: by the key of their plan.
    :param seed: decides everything.
    :param impatient: share of the calls that are given up within ``patience`` seconds.
    :param tell: called with each violation of a law.
    """

    def __init__(
        self,
        ways: Callable[[Random], Way],
        vendors: Mapping[str, Vendor],
        seed: int,
        *,
        impatient: float = 0.0,
        patience: float = 2.0,
        tell: Callable[[Violation], None] | None = None,
    ) -> None:
        self._ways = ways
        self._vendors = {key: (vendor, Random(f"{seed} {key}")) for key, vendor in vendors.items()}
        self._chance = Random(f"{seed} callers")
        self._rng = Random(f"{seed} engine")
        self._impatient = impatient
        self._patience = patience
        self._left = -1  # it has not begun
        self._gap = 1.0
        self.token = 0
        self.health = Health(Random(f"{seed} health"))
        self.laws = Laws(self.health, tell)
        self.tally = Tally()
        self._clock = VirtualClock()
        self.driver = SimulatedDriver(self._vendor, self._clock, self.laws.saw, self._count)

    def run(self, calls: int, rate: float) -> Tally:
        """Let ``calls`` calls arrive, ``rate`` a second on average, and wait until the last has ended."""
        self._left = calls
        self._gap = 1.0 / rate
        self.driver.plan(0.0, self, self.token, None)
        self.driver.run()
        self.laws.at_rest(self._clock.now)
        return self.tally

    @property
    def busy(self) -> bool:
        """Whether calls have yet to begin or to end."""
        return self._left != 0 or self.health.flying > 0

    def occurs(self, _what: None) -> None:
        """Begin the next call."""
        chance, now = self._chance, self._clock.now
        way = self._ways(chance)
        call = Call(way.route, way.settings, now, way.stream)
        self._left -= 1
        if self._left:
            self.driver.plan(now + chance.expovariate(1.0) * self._gap, self, self.token, None)
        begun = self.driver.begin(run(call, way.plans, self.health, self._rng), self.laws.trace(call, way.plans))
        if self._impatient and chance.random() < self._impatient:
            self.driver.at(now + chance.random() * self._patience, begun.cancel)

    def _vendor(self, start: Start, now: float) -> Script:
        key = start.plan.key
        self.tally.attempts[key] += 1
        vendor, rng = self._vendors[key]
        return vendor(start, now, rng)

    def _count(self, call: SimulatedCall) -> None:
        tally, end = self.tally, call.end
        tally.calls += 1
        if end is None:
            tally.cancelled += 1
        elif end.error is None:
            tally.answered += 1
            tally.added.append(end.report.attempts[-1].started)
        else:
            tally.failed[end.error.kind] += 1
