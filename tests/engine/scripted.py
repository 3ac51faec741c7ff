"""Scripted vendors for the simulated driver."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from multimodel.drivers.simulated import Script, SimulatedDriver, VirtualClock
from multimodel.engine import Call, CallSettings, End, Health, Start, TargetPlan, run
from multimodel.errors import CallError, error_for
from multimodel.types import Finished, Target, TextDelta, Usage

Vendor = Callable[[Start, float], Script]
USAGE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)


def plan(name: str, **settings: object) -> TargetPlan:
    return TargetPlan(
        **{"target": Target(name, "m"), "key": name, "credential": name, "endpoint": name, **settings}  # type: ignore[arg-type]
    )


def answers(text: str = "fine", after: float = 0.1) -> Script:
    return [(after, TextDelta(text)), (0.1, Finished("stop", USAGE))]


def fails(kind: str, after: float = 0.01, **facts: object) -> Script:
    return [(after, error_for(kind, **facts))]  # type: ignore[arg-type]


def silent() -> Script:
    return [(1e9, TextDelta("too late"))]


class World:
    """One client's health over vendors that are scripted by provider name."""

    def __init__(self, seed: int = 1, **vendors: Vendor | Script) -> None:
        self.clock = VirtualClock()
        self.health = Health(Random(seed))
        self.rng = Random(seed + 1)
        self.vendors = vendors
        self.sent: list[tuple[float, str]] = []

    def call(self, *plans: TargetPlan, stream: bool = False, **settings: object) -> End:
        mode = {"mid_stream": "error" if stream else "unseen", **settings}
        call = Call("chat", CallSettings(**mode), self.clock.now, stream)  # type: ignore[arg-type]
        driver = SimulatedDriver(self._vendor, self.clock)
        self.driver = driver.begin(run(call, plans, self.health, self.rng))
        driver.run()
        assert self.driver.end is not None
        return self.driver.end

    def _vendor(self, start: Start, now: float) -> Script:
        name = start.plan.target.provider
        self.sent.append((now, name))
        vendor = self.vendors[name]
        return vendor(start, now) if callable(vendor) else vendor

    def sent_to(self, name: str) -> int:
        return sum(1 for _, to in self.sent if to == name)


def once(first: Script, then: Script | None = None) -> Vendor:
    """The first attempt gets ``first``, each later one ``then``."""
    left = [first]
    return lambda _start, _now: left.pop() if left else (answers() if then is None else then)


def path(end: End) -> list[tuple[str, str, str]]:
    return [(attempt.target.provider, attempt.reason, attempt.outcome) for attempt in end.report.attempts]


def kinds(error: CallError | None) -> list[str]:
    return [inner.kind for inner in getattr(error, "exceptions", ())]
