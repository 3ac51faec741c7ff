"""What the blocking and the asyncio driver share: the conversation with the engine."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

from ..engine.settings import TargetPlan
from ..engine.steps import End, Ended, Event, First, Start, Step, ToolShown
from ..errors import CallError, ConfigurationError, MultimodelError, PolicyDeniedError, TruncatedStreamError
from ..types import AnswerEvent, Finished, ToolCallDelta, Usage

__all__ = ["Driver", "Priced", "now"]

now = time.monotonic


class Priced(Protocol):
    """Knows what tokens cost."""

    def price(self, plan: TargetPlan, usage: Usage) -> Usage:
        """Return ``usage`` with its cost, where that is known."""
        ...


class Driver:
    """Performs one call.

    :param steps: the engine's generator for this call.
    :param lock: the client's lock, held around each step and never across I/O.
    :ivar end: how the call ended, once it has.
    :ivar finished: the terminal event of the answer, if there is one.
    """

    def __init__(self, steps: Generator[Step, Event, End], lock: AbstractContextManager[Any]) -> None:
        self._steps = steps
        self._lock = lock
        self.end: End | None = None
        self.finished: Finished | None = None

    def _send(self, event: Event | None) -> Step | None:
        """Tell the engine what happened; None means that the call has ended."""
        try:
            with self._lock:
                return next(self._steps) if event is None else self._steps.send(event)
        except StopIteration as stop:
            self.end = stop.value
            return None

    def _milestone(self, event: AnswerEvent, attempt: int, *, first: bool, tool: bool) -> tuple[bool, bool]:
        """Tell the engine of an attempt's first content and first tool call; return what it knows now."""
        if not first:
            self._send(First(now(), attempt))
        shown = tool or type(event) is ToolCallDelta
        if shown and not tool:
            self._send(ToolShown(now(), attempt))
        return True, shown

    def _ended(
        self, start: Start, error: MultimodelError | None, finished: Finished | None, prices: Priced
    ) -> Step | None:
        failed: CallError | None = None
        if isinstance(error, ConfigurationError):  # a missing extra or broken weights disable this target only
            failed = PolicyDeniedError(error.message, code="unavailable", hint=error.hint)
        elif isinstance(error, CallError):
            failed = error
        elif finished is None:
            failed = TruncatedStreamError("the adapter ended without a terminal event")
        if failed is not None or finished is None:
            return self._send(Ended(now(), start.attempt, failed))
        if finished.usage is not None:
            finished.usage = prices.price(start.plan, finished.usage)
        self.finished = finished
        return self._send(Ended(now(), start.attempt, None, finished.usage, finished.request_id))

    def _abort(self, bug: Exception) -> None:
        """Tell the engine that an adapter raised what it must not."""
        with self._lock, suppress(Exception):
            self._steps.throw(bug)

    def _close(self) -> None:
        with self._lock:
            self._steps.close()
