"""What an operator sees of a call: log events, and spans and measurements where OpenTelemetry is set up.

What only telemetry needs is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .log import emit
from .telemetry import Telemetry, telemetry
from .unwatched import UNWATCHED, Unwatched

if TYPE_CHECKING:
    from . import conventions
    from .attempts import Peer
    from .content import content
    from .span import CallSpan, mark

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

_HOMES = {"CallSpan": "span", "Peer": "attempts", "content": "content", "mark": "span"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
