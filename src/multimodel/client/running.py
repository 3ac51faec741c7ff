"""One call under way: the request, the engine's steps, the port for the drivers, and how it ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from ..config.residency import Residency
from ..drivers.base import Driver, now
from ..drivers.transcript import Transcript
from ..engine import Call, CallSettings, End, Event, Step, TargetPlan, Turn, run
from ..errors import BadRequestError, ConfigurationError, StreamInterruptedError
from ..observe import emit
from ..types import Completion, ReasoningPart, Report, Request, Segment, Target
from ..types.schema import partial_json
from ..wire.history import tool_ids
from .core import Core
from .cost import CostAtMost
from .entered import Entered
from .needs import Demand
from .options import Choices, split_options
from .port import Port
from .request import build_request, can_go_on, has_effects, needs_of, with_defaults
from .snapshot import chosen
from .structured import Judge, Partials, expected, shape_for
from .targets import Planned, drawn, without_keys

__all__ = ["Running", "log_report"]


class Running(Entered):
    """One call. It is entered as a context manager where all of it happens on one stack.

    :raises ConfigurationError: an unknown route or target, or a closed client.
    :raises BadRequestError: the request is not valid.
    :raises TypeError: an option that does not exist.
    """

    def __init__(
        self,
        core: Core,
        route: str,
        messages: object,
        options: Mapping[str, Any],
        *,
        stream: bool,
        response_model: Any = None,
    ) -> None:
        if core.closed:
            raise ConfigurationError("the client is closed", hint="make a new one")
        asked, choices = split_options(options)
        held = core.current()
        name, settings = held.route(route)
        shape, tools = shape_for(response_model, asked), asked.get("tools")
        request = build_request(messages, asked)
        what = expected(request, shape, tools)
        self._metadata = {**core.metadata, **choices.metadata} if core.metadata else choices.metadata
        needs = needs_of(request)
        limits = held.limits(name, stream=stream, deadline=choices.deadline)
        if stream and choices.mid_stream is not None:
            limits = replace(limits, mid_stream=choices.mid_stream)
        super().__init__(core, "stream" if stream else "complete")
        limits = _allowed(limits, [request, *(with_defaults(request, params) for params in held.telling(name))])
        self.call = Call(name, limits, now(), stream, policy=held.version)
        able = self._able(held.selected(name, choices.only, choices.avoid), request, needs, choices.residency)
        if settings.traffic:
            able = drawn(able, settings.traffic, core.rng)
        self.transcript = Transcript(tool_ids(request.messages))
        self._copy: Callable[[], None] | None = None
        self._watch(self.call, request, able, partial(_content, request, self.transcript))
        self.reading = False
        self.given_up = False
        self.port = Port(self.call, request, able, core.switches, self.transcript)
        self.port.vendor_of = held.accounts.vendor
        plans: list[TargetPlan] = [planned.plan for planned in able]
        if stream:
            plans = [plan if plan.stream else replace(plan, stream=True) for plan in plans]
        self._judge: Judge | None = None
        if what is not None:
            self._judge = Judge(self.call, what, settings.on_invalid_output, plans, core.refused_schemas)
            self.port.amended, self.port.refused = self._judge.amended, core.refused_schemas
        self.call.cost_at_most = CostAtMost(request, able, self.transcript, self.port.amended)
        if settings.budget is not None:
            self.call.budget = core.budget(name, settings.budget)
        self.steps: Generator[Step, Event, End] = run(self.call, plans, core.health, core.rng)
        shadow = None if limits.effects else held.shadow(name)
        if shadow is not None and self._may_listen(shadow, needs, choices):
            self._copy = partial(
                core.shadows.offer, name, settings, request, shadow, self._metadata, self.span, self._ledger
            )

    def _able(
        self, chain: Iterable[Planned], request: Request, needs: frozenset[str], rule: Residency | None
    ) -> list[Planned]:
        """Return the targets that may be asked; the others are skipped, with the reason."""
        able: list[Planned] = []
        demand = Demand(request)
        for planned in chain:
            if rule is not None and planned.fetch_media:  # addresses of media are anywhere
                planned = replace(planned, fetch_media=False)  # noqa: PLW2901  # the same target, for this call
            why = self._core.obstacle(planned, needs, rule) or demand.misfit(planned)
            if why is None:
                able.append(planned)
            else:
                self.call.skip(planned.plan.target, *why)
        if not able and demand.unpaired is not None:
            raise BadRequestError(demand.unpaired, hint="nothing was sent; mend the conversation")
        return able

    def _may_listen(self, shadow: Planned, needs: frozenset[str], choices: Choices) -> bool:
        wanted = chosen(shadow, choices.only, choices.avoid)
        return wanted and self._core.obstacle(shadow, needs, choices.residency) is None

    def begin(self) -> None:
        """Offer a copy to the route's shadow, now that the call is made."""
        if self._copy is not None:
            self._copy()

    def goes_on(self, driver: Driver) -> bool:
        """Judge how the call, or a part of it, ended; where it goes on, ``steps`` are the next part's."""
        if self._judge is None:
            return False
        plans = self._judge.further(driver, self.transcript, now())
        if plans:
            reask = plans[0].target in self._judge.asked_again
            anew = self.call.stream  # of which nothing was shown
            self.steps = run(self.call, plans, self._core.health, self._core.rng, now(), reask=reask, anew=anew)
        return bool(plans)

    def recovers(self, driver: Driver) -> bool:
        """Say whether a stream goes on that was refused before anything of it was shown; the driver then does so."""
        end = driver.end
        if end is None or end.error is None or driver.target is not None or not self.goes_on(driver):
            return False
        driver.go_on(self.steps)
        return True

    # --- the end ---

    @contextmanager
    def read(self) -> Iterator[None]:
        """Know whether the answer is being read, and whether its reader gave it up: an end of the call goes before that."""
        self.reading = True
        self.span.begin()
        try:
            yield
        except BaseException as error:
            self.span.give_up(error)
            raise
        finally:
            self.reading = False
            self.given_up = True
            self.over()

    def check(self, driver: Driver) -> None:
        """Log how the call ended, and raise its error if it has one."""
        end = driver.end
        if end is None:
            raise RuntimeError("the call has not ended")
        log_report(end.report, self._metadata, self.call.turns)
        self.span.end(end.report, driver.finished)
        without_keys(self.call.errors, self.port.planned)
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
        return Completion(
            text=said.text,
            reasoning=said.reasoning,
            tool_calls=said.tool_calls,
            parsed=None if self._judge is None else self._judge.parsed(end, finished, said),
            finish_reason=finished.reason,
            usage=finished.usage,
            target=end.plan.target,
            model=finished.model or end.plan.target.model,
            request_id=finished.request_id,
            report=end.report,
            segments=self._segments(end.report) if said.seams else (),
            sealed=_signed(finished.sealed, end.plan.target) if finished.sealed else (),
        )

    def partials(self) -> Partials:
        """Return a reader of the answer while it comes."""
        return Partials(partial_json) if self._judge is None else self._judge.partials()

    def _segments(self, report: Report) -> tuple[Segment, ...]:
        """Who wrote what: each attempt that the caller saw something of went on where the one before it broke."""
        ends = [0, *self.transcript.seams, len(self.transcript.text)]
        shown = [attempt.target for attempt in report.attempts if attempt.committed]
        return tuple(
            Segment(target, start, end)
            for target, (start, end) in zip(shown, pairwise(ends), strict=False)
            if start < end
        )

    def report(self, end: End | None) -> Report:
        """Return what happened so far; ``outcome`` is ``open`` until the call has ended or was given up."""
        return end.report if end is not None else self.call.report("cancelled" if self.given_up else "open", now())


def _allowed(limits: CallSettings, requests: Sequence[Request]) -> CallSettings:
    """Return the limits as what the targets of a call are asked allows them."""
    if any(map(has_effects, requests)):
        limits = replace(limits, effects=True)
    if limits.mid_stream == "continue" and not all(map(can_go_on, requests)):
        limits = replace(limits, mid_stream="error")
    return limits


def _content(request: Request, said: Transcript) -> Mapping[str, Any]:
    from ..observe.content import content

    return content(request, said.text, said.reasoning, said.tool_calls)


def _signed(sealed: tuple[ReasoningPart, ...], target: Target) -> tuple[ReasoningPart, ...]:
    """Return what was thought with the name of who thought it."""
    return tuple(part.model_copy(update={"origin": str(target)}) for part in sealed)


def log_report(report: Report, metadata: Mapping[str, str], turns: Sequence[tuple[Target, Turn]]) -> None:
    """One event per attempt that failed, per breaker that turned, and per call that failed."""
    for attempt in report.attempts:
        if attempt.outcome not in ("ok", "cancelled", "lost"):
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
                metadata=metadata,
            )
    for target, turn in turns:
        emit(
            logging.WARNING if turn.after == "open" else logging.INFO,
            "multimodel.breaker",
            route=report.route,
            target=str(target),
            scope=turn.scope,
            before=turn.before,
            after=turn.after,
            cause=turn.cause,
            seconds=None if turn.opens_for is None else round(turn.opens_for, 3),
        )
    if report.outcome != "ok":
        emit(
            logging.ERROR,
            "multimodel.call_failed",
            route=report.route,
            outcome=report.outcome,
            attempts=len(report.attempts),
            skipped=[f"{skip.target}:{skip.reason}" for skip in report.skipped],
            metadata=metadata,
        )


_FOR_PEOPLE = frozenset({"authentication", "permission_denied", "quota_exhausted", "model_not_found"})
