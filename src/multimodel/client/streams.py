"""An answer as it comes: iterate over its events, then ask for the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self

from ..drivers.aio import AsyncioDriver
from ..drivers.blocking import BlockingDriver
from ..types import Completion, Report, StreamEvent, TextDelta
from .running import Running

__all__ = ["AsyncStream", "Stream"]


class _Answer:
    """What both colours of a stream know."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._completion: Completion[Any] | None = None

    @property
    def completion(self) -> Completion[Any]:
        """The whole answer, once the stream has ended.

        :raises RuntimeError: before that.
        """
        if self._completion is None:
            raise RuntimeError("the stream has not ended: read it to the end first")
        return self._completion

    @property
    def report(self) -> Report:
        """Every attempt and skip so far."""
        return self._completion.report if self._completion is not None else self._running.cancelled()


class Stream(_Answer):
    """The events of one answer, for ``with`` and ``for``. Leaving the ``with`` block closes the connection.

    Nothing is sent before the first event is asked for.
    """

    def __init__(self, running: Running, driver: BlockingDriver) -> None:
        super().__init__(running)
        self._driver = driver
        self._events = self._read()

    def _read(self) -> Iterator[StreamEvent]:
        add = self._running.transcript.add
        events = self._driver.events()
        try:
            for event in events:
                add(event)
                yield event
        finally:
            events.close()
        self._completion = self._running.completion(self._driver)
        if self._driver.finished is not None:
            yield self._driver.finished

    def __iter__(self) -> Iterator[StreamEvent]:
        return self

    def __next__(self) -> StreamEvent:
        return next(self._events)

    def text_deltas(self) -> Iterator[str]:
        """Yield the pieces of the text alone."""
        for event in self._events:
            if isinstance(event, TextDelta):
                yield event.text

    def close(self) -> None:
        """Give the answer up; the connection is closed at once."""
        self._events.close()  # type: ignore[attr-defined]  # a generator

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncStream(_Answer):
    """The events of one answer, for ``async with`` and ``async for``. The twin of :class:`Stream`."""

    def __init__(self, running: Running, driver: AsyncioDriver) -> None:
        super().__init__(running)
        self._driver = driver
        self._events = self._read()

    async def _read(self) -> AsyncIterator[StreamEvent]:
        add = self._running.transcript.add
        events = self._driver.events()
        try:
            async for event in events:
                add(event)
                yield event
        finally:
            await events.aclose()
        self._completion = self._running.completion(self._driver)
        if self._driver.finished is not None:
            yield self._driver.finished

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        return await anext(self._events)

    async def text_deltas(self) -> AsyncIterator[str]:
        """Yield the pieces of the text alone."""
        async for event in self._events:
            if isinstance(event, TextDelta):
                yield event.text

    async def aclose(self) -> None:
        """Give the answer up; the connection is closed at once."""
        await self._events.aclose()  # type: ignore[attr-defined]  # an asynchronous generator

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
