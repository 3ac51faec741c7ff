"""A barrier before some targets: to whoever asks them it is as if every connection to them were refused.

1. It stands below the engine: retries, breakers and fallbacks meet it as they meet a vendor that is gone.
2. Of an account that is blocked as a whole, the HTTP adapter writes its requests, and its network refuses to connect.
3. Where only some models of an account are blocked, or it is reached in another way (litellm, local weights, a plugin),
   the adapter is not asked.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from ..errors import error_for
from ..types import AnswerEvent, AnyRequest, Attempt
from .base import Provider, ProviderSetup
from .derive import async_stream, blocking_stream

__all__ = ["Barrier"]


class Barrier:
    """Stops attempts, and counts them.

    :param targets: ``provider:model`` of what is blocked.
    :param accounts: the providers of which nothing is to be reached.
    """

    def __init__(self, targets: Iterable[str], accounts: Iterable[str]) -> None:
        self._targets = frozenset(targets)
        self._accounts = frozenset(accounts)
        self._lock = threading.Lock()
        self._stopped = 0

    @property
    def stopped(self) -> int:
        """How many attempts to connect it has stopped."""
        return self._stopped

    def build(self, builder: Callable[[ProviderSetup], Provider], setup: ProviderSetup) -> Provider:
        """Build an adapter that does not reach the blocked targets."""
        if setup.name in self._accounts and setup.profile.adapter == "http":
            return builder(replace(setup, options={**setup.options, "refuses": self._stop}))
        return self.before(setup.name, builder(setup))

    def before(self, account: str, provider: Provider) -> Provider:
        """Return an adapter that is as the given one, but for the blocked targets of ``account``."""
        parts = (target.partition(":") for target in self._targets)
        models = frozenset(model for name, _, model in parts if name == account)
        return _Behind(provider, models, self._stop) if models else provider

    def _stop(self, _host: str) -> bool:
        with self._lock:
            self._stopped += 1
        return True


class _Behind:
    """An adapter of which some models are blocked."""

    def __init__(self, provider: Provider, models: frozenset[str], stop: Callable[[str], object]) -> None:
        self._provider = provider
        self._models = models
        self._stop = stop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def stream(self, attempt: Attempt[AnyRequest]) -> Iterator[AnswerEvent]:
        self._pass(attempt.model)
        return blocking_stream(self._provider)(attempt)

    def astream(self, attempt: Attempt[AnyRequest]) -> AsyncIterator[AnswerEvent]:
        self._pass(attempt.model)
        return async_stream(self._provider)(attempt)

    def _pass(self, model: str) -> None:
        if model in self._models:
            self._stop(model)
            raise error_for("connection.unsent", "no connection: this process refuses to connect")
