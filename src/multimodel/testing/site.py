"""What stands behind the connections of a vendor: its wires, its log, and what is to go wrong next."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Collection
from time import monotonic
from typing import Any, Protocol, TypeAlias

from .answer import Answer, Event, Script
from .dashscope_wire import DashScopeWire
from .faults import Fault
from .http import Connection
from .openai_wire import House, OpenAIWire
from .refusals import Refusal
from .reply import VendorRequest, WireName

__all__ = ["LOG_MAXIMUM", "FaultSource", "Settings", "Site"]

LOG_MAXIMUM = 10_000
"""So many requests are kept; the oldest are dropped."""

FaultSource: TypeAlias = "Fault | Callable[[VendorRequest], Fault | None] | None"

_OPENAI = OpenAIWire(compatible=False)
_WIRES: tuple[tuple[str, WireName, OpenAIWire | DashScopeWire], ...] = (
    ("/v1", "openai", _OPENAI),
    ("/api/v1", "dashscope", DashScopeWire()),
    ("/compatible-mode/v1", "compatible", OpenAIWire(compatible=True)),
)


class Settings(House, Protocol):
    """What the owner of a vendor has set."""

    keys: Collection[str] | None
    faults: deque[Fault | None]

    @property
    def fault(self) -> FaultSource:
        """What goes wrong with every request."""
        ...


class Site:
    """Answers requests. Runs on the event loop's thread; others may read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened = 0
        self.connections: set[Connection] = set()
        self.accepted = 0
        self.unread = 0
        self.log: list[VendorRequest] = []
        self.requests = 0
        self.bytes_received = 0
        self.change = threading.Condition()

    def enter(self) -> Connection:
        """Make the protocol of a new connection."""
        return Connection(self)

    def count(self, read: bool) -> None:  # noqa: FBT001  # the door hands it over
        """Count a connection that was accepted, and whether it is read."""
        self.accepted += 1
        self.unread += not read
        self.changed()

    def opened(self, connection: Connection) -> int:
        """Take note of a connection that is read; return its number."""
        self.connections.add(connection)
        self._opened += 1
        return self._opened - 1

    def closed(self, connection: Connection) -> None:
        """Take note that a connection is gone."""
        self.connections.discard(connection)
        self.changed()

    def changed(self) -> None:
        """Wake those who wait for a change."""
        with self.change:
            self.change.notify_all()

    def received(self, size: int) -> None:
        """Count bytes that came."""
        self.bytes_received += size

    def respond(
        self, connection: int, method: str, target: str, headers: dict[str, str], body: bytes, size: int
    ) -> tuple[VendorRequest, Script]:
        """Return the record of a request and the script that answers it."""
        path = target.partition("?")[0]
        base, name, wire = next((one for one in _WIRES if path.startswith(one[0] + "/")), ("", None, _OPENAI))
        parsed = _parsed(body)
        stream = headers.get("x-dashscope-sse") == "enable" if name == "dashscope" else (parsed or {}).get("stream")
        request = VendorRequest(
            self.requests, connection, method, path, name, headers, parsed, monotonic(), size, bool(stream)
        )
        self.requests += 1
        fault = self._next_fault(request)
        request.fault = None if fault is None else fault.name
        if len(self.log) >= LOG_MAXIMUM:
            del self.log[: LOG_MAXIMUM // 10]
        self.log.append(request)
        self.changed()
        answer = self._answer(request, wire, path.removeprefix(base))
        return request, answer.script() if fault is None else fault.play(answer)

    def _answer(self, request: VendorRequest, wire: OpenAIWire | DashScopeWire, path: str) -> Answer:
        if request.wire is None:
            return Answer(wire, request, [Event("whole", {"error": "no such path"})], status=404)
        keys = self._settings.keys
        if keys is not None and request.headers.get("authorization", "").removeprefix("Bearer ") not in keys:
            return wire.refuse(request, wire.refusal(request, "authentication"))
        try:
            return wire.respond(request, path, self._settings)
        except Exception as error:  # noqa: BLE001  # a bug in the user's `answer` must not look like a hang
            text = f"the stand-in failed to answer: {type(error).__name__}: {error}"
            return wire.refuse(request, Refusal(500, "InternalError", text))

    def _next_fault(self, request: VendorRequest) -> Fault | None:
        if self._settings.faults:
            return self._settings.faults.popleft()
        fault = self._settings.fault
        return fault(request) if callable(fault) else fault


def _parsed(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
