"""Waiting for litellm until an instant: its own time-out starts anew with every read, so bytes that trickle pass it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

from .base import CHECK

__all__ = ["LateError", "Reader", "within"]

T = TypeVar("T")


class LateError(Exception):
    """The time for one step is over."""


async def within(seconds: float, step: Callable[[], Awaitable[T]], check: Callable[[], None] = lambda: None) -> T:
    """Await one step of litellm.

    :param check: called now and then; what it raises ends the step, which is cancelled.
    :raises LateError: after ``seconds``; the step is cancelled.
    """
    if seconds <= 0:
        raise LateError
    loop, limit, cut = asyncio.get_running_loop(), asyncio.timeout(seconds), list[Exception]()

    def look() -> None:
        try:
            check()
        except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to the waiting task
            cut.append(error)
            limit.reschedule(loop.time())
        else:
            looks.append(loop.call_later(CHECK, look))

    looks = deque([loop.call_later(CHECK, look)], maxlen=1)
    try:
        async with limit:
            check()
            return await step()
    except TimeoutError:
        if limit.expired():
            raise (cut[0] if cut else LateError) from None
        raise
    finally:
        looks[0].cancel()


class Reader:
    """litellm's blocking answer, read on a thread of its own, so that a wait can be given up.

    A step that was given up ends by litellm's time-out; the answer is then closed on that thread.

    :param check: called now and then; what it raises ends the wait.
    """

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self.answer: Any = None
        self._steps: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._busy = False
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name="multimodel-litellm", daemon=True)
        self._thread.start()

    def open(self, call: Callable[[], Any], seconds: float) -> None:
        """Call litellm; ``answer`` is then a stream or a whole answer.

        :raises LateError: after ``seconds``.
        """

        def step() -> None:
            self.answer = call()

        self._wait(step, seconds)

    def read(self, seconds: float) -> Any:
        """Return the next chunk, or None at the end.

        :raises LateError: after ``seconds``.
        """
        return self._wait(lambda: next(self.answer, None), seconds)

    def _wait(self, step: Callable[[], Any], seconds: float) -> Any:
        if seconds <= 0:
            raise LateError
        self._check()  # once it is begun, a step goes on whoever waits
        done: Future[Any] = Future()
        self._busy = True
        self._steps.put((step, done))
        while True:
            try:
                error = done.exception(min(seconds, CHECK))
            except TimeoutError:
                seconds -= CHECK
                if seconds <= 0:
                    raise LateError from None
                self._check()
            else:
                break
        self._busy = False
        if error is not None:
            raise error
        return done.result()

    def _run(self) -> None:
        while (item := self._steps.get()) is not None:
            step, done = item
            try:
                done.set_result(step())
            except BaseException as error:  # noqa: BLE001  # whatever it is, the caller gets it
                done.set_exception(error)
        stream = getattr(self.answer, "completion_stream", None)
        close = getattr(self.answer, "close", None) or getattr(stream, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._steps.put(None)
        if not self._busy:
            self._thread.join()
