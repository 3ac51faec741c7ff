"""An answer as events, and the script that puts it on the network.

A script is an iterator of actions: bytes are sent, a number waits that many seconds, and a :class:`Move` ends
or suspends the connection. A fault is another script for the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from pydantic_core import to_json

if TYPE_CHECKING:
    from .refusals import Refusal
    from .reply import VendorRequest

__all__ = ["Action", "Answer", "Event", "EventKind", "Headers", "Move", "Script", "Wire", "chunk", "dumps"]

EventKind = Literal["role", "reasoning", "text", "tool", "finish", "usage", "done", "error", "whole"]
Headers: TypeAlias = "Sequence[tuple[str, str]]"


class Move(Enum):
    """What a script can do to the connection."""

    CLOSE = "close"
    """Send FIN."""
    RESET = "reset"
    """Send RST."""
    HANG = "hang"
    """Send nothing more and leave the connection open, until the client closes it."""


Action: TypeAlias = "bytes | float | Move"
Script: TypeAlias = "Iterator[Action]"


@dataclass(slots=True)
class Event:
    """One event of a stream, or a whole body.

    :ivar data: what is sent as JSON, or a text that is sent as it stands.
    :ivar status: the status that the wire shows for this event, where it shows one.
    :ivar call: which tool call it is a piece of.
    """

    kind: EventKind
    data: dict[str, Any] | str
    status: int = 200
    call: int = 0

    def payload(self) -> bytes:
        """Return the data as it is sent, without any frame."""
        return self.data.encode() if isinstance(self.data, str) else dumps(self.data)


class Wire(Protocol):
    """What a fault may ask of a wire format."""

    def frame(self, event: Event, number: int) -> bytes:
        """Return the bytes of one event of a stream, numbered from 1."""
        ...

    def refusal(self, request: VendorRequest, kind: str) -> Refusal:
        """Return what the vendor says when ``kind`` happens to this request."""
        ...

    def refuse(self, request: VendorRequest, refusal: Refusal) -> Answer:
        """Return the answer that refuses a request with the vendor's own body."""
        ...

    def error_event(self, request: VendorRequest, refusal: Refusal) -> Event:
        """Return the event that reports a failure inside a stream."""
        ...

    def text_event(self, request: VendorRequest, text: str) -> Event:
        """Return an event with one more piece of text."""
        ...


@dataclass(slots=True)
class Answer:
    """What the vendor would send if nothing went wrong.

    :ivar stream: whether ``events`` go out as a stream; otherwise there is one event, the body.
    :ivar pace: seconds between two events of a stream.
    """

    wire: Wire
    request: VendorRequest
    events: list[Event]
    stream: bool = False
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "application/json"
    pace: float = 0.0

    def with_events(self, events: list[Event]) -> Answer:
        """Return the same answer with other events."""
        return replace(self, events=events)

    def frames(self) -> list[bytes]:
        """The bytes of each event; for a whole body, one item."""
        if not self.stream:
            return [self.events[0].payload()]
        return [self.wire.frame(event, number) for number, event in enumerate(self.events, 1)]

    def head(self, length: int | None = None, extra: Headers = ()) -> bytes:
        """Return status line and headers, for a body of ``length`` bytes, or in chunks when that is None."""
        self.request.status = self.status
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}", f"content-type: {self.content_type}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, *extra)]
        lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
        return "\r\n".join((*lines, "\r\n")).encode("latin-1")

    def script(self) -> Script:
        """Send it all, as a healthy vendor does."""
        if not self.stream:
            body = self.frames()[0]
            yield self.head(len(body)) + body
            return
        yield self.head()
        for number, frame in enumerate(self.frames()):
            if number and self.pace:
                yield self.pace
            yield chunk(frame)
        yield END

    def opening(self, after: int) -> Script:
        """Send the headers and the first ``after`` events (a negative number counts from the end).

        A whole body has no events: it breaks off in the middle.
        """
        frames = self.frames()
        if not self.stream:
            body = frames[0]
            yield self.head(len(body))
            yield body[: len(body) // 2]
            return
        yield self.head()
        for number, frame in enumerate(frames[:after]):
            if number and self.pace:
                yield self.pace
            yield chunk(frame)


END = b"0\r\n\r\n"
"""The end of a body in chunks."""


def chunk(data: bytes) -> bytes:
    """Return one chunk of a body in chunks."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def dumps(value: object) -> bytes:
    """Return JSON without spaces, in UTF-8."""
    return to_json(value)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
