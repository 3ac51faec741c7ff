"""The thread of one model: it loads the weights, serves until it is told to end, and frees them."""

from __future__ import annotations

import gc
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Condition, Thread
from typing import Generic, Literal, Protocol, TypeVar

__all__ = ["Loaded", "Worker"]


class Loaded(Protocol):
    """What a worker keeps in memory."""

    @property
    def device(self) -> str:
        """Where it is."""
        ...


LoadedT = TypeVar("LoadedT", bound=Loaded)


class Worker(ABC, Generic[LoadedT]):
    """The thread of one model.

    :param load: loads the weights, on the worker's thread.
    :ivar ready: done when the weights are loaded; failed when they cannot be.
    """

    def __init__(self, name: str, load: Callable[[], LoadedT]) -> None:
        self.pid = os.getpid()
        self.ready: Future[None] = Future()
        self.ready.set_running_or_notify_cancel()  # no caller that gives up can cancel it for the others
        self._weights: LoadedT | None = None
        self._load = load
        self._changed = Condition()
        self._ending: Literal["when idle", "now"] | None = None
        self._thread = Thread(target=self._run, name=f"multimodel-local-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def usable(self) -> bool:
        """Whether it serves, or will."""
        return self._ending is None and not (self.ready.done() and self.ready.exception())

    @property
    def alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    @property
    def weights(self) -> LoadedT | None:
        """The loaded weights; None before and afterwards."""
        return self._weights

    def end(self, when: Literal["when idle", "now"]) -> None:
        """Ask the thread to end, and to free the weights."""
        with self._changed:
            self._ending = when
            self._changed.notify()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended."""
        self._thread.join(seconds)

    @abstractmethod
    def _serve(self, weights: LoadedT) -> None:
        """Work until ``_ending`` says that it is over."""

    def _run(self) -> None:
        try:
            self._weights = self._load()
        except Exception as error:  # noqa: BLE001  # every caller that waits is told
            self.ready.set_exception(error)
            return
        self.ready.set_result(None)
        self._serve(self._weights)
        self._weights = None
        _free_memory()


def _free_memory() -> None:
    """Give the weights back to the operating system; the C library would keep them."""
    gc.collect()
    with suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
