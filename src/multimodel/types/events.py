"""What a stream is made of. Slotted dataclasses, because there are thousands of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .answers import FinishReason, Target, Usage
from .messages import ReasoningPart

__all__ = [
    "AnswerEvent",
    "Finished",
    "ReasoningDelta",
    "Restarted",
    "StreamEvent",
    "Switched",
    "TextDelta",
    "ToolCallDelta",
]


@dataclass(slots=True)
class TextDelta:
    """The next piece of the answer's text."""

    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """The next piece of the model's thinking."""

    text: str


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a tool call. ``id`` and ``name`` come with the first piece of each ``index`` only."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(slots=True)
class Restarted:
    """Throw away all that came before: the answer starts again at ``target``."""

    target: Target


@dataclass(slots=True)
class Switched:
    """The answer goes on, written by ``target``."""

    target: Target


@dataclass(slots=True)
class Finished:
    """The answer is complete.

    :ivar sealed: what was thought, as the vendor wants it back; empty where a vendor neither signs nor encrypts it.
    """

    reason: FinishReason
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None
    sealed: tuple[ReasoningPart, ...] = ()


StreamEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Restarted | Switched | Finished
AnswerEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Finished
"""What an adapter yields: content, then exactly one ``Finished``."""
