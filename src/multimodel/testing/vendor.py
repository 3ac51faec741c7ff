"""A vendor on loopback that says what it is told and fails as it is told."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, Self, cast

from .certificates import Authority, Flaw
from .door import TLS_STATES, Door, DoorState
from .faults import Fault
from .reply import Says, VendorRequest
from .site import FaultSource, Site

__all__ = ["NATIVE_PATHS", "Connections", "FaultyVendor"]

NATIVE_PATHS = {
    "qwen-plus": "text",
    "qwen-max": "text",
    "qwen-flash": "text",
    "qwen-turbo": "text",
    "qwen3-max": "text",
    "qwen3.7-max": "text",
    "qwen3.8-max": "multimodal",
    "qwen3.8-flash": "multimodal",
    "qwen3.7-plus": "multimodal",
    "qwen3.7-flash": "multimodal",
    "qwen3.6-plus": "multimodal",
    "qwen3.6-flash": "multimodal",
    "qwen3.5-plus": "multimodal",
    "qwen3.5-flash": "multimodal",
    "qwen3-vl-plus": "multimodal",
    "qwen3-vl-flash": "multimodal",
}
"""Where DashScope's models live. A name that is not here is served on both paths."""


class Connections(NamedTuple):
    """How many connections are open now, how many there have been, and how many of them were never read."""

    open: int
    total: int
    unread: int


class FaultyVendor:
    """A real HTTP server on 127.0.0.1 that speaks OpenAI's and DashScope's wires, in a thread of its own.

    Everything may be changed while it runs; a change holds from the next request on.

    :ivar answer: what it says: a text, a :class:`Reply`, a function of the :class:`VendorRequest`, or None: it makes
        up what fits the request (a tool call, JSON for the schema, else "You said: …").
    :ivar faults: what goes wrong with the next requests, one entry each; None is a healthy one. Goes before ``fault``.
    :ivar keys: the keys that are accepted; None accepts anything.
    :ivar models: the models that exist; None knows every name.
    :ivar native_paths: which DashScope models live on the ``text`` or the ``multimodal`` path; the wrong path is
        refused as DashScope refuses it.
    :ivar words: words in one event of a stream.
    :ivar pace: seconds between two events of a stream.
    :param port: 0 takes a free one.
    :param authority: speak https, with certificates by this authority, which clients have to trust.

    >>> from urllib.request import Request, urlopen
    >>> with FaultyVendor(answer="Yes.") as vendor:
    ...     body = b'{"model": "m", "messages": [{"role": "user", "content": "Is it?"}]}'
    ...     with urlopen(Request(f"{vendor.openai_url}/chat/completions", body)) as response:
    ...         b'"content":"Yes."' in response.read()
    ...     vendor.log[0].text
    True
    'Is it?'
    """

    def __init__(
        self,
        *,
        answer: Says = None,
        fault: FaultSource = None,
        keys: Collection[str] | None = None,
        port: int = 0,
        authority: Authority | None = None,
    ) -> None:
        self.answer = answer
        self.faults: deque[Fault | None] = deque()
        self.keys = keys
        self.models: Collection[str] | None = None
        self.native_paths = dict(NATIVE_PATHS)
        self.words = 1
        self.pace = 0.0
        self.authority = authority
        self._port = port
        self._site = Site(self)
        self._door = Door(self._site.enter, self._site.count, self._context)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.fault = fault

    # --- life

    def start(self) -> Self:
        """Listen. Entering the vendor as a context manager does the same.

        :raises OSError: the port is taken.
        """
        if self._loop is not None:
            raise RuntimeError("the vendor is running already")
        self._port = self._door.bind(self._port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-vendor", daemon=True)
        self._thread.start()
        self._apply()
        return self

    def close(self) -> None:
        """Break off what is in flight and stop. A second call does nothing; a later start takes the same port."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._shut(), loop).result()
        self._loop = self._thread = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.close()

    # --- where it is

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; it stays the same while connections are refused."""
        return self._port

    @property
    def openai_url(self) -> str:
        """Base URL for an OpenAI client."""
        return f"{self._origin}/v1"

    @property
    def dashscope_url(self) -> str:
        """Base URL for DashScope's native wire."""
        return f"{self._origin}/api/v1"

    @property
    def compatible_url(self) -> str:
        """Base URL for DashScope's compatible mode."""
        return f"{self._origin}/compatible-mode/v1"

    @property
    def _origin(self) -> str:
        return f"{'http' if self.authority is None else 'https'}://127.0.0.1:{self._port}"

    # --- what goes wrong

    @property
    def fault(self) -> FaultSource:
        """What goes wrong with every request: one of ``multimodel.testing.faults``, a function of the request, or None.

        A fault of the listening socket (``refuse``, ``unanswered``, ``deaf``, a bad certificate) is in force when the
        assignment returns.

        :raises ValueError: a bad certificate, and the vendor does not speak https.
        """
        return self._fault

    @fault.setter
    def fault(self, fault: FaultSource) -> None:
        if isinstance(fault, Fault) and fault.door in TLS_STATES and self.authority is None:
            raise ValueError(f"`{fault}` needs a vendor that speaks https: give it an `authority`")
        self._fault = fault
        if self._loop is not None:
            self._apply()

    def script(self, faults: Iterable[Fault | None]) -> None:
        """Say what goes wrong with the next requests, one entry each, in place of what was scripted before.

        :raises ValueError: a fault of the listening socket cannot meet one request; set ``fault`` to it.
        """
        scripted = list(faults)
        for fault in scripted:
            if fault is not None and fault.door != "open":
                raise ValueError(f"`{fault}` meets connections, not requests: set `fault` to it")
        self.faults = deque(scripted)

    # --- what it saw

    @property
    def log(self) -> list[VendorRequest]:
        """The newest 10,000 requests, in the order of arrival. It may be cleared."""
        return self._site.log

    @property
    def requests(self) -> int:
        """How many requests there have been."""
        return self._site.requests

    @property
    def bytes_received(self) -> int:
        """Bytes that ever reached it, those of unfinished requests too."""
        return self._site.bytes_received

    @property
    def connections(self) -> Connections:
        """Connections open now, ever, and accepted without being read."""
        return Connections(len(self._site.connections), self._site.accepted, self._site.unread)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float = 5.0) -> bool:
        """Wait until ``condition`` holds; it is looked at whenever a request or a connection changes.

        :returns: whether it holds.

        >>> with FaultyVendor() as vendor:
        ...     vendor.wait_until(lambda: vendor.connections.open == 0)
        True
        """
        with self._site.change:
            return self._site.change.wait_for(condition, timeout=seconds)

    # --- the thread's side

    def _context(self, state: DoorState) -> ssl.SSLContext | None:
        if self.authority is None or state == "plain":
            return None
        return self.authority.server_context(cast("Flaw", state) if state in TLS_STATES else None)

    def _apply(self) -> None:
        """Open or shut the door as the fault says; on return it is done."""
        fault = self._fault
        state: DoorState = fault.door if isinstance(fault, Fault) else "open"
        if threading.current_thread() is self._thread:
            self._set_door(state)
            return

        async def setting() -> None:
            self._set_door(state)

        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(setting(), self._loop).result()

    def _set_door(self, state: DoorState) -> None:
        self._door.set(state)
        if state != "open":
            for connection in [one for one in self._site.connections if not one.busy]:
                connection.stop()

    async def _shut(self) -> None:
        await self._door.leave()
        for connection in list(self._site.connections):
            connection.stop()
