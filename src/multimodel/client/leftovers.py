"""What is to be done once an object is gone: no view has it any more, and no call."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from weakref import finalize

from ..drivers.base import close
from ..providers.base import Provider

__all__ = ["Leftovers", "close_all"]


class Leftovers:
    """Work that waits for objects to go. It is done when somebody tidies up: they go at any moment, under any lock."""

    def __init__(self) -> None:
        self._over: deque[Callable[[], object]] = deque()

    def when_gone(self, gone: object, work: Callable[[], object]) -> None:
        """Do ``work``, which must not know ``gone``, some time after that is gone."""
        finalize(gone, self._over.append, work).atexit = False

    def tidy(self) -> None:
        """Do what is left to do."""
        while self._over:
            try:
                work = self._over.popleft()
            except IndexError:  # another thread was faster
                return
            with suppress(Exception):  # of an adapter that nobody has any more
                work()


def close_all(providers: Iterable[Provider]) -> None:
    """Close some adapters."""
    for provider in providers:
        close(provider)
