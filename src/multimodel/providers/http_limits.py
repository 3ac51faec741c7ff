"""Absolute limits under the HTTP pool: a network backend whose every read waits at most until the attempt's limit.

httpcore gives each read the same time-out, so bytes that trickle never trip it. The attempt's own limit
travels in a context variable, because a connection of the pool serves one attempt after the other.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import httpcore2
import httpx2
from typing_extensions import override

__all__ = ["WIRE", "Wire", "async_pool", "blocking_pool"]

_CONNECTIONS = 1000
_IDLE_CONNECTIONS = 100
_KEEPALIVE = 20.0
_SLICE = 64 * 1024


class Wire:
    """What one attempt may do on the network, and what it did.

    :ivar limit: the instant until which it may wait.
    :ivar connected: whether it opened a connection of its own; name look-up, TCP and TLS share one limit.
    :ivar received: bytes that came.
    """

    __slots__ = ("_connect", "_connect_by", "_now", "connected", "limit", "received")

    def __init__(self, now: Callable[[], float], limit: float, connect: float) -> None:
        self._now = now
        self.limit = limit
        self._connect = connect
        self._connect_by = limit
        self.connected = False
        self.received = 0

    def begin_to_connect(self) -> None:
        """From now on the connection has ``connect`` seconds to stand."""
        self.connected = True
        self._connect_by = min(self.limit, self._now() + self._connect)

    def left_to_connect(self) -> float:
        """Seconds until the connection must stand; raises ``ConnectTimeout`` when there are none."""
        left = self._connect_by - self._now()
        if left <= 0.0:
            raise httpcore2.ConnectTimeout
        return left

    def left(self, timeout: float | None, late: type[Exception]) -> float:
        """Seconds that may still be waited, at most ``timeout``; raises ``late`` when there are none."""
        left = self.limit - self._now()
        if left <= 0.0:
            raise late
        return left if timeout is None else min(left, timeout)


WIRE: ContextVar[Wire] = ContextVar("multimodel_wire")


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wire = WIRE.get()
        data = self._inner.read(max_bytes, wire.left(timeout, httpcore2.ReadTimeout))
        wire.received += len(data)
        return data

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        wire = WIRE.get()
        for start in range(0, len(buffer), _SLICE):  # each send of the socket may wait as long as it is told
            self._inner.write(buffer[start : start + _SLICE], wire.left(timeout, httpcore2.WriteTimeout))

    @override
    def close(self) -> None:
        self._inner.close()

    @override
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, WIRE.get().left_to_connect()))

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore2.NetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore2.SyncBackend()

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        wire = WIRE.get()
        wire.begin_to_connect()
        failed: Exception = httpcore2.ConnectError("the name has no address")
        for address in _addresses(host, port):  # the socket module would give each address the whole time
            try:
                left = wire.left_to_connect()
                return _Stream(self._inner.connect_tcp(address, port, left, local_address, socket_options))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


def _addresses(host: str, port: int) -> list[str]:
    """Look a name up. The system gives this no limit of ours."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore2.ConnectError(error) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _AsyncStream(httpcore2.AsyncNetworkStream):
    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner = inner

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wire = WIRE.get()
        data = await self._inner.read(max_bytes, wire.left(timeout, httpcore2.ReadTimeout))
        wire.received += len(data)
        return data

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, WIRE.get().left(timeout, httpcore2.WriteTimeout))

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()

    @override
    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        left = WIRE.get().left_to_connect()
        return _AsyncStream(await self._inner.start_tls(ssl_context, server_hostname, left))

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _AsyncBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self) -> None:
        self._inner = httpcore2.AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        wire = WIRE.get()
        wire.begin_to_connect()
        left = wire.left_to_connect()
        return _AsyncStream(await self._inner.connect_tcp(host, port, left, local_address, socket_options))


# httpx's public seam: a transport of our own over httpcore's public pools. Its errors pass as they are.


class _Body(httpx2.SyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @override
    def __iter__(self) -> Iterator[bytes]:
        return iter(self._inner)

    @override
    def close(self) -> None:
        self._inner.close()


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @override
    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._inner)

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()


class _Transport(httpx2.BaseTransport):
    def __init__(self, pool: httpcore2.ConnectionPool) -> None:
        self._pool = pool

    @override
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._pool.handle_request(_core_request(request))
        return httpx2.Response(response.status, headers=response.headers, stream=_Body(response.stream))

    @override
    def close(self) -> None:
        self._pool.close()


class _AsyncTransport(httpx2.AsyncBaseTransport):
    def __init__(self, pool: httpcore2.AsyncConnectionPool) -> None:
        self._pool = pool

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._pool.handle_async_request(_core_request(request))
        return httpx2.Response(response.status, headers=response.headers, stream=_AsyncBody(response.stream))

    @override
    async def aclose(self) -> None:
        await self._pool.aclose()


def _core_request(request: httpx2.Request) -> httpcore2.Request:
    url = request.url
    return httpcore2.Request(
        method=request.method,
        url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


def _settings(base_url: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "max_connections": _CONNECTIONS,
        "max_keepalive_connections": _IDLE_CONNECTIONS,
        "keepalive_expiry": _KEEPALIVE,
    }
    if base_url.startswith("https:"):
        settings["ssl_context"] = httpx2.create_ssl_context(trust_env=False)
    return settings


def blocking_pool(base_url: str, proxy: str | None) -> httpx2.BaseTransport:
    """Return a transport for callers' threads. ``proxy`` is an http(s) URL or None; the environment is not read."""
    settings = {**_settings(base_url), "network_backend": _Backend()}
    if proxy is None:
        return _Transport(httpcore2.ConnectionPool(**settings))
    return _Transport(httpcore2.HTTPProxy(proxy_url=proxy, **settings))


def async_pool(base_url: str, proxy: str | None) -> httpx2.AsyncBaseTransport:
    """Return a transport for one event loop."""
    settings = {**_settings(base_url), "network_backend": _AsyncBackend()}
    if proxy is None:
        return _AsyncTransport(httpcore2.AsyncConnectionPool(**settings))
    return _AsyncTransport(httpcore2.AsyncHTTPProxy(proxy_url=proxy, **settings))
