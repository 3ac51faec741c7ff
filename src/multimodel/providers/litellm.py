"""Vendors that litellm reaches: ``litellm:anthropic/claude-sonnet-4-6`` asks litellm's own model string.

A profile that says what litellm calls its vendor puts that before the model: ``anthropic:claude-sonnet-4-6`` asks the same.

litellm is imported on first use, and only its ``completion`` and ``embedding``, and their twins for event loops, are
called: no Router, no fallbacks, no callbacks, no retries. It keeps its settings and its connections in the process, so the
first use silences its loggers and sets what would send anything anywhere else.

One attempt is one request: no redirect is followed and what failed is not asked again, though litellm by itself does
both. It has no switch for that, so the first use wraps the send methods of httpx, httpx2 and aiohttp for the whole
process; outside an attempt they do what they did, also for an application's own use of litellm. Not bound is what
litellm does without them, and without the prompt: it fetches tokens of Google and Databricks through ``requests``.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from pydantic_core import from_json

from ..types import AnswerEvent, AnyRequest, Attempt, EmbedRequest
from ..wire.embeddings import embeddings_codec_for
from ..wire.openai_chat import OpenAIChatCodec
from .base import ProviderSetup
from .litellm_embedding import EmbeddingExchange
from .litellm_exchange import Exchange
from .litellm_import import load, loaded
from .litellm_reader import Reader, within

__all__ = ["LiteLLMProvider"]

_CODEC = OpenAIChatCodec()
_EMBEDDINGS = embeddings_codec_for("openai_chat")

_blocking: WeakSet[LiteLLMProvider] = WeakSet()
_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakSet[LiteLLMProvider]] = WeakKeyDictionary()
"""Who uses the connections that litellm keeps: the last one to leave closes them."""


class LiteLLMProvider:
    """One account at whatever litellm knows: the adapter ``litellm``.

    Without a key, litellm looks for the vendor's own variable in the environment. ``options`` of the provider and
    ``extra={"litellm": {…}}`` of a call are handed to litellm as they are, for instance ``api_version``.
    """

    embeds = True

    def __init__(self, setup: ProviderSetup) -> None:
        self._setup = setup

    def stream(self, attempt: Attempt[AnyRequest]) -> Iterator[AnswerEvent]:
        """Send one request and yield its events; litellm works on a thread of the attempt's own."""
        began = attempt.now()
        litellm = load()
        _blocking.add(self)
        exchange, arguments = self._exchange(attempt, attempt.now() - began)
        call = litellm.embedding if isinstance(attempt.request, EmbedRequest) else litellm.completion
        return _stream(exchange, partial(call, **arguments))

    def astream(self, attempt: Attempt[AnyRequest]) -> AsyncIterator[AnswerEvent]:
        """Send one request on the running event loop and yield its events."""
        return self._astream(attempt)

    async def _astream(self, attempt: Attempt[AnyRequest]) -> AsyncGenerator[AnswerEvent, None]:
        began = attempt.now()
        litellm = await loaded()
        _by_loop.setdefault(asyncio.get_running_loop(), WeakSet()).add(self)
        exchange, arguments = self._exchange(attempt, attempt.now() - began)
        answer: Any = None
        with exchange:
            call = litellm.aembedding if isinstance(attempt.request, EmbedRequest) else litellm.acompletion
            answer = await within(exchange.left, partial(call, **arguments), exchange.check)
        try:
            for event in exchange.opened(answer):
                yield event
            while not exchange.over:
                chunk = None
                with exchange:
                    chunk = await within(exchange.left, partial(anext, answer, None), exchange.check)
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

    def _exchange(self, attempt: Attempt[AnyRequest], importing: float) -> tuple[Exchange, dict[str, Any]]:
        """Return also what litellm is called with. What stands last there cannot be set by anybody."""
        setup, given = self._setup, attempt.request.extra
        extra = {**given.get("litellm", {}), **given.get(setup.name, {})}
        dialect = replace(setup.profile.dialect(attempt.model), extra=extra)
        model = attempt.model if setup.profile.litellm is None else f"{setup.profile.litellm}/{attempt.model}"
        request = attempt.request
        transfer = {}
        if isinstance(request, EmbedRequest):
            sent = _EMBEDDINGS.encode(request, model, dialect)
        else:
            sent = _CODEC.encode(request, model, dialect, stream=attempt.stream, path=None)
            transfer = {"stream": attempt.stream}
        for note in sent.notes:
            attempt.note(note)
        for what, detail in sent.losses:
            attempt.lose(what, detail)
        key = {"api_key": setup.key.reveal()} if setup.key is not None else {}
        place = {"api_base": setup.base_url} if setup.base_url is not None else {}
        kind = EmbeddingExchange if isinstance(request, EmbedRequest) else Exchange
        exchange = kind(attempt, dialect, importing)
        arguments = {
            **setup.options,
            **from_json(sent.body),
            **key,
            **place,
            **transfer,
            "max_retries": 0,
            "num_retries": 0,
            "fallbacks": None,
            "context_window_fallback_dict": None,
            "model_list": None,
            "drop_params": False,
            "timeout": exchange.read_limit(),
        }
        return exchange, arguments


def _stream(exchange: Exchange, call: Callable[[], Any]) -> Generator[AnswerEvent, None, None]:
    with exchange:
        reader = Reader(exchange.check)  # its thread inherits what binds the attempt
    with reader:
        with exchange:
            reader.open(call, exchange.left)
        yield from exchange.opened(reader.answer)
        while not exchange.over:
            chunk = None
            with exchange:
                chunk = reader.read(exchange.left)
            yield from exchange.feed(chunk)


def _evicted(*, of_loop: bool) -> Iterator[Any]:
    """Take clients out of litellm's cache: those of the running event loop, or those of none."""
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
