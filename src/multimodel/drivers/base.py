"""What the blocking and the asyncio driver share: the conversation with the engine."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

from ..engine.settings import TargetPlan
from ..engine.steps import End, Ended, Event, First, Start, Step, ToolShown
from ..errors import CallError, ConfigurationError, MultimodelError, PolicyDeniedError, TruncatedStreamError
from ..types import AnswerEvent, Finished, Restarted, Switched, Target, ToolCallDelta, Usage

__all__ = ["Driver", "Priced", "aclose", "close", "news", "now"]

now = time.monotonic


class Priced(Protocol):
    """Knows what tokens cost."""

    def price(self, plan: TargetPlan, usage: Usage) -> Usage | None:
        """Return ``usage`` with its cost, where that is known; None if it cannot be right."""
        ...


class Driver:
    """Performs one call.

    :param steps: the engine's generator for this call.
    :param lock: the client's lock, held around each step and never across I/O.
    :ivar end: how the call ended, once it has.
    :ivar finished: the terminal event of the answer, if there is one.
    :ivar target: who writes the answer, once its first content came.
    """

    def __init__(self, steps: Generator[Step, Event, End], lock: AbstractContextManager[Any]) -> None:
        self._steps = steps
        self._lock = lock
        self._nothing_yet = True
        self._tool_shown = False
        self.end: End | None = None
        self.finished: Finished | None = None
        self.target: Target | None = None

    def go_on(self, steps: Generator[Step, Event, End]) -> None:
        """Take the next part of a call, of which nothing was shown yet; ``events`` then begins once more."""
        self._steps = steps
        self.end = None

    def _send(self, event: Event | None) -> Step | None:
        """Tell the engine what happened; None means that the call has ended."""
        try:
            with self._lock:
                return next(self._steps) if event is None else self._steps.send(event)
        except StopIteration as stop:
            self.end = stop.value
            return None

    def _milestone(self, event: AnswerEvent, start: Start) -> Restarted | Switched | None:
        """Tell the engine of a lone attempt's first content and first tool call; return what the caller is told."""
        first = self._nothing_yet
        if first:
            self._nothing_yet = False
            self.target = start.plan.target
            self._send(First(now(), start.attempt))
        if type(event) is ToolCallDelta and not self._tool_shown:
            self._tool_shown = True
            self._send(ToolShown(now(), start.attempt))
        return news(start) if first else None

    def _ended(
        self, start: Start, error: MultimodelError | None, finished: Finished | None, prices: Priced
    ) -> Step | None:
        failed: CallError | None = None
        if isinstance(error, ConfigurationError):  # a missing extra or broken weights disable this target only
            failed = PolicyDeniedError(error.message, code="unavailable", hint=error.hint)
        elif isinstance(error, CallError):
            failed = error
            failed.__traceback__ = None  # its frames hold what was sent and what the vendor said
        elif finished is None:
            failed = TruncatedStreamError("the adapter ended without a terminal event")
        if failed is not None or finished is None:
            return self._send(Ended(now(), start.attempt, failed))
        if finished.usage is not None:
            finished.usage = prices.price(start.plan, finished.usage)
        self.finished = finished
        self.target = start.plan.target
        return self._send(Ended(now(), start.attempt, None, finished.usage, finished.request_id))

    def _broken_off(self, attempt: int, error: MultimodelError | None) -> Step | None:
        """Say that an attempt was broken off as told; ``error`` is what it had failed by before that."""
        own = error if isinstance(error, CallError) else None
        return self._send(Ended(now(), attempt, own, cancelled=True))

    def _abort(self, bug: Exception) -> None:
        """Tell the engine that an adapter raised what it must not."""
        with self._lock, suppress(Exception):
            self._steps.throw(bug)

    def _close(self) -> None:
        with self._lock:
            self._steps.close()


def news(start: Start) -> Restarted | Switched | None:
    """Return what the caller is told before the first content of an attempt, if anything."""
    match start.how:
        case "fresh":
            return None
        case "restart":
            return Restarted(start.plan.target)
        case "continue":
            return Switched(start.plan.target)


def close(opened: object) -> None:
    """Close an adapter or its iterator, if it is one that can be closed."""
    end = getattr(opened, "close", None)
    if end is not None:
        end()


async def aclose(opened: object) -> None:
    """Close an adapter or its asynchronous iterator, if it is one that can be closed.

    One that is being closed already, as the event loop does with what was dropped, is left to that.
    """
    end = getattr(opened, "aclose", None)
    if end is not None and not getattr(opened, "ag_running", False):
        await end()
