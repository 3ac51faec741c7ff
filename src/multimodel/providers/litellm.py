"""Vendors that litellm reaches: ``litellm:anthropic/claude-sonnet-4-6`` asks litellm's own model string.

litellm is imported on first use, and only its ``completion`` and ``acompletion`` are called: no Router, no
fallbacks, no callbacks, no retries, no proxy. It keeps its settings and its connections in the process, so the
first use silences its loggers and sets what would send anything anywhere else.

What litellm does by itself and offers no switch for: it follows redirects, and with OpenAI's own models, on the
caller's thread, it asks again when an answer says that the roles must alternate.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from ..types import AnswerEvent, Attempt
from ..wire.openai_chat import body
from .base import ProviderSetup
from .litellm_exchange import Exchange
from .litellm_import import load, loaded
from .litellm_reader import Reader, within

__all__ = ["LiteLLMProvider"]

_blocking: WeakSet[LiteLLMProvider] = WeakSet()
_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[LiteLLMProvider]] = WeakKeyDictionary()
"""Who uses the connections that litellm keeps: the last one to leave closes them."""


class LiteLLMProvider:
    """One account at whatever litellm knows: the adapter ``litellm``.

    Without a key, litellm looks for the vendor's own variable in the environment. ``options`` of the provider and
    ``extra={"litellm": {…}}`` of a call are handed to litellm as they are, for instance ``api_version``.
    """

    def __init__(self, setup: ProviderSetup) -> None:
        self._setup = setup

    def stream(self, attempt: Attempt) -> Iterator[AnswerEvent]:
        """Send one request and yield its events; litellm works on a thread of the attempt's own."""
        return self._stream(*self._exchange(attempt))

    def _stream(self, exchange: Exchange, arguments: dict[str, Any]) -> Generator[AnswerEvent, None, None]:
        litellm = load()
        _blocking.add(self)
        with Reader() as reader:
            with exchange:
                reader.open(partial(litellm.completion, timeout=exchange.read_limit(), **arguments), exchange.left)
            yield from exchange.opened(reader.answer)
            while not exchange.over:
                chunk = None
                with exchange:
                    chunk = reader.read(exchange.left)
                yield from exchange.feed(chunk)

    def astream(self, attempt: Attempt) -> AsyncIterator[AnswerEvent]:
        """Send one request on the running event loop and yield its events."""
        return self._astream(*self._exchange(attempt))

    async def _astream(self, exchange: Exchange, arguments: dict[str, Any]) -> AsyncGenerator[AnswerEvent, None]:
        litellm = await loaded()
        _by_loop.setdefault(asyncio.get_running_loop(), WeakSet()).add(self)
        with exchange:
            call = partial(litellm.acompletion, timeout=exchange.read_limit(), **arguments)
            answer = await within(exchange.left, call)
        try:
            for event in exchange.opened(answer):
                yield event
            while not exchange.over:
                chunk = None
                with exchange:
                    chunk = await within(exchange.left, partial(anext, answer, None))
                for event in exchange.feed(chunk):
                    yield event
        finally:
            if hasattr(answer, "aclose"):
                await answer.aclose()

    def close(self) -> None:
        """Close litellm's connections that belong to no event loop, unless another provider uses them."""
        _blocking.discard(self)
        if not _blocking:
            for client in _evicted(of_loop=False):
                client.close()

    async def aclose(self) -> None:
        """Close litellm's connections of the running event loop, unless another provider uses them."""
        users = _by_loop.get(asyncio.get_running_loop(), WeakSet())
        users.discard(self)
        if not users:
            for client in _evicted(of_loop=True):
                await client.close()

    def _exchange(self, attempt: Attempt) -> tuple[Exchange, dict[str, Any]]:
        """Also what litellm is called with, but for the time-out. Nothing can be set over the last part."""
        setup, request = self._setup, attempt.request
        dialect = setup.profile.dialect(attempt.model)
        asked = body(request, attempt.model, dialect, stream=attempt.stream)
        extra: Mapping[str, Any] = {**request.extra.get("litellm", {}), **request.extra.get(setup.name, {})}
        account = {
            name: value
            for name, value in (
                ("api_key", setup.key.reveal() if setup.key is not None else None),
                ("api_base", setup.base_url),
            )
            if value is not None
        }
        arguments = {
            **setup.options,
            **asked,
            **extra,
            **account,
            "model": attempt.model,
            "messages": asked["messages"],
            "stream": attempt.stream,
            **({"stream_options": {"include_usage": True}} if attempt.stream else {}),
            "max_retries": 0,
            "num_retries": 0,
            "fallbacks": None,
            "context_window_fallback_dict": None,
            "model_list": None,
            "drop_params": False,
        }
        return Exchange(attempt, dialect), arguments


def _evicted(*, of_loop: bool) -> Iterator[Any]:
    """Take clients out of litellm's cache: those of the running event loop, or those of none."""
    import sys

    litellm = sys.modules.get("litellm")
    if litellm is None:
        return
    cache = litellm.in_memory_llm_clients_cache
    suffix = cache.update_cache_key_with_event_loop("") if of_loop else ""
    for key, client in list(cache.cache_dict.items()):
        close = getattr(client, "close", None)
        if close is not None and key.endswith(suffix) and inspect.iscoroutinefunction(close) is of_loop:
            cache.delete_cache(key)
            yield client
