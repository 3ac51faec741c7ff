"""The span of one call, and those of its attempts.

1. The span of a call lasts as long as the call; its parent is what was active where the call was made.
2. The spans of its attempts are written at its end, from its report: they say what the report says, whichever thread
   or task an attempt ran in.
3. Nothing is raised: a sampler, a processor or an exporter that fails costs no answer.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from typing_extensions import override

from ..engine import Call
from ..errors import CallError
from ..types import AttemptRecord, Finished, Report, Target
from . import conventions as names
from .attempts import QUIET, Peer, attributes_of, measure, seconds_of
from .telemetry import Telemetry
from .unwatched import Unwatched

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.trace import Link, Span, Tracer

__all__ = ["CallSpan", "mark"]


class CallSpan(Unwatched):
    """The span of one call. Inside its ``with`` block it is the active one.

    :param operation: ``chat`` or ``embeddings``.
    :param peer: tells of a target of the call.
    :param policy: what tells the policy in force from others.
    :param content: tells what was asked and answered; it is called only where that is captured.
    :param origin: of a shadow's copy, what it is linked to.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        operation: str,
        call: Call,
        peer: Callable[[Target], Peer],
        policy: str,
        content: Callable[[], Mapping[str, Any]] = dict,
        origin: Sequence[Link] | None = None,
    ) -> None:
        from opentelemetry import context

        self._content = content
        self._telemetry = telemetry
        self._operation = operation
        self._call = call
        self._peer = peer
        self._policy = policy
        self._origin = origin
        self._context = context.get_current() if origin is None else context.Context()
        self._span: Span | None = None
        self._zero = 0
        self._token: Any = None
        self._over = False

    @override
    def begin(self) -> None:
        if self._telemetry.tracer is not None:
            with suppress(Exception):
                self._begin(self._telemetry.tracer)

    def _begin(self, tracer: Tracer) -> None:
        from opentelemetry.trace import set_span_in_context

        self._zero = time.time_ns() - _nanoseconds(time.monotonic() - self._call.started)
        said: dict[str, Any] = {
            names.OPERATION: self._operation,
            names.REQUEST_MODEL: self._call.route,
            names.ROUTE: self._call.route,
        }
        if self._origin is not None:
            said[names.SHADOW] = True
        name = f"{self._operation} {self._call.route}"
        self._span = tracer.start_span(name, self._context, attributes=said, links=self._origin, start_time=self._zero)
        self._context = set_span_in_context(self._span, self._context)

    @override
    def end(self, report: Report, finished: Finished | None) -> None:
        if self._over:
            return
        self._over = True
        if self._telemetry.instruments is not None:
            with suppress(Exception):
                measure(
                    self._telemetry.instruments, self._operation, report, self._peer, shadow=self._origin is not None
                )
        if self._span is not None:
            with suppress(Exception):
                self._write(self._span, report, finished)
            with suppress(Exception):
                self._span.end(self._at(report.duration))
        if self._telemetry.logger is not None:
            with suppress(Exception):
                self._log(self._telemetry.logger, finished)

    def _write(self, span: Span, report: Report, finished: Finished | None) -> None:
        from opentelemetry.trace import StatusCode

        if not span.is_recording():
            return
        answered = next((one for one in reversed(report.attempts) if one.outcome == "ok"), None)
        said: dict[str, Any] = {
            names.ATTEMPTS: len(report.attempts),
            names.SKIPPED: [f"{skip.target}:{skip.reason}" for skip in report.skipped],
            names.POLICY: self._policy,
            **(self._texts() if self._telemetry.content else {}),
        }
        if answered is not None and report.outcome == "ok":
            said[names.TARGET] = str(answered.target)
            said[names.RESPONSE_MODEL] = (finished and finished.model) or answered.target.model
        if report.outcome != "ok":
            said[names.ERROR] = report.outcome
        span.set_attributes(said)
        if report.outcome not in ("ok", *QUIET):
            span.set_status(StatusCode.ERROR)
        for target, turn in self._call.turns:
            happened = {"target": str(target), "scope": turn.scope, "from": turn.before, "to": turn.after}
            if turn.cause is not None:
                happened["reason"] = turn.cause
            span.add_event(names.BREAKER, happened, self._at(turn.now - self._call.started))
        for record in report.attempts:
            self._attempt(report, record, finished if record is answered else None)

    def _texts(self) -> dict[str, str]:
        from pydantic_core import to_json

        return {name: to_json(value).decode() for name, value in self._content().items()}

    def _log(self, logger: Logger, finished: Finished | None) -> None:
        content = self._content()
        if content:
            said = {names.OPERATION: self._operation, names.REQUEST_MODEL: self._call.route, **content}
            if finished is not None:
                said[names.FINISH_REASONS] = [finished.reason]
            logger.emit(event_name=names.DETAILS, attributes=said, context=self._context)

    def _attempt(self, report: Report, record: AttemptRecord, finished: Finished | None) -> None:
        from opentelemetry.trace import SpanKind, StatusCode

        tracer = self._telemetry.tracer
        assert tracer is not None
        peer = self._peer(record.target)
        begun, ended = seconds_of(record, report)
        span = tracer.start_span(
            f"{self._operation} {record.target.model}",
            self._context,
            SpanKind.INTERNAL if peer.here else SpanKind.CLIENT,
            attributes_of(self._operation, record, finished, peer),
            start_time=self._at(begun),
        )
        if record.outcome not in ("ok", *QUIET):
            span.set_status(StatusCode.ERROR)
        span.end(self._at(ended))

    def _at(self, seconds: float) -> int:
        """Return the instant so many seconds after the call began, on the clock of spans."""
        return self._zero + _nanoseconds(seconds)

    @override
    def give_up(self, error: BaseException | None) -> None:
        if self._over:
            return
        outcome = "cancelled"
        if isinstance(error, Exception):
            outcome = error.kind if isinstance(error, CallError) else type(error).__name__
        self.end(self._call.report(outcome, time.monotonic()), None)

    @override
    def shadow(self, call: Call, peer: Callable[[Target], Peer]) -> CallSpan:
        from opentelemetry.trace import Link

        links = [] if self._span is None else [Link(self._span.get_span_context())]
        return CallSpan(self._telemetry, self._operation, call, peer, self._policy, origin=links)

    @override
    def __enter__(self) -> Self:
        self.begin()
        if self._span is not None:
            from opentelemetry import context

            self._token = context.attach(self._context)
        return self

    @override
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.give_up(error)
        if self._token is not None:
            from opentelemetry import context

            context.detach(self._token)


def mark(event: str, said: Mapping[str, str | None]) -> None:
    """Put an event on the active span of the application, if there is one."""
    if "opentelemetry.trace" in sys.modules:
        with suppress(Exception):
            from opentelemetry.trace import get_current_span

            get_current_span().add_event(event, {name: value for name, value in said.items() if value})


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 10**9)
