"""How drivers reach the targets of one call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..drivers.base import aclose, close
from ..drivers.overlap import Overlap
from ..drivers.transcript import Transcript
from ..engine import Call, Start
from ..engine.settings import TargetPlan
from ..errors import PolicyDeniedError
from ..governance.switches import Switches
from ..providers.base import CHECK
from ..providers.derive import async_stream, blocking_stream
from ..providers.pricing import priced
from ..types import AnswerEvent, Attempt, Message, ReasoningDelta, Request, Target, TextDelta, Usage
from ..wire.schemas import fitted
from .cost import held_to
from .history import VendorOf, own_thinking
from .media import Media
from .prompts import prompted
from .request import continued, with_defaults
from .targets import Planned

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Port", "Reach"]

_MOST = 2**53  # tokens; no float counts further, and no database much


class Reach:
    """The targets of one call that may be asked.

    :ivar planned: those targets.
    """

    def __init__(self, call: Call, planned: Sequence[Planned], switches: Switches) -> None:
        self._call = call
        self.planned = planned
        self._switches = switches

    def price(self, plan: TargetPlan, usage: Usage) -> Usage | None:
        """Return ``usage`` with its cost, where the catalogue knows the price; None of counts that no answer can have."""
        parts = usage.cached_tokens or 0, usage.reasoning_tokens or 0
        counts = usage.input_tokens, usage.output_tokens, usage.total_tokens, *parts
        if min(counts) < 0 or max(counts) > _MOST:
            return None
        return priced(usage, self._find(plan).prices)

    def _find(self, plan: TargetPlan) -> Planned:
        target = plan.target
        for one in self.planned:
            if one.plan.target is target:
                return one
        raise LookupError(f"{target} is not of this call")

    def _allowed(self, start: Start) -> Planned:
        """Ask the switches once more, immediately before anything is sent."""
        planned = self._find(start.plan)
        off = self._switches.against(planned.plan.target, planned.plan.jurisdiction)
        if off is not None:
            raise PolicyDeniedError(f"switched off: {off.kind} {off.name}", code="off")
        return planned

    def _check(self, planned: Planned, now: Callable[[], float]) -> Callable[[], None]:
        """Return what raises once a target was cut off; it looks twice a second at most, and has just been asked."""
        target, jurisdiction, look_at = planned.plan.target, planned.plan.jurisdiction, now() + CHECK

        def check() -> None:
            nonlocal look_at
            moment = now()
            if moment < look_at:
                return
            look_at = moment + CHECK
            off = self._switches.cuts(target, jurisdiction)
            if off is not None:
                raise PolicyDeniedError(f"cut off: {off.kind} {off.name}", kind="policy_denied.cut", code="off")

        return check

    def _note(self, target: object) -> Callable[[str], None]:
        return lambda text: self._call.note(f"{target}: {text}")


class Port(Reach):
    """The way from an engine's ``Start`` to an adapter's events.

    :param planned: the targets that may be asked.
    :param transcript: what the caller has seen, for an answer that another target goes on with.
    :param given_up: whether nobody waits any more for what runs on a thread of its own.
    :ivar vendor_of: profile and operator of a provider, for the thinking that a conversation brings along.
    :ivar amended: by target, what is said after the conversation.
    :ivar refused: keys of targets that refuse schemas.
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
        super().__init__(call, planned, switches)
        self._request = request
        self._transcript = transcript
        self._given_up = given_up
        self._media = Media()
        self.vendor_of: VendorOf = lambda _name: None
        self.amended: Mapping[Target, tuple[Message, ...]] = {}
        self.refused: Collection[str] = ()

    def open(
        self, start: Start, now: Callable[[], float], given_up: Callable[[], bool] | None = None
    ) -> Iterator[AnswerEvent]:
        """Begin an attempt on the caller's thread."""
        planned = self._allowed(start)
        stream = blocking_stream(planned.account.reach())
        attempt = self._attempt(planned, start, now, given_up or self._given_up)
        media = self._media.wanted(attempt.request, planned)
        allowed = partial(self._allowed, start)
        events = self._media.blocking(stream, attempt, media, allowed) if media else stream(attempt)
        return events if start.how != "continue" else _joined(events, Overlap(self._transcript.text))

    def aopen(self, start: Start, now: Callable[[], float]) -> AsyncIterator[AnswerEvent]:
        """Begin an attempt on the running event loop."""
        planned = self._allowed(start)
        stream = async_stream(planned.account.reach())
        attempt = self._attempt(planned, start, now, None)
        media = self._media.wanted(attempt.request, planned)
        allowed = partial(self._allowed, start)
        events = self._media.asynchronous(stream, attempt, media, allowed) if media else stream(attempt)
        return events if start.how != "continue" else _ajoined(events, Overlap(self._transcript.text))

    def _attempt(
        self, planned: Planned, start: Start, now: Callable[[], float], given_up: Callable[[], bool] | None
    ) -> Attempt:
        target = planned.plan.target
        request = with_defaults(self._request, planned.params)
        if self._call.budget is not None and (most := held_to(request, planned)) is not None:
            request = request.model_copy(update={"max_tokens": most})
            self._call.note(f"{target}: the answer was held to {most} tokens, with which the budget reckons")
        if planned.prompt is not None:
            request = prompted(request, planned.prompt.text)
            self._call.note(f"{target}: system text of `{planned.prompt_of}`, `{planned.prompt.file.name}`")
        if start.how == "continue":
            request = continued(request, self._transcript.text)
        lose = partial(self._call.lose, target)
        request = own_thinking(self._asked(request, planned), planned, self.vendor_of, lose)
        for vendor in request.extra:
            if vendor not in (target.provider, planned.account.profile.name):
                lose(f"extra.{vendor}", "options of another vendor were not sent")
        return Attempt(
            request,
            target.model,
            start.plan.stream,
            start.limits,
            now,
            self._note(target),
            start.path,
            given_up,
            lose,
            self._check(planned, now),
            planned.account.hosts,
        )

    def _asked(self, request: Request, planned: Planned) -> Request:
        """Return the request in the form that the target can be asked in now."""
        plan = planned.plan
        again, lacks = self.amended.get(plan.target), plan.lacks
        if again is not None:
            request = request.model_copy(update={"messages": (*request.messages, *again)})
        if plan.key in self.refused:
            facts = planned.account.profile.facts(plan.target.model)
            object_works = facts is not None and "json_object" in facts.features
            lacks |= {"json_schema"} if object_works else {"json_schema", "json_object"}
        return fitted(request, lacks, self._note(plan.target))


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
