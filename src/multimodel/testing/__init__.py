"""Stand-ins for tests: a provider in process, and a vendor on a real socket that fails as it is told.

- :class:`FakeProvider` goes into ``Client(policy, providers={…})``; no network at all.
- :class:`FaultyVendor` is a server on loopback that speaks the wires of OpenAI and DashScope, also to the vendors'
  own SDKs; ``faults`` lists what it can be told to do wrong, ``dynamics`` what comes and goes. With an
  :class:`Authority` it speaks https.
- :class:`Simulation` replays a policy in virtual time against scripted vendors; no network at all, and no waiting.
- :class:`Ledger` joins what the vendors saw with what a client reports.
"""

from __future__ import annotations

from . import dynamics, faults, simulation
from .answer import Answer, Event, Move, Script
from .certificates import Authority
from .fake import FakeProvider
from .faults import Fault
from .ledger import Entry, Ledger
from .reply import Reply, VendorRequest
from .simulation import Simulation, SimulationResult
from .vendor import Connections, FaultyVendor

__all__ = [
    "Answer",
    "Authority",
    "Connections",
    "Entry",
    "Event",
    "FakeProvider",
    "Fault",
    "FaultyVendor",
    "Ledger",
    "Move",
    "Reply",
    "Script",
    "Simulation",
    "SimulationResult",
    "VendorRequest",
    "dynamics",
    "faults",
    "simulation",
]
