"""An answer as it comes: iterate over its events, then ask for the whole."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from types import TracebackType
from typing import Generic, Self

from pydantic import JsonValue

from ..drivers.aio import AsyncioDriver
from ..drivers.base import Driver, aclose
from ..drivers.blocking import BlockingDriver
from ..errors import StreamInterruptedError
from ..types import Completion, Report, Restarted, StreamEvent, Target, TextDelta
from ..types.answers import ParsedT
from .running import Running

__all__ = ["AsyncStream", "Stream"]


class _Answer(Generic[ParsedT]):
    """What both colours of a stream know. The events' generator does not know its stream: dropping it closes it."""

    _driver: Driver

    def __init__(self, running: Running) -> None:
        self._running = running

    @property
    def completion(self) -> Completion[ParsedT]:
        """The whole answer, once the stream has ended.

        :raises RuntimeError: before that.
        :raises InvalidResponseError: when it is not what was asked for: a stream is never asked for again.
        """
        if self._driver.end is None or self._driver.end.error is not None:
            raise RuntimeError("the stream has not ended with an answer: read it to the end first")
        return self._running.completion(self._driver)

    @property
    def target(self) -> Target | None:
        """Who writes the answer, once its first content came."""
        return self._driver.target

    @property
    def report(self) -> Report:
        """Every attempt and skip so far."""
        return self._running.report(self._driver.end)

    def _began_anew(self, said: list[str]) -> StreamInterruptedError:
        error = StreamInterruptedError(
            "the answer began anew, which plain text cannot show",
            partial="".join(said),
            hint="iterate over the events and throw away what came before `Restarted`",
        )
        error.report = self.report
        return error

    def __del__(self) -> None:
        if self._running.reading:
            vars(self).pop(
                "_events", None
            )  # closes the connection, even where whoever records the warning keeps this object
            warnings.warn("a stream was neither read to its end nor closed", ResourceWarning, source=self, stacklevel=2)


class Stream(_Answer[ParsedT]):
    """The events of one answer, for ``with`` and ``for``. Leaving the ``with`` block closes the connection.

    Nothing is sent before the first event is asked for.
    """

    def __init__(self, running: Running, driver: BlockingDriver) -> None:
        super().__init__(running)
        self._driver = driver
        self._events = _read(running, driver)

    def __iter__(self) -> Iterator[StreamEvent]:
        return self

    def __next__(self) -> StreamEvent:
        return next(self._events)

    def text_deltas(self) -> Iterator[str]:
        """Yield the pieces of the text alone.

        :raises StreamInterruptedError: also where the answer begins anew: plain text cannot say so.
        """
        said: list[str] = []
        for event in self:
            if isinstance(event, TextDelta):
                said.append(event.text)
                yield event.text
            elif isinstance(event, Restarted) and said:
                self.close()
                raise self._began_anew(said)

    def partials(self) -> Iterator[JsonValue]:
        """Yield the value of a JSON answer as far as it is there: a dictionary that fills up, for a model.

        Nothing is checked yet, and the last text of each may be unfinished; a long answer comes in larger steps.
        Where the answer begins anew, so does the value. The checked one is ``completion.parsed``.
        """
        partials = self._running.partials()
        for event in self:
            yield from partials.take(event)

    def close(self) -> None:
        """Give the answer up; the connection is closed at once."""
        self._running.given_up = True
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _read(running: Running, driver: BlockingDriver) -> Generator[StreamEvent, None, None]:
    add = running.transcript.add
    with running.read():
        running.begin()
        while True:
            events = driver.events()
            try:
                for event in events:
                    add(event)
                    yield event
            finally:
                events.close()
            if not running.recovers(driver):
                break
        running.check(driver)
    if driver.finished is not None:
        yield driver.finished


class AsyncStream(_Answer[ParsedT]):
    """The events of one answer, for ``async with`` and ``async for``. The twin of :class:`Stream`."""

    def __init__(self, running: Running, driver: AsyncioDriver) -> None:
        super().__init__(running)
        self._driver = driver
        self._events = _aread(running, driver)

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        return await anext(self._events)

    async def text_deltas(self) -> AsyncIterator[str]:
        """Yield the pieces of the text alone.

        :raises StreamInterruptedError: also where the answer begins anew: plain text cannot say so.
        """
        said: list[str] = []
        async for event in self:
            if isinstance(event, TextDelta):
                said.append(event.text)
                yield event.text
            elif isinstance(event, Restarted) and said:
                await self.aclose()
                raise self._began_anew(said)

    async def partials(self) -> AsyncIterator[JsonValue]:
        """Yield the value of a JSON answer as far as it is there: a dictionary that fills up, for a model.

        Nothing is checked yet, and the last text of each may be unfinished; a long answer comes in larger steps.
        Where the answer begins anew, so does the value. The checked one is ``completion.parsed``.
        """
        partials = self._running.partials()
        async for event in self:
            for value in partials.take(event):
                yield value

    async def aclose(self) -> None:
        """Give the answer up; the connection is closed at once."""
        self._running.given_up = True
        events = vars(self).get("_events")  # a stream that was dropped has none any more
        if events is not None:
            await events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def _aread(running: Running, driver: AsyncioDriver) -> AsyncGenerator[StreamEvent, None]:
    add = running.transcript.add
    with running.read():
        running.begin()
        while True:
            events = driver.events()
            try:
                async for event in events:
                    add(event)
                    yield event
            finally:
                await aclose(events)
            if not running.recovers(driver):
                break
        running.check(driver)
    if driver.finished is not None:
        yield driver.finished
