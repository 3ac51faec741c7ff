"""The colour that an adapter's author left out, derived from the one that is there: each attempt on a thread of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..types import AnswerEvent, AnyRequest, Attempt
from .base import CHECK

if TYPE_CHECKING:
    import asyncio
    from queue import SimpleQueue

__all__ = ["async_stream", "blocking_stream"]

_LOOK = 0.02  # seconds between two looks at whether anybody still waits


def blocking_stream(provider: Any) -> Callable[[Attempt[AnyRequest]], Iterator[AnswerEvent]]:
    """Return the adapter's ``stream``, or one that runs its ``astream`` on an event loop of its own."""
    own: Callable[[Attempt[AnyRequest]], Iterator[AnswerEvent]] | None = getattr(provider, "stream", None)
    return own if own is not None else lambda attempt: _blocking(provider, attempt)


def async_stream(provider: Any) -> Callable[[Attempt[AnyRequest]], AsyncIterator[AnswerEvent]]:
    """Return the adapter's ``astream``, or one that runs its ``stream`` on a thread."""
    own: Callable[[Attempt[AnyRequest]], AsyncIterator[AnswerEvent]] | None = getattr(provider, "astream", None)
    return own if own is not None else lambda attempt: _asynchronous(provider, attempt)


def _blocking(provider: Any, attempt: Attempt[AnyRequest]) -> Generator[AnswerEvent, None, None]:
    import asyncio
    from concurrent.futures import Future
    from queue import SimpleQueue
    from threading import Thread

    results: SimpleQueue[AnswerEvent | BaseException | None] = SimpleQueue()
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = Future()

    async def pump() -> None:
        begun.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        try:
            async with aclosing(provider.astream(attempt)) as events:
                async for event in events:
                    results.put(event)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the caller's thread
            results.put(error)
        else:
            results.put(None)

    def work() -> None:
        try:
            asyncio.run(pump())
        except BaseException as error:  # noqa: BLE001  # no event loop could be made
            results.put(error)

    thread = Thread(target=work, name="multimodel-derived", daemon=True)
    thread.start()
    try:
        while (result := _next(results, attempt)) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        if begun.done():
            loop, task = begun.result()
            if task is not None and thread.is_alive() and not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)
        thread.join(1.0)


def _next(results: SimpleQueue[Any], attempt: Attempt[AnyRequest]) -> Any:
    """Wait for the next result; None when nobody waits any more."""
    from queue import Empty

    while True:
        attempt.check()
        try:
            return results.get(timeout=CHECK if attempt.given_up is None else _LOOK)
        except Empty:
            if attempt.given_up is not None and attempt.given_up():
                return None


async def _asynchronous(provider: Any, attempt: Attempt[AnyRequest]) -> AsyncGenerator[AnswerEvent, None]:
    import asyncio
    from threading import Event, Thread

    loop = asyncio.get_running_loop()
    results: asyncio.Queue[AnswerEvent | BaseException | None] = asyncio.Queue()
    given_up = Event()

    def tell(result: AnswerEvent | BaseException | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(results.put_nowait, result)

    def work() -> None:
        try:
            events = provider.stream(replace(attempt, given_up=given_up.is_set))
            for event in events:
                if given_up.is_set():
                    close = getattr(events, "close", None)
                    if close is not None:
                        close()
                    return
                tell(event)
        except BaseException as error:  # noqa: BLE001  # whatever it is, it belongs to the caller's task
            tell(error)
        else:
            tell(None)

    Thread(target=work, name="multimodel-derived", daemon=True).start()
    try:
        while (result := await _anext(results, attempt)) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        given_up.set()  # the thread ends at its next step; until then it keeps the attempt's limits


async def _anext(results: asyncio.Queue[Any], attempt: Attempt[AnyRequest]) -> Any:
    """Wait for the next result."""
    import asyncio

    while True:
        attempt.check()
        try:
            async with asyncio.timeout(CHECK):
                return await results.get()
        except TimeoutError:
            continue
