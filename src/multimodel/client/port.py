"""How drivers reach the targets of one call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..drivers.base import aclose, close
from ..drivers.overlap import Overlap
from ..drivers.transcript import Transcript
from ..engine import Call, Start
from ..engine.settings import TargetPlan
from ..errors import PolicyDeniedError
from ..governance.switches import Switches
from ..providers.derive import async_stream, blocking_stream
from ..types import AnswerEvent, Attempt, ReasoningDelta, Request, TextDelta, Usage
from .prices import priced
from .request import continued, with_defaults
from .targets import Planned

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Port"]


class Port:
    """The way from an engine's ``Start`` to an adapter's events.

    :param planned: the targets that may be asked.
    :param transcript: what the caller has seen, for an answer that another target goes on with.
    :param given_up: whether nobody waits any more for what runs on a thread of its own.
    """

    def __init__(
        self,
        call: Call,
        request: Request,
        planned: Sequence[Planned],
        switches: Switches,
        transcript: Transcript,
        given_up: Callable[[], bool] | None = None,
    ) -> None:
        self._call = call
        self._request = request
        self._planned = planned
        self._switches = switches
        self._transcript = transcript
        self._given_up = given_up

    def open(
        self, start: Start, now: Callable[[], float], given_up: Callable[[], bool] | None = None
    ) -> Iterator[AnswerEvent]:
        """Begin an attempt on the caller's thread."""
        planned = self._allowed(start)
        events = blocking_stream(planned.account.reach())(
            self._attempt(planned, start, now, given_up or self._given_up)
        )
        return events if start.how != "continue" else _joined(events, Overlap(self._transcript.text))

    def aopen(self, start: Start, now: Callable[[], float]) -> AsyncIterator[AnswerEvent]:
        """Begin an attempt on the running event loop."""
        planned = self._allowed(start)
        events = async_stream(planned.account.reach())(self._attempt(planned, start, now, None))
        return events if start.how != "continue" else _ajoined(events, Overlap(self._transcript.text))

    def price(self, plan: TargetPlan, usage: Usage) -> Usage:
        """Return ``usage`` with its cost, where the catalogue knows the price."""
        return priced(usage, self._find(plan).prices)

    def _find(self, plan: TargetPlan) -> Planned:
        return next(one for one in self._planned if one.plan.target is plan.target)

    def _allowed(self, start: Start) -> Planned:
        """Ask the switches once more, immediately before anything is sent."""
        planned = self._find(start.plan)
        off = self._switches.against(planned.plan.target, planned.plan.jurisdiction)
        if off is not None:
            raise PolicyDeniedError(f"switched off: {off.kind} {off.name}", code="off")
        return planned

    def _attempt(
        self, planned: Planned, start: Start, now: Callable[[], float], given_up: Callable[[], bool] | None
    ) -> Attempt:
        target = planned.plan.target
        request = with_defaults(self._request, planned.params)
        if start.how == "continue":
            request = continued(request, self._transcript.text)
        for vendor in request.extra:
            if vendor not in (target.provider, planned.account.profile.name):
                self._call.note(f"extra options for `{vendor}` were not sent to {target}")
        return Attempt(
            request, target.model, start.plan.stream, start.limits, now, self._note(target), start.path, given_up
        )

    def _note(self, target: object) -> Callable[[str], None]:
        return lambda text: self._call.note(f"{target}: {text}")


def _joined(events: Iterator[AnswerEvent], seam: Overlap) -> Generator[AnswerEvent, None, None]:
    try:
        for event in events:
            yield from _trimmed(event, seam)
    finally:
        close(events)


async def _ajoined(events: AsyncIterator[AnswerEvent], seam: Overlap) -> AsyncIterator[AnswerEvent]:
    try:
        async for event in events:
            for one in _trimmed(event, seam):
                yield one
    finally:
        await aclose(events)


def _trimmed(event: AnswerEvent, seam: Overlap) -> Iterator[AnswerEvent]:
    if isinstance(event, ReasoningDelta):  # says nothing about where the text goes on
        yield event
        return
    text = seam.add(event.text) if isinstance(event, TextDelta) else seam.close()
    if text:
        yield TextDelta(text)
    if not isinstance(event, TextDelta):
        yield event
