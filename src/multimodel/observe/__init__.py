"""What an operator sees of a call: log events, and spans and measurements where OpenTelemetry is set up."""

from __future__ import annotations

from . import conventions
from .attempts import Peer
from .content import content
from .log import emit
from .span import UNWATCHED, CallSpan, Unwatched, mark
from .telemetry import Telemetry, telemetry

__all__ = [
    "UNWATCHED",
    "CallSpan",
    "Peer",
    "Telemetry",
    "Unwatched",
    "content",
    "conventions",
    "emit",
    "mark",
    "telemetry",
]
