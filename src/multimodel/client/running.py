"""One call under way: the request, the engine's steps, and the port through which drivers reach targets."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..drivers.base import Driver, now
from ..drivers.transcript import Transcript
from ..engine import Call, End, Event, Start, Step, run
from ..engine.settings import TargetPlan
from ..errors import ConfigurationError, PolicyDeniedError, StreamInterruptedError
from ..observe import emit
from ..providers.derive import async_stream, blocking_stream
from ..types import AnswerEvent, Attempt, Completion, Report, Usage
from .core import Core
from .options import split_options
from .prices import priced
from .request import build_request, needs_of, with_defaults
from .targets import Planned, call_settings

__all__ = ["Running"]


class Running:
    """One call. It is the drivers' port.

    :raises ConfigurationError: an unknown route or target, or a closed client.
    :raises BadRequestError: the request is not valid.
    :raises TypeError: an option that does not exist.
    """

    def __init__(self, core: Core, route: str, messages: object, options: Mapping[str, Any], *, stream: bool) -> None:
        if core.closed:
            raise ConfigurationError("the client is closed", hint="make a new one")
        asked, choices = split_options(options)
        self._core = core
        name, settings = core.route(route)
        self.request = build_request(messages, asked)
        self._metadata = choices.metadata
        needs = needs_of(self.request) | frozenset(settings.requires)
        self.call = Call(name, call_settings(settings, stream=stream, deadline=choices.deadline), now(), stream)
        self._planned: dict[str, Planned] = {}
        plans: list[TargetPlan] = []
        for planned in core.selected(name, choices.only, choices.avoid):
            why = core.obstacle(planned, needs)
            if why is not None:
                self.call.skip(planned.plan.target, *why)
                continue
            self._planned[str(planned.plan.target)] = planned
            plans.append(replace(planned.plan, stream=True) if stream and not planned.plan.stream else planned.plan)
        self.transcript = Transcript()
        self.reading = False
        self.given_up = False
        self.steps: Generator[Step, Event, End] = run(self.call, plans, core.health, core.rng)

    # --- the drivers' port ---

    def open(self, start: Start, clock: Callable[[], float]) -> Iterator[AnswerEvent]:
        """Begin an attempt on the caller's thread."""
        planned = self._allowed(start)
        return blocking_stream(planned.account.reach())(self._attempt(planned, start, clock))

    def aopen(self, start: Start, clock: Callable[[], float]) -> AsyncIterator[AnswerEvent]:
        """Begin an attempt on the running event loop."""
        planned = self._allowed(start)
        return async_stream(planned.account.reach())(self._attempt(planned, start, clock))

    def price(self, plan: TargetPlan, usage: Usage) -> Usage:
        """Return ``usage`` with its cost, where the catalogue knows the price."""
        return priced(usage, self._planned[str(plan.target)].prices)

    def _allowed(self, start: Start) -> Planned:
        """Ask the switches once more, immediately before anything is sent."""
        planned = self._planned[str(start.plan.target)]
        off = self._core.switches.against(planned.plan.target, planned.plan.jurisdiction)
        if off is not None:
            raise PolicyDeniedError(f"switched off: {off.kind} {off.name}", code="off")
        return planned

    def _attempt(self, planned: Planned, start: Start, clock: Callable[[], float]) -> Attempt:
        target = planned.plan.target
        request = with_defaults(self.request, planned.params)
        for vendor in request.extra:
            if vendor not in (target.provider, planned.account.profile.name):
                self.call.note(f"extra options for `{vendor}` were not sent to {target}")
        return Attempt(request, target.model, start.plan.stream, start.limits, clock, self._note(target), start.path)

    def _note(self, target: object) -> Callable[[str], None]:
        return lambda text: self.call.note(f"{target}: {text}")

    # --- the end ---

    @contextmanager
    def read(self) -> Iterator[None]:
        """Know whether the answer is being read, and whether its reader gave it up."""
        self.reading = True
        try:
            yield
        except GeneratorExit:
            self.given_up = True
            raise
        finally:
            self.reading = False

    def check(self, driver: Driver) -> None:
        """Log how the call ended, and raise its error if it has one."""
        end = driver.end
        if end is None:
            raise RuntimeError("the call has not ended")
        self._log(end.report)
        if end.error is not None:
            if isinstance(end.error, StreamInterruptedError):
                end.error.partial = self.transcript.text
            raise end.error

    def completion(self, driver: Driver) -> Completion[Any]:
        """Return the whole answer of a call that ended with one."""
        end, finished = driver.end, driver.finished
        if end is None or end.plan is None or finished is None:
            raise RuntimeError("the call has not ended with an answer")
        said = self.transcript
        return Completion.model_construct(
            text=said.text,
            reasoning=said.reasoning,
            tool_calls=said.tool_calls,
            parsed=None,
            finish_reason=finished.reason,
            usage=finished.usage,
            target=end.plan.target,
            model=finished.model or end.plan.target.model,
            request_id=finished.request_id,
            report=end.report,
        )

    def report(self, end: End | None) -> Report:
        """Return what happened so far; ``outcome`` is ``open`` until the call has ended or was given up."""
        return end.report if end is not None else self.call.report("cancelled" if self.given_up else "open", now())

    def _log(self, report: Report) -> None:
        """One event per attempt that failed, and one per call that did."""
        for attempt in report.attempts:
            if attempt.outcome not in ("ok", "cancelled"):
                level = logging.ERROR if attempt.outcome in _FOR_PEOPLE else logging.WARNING
                emit(
                    level,
                    "multimodel.attempt_failed",
                    route=report.route,
                    target=str(attempt.target),
                    outcome=attempt.outcome,
                    status=attempt.status,
                    code=attempt.code,
                    request_id=attempt.request_id,
                    seconds=round(attempt.duration, 3),
                    metadata=self._metadata,
                )
        if report.outcome != "ok":
            emit(
                logging.ERROR,
                "multimodel.call_failed",
                route=report.route,
                outcome=report.outcome,
                attempts=len(report.attempts),
                skipped=[f"{skip.target}:{skip.reason}" for skip in report.skipped],
                metadata=self._metadata,
            )


_FOR_PEOPLE = frozenset({"authentication", "permission_denied", "quota_exhausted", "model_not_found"})
