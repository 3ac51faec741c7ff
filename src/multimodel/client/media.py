"""Media by address for a target that takes bytes: fetched as a part of the attempt, once a call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..drivers.base import aclose, close
from ..types import AnswerEvent, Attempt, Message, Part, Request
from .needs import MediaPart, by_value, media_by_url
from .targets import Planned

if TYPE_CHECKING:
    from ..providers.fetch import Medium

__all__ = ["Media"]

Stream = Callable[[Attempt], Iterator[AnswerEvent]]
AsyncStream = Callable[[Attempt], AsyncIterator[AnswerEvent]]


class Media:
    """What one call has fetched."""

    def __init__(self) -> None:
        self._fetched: dict[tuple[str, str], Medium] = {}  # by type and address

    def wanted(self, request: Request, planned: Planned) -> list[MediaPart]:
        """Return what must be fetched before ``planned`` can be asked."""
        return list(media_by_url(request, by_value(planned))) if planned.fetch_media else []

    def blocking(
        self, stream: Stream, attempt: Attempt, parts: list[MediaPart], allowed: Callable[[], object]
    ) -> Generator[AnswerEvent, None, None]:
        """Fetch on the caller's thread, then perform the attempt.

        :param allowed: raises when the target was switched off while its media were fetched.
        """
        from ..providers.fetch import fetch

        for part in parts:
            if part.url is not None and (part.type, part.url) not in self._fetched:
                self._fetched[part.type, part.url] = fetch(part, attempt, self._size())
        allowed()
        events = stream(replace(attempt, request=self._filled(attempt.request, parts)))
        try:
            yield from events
        finally:
            close(events)

    async def asynchronous(
        self, stream: AsyncStream, attempt: Attempt, parts: list[MediaPart], allowed: Callable[[], object]
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Fetch on the running event loop, then perform the attempt; the twin of :meth:`blocking`."""
        from ..providers.fetch import afetch

        for part in parts:
            if part.url is not None and (part.type, part.url) not in self._fetched:
                self._fetched[part.type, part.url] = await afetch(part, attempt, self._size())
        allowed()
        events = stream(replace(attempt, request=self._filled(attempt.request, parts)))
        try:
            async for event in events:
                yield event
        finally:
            await aclose(events)

    def _size(self) -> int:
        return sum(len(medium.data) for medium in self._fetched.values())

    def _filled(self, request: Request, parts: list[MediaPart]) -> Request:
        wanted = {id(part) for part in parts}

        def filled(part: Part) -> Part:
            if id(part) not in wanted or not isinstance(part, MediaPart) or part.url is None:
                return part
            medium = self._fetched[part.type, part.url]
            return part.model_copy(update={"url": None, "data": medium.data, "media_type": medium.media_type})

        def with_bytes(message: Message) -> Message:
            if isinstance(message.content, str) or not any(id(part) in wanted for part in message.content):
                return message
            return message.model_copy(update={"content": tuple(map(filled, message.content))})

        return request.model_copy(update={"messages": tuple(map(with_bytes, request.messages))})
