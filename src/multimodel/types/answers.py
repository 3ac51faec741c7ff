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
    "Loss",
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


AttemptReason = Literal["first", "retry", "fallback", "hedge", "probe", "last_resort", "path", "reask"]


@dataclass(slots=True, unsafe_hash=True)  # freezing costs each call three microseconds
class AttemptRecord:
    """One request that was put on the wire; never changed. Times are seconds from the start of the call.

    :ivar outcome: ``ok``, ``cancelled``, ``lost`` (a second attempt beside it was faster), or the error's kind.
    :ivar first_content: when the first content came, or None.
    :ivar committed: whether any of its content was handed to the caller.
    :ivar cost: US dollars; None when unknown. Of an attempt that was refused 0, of any other that gave no whole answer
        the most that it can have cost: closing a connection does not always stop the bill.
    :ivar cost_estimated: whether nobody says what it cost, because it gave no whole answer.
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
    cost: float | None = None
    cost_estimated: bool = False

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


@dataclass(frozen=True, slots=True)
class Loss:
    """Something of the request that a target which was asked did not get, or not as it was given.

    :ivar what: the option, or the part of a message: ``temperature``, ``extra.openai``, ``reasoning``,
        ``cache_control``, ``file_id``, ``name``, ….
    :ivar detail: what became of it, for people.
    """

    target: Target
    what: str
    detail: str


@dataclass(slots=True, unsafe_hash=True)
class Report:
    """Every attempt and skip of one call, in order, and why it ended; never changed.

    :ivar outcome: ``ok``, ``cancelled``, ``open`` (it has not ended yet), or the kind of the error the caller got.
    :ivar notes: remarks on what happened on the way, for instance that nothing was sent twice.
    :ivar losses: what of the request did not reach a target that was asked.
    :ivar policy: the version of the policy that it was made by, as in ``client.status().policy_hash``.
    """

    route: str
    attempts: tuple[AttemptRecord, ...] = ()
    skipped: tuple[Skip, ...] = ()
    notes: tuple[str, ...] = ()
    outcome: str = "ok"
    duration: float = 0.0
    losses: tuple[Loss, ...] = ()
    policy: str = ""

    @property
    def cost(self) -> float | None:
        """US dollars for all attempts together; None when the cost of one of them is unknown."""
        total = 0.0
        for attempt in self.attempts:
            if attempt.cost is None:
                return None
            total += attempt.cost
        return total

    @property
    def cost_estimated(self) -> bool:
        """Whether the cost is more than what the vendors' counts of tokens say: an estimate of what was broken off."""
        return any(attempt.cost_estimated and attempt.cost != 0.0 for attempt in self.attempts)

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
    :ivar sealed: the thinking as the vendor wants it back, with its signatures; empty where a vendor does not sign.
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
    sealed: tuple[ReasoningPart, ...] = ()

    @property
    def parts(self) -> tuple[ReasoningPart | TextPart, ...]:
        """Reasoning and text as message parts, without the empty ones."""
        thought = self.sealed
        if not thought and self.reasoning:
            thought = (ReasoningPart(text=self.reasoning, origin=str(self.target)),)
        return thought + ((TextPart(text=self.text),) if self.text else ())

    @property
    def message(self) -> Message:
        """The answer as the next message of the conversation, what was thought included.

        Put it into the history as it is: a target gets the thinking back where it wrote it and wants it, no other does.
        """
        content = self.parts if self.reasoning or self.sealed else self.text
        return Message(role="assistant", content=content, tool_calls=self.tool_calls)
