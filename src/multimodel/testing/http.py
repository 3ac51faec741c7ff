"""One connection of a small HTTP/1.1 server: requests in, scripts out.

Raw, because a web framework cannot reset a connection before it has sent headers.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from time import monotonic
from typing import Protocol, cast

from typing_extensions import override

from .answer import Move, Script
from .reply import Outcome, VendorRequest

__all__ = ["Connection", "Site"]

_LINGER_NOT = struct.pack("ii", 1, 0)
_ACTIONS_AT_ONCE = 256


class Site(Protocol):
    """What stands behind the connections."""

    def opened(self, connection: Connection) -> int:
        """Take note of a new connection; return its number."""
        ...

    def received(self, size: int) -> None:
        """Count bytes that came."""
        ...

    def respond(
        self, connection: int, method: str, target: str, headers: dict[str, str], body: bytes, size: int
    ) -> tuple[VendorRequest, Script]:
        """Return the record of a request and the script that answers it."""
        ...

    def changed(self) -> None:
        """Take note that the record of a request has changed."""
        ...

    def closed(self, connection: Connection) -> None:
        """Take note that a connection is gone."""
        ...


class Connection(asyncio.Protocol):
    """Reads requests, and plays one script after the other."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str], int] | None = None
        self._script: Script | None = None
        self._request: VendorRequest | None = None
        self._asking = False
        self._blocked = False
        self._keep_alive = True
        self._timer: asyncio.Handle | None = None

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._request is not None or self._asking

    def stop(self, *, reset: bool = False) -> None:
        """Close it now, whatever it is doing."""
        self._end("vendor_closed")
        if reset:
            self._leave(reset=True)
        else:
            raw: socket.socket | None = self._transport.get_extra_info("socket")
            if raw is not None:  # TLS has let go of it
                with suppress(OSError):  # the client may be gone already
                    raw.shutdown(socket.SHUT_RDWR)
            self._transport.abort()

    # --- the transport's side

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # a script goes on only when all it sent is with the kernel: so a reset never eats earlier bytes
        # (TLS would pause at a size of 0, and never go on)
        self._transport.set_write_buffer_limits(high=0 if transport.get_extra_info("ssl_object") is None else 1, low=0)
        self._number = self._site.opened(self)

    @override
    def data_received(self, data: bytes) -> None:
        self._site.received(len(data))
        self._buffer += data
        if self._request is None:
            self._read()

    @override
    def eof_received(self) -> None:
        self._client_left()
        self._transport.abort()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._client_left()
        self._site.closed(self)

    @override
    def pause_writing(self) -> None:
        self._blocked = True

    @override
    def resume_writing(self) -> None:
        self._blocked = False
        if self._timer is None:
            self._play()

    # --- reading

    def _read(self) -> None:
        if self._head is None and not self._read_head():
            return
        assert self._head is not None
        method, target, headers, length = self._head
        if len(self._buffer) < length:
            return
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._head = None
        self._asking = True
        self._request, self._script = self._site.respond(self._number, method, target, headers, body, length)
        self._asking = False
        self._play()

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        is_http = self._buffer[:1].isupper()
        if end < 0 and is_http:
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        first = lines[0].split(" ")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        length = headers.get("content-length", "0")
        if not is_http or len(first) != 3 or not length.isdecimal() or "transfer-encoding" in headers:  # noqa: PLR2004  # method, target, version
            status = "411 Length Required" if "transfer-encoding" in headers else "400 Bad Request"
            self._transport.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            self._leave()
            return False
        self._keep_alive = first[2] == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        if headers.get("expect", "").lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._head = first[0], first[1], headers, int(length)
        return True

    # --- playing a script

    def _play(self) -> None:
        self._timer = None
        request = self._request
        for _ in range(_ACTIONS_AT_ONCE):
            script = self._script
            if self._blocked or script is None or request is None or self._transport.is_closing():
                return
            try:
                action = next(script, None)
            except Exception:
                self.stop()  # a bug in a fault must not look like silence; asyncio logs it
                raise
            if action is None:
                self._over()
                return
            if isinstance(action, bytes):
                request.bytes_sent += len(action)
                self._transport.write(action)
            elif isinstance(action, Move):
                self._script = None
                if action is not Move.HANG:
                    self._end("vendor_closed")
                    self._leave(reset=action is Move.RESET)
                return
            else:
                self._timer = asyncio.get_running_loop().call_later(action, self._play)
                return
        self._timer = asyncio.get_running_loop().call_soon(self._play)

    def _over(self) -> None:
        self._script = None
        self._end("answered")
        if not self._keep_alive:
            self._leave()
        elif self._buffer:
            self._read()

    def _end(self, outcome: Outcome) -> None:
        request = self._request
        self._request = self._script = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if request is not None:
            request.ended = monotonic()
            request.outcome = outcome
            if outcome == "client_closed":
                request.client_closed = request.ended
            self._site.changed()

    def _client_left(self) -> None:
        self._end("client_closed")

    def _leave(self, *, reset: bool = False) -> None:
        if self._transport.is_closing():
            return
        if reset:
            raw: socket.socket = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()
            return
        if self._transport.can_write_eof():  # TLS cannot
            # a forked child may hold the same socket: only a shutdown is sure to send FIN
            self._transport.write_eof()
        self._transport.close()
