"""Vendors over HTTP: drives any wire codec, on the caller's thread or on an event loop.

One connection pool per process and event loop; after a fork the inherited pool is forgotten, never closed. A
connection whose answer was not read to its end is closed. Redirects are never followed, and the environment's
proxies are not used.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from dataclasses import dataclass, field, replace

import httpx2
from typing_extensions import override

from ..types import AnswerEvent, Attempt
from ..wire import Dialect, codec_for
from .base import Key, ProviderSetup
from .http_exchange import Exchange
from .http_limits import async_pool, blocking_pool

__all__ = ["HttpProvider"]


class HttpProvider:
    """One account at one HTTP endpoint: the adapter ``http``."""

    def __init__(self, setup: ProviderSetup) -> None:
        if setup.base_url is None or setup.wire is None:
            raise ValueError("an http provider needs `base_url` and `wire`")
        self._setup = setup
        self._codec = codec_for(setup.wire)
        self._base = setup.base_url.rstrip("/")
        self._dialects: dict[str, Dialect] = {}
        self._auth = _Bearer(setup.key) if setup.key is not None else None
        self._headers = {
            "user-agent": "multimodel",
            "accept-encoding": "identity",
            **setup.options.get("headers", {}),
        }
        self._pools = _Pools()

    def stream(self, attempt: Attempt) -> Iterator[AnswerEvent]:
        """Send one request on the caller's thread and yield its events."""
        exchange, request = self._exchange(attempt)
        return self._stream(exchange, request)

    def _stream(self, exchange: Exchange, request: httpx2.Request) -> Generator[AnswerEvent, None, None]:
        with exchange:
            response = self._blocking().send(request, stream=True)
        try:
            exchange.head(response.status_code, response.headers)
            chunks = response.iter_raw()
            while not exchange.over:
                chunk = None
                with exchange:
                    chunk = next(chunks, None)
                yield from exchange.feed(chunk)
        finally:
            response.close()

    def astream(self, attempt: Attempt) -> AsyncIterator[AnswerEvent]:
        """Send one request on the running event loop and yield its events."""
        exchange, request = self._exchange(attempt)
        return self._astream(exchange, request)

    async def _astream(self, exchange: Exchange, request: httpx2.Request) -> AsyncGenerator[AnswerEvent, None]:
        with exchange:
            response = await self._async().send(request, stream=True)
        try:
            exchange.head(response.status_code, response.headers)
            chunks = response.aiter_raw()
            while not exchange.over:
                chunk = None
                with exchange:
                    chunk = await anext(chunks, None)
                for event in exchange.feed(chunk):
                    yield event
        finally:
            await response.aclose()

    def close(self) -> None:
        """Close this process's connections that belong to no event loop."""
        blocking = self._current().blocking
        while blocking:
            blocking.pop().close()

    async def aclose(self) -> None:
        """Close the running event loop's connections."""
        client = self._current().by_loop.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _exchange(self, attempt: Attempt) -> tuple[Exchange, httpx2.Request]:
        dialect = self._dialects.get(attempt.model)
        if dialect is None:
            dialect = self._dialects[attempt.model] = self._setup.profile.dialect(attempt.model)
        extra = attempt.request.extra
        if extra:
            own = {**extra.get(self._setup.profile.name, {}), **extra.get(self._setup.name, {})}
            dialect = replace(dialect, extra=own)
        sent = self._codec.encode(attempt.request, attempt.model, dialect, stream=attempt.stream, path=attempt.path)
        for note in sent.notes:
            attempt.note(note)
        connect = attempt.limits.connect
        request = httpx2.Request(
            "POST",
            self._base + sent.path,
            headers={**self._headers, **sent.headers},
            content=sent.body,
            extensions={"timeout": {"connect": connect, "pool": connect, "read": None, "write": None}},
        )
        return Exchange(self._codec, dialect, attempt), request

    def _blocking(self) -> httpx2.Client:
        pools = self._current()
        if not pools.blocking:
            transport = blocking_pool(self._base, self._setup.options.get("proxy"))
            pools.blocking.append(httpx2.Client(transport=transport, auth=self._auth, trust_env=False))
        return pools.blocking[0]  # threads that came at the same time all take the first, and all are closed

    def _async(self) -> httpx2.AsyncClient:
        pools = self._current()
        loop = asyncio.get_running_loop()
        client = pools.by_loop.get(loop)
        if client is None:
            for ended in [known for known in list(pools.by_loop) if known.is_closed()]:
                pools.by_loop.pop(ended, None)  # its connections can only be dropped
            transport = async_pool(self._base, self._setup.options.get("proxy"))
            client = pools.by_loop[loop] = httpx2.AsyncClient(transport=transport, auth=self._auth, trust_env=False)
        return client

    def _current(self) -> _Pools:
        """This process's pools. Those of a parent are kept but never used or closed: its connections are not ours."""
        if self._pools.pid != os.getpid():
            _orphans.append(self._pools)
            self._pools = _Pools()
        return self._pools


@dataclass(slots=True)
class _Pools:
    """The connections of one process: one pool for threads, one for each event loop."""

    pid: int = field(default_factory=os.getpid)
    blocking: list[httpx2.Client] = field(default_factory=list)
    by_loop: dict[asyncio.AbstractEventLoop, httpx2.AsyncClient] = field(default_factory=dict)


_orphans: list[_Pools] = []


class _Bearer(httpx2.Auth):
    """The one place in which a key is revealed."""

    def __init__(self, key: Key) -> None:
        self._key = key

    @override
    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["authorization"] = f"Bearer {self._key.reveal()}"
        yield request
