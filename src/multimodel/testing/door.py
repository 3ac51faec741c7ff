"""The listening socket: open, refusing, or with something stranger behind it, always on the same port."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

__all__ = ["TLS_STATES", "Door", "DoorState"]

DoorState = Literal["open", "refused", "unanswered", "deaf", "expired", "wrong_host", "untrusted", "plain"]
"""``open`` accepts and reads, ``refused`` answers SYN by RST, ``unanswered`` never answers it, ``deaf`` accepts and never reads.

The others show a bad certificate, or speak HTTP where TLS is due.
"""
TLS_STATES: frozenset[DoorState] = frozenset({"expired", "wrong_host", "untrusted", "plain"})

_BACKLOG = 1024
_FILLERS = 4


class Door:
    """Accepts connections while it is open. All methods but ``bind`` run on the event loop's thread.

    :param enter: makes the protocol of a new connection.
    :param accepted: called for every connection that was accepted, with whether it will be read.
    :param context: what TLS needs in a state; None means none.
    """

    def __init__(
        self,
        enter: Callable[[], asyncio.Protocol],
        accepted: Callable[[bool], None],
        context: Callable[[DoorState], ssl.SSLContext | None],
    ) -> None:
        self._enter = enter
        self._accepted = accepted
        self._context = context
        self._socket: socket.socket | None = None
        self._others: list[socket.socket] = []
        self._entering: set[asyncio.Task[object]] = set()
        self.state: DoorState = "refused"

    def bind(self, port: int) -> int:
        """Take the port, 0 for a free one, without listening yet: connections are refused. Return the port."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self.shut()
            raise
        self._socket.setblocking(False)
        found: int = self._socket.getsockname()[1]
        return found

    def set(self, state: DoorState) -> None:
        """Change the state; what was accepted and never read is reset."""
        if state == self.state or self._socket is None:
            return
        port: int = self._socket.getsockname()[1]
        if self.state != "refused":
            self.shut()
            self.bind(port)  # bound but not listening: refused, and nobody else gets the port
        self.state = state
        if state == "refused":
            return
        self._socket.listen(0 if state == "unanswered" else _BACKLOG)
        if state == "unanswered":
            # Linux drops a SYN when the queue of connections to accept is full
            for _ in range(_FILLERS):
                filler = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
                self._others.append(filler)
            return
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def shut(self) -> None:
        """Close the socket."""
        if self._socket is None:
            return
        if self.state not in ("refused", "unanswered"):
            asyncio.get_running_loop().remove_reader(self._socket)
        with suppress(OSError):  # a forked child may hold the same socket: only a shutdown stops it from listening
            self._socket.shutdown(socket.SHUT_RDWR)
        for one in (self._socket, *self._others):
            one.close()
        self._socket = None
        self._others.clear()
        self.state = "refused"

    async def leave(self) -> None:
        """Close the socket and wait for connections that are just being accepted."""
        self.shut()
        for task in self._entering:
            task.cancel()
        await asyncio.gather(*self._entering, return_exceptions=True)

    def _accept(self) -> None:
        listening = self._socket
        while listening is not None:
            try:
                connected, _ = listening.accept()
            except OSError:  # nobody left, or one that went away while waiting
                return
            self._accepted(self.state != "deaf")
            if self.state == "deaf":
                self._others.append(connected)
                continue
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            entering = asyncio.get_running_loop().connect_accepted_socket(
                self._enter, connected, ssl=self._context(self.state)
            )
            task = asyncio.ensure_future(entering)
            self._entering.add(task)
            task.add_done_callback(self._entered)

    def _entered(self, task: asyncio.Task[object]) -> None:
        self._entering.discard(task)
        if not task.cancelled():
            task.exception()  # a handshake that failed is the client's to report
