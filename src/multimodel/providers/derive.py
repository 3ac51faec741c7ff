"""The colour that an adapter's author left out, derived from the one that is there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any

from ..types import AnswerEvent, Attempt

__all__ = ["async_stream", "blocking_stream"]


def blocking_stream(provider: Any) -> Callable[[Attempt], Iterator[AnswerEvent]]:
    """Return the adapter's ``stream``, or one that runs its ``astream`` on an event loop of a thread of its own."""
    own: Callable[[Attempt], Iterator[AnswerEvent]] | None = getattr(provider, "stream", None)
    return own if own is not None else lambda attempt: _blocking(provider, attempt)


def async_stream(provider: Any) -> Callable[[Attempt], AsyncIterator[AnswerEvent]]:
    """Return the adapter's ``astream``, or one that runs its ``stream`` on threads, a step at a time."""
    own: Callable[[Attempt], AsyncIterator[AnswerEvent]] | None = getattr(provider, "astream", None)
    return own if own is not None else lambda attempt: _asynchronous(provider, attempt)


def _blocking(provider: Any, attempt: Attempt) -> Generator[AnswerEvent, None, None]:
    import asyncio
    import threading

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="multimodel-derived", daemon=True)
    thread.start()
    events = provider.astream(attempt)

    def wait_for(step: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(step, loop).result()

    async def following() -> AnswerEvent | None:
        event: AnswerEvent | None = await anext(events, None)
        return event

    async def closing() -> None:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
        await loop.shutdown_asyncgens()

    try:
        while (event := wait_for(following())) is not None:
            yield event
    finally:
        wait_for(closing())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _asynchronous(provider: Any, attempt: Attempt) -> AsyncGenerator[AnswerEvent, None]:
    import asyncio

    events = await asyncio.to_thread(provider.stream, attempt)
    step: asyncio.Future[AnswerEvent | None] | None = None
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, events, None))
            event = await asyncio.shield(step)
            if event is None:
                break
            yield event
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            # a generator that is being run cannot be closed: wait for its step, which keeps its own limits
            if step is not None and not step.done():
                step.add_done_callback(lambda _done: close())
            else:
                await asyncio.to_thread(close)
