"""A provider without a network: it says what it was given, in order."""

from __future__ import annotations

import copy
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from ..errors import CallError
from ..types import (
    AnswerEvent,
    AnyRequest,
    Attempt,
    EmbedRequest,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
    Vectors,
)
from .reply import Reply, as_reply, pieces
from .speech import DIMENSIONS, vector

__all__ = ["FakeProvider"]

Played: TypeAlias = "str | Reply | CallError | Sequence[AnswerEvent | CallError]"
Scripted: TypeAlias = "Played | Callable[[Attempt[Any]], Played]"


class FakeProvider:
    """Give it to a client in the place of a vendor. Safe to share between threads.

    Asked for vectors it makes them up from the texts alone, unless its next reply is an error or a list of events.

    :param replies: one entry an attempt: a text or a :class:`Reply`; an error, which is raised; a list of events
        and errors, played as it stands (for answers that break in the middle); or a function of the attempt that
        returns one of these. The last entry is repeated for ever.
    :ivar attempts: every attempt, in order.
    :ivar closed: how often it was closed.

    >>> from multimodel import Client, RateLimitError
    >>> fake = FakeProvider([RateLimitError(retry_after=0.0), "It is noon."])
    >>> with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
    ...     client.complete("chat", "What time is it?").text
    'It is noon.'
    >>> [attempt.model for attempt in fake.attempts]
    ['any', 'any']
    """

    embeds = True

    def __init__(self, replies: Iterable[Scripted] = ("Hello.",)) -> None:
        self._replies = [replies] if isinstance(replies, str) else list(replies)
        if not self._replies:
            raise ValueError("a fake provider needs at least one reply")
        self._lock = threading.Lock()
        self.attempts: list[Attempt[Any]] = []
        self.closed = 0

    def stream(self, attempt: Attempt[AnyRequest]) -> Iterator[AnswerEvent]:
        """Play the next reply."""
        with self._lock:
            number = len(self.attempts)
            self.attempts.append(attempt)
        scripted = self._replies[min(number, len(self._replies) - 1)]
        played = scripted(attempt) if callable(scripted) else scripted
        if isinstance(played, CallError):
            raise copy.copy(played)
        if isinstance(attempt.request, EmbedRequest) and isinstance(played, str | Reply):
            yield _vectors(attempt.request, attempt.model, number)
            return
        yield from _events(as_reply(played), attempt, number) if isinstance(played, str | Reply) else _play(played)

    async def astream(self, attempt: Attempt[AnyRequest]) -> AsyncIterator[AnswerEvent]:
        """Play the next reply."""
        for event in self.stream(attempt):
            yield event

    def close(self) -> None:
        """Count it."""
        self.closed += 1

    async def aclose(self) -> None:
        """Count it."""
        self.closed += 1


def _vectors(request: EmbedRequest, model: str, number: int) -> Vectors:
    asked = sum(len(text.split()) for text in request.inputs)
    usage = Usage(input_tokens=asked, output_tokens=0, total_tokens=asked)
    size = request.dimensions or DIMENSIONS
    rows = tuple((index, tuple(vector(text, size))) for index, text in enumerate(request.inputs))
    return Vectors("stop", usage, model, f"fake-{number}", rows=rows)


def _events(reply: Reply, attempt: Attempt[Any], number: int) -> Iterator[AnswerEvent]:
    for piece in pieces(reply.reasoning):
        yield ReasoningDelta(piece)
    for piece in pieces(reply.text):
        yield TextDelta(piece)
    for index, call in enumerate(reply.tool_calls):
        yield ToolCallDelta(index, call.id, call.name, call.arguments)
    yield Finished(reply.ends_with, reply.usage or _usage(reply, attempt), attempt.model, f"fake-{number}")


def _play(events: Sequence[AnswerEvent | CallError]) -> Iterator[AnswerEvent]:
    for event in events:
        if isinstance(event, CallError):
            raise copy.copy(event)
        yield copy.copy(event)


def _usage(reply: Reply, attempt: Attempt[Any]) -> Usage:
    asked = sum(len(message.text.split()) for message in attempt.request.messages)
    said = len(reply.text.split()) + len(reply.reasoning.split())
    return Usage(input_tokens=asked, output_tokens=said, total_tokens=asked + said)
