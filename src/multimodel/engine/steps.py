"""What passes between the engine and its drivers: values, never changed. They are not frozen, which would cost each call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..errors import CallError
from ..types import AttemptReason, Limits, Report, Usage
from .settings import TargetPlan

__all__ = ["Cancel", "Commit", "End", "Ended", "Event", "First", "Start", "Step", "ToolShown", "Woke"]


@dataclass(slots=True)
class Start:
    """Put a request on the wire.

    :ivar how: ``restart`` when content of an earlier attempt must be thrown away, ``continue`` when the answer goes
        on from what the caller has seen.
    :ivar path: which of the vendor's paths, or None for the catalogue's choice.
    """

    attempt: int
    plan: TargetPlan
    limits: Limits
    reason: AttemptReason
    how: Literal["fresh", "restart", "continue"] = "fresh"
    path: str | None = None


@dataclass(slots=True)
class Cancel:
    """Break an attempt off, close its connection, and send its :class:`Ended`."""

    attempt: int


@dataclass(slots=True)
class Commit:
    """From now on hand the content of this attempt to the caller."""

    attempt: int


@dataclass(slots=True)
class Step:
    """Do this, then send the next event, or :class:`Woke` at ``wake`` if none came before.

    A ``wake`` beside attempts that are under way means that a second one may join them.
    """

    do: Start | Cancel | Commit | None
    wake: float | None = None


@dataclass(slots=True)
class First:
    """The first content of an attempt came."""

    now: float
    attempt: int


@dataclass(slots=True)
class ToolShown:
    """A piece of a tool call was handed to the caller: the answer cannot begin anew any more."""

    now: float
    attempt: int


@dataclass(slots=True)
class Ended:
    """An attempt is over and its connection is closed or given back.

    :ivar error: None for a whole answer.
    :ivar cancelled: it was broken off as told; ``error`` is then what it failed by before that, if it did.
    """

    now: float
    attempt: int
    error: CallError | None = None
    usage: Usage | None = None
    request_id: str | None = None
    cancelled: bool = False


@dataclass(slots=True)
class Woke:
    """The time of ``wake`` has come."""

    now: float


Event: TypeAlias = First | ToolShown | Ended | Woke


@dataclass(slots=True)
class End:
    """How the call ended. ``error`` is None for an answer; ``plan`` is who gave it."""

    report: Report
    plan: TargetPlan | None = None
    error: CallError | None = None
