"""Stand-ins for tests: a provider in process, and a vendor on a real socket that fails as it is told.

- :class:`FakeProvider` goes into ``Client(policy, providers={…})``; no network at all.
- :class:`FaultyVendor` is a server on loopback that speaks the wires of OpenAI and DashScope, also to the vendors'
  own SDKs; ``faults`` lists what it can be told to do wrong.
"""

from __future__ import annotations

from . import faults
from .answer import Answer, Event, Move, Script
from .fake import FakeProvider
from .faults import Fault
from .reply import Reply, VendorRequest
from .vendor import Connections, FaultyVendor

__all__ = [
    "Answer",
    "Connections",
    "Event",
    "FakeProvider",
    "Fault",
    "FaultyVendor",
    "Move",
    "Reply",
    "Script",
    "VendorRequest",
    "faults",
]
