"""Vendors over HTTP: drives any wire codec, on the caller's thread or on an event loop.

One connection pool per process and event loop; after a fork the inherited pool is forgotten, never closed. A
connection whose answer was not read to its end is closed. Redirects are never followed, and the environment's
proxies are not used.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpcore2

from ..types import AnswerEvent, AnyRequest, Attempt, EmbedRequest
from ..wire import Codec, Dialect, WireRequest, codec_for
from ..wire.embeddings import EmbeddingsCodec, embeddings_codec_for
from .base import Key, ProviderSetup
from .http_exchange import Exchange
from .http_limits import alet_go, async_pool, blocking_pool, let_go

__all__ = ["HttpProvider"]


class HttpProvider:
    """One account at one HTTP endpoint: the adapter ``http``."""

    embeds = True

    def __init__(self, setup: ProviderSetup) -> None:
        if setup.base_url is None or setup.wire is None:
            raise ValueError("an http provider needs `base_url` and `wire`")
        self._setup = setup
        self._codec = codec_for(setup.wire)
        self._embeddings = embeddings_codec_for(setup.wire)
        self._base = setup.base_url.rstrip("/")
        self._dialects: dict[str, Dialect] = {}
        own = {name.lower(): value for name, value in setup.options.get("headers", {}).items()}
        self._headers = {
            "host": urlsplit(self._base).netloc,
            "user-agent": "multimodel",
            "accept-encoding": "identity",
            **own,
        }
        self._urls: dict[str, httpcore2.URL] = {}
        self._pools = _Pools()
        self._refuses = setup.options.get("refuses")
        self._shares = False

    def with_key(self, key: Key | None) -> HttpProvider:
        """Return the same endpoint for another key, over the same connections. It closes none of them."""
        other = copy(self)
        other._setup = replace(self._setup, key=key)  # noqa: SLF001  # it is one of its own
        other._shares = True  # noqa: SLF001  # likewise
        return other

    def stream(self, attempt: Attempt[AnyRequest]) -> Iterator[AnswerEvent]:
        """Send one request on the caller's thread and yield its events."""
        exchange, request = self._exchange(attempt)
        return self._stream(exchange, request)

    def _stream(self, exchange: Exchange, request: httpcore2.Request) -> Generator[AnswerEvent, None, None]:
        with exchange:
            response = self._blocking().handle_request(request)
        try:
            exchange.head(response.status, _headers(response))
            with exchange:
                for chunk in response.iter_stream():
                    yield from exchange.feed(chunk)
            with exchange:
                yield from exchange.end()
        finally:
            response.close()

    def astream(self, attempt: Attempt[AnyRequest]) -> AsyncIterator[AnswerEvent]:
        """Send one request on the running event loop and yield its events."""
        exchange, request = self._exchange(attempt)
        return self._astream(exchange, request)

    async def _astream(self, exchange: Exchange, request: httpcore2.Request) -> AsyncGenerator[AnswerEvent, None]:
        with exchange:
            response = await self._async().handle_async_request(request)
        try:
            exchange.head(response.status, _headers(response))
            with exchange:
                async for chunk in response.aiter_stream():
                    for event in exchange.feed(chunk):
                        yield event
            with exchange:
                for event in exchange.end():
                    yield event
        finally:
            await response.aclose()

    def close(self) -> None:
        """Close this process's connections that belong to no event loop."""
        blocking = self._current().blocking
        while blocking and not self._shares:
            blocking.pop().close()

    async def aclose(self) -> None:
        """Close the running event loop's connections."""
        if self._shares:
            return
        loop = asyncio.get_running_loop()
        pool = self._current().by_loop.pop(loop, None)
        if pool is not None:
            await pool.aclose()
        await asyncio.gather(*(task for task in _leaving if task.get_loop() is loop))

    def retire(self) -> None:
        """Keep no connection, on whatever thread or event loop: each is closed when its answer ends, or now."""
        pools = self._current()
        pools.retired = True
        for pool in pools.blocking:
            let_go(pool)
        for loop, apool in list(pools.by_loop.items()):
            with suppress(RuntimeError):  # the loop is closed: its connections can only be dropped
                loop.call_soon_threadsafe(_retire, loop, apool)

    def _exchange(self, attempt: Attempt[AnyRequest]) -> tuple[Exchange, httpcore2.Request]:
        dialect = self._dialects.get(attempt.model)
        if dialect is None:
            dialect = self._dialects[attempt.model] = self._setup.profile.dialect(attempt.model)
        extra = attempt.request.extra
        if extra:
            own = {**extra.get(self._setup.profile.name, {}), **extra.get(self._setup.name, {})}
            dialect = replace(dialect, extra=own)
        codec, sent = self._encode(attempt, dialect)
        for note in sent.notes:
            attempt.note(note)
        for what, detail in sent.losses:
            attempt.lose(what, detail)
        return Exchange(codec, dialect, attempt, self._setup.key), self._request(sent, attempt.limits.connect)

    def _encode(self, attempt: Attempt[AnyRequest], dialect: Dialect) -> tuple[Codec | EmbeddingsCodec, WireRequest]:
        request = attempt.request
        if isinstance(request, EmbedRequest):
            return self._embeddings, self._embeddings.encode(request, attempt.model, dialect)
        sent = self._codec.encode(request, attempt.model, dialect, stream=attempt.stream, path=attempt.path)
        return self._codec, sent

    def _request(self, sent: WireRequest, connect: float) -> httpcore2.Request:
        """Write the request. The one place in which a key is revealed."""
        url = self._urls.get(sent.path)
        if url is None:
            url = self._urls[sent.path] = httpcore2.URL(self._base + sent.path)
        headers = {**self._headers, **sent.headers, "content-length": str(len(sent.body))}
        if self._setup.key is not None:
            headers["authorization"] = f"Bearer {self._setup.key.reveal()}"
        return httpcore2.Request(
            "POST",
            url,
            headers=headers,
            content=sent.body,
            extensions={"timeout": {"connect": connect, "pool": connect, "read": None, "write": None}},
        )

    def _blocking(self) -> httpcore2.ConnectionPool:
        pools = self._current()
        if not pools.blocking:
            pools.blocking.append(blocking_pool(self._base, *self._network(), refuses=self._refuses))
            if pools.retired:
                let_go(pools.blocking[0])
        return pools.blocking[0]  # threads that came at the same time all take the first, and all are closed

    def _async(self) -> httpcore2.AsyncConnectionPool:
        pools = self._current()
        loop = asyncio.get_running_loop()
        pool = pools.by_loop.get(loop)
        if pool is None:
            for ended in [known for known in list(pools.by_loop) if known.is_closed()]:
                pools.by_loop.pop(ended, None)  # its connections can only be dropped
            pool = pools.by_loop[loop] = async_pool(self._base, *self._network(), refuses=self._refuses)
            if pools.retired:
                _retire(loop, pool)
        return pool

    def _network(self) -> tuple[str | None, Path | None]:
        """The proxy, and the certificates that are trusted besides the system's."""
        options = self._setup.options
        return options.get("proxy"), options.get("ca_file")

    def _current(self) -> _Pools:
        """This process's pools. Those of a parent are kept but never used or closed: its connections are not ours."""
        pools = self._pools
        if pools.pid != os.getpid():
            _orphans.append(replace(pools))
            pools.blocking, pools.by_loop, pools.pid = [], {}, os.getpid()
        return pools


@dataclass(slots=True)
class _Pools:
    """The connections of one process: one pool for threads, one for each event loop.

    :ivar retired: whether none is kept when its answer has ended.
    """

    pid: int = field(default_factory=os.getpid)
    blocking: list[httpcore2.ConnectionPool] = field(default_factory=list)
    by_loop: dict[asyncio.AbstractEventLoop, httpcore2.AsyncConnectionPool] = field(default_factory=dict)
    retired: bool = False


def _retire(loop: asyncio.AbstractEventLoop, pool: httpcore2.AsyncConnectionPool) -> None:
    task = loop.create_task(alet_go(pool))
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)


_leaving: set[asyncio.Task[None]] = set()
_orphans: list[_Pools] = []


def _headers(response: httpcore2.Response) -> dict[str, str]:
    """Return the headers by lower-case names; what comes twice is joined, as HTTP has it."""
    headers: dict[str, str] = {}
    for raw, value in response.headers:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers
