"""Answers, and the report that comes with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from .base import Frozen
from .messages import Message, ReasoningPart, TextPart, ToolCall

__all__ = [
    "AttemptReason",
    "AttemptRecord",
    "Completion",
    "FinishReason",
    "ParsedT",
    "Report",
    "Segment",
    "Skip",
    "Target",
    "Usage",
]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
"""Why an answer ended. ``length``: a limit cut it."""
ParsedT = TypeVar("ParsedT")


class Usage(Frozen):
    """Tokens of one answer, and what they cost. None means unknown, never zero.

    :ivar cached_tokens: part of ``input_tokens`` that the vendor read from its cache.
    :ivar reasoning_tokens: part of ``output_tokens`` spent on thinking.
    :ivar cost: US dollars by the catalogue's list price.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers: ``str(target)`` is ``provider:model``.

    :ivar operator: who runs the endpoint.
    :ivar author: who made the weights; None when the catalogue does not say.
    """

    provider: str
    model: str
    operator: str | None = None
    author: str | None = None

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


AttemptReason = Literal["first", "retry", "fallback", "hedge", "probe", "last_resort", "path"]


@dataclass(slots=True, unsafe_hash=True)  # freezing costs each call three microseconds
class AttemptRecord:
    """One request that was put on the wire; never changed. Times are seconds from the start of the call.

    :ivar outcome: ``ok``, ``cancelled``, ``lost`` (a second attempt beside it was faster), or the error's kind.
    :ivar first_content: when the first content came, or None.
    :ivar committed: whether any of its content was handed to the caller.
    """

    index: int
    target: Target
    reason: AttemptReason
    outcome: str
    started: float
    ended: float
    first_content: float | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    committed: bool = False
    usage: Usage | None = None

    @property
    def duration(self) -> float:
        """Seconds on the wire."""
        return self.ended - self.started


@dataclass(frozen=True, slots=True)
class Skip:
    """A target that was not tried, and why: ``off``, ``breaker``, ``gate``, ``capability``, ``unavailable``, …."""

    target: Target
    reason: str
    detail: str = ""


@dataclass(slots=True, unsafe_hash=True)
class Report:
    """Every attempt and skip of one call, in order, and why it ended; never changed.

    :ivar outcome: ``ok``, ``cancelled``, ``open`` (it has not ended yet), or the kind of the error the caller got.
    :ivar notes: what was changed on the way, for instance an option that a target does not know.
    """

    route: str
    attempts: tuple[AttemptRecord, ...] = ()
    skipped: tuple[Skip, ...] = ()
    notes: tuple[str, ...] = ()
    outcome: str = "ok"
    duration: float = 0.0

    @property
    def wasted(self) -> tuple[AttemptRecord, ...]:
        """The attempts that brought content, or might have, and did not finish an answer.

        They may have been billed: closing a connection does not always stop a vendor from generating, and no vendor
        says what that cost.
        """
        return tuple(
            attempt
            for attempt in self.attempts
            if attempt.outcome != "ok" and (attempt.first_content is not None or attempt.outcome == "lost")
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a text that several targets wrote: its characters from ``start`` up to ``end``."""

    target: Target
    start: int
    end: int


class Completion(Frozen, Generic[ParsedT]):
    """A whole answer.

    :ivar target: who answered; ``str(answer.target)`` is ``provider:model``.
    :ivar model: the model's name as the vendor gives it.
    :ivar finish_reason: ``length`` means that a limit cut the answer: it is complete as far as it goes.
    :ivar parsed: the answer as a value of the model that was asked for, or None.
    :ivar segments: who wrote which part of the text, when a stream broke and another target went on with it; else empty.
    """

    text: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: ParsedT | None = None
    finish_reason: FinishReason
    usage: Usage | None = None
    target: Target
    model: str
    request_id: str | None = None
    report: Report
    segments: tuple[Segment, ...] = ()

    @property
    def parts(self) -> tuple[ReasoningPart | TextPart, ...]:
        """Reasoning and text as message parts, without the empty ones."""
        thought = (ReasoningPart(text=self.reasoning, origin=str(self.target)),) if self.reasoning else ()
        return thought + ((TextPart(text=self.text),) if self.text else ())

    @property
    def message(self) -> Message:
        """The answer as the next message of the conversation."""
        return Message(role="assistant", content=self.text, tool_calls=self.tool_calls)
