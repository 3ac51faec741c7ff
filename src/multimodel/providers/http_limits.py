"""Absolute limits under the HTTP pool: a network backend whose every read waits at most until the attempt's limit.

httpcore gives each read the same time-out, so bytes that trickle never trip it. The attempt's own limit
travels to the backend in a context variable; a connection, which serves one attempt after the other, keeps the limit
of the one that sent last.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeAlias

import httpcore2
from httpcore2._utils import is_socket_readable
from typing_extensions import override

from ..errors import ConfigurationError, error_for
from ..types import Limits
from .base import CHECK

__all__ = ["WIRE", "Wire", "alet_go", "async_pool", "blocking_pool", "let_go"]

_CONNECTIONS: int | None = None  # how many attempts are under way is for the policy to say
_IDLE_CONNECTIONS = 100
_KEEPALIVE = 20.0
_SLICE = 64 * 1024
_HTTP = b"HTTP/1."
_LOOK = 0.02  # seconds between two looks at whether anybody still waits


Check: TypeAlias = "Callable[[Sequence[str]], Sequence[str]]"
"""Looks at the addresses of a name, and returns those that may be tried."""
Refuses: TypeAlias = "Callable[[str], bool]"
"""Says of a host, before its name is looked up, that no connection to it may be opened."""


class Wire:
    """What one attempt may do on the network, and what it did.

    :ivar limit: the instant until which it may wait.
    :ivar connected: whether it opened a connection of its own; name look-up, TCP and TLS share one limit.
    :ivar received: bytes that came.
    :ivar ended: whether the other side has closed.
    :ivar look: seconds of one wait at most: then it is asked again whether to go on.
    """

    __slots__ = (
        "_check",
        "_connect",
        "_connect_by",
        "_deadline",
        "_given_up",
        "_hosts",
        "_now",
        "_pause",
        "connected",
        "ended",
        "limit",
        "look",
        "received",
    )

    def __init__(
        self,
        now: Callable[[], float],
        limits: Limits,
        *,
        stream: bool,
        given_up: Callable[[], bool] | None = None,
        check: Callable[[], None] = lambda: None,
        hosts: frozenset[str] | None = None,
    ) -> None:
        self._now = now
        self._given_up = given_up
        self._check = check
        self._hosts = hosts
        self.look = CHECK if given_up is None else _LOOK
        self._deadline = limits.deadline
        self.limit = min(limits.first_content if stream else limits.whole, limits.deadline)
        self._connect = limits.connect
        self._connect_by = self.limit
        self._pause: float | None = None
        self.connected = False
        self.received = 0
        self.ended = False

    def took(self, data: bytes) -> bytes:
        """Count what was read; nothing is the end.

        :raises httpcore2.RemoteProtocolError: the first bytes after a request begin no answer: they belong to what was
            left of another one.
        """
        first = not self.received
        self.received += len(data)
        self.ended = not data
        if first and not _HTTP.startswith(data[: len(_HTTP)]):
            raise httpcore2.RemoteProtocolError("the first bytes begin no answer")
        return data

    def wait(self, seconds: float) -> None:
        """Let the next wait, and all after it together, last so long. What passes until it begins is the reader's."""
        self._pause = seconds

    def begin_to_connect(self, host: str) -> None:
        """From now on the connection to ``host`` has ``connect`` seconds to stand.

        :raises PolicyDeniedError: the policy does not allow that host. No name is looked up, and no socket is opened.
        """
        if self._hosts is not None and host not in self._hosts:
            raise error_for("policy_denied", "the host is none that the policy allows for this target", code="host")
        self.connected = True
        self._connect_by = min(self.limit, self._now() + self._connect)

    def left_to_connect(self) -> float:
        """Seconds until the connection must stand; raises ``ConnectTimeout`` when there are none.

        :raises PolicyDeniedError: the vendor was cut off.
        """
        self._check()
        left = self._connect_by - self._now()
        if left <= 0.0 or (self._given_up is not None and self._given_up()):
            raise httpcore2.ConnectTimeout
        return left

    def left(self, timeout: float | None, late: type[Exception]) -> float:
        """Seconds that may still be waited, at most ``timeout``; raises ``late`` when there are none.

        :raises PolicyDeniedError: the vendor was cut off.
        """
        self._check()
        now = self._now()
        if self._pause is not None:
            self.limit = min(now + self._pause, self._deadline)
            self._pause = None
        left = self.limit - now
        if left <= 0.0 or (self._given_up is not None and self._given_up()):
            raise late
        return left if timeout is None else min(left, timeout)


WIRE: ContextVar[Wire] = ContextVar("multimodel_wire")


class _Stream(httpcore2.NetworkStream):
    def __init__(self, inner: httpcore2.NetworkStream, wire: Wire) -> None:
        self._inner = inner
        self._wire = wire  # of the attempt that sent last

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wire = self._wire
        while True:
            left = wire.left(timeout, httpcore2.ReadTimeout)
            try:
                return wire.took(self._inner.read(max_bytes, min(left, wire.look)))
            except httpcore2.ReadTimeout:
                if left <= wire.look:
                    raise

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        wire = self._wire = WIRE.get()
        for start in range(0, len(buffer), _SLICE):  # each send of the socket may wait as long as it is told
            self._inner.write(buffer[start : start + _SLICE], wire.left(timeout, httpcore2.WriteTimeout))

    @override
    def close(self) -> None:
        self._inner.close()

    @override
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        wire = WIRE.get()
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, wire.left_to_connect()), wire)

    @override
    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore2.NetworkBackend):
    def __init__(self, check: Check | None, refuses: Refuses | None) -> None:
        self._inner = httpcore2.SyncBackend()
        self._check = check
        self._refuses = refuses

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        _not_refused(host, self._refuses)
        wire = WIRE.get()
        wire.begin_to_connect(host)
        failed: Exception = httpcore2.ConnectError("the name has no address")
        addresses: Sequence[str] = _addresses(host, port, wire.left_to_connect())
        if self._check is not None:
            addresses = self._check(addresses)
        for address in addresses:  # the socket module would give each of them the whole time
            try:
                left = wire.left_to_connect()
                return _Stream(self._inner.connect_tcp(address, port, left, local_address, socket_options), wire)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


def _not_refused(host: str, refuses: Refuses | None) -> None:
    if refuses is not None and refuses(host):
        raise httpcore2.ConnectError("this process refuses to connect")


def _addresses(host: str, port: int, left: float) -> list[str]:
    """Look a name up. The system gives this no limit, so it happens on a thread that may be left behind."""
    found: SimpleQueue[list[Any] | OSError] = SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else OSError(0, "no host name"))

    if _is_address(host):
        look_up()
    else:
        Thread(target=look_up, name="multimodel-look-up", daemon=True).start()
    try:
        answer = found.get(timeout=left)
    except Empty:
        raise httpcore2.ConnectTimeout from None
    if isinstance(answer, OSError):
        raise httpcore2.ConnectError(answer) from answer
    return list(dict.fromkeys(str(entry[4][0]) for entry in answer))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class _AsyncStream(httpcore2.AsyncNetworkStream):
    def __init__(self, inner: httpcore2.AsyncNetworkStream, wire: Wire) -> None:
        self._inner = inner
        self._socket: Any = None
        self._wire = wire  # of the attempt that sent last

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wire = self._wire
        while True:
            left = wire.left(timeout, httpcore2.ReadTimeout)
            try:
                return wire.took(await self._inner.read(max_bytes, min(left, wire.look)))
            except httpcore2.ReadTimeout:
                if left <= wire.look:
                    raise

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        wire = self._wire = WIRE.get()
        await self._inner.write(buffer, wire.left(timeout, httpcore2.WriteTimeout))

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()

    @override
    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        wire = WIRE.get()
        left = wire.left_to_connect()
        return _AsyncStream(await self._inner.start_tls(ssl_context, server_hostname, left), wire)

    @override
    def get_extra_info(self, info: str) -> Any:
        if info != "is_readable":
            return self._inner.get_extra_info(info)
        if self._socket is None:  # to ask for it costs more than all else, and each call asks each idle connection
            self._socket = self._inner.get_extra_info("socket")
        return _holds_more(self._inner) or is_socket_readable(self._socket)


def _holds_more(stream: Any) -> bool:
    """Whether bytes came that nobody has read. The event loop takes them from the socket, so that it looks empty.

    They belong to no answer that was asked for: the next one must not begin with them. Nothing public shows them.
    """
    stream = stream._stream  # noqa: SLF001
    if hasattr(stream, "_read_bio"):
        if stream._read_bio.pending:  # noqa: SLF001  # TLS holds them undeciphered
            return True
        stream = stream.transport_stream
    return bool(stream._protocol.read_queue)  # noqa: SLF001


class _AsyncBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, check: Check | None, refuses: Refuses | None) -> None:
        self._inner = httpcore2.AnyIOBackend()
        self._check = check
        self._refuses = refuses

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        _not_refused(host, self._refuses)
        wire = WIRE.get()
        wire.begin_to_connect(host)
        addresses: Sequence[str] = [host]  # tries all addresses of a name by itself
        if self._check is not None:
            addresses = self._check(await _looked_up(host, port, wire.left_to_connect()))
        failed: Exception = httpcore2.ConnectError("the name has no address")
        for address in addresses:
            try:
                left = wire.left_to_connect()
                inner = await self._inner.connect_tcp(address, port, left, local_address, socket_options)
                return _AsyncStream(inner, wire)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


async def _looked_up(host: str, port: int, left: float) -> list[str]:
    """Look a name up, for as long as there is time."""
    import asyncio

    try:
        async with asyncio.timeout(left):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise httpcore2.ConnectTimeout from None
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(error) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _settings(base_url: str, ca_file: Path | None) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "max_connections": _CONNECTIONS,
        "max_keepalive_connections": _IDLE_CONNECTIONS,
        "keepalive_expiry": _KEEPALIVE,
    }
    if base_url.startswith("https:"):
        settings["ssl_context"] = _usual_context() if ca_file is None else _context_with(ca_file)
    return settings


@cache
def _usual_context() -> ssl.SSLContext:
    """Trust the system's certificates. To read them takes tens of milliseconds, so it happens once a process."""
    from httpx2 import create_ssl_context

    return create_ssl_context(trust_env=False)


def _context_with(ca_file: Path) -> ssl.SSLContext:
    from httpx2 import create_ssl_context

    context = create_ssl_context(trust_env=False)
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"`ca_file` {ca_file}: {error.strerror or 'it holds no certificate'}",
            hint="name a file with certificates in PEM",
        ) from error
    return context


def blocking_pool(
    base_url: str,
    proxy: str | None,
    ca_file: Path | None,
    check: Check | None = None,
    refuses: Refuses | None = None,
) -> httpcore2.ConnectionPool:
    """Return a pool for callers' threads. The environment is not read.

    :param proxy: an http(s) URL or None.
    :param ca_file: certificates to trust besides the system's.
    :param check: looks at the addresses of a host before one is connected to.
    :param refuses: says of a host, also of a proxy, that it is not connected to.
    :raises ConfigurationError: ``ca_file`` holds none.
    """
    settings = {**_settings(base_url, ca_file), "network_backend": _Backend(check, refuses)}
    if proxy is None:
        return httpcore2.ConnectionPool(**settings)
    return httpcore2.HTTPProxy(proxy_url=proxy, **settings)


def async_pool(
    base_url: str,
    proxy: str | None,
    ca_file: Path | None,
    check: Check | None = None,
    refuses: Refuses | None = None,
) -> httpcore2.AsyncConnectionPool:
    """Return a pool for one event loop."""
    settings = {**_settings(base_url, ca_file), "network_backend": _AsyncBackend(check, refuses)}
    if proxy is None:
        return httpcore2.AsyncConnectionPool(**settings)
    return httpcore2.AsyncHTTPProxy(proxy_url=proxy, **settings)


def let_go(pool: httpcore2.ConnectionPool) -> None:
    """Keep no connection of a pool: those that are idle are closed now, the others when their answers end.

    Nothing public does so: to close the pool breaks off what is under way on it.
    """
    pool._max_keepalive_connections = 0  # noqa: SLF001
    with pool._optional_thread_lock:  # noqa: SLF001
        idle = pool._assign_requests_to_connections()  # noqa: SLF001
    pool._close_connections(idle)  # noqa: SLF001


async def alet_go(pool: httpcore2.AsyncConnectionPool) -> None:
    """Do the same on the pool's event loop."""
    pool._max_keepalive_connections = 0  # noqa: SLF001
    await pool._close_connections(pool._assign_requests_to_connections())  # noqa: SLF001
