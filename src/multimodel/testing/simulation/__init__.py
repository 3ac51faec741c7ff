"""A policy, replayed in virtual time against scripted vendors: the shipped engine, no network, no key, no waiting.

- :class:`Simulation` plays many calls of a route and says what became of them.
- Vendors are small callables that compose: :class:`Healthy`, :class:`Outage`, :class:`BrownOut`, :class:`Flap`, …
- Every call is checked against the laws of the engine (``LAWS``); what breaks one is a :class:`Violation`.
"""

from __future__ import annotations

from ...rehearsal.vendors import (
    BrownOut,
    Cuts,
    Failing,
    Flaky,
    Flap,
    Healthy,
    Outage,
    Quota,
    RevokedKey,
    Silent,
    SlowRamp,
    Then,
    Vendor,
)
from .replay import Simulation, SimulationResult
from .violations import LAWS, Violation

__all__ = [
    "LAWS",
    "BrownOut",
    "Cuts",
    "Failing",
    "Flaky",
    "Flap",
    "Healthy",
    "Outage",
    "Quota",
    "RevokedKey",
    "Silent",
    "Simulation",
    "SimulationResult",
    "SlowRamp",
    "Then",
    "Vendor",
    "Violation",
]
