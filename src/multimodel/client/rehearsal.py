"""A call that is not made: the engine decides it in virtual time, on a copy of what the client knows."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ..drivers.simulated import Script, SimulatedDriver, VirtualClock
from ..engine import Call, Health, Start, TargetPlan, run
from ..types import Report, TextDelta

__all__ = ["unanswered"]

_NEVER = 1e12


def unanswered(call: Call, plans: Sequence[TargetPlan], health: Health, rng: Random) -> Report:
    """Return what becomes of ``call`` when every target that is asked stays silent.

    :param health: a copy that may be changed.
    """
    driver = SimulatedDriver(_silent, VirtualClock(call.started))
    begun = driver.begin(run(call, plans, health, rng))
    driver.run()
    if begun.end is None:
        raise RuntimeError("the rehearsal has not ended")
    return begun.end.report


def _silent(_start: Start, _now: float) -> Script:
    return ((_NEVER, TextDelta("")),)
