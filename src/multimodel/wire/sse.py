"""Server-sent events that carry JSON, decoded however the bytes are cut.

1. A line ends with LF, CRLF or CR. A byte order mark before the first line is dropped.
2. A ``data`` line that is a JSON object, or ``[DONE]``, is an event at once: vendors leave out blank lines.
   Other ``data`` lines wait for the blank line and are joined, as the standard says.
3. ``event`` names the event that follows; ``:HTTP_STATUS/N`` and ``status:N`` give its status (DashScope).
   Other comments and fields mean nothing.
4. At the end of the bytes an unfinished event counts only if it is whole: a cut one is dropped.
5. A line has at most 1 MiB, a stream at most 64 MiB and 10⁶ events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidResponseError
from .jsontext import json_object

__all__ = ["MAX_EVENTS", "MAX_LINE", "MAX_TOTAL", "Event", "EventDecoder"]

MAX_LINE = 2**20
MAX_TOTAL = 64 * 2**20
MAX_EVENTS = 10**6

_BOM = b"\xef\xbb\xbf"
_LONG_LINE = "a line of the stream is longer than 1 MiB"
_STATUS_COMMENT = b":HTTP_STATUS/"


@dataclass(slots=True)
class Event:
    """One event.

    :ivar json: the object it carries, or None when it carries none.
    :ivar name: what its ``event`` line said.
    :ivar status: the HTTP status it states.
    :ivar data: its text, where ``json`` is None.
    """

    json: dict[str, Any] | None
    name: bytes = b""
    status: int | None = None
    data: bytes = b""

    @property
    def is_done(self) -> bool:
        """Whether it is the ``[DONE]`` that ends an OpenAI stream."""
        return self.data == b"[DONE]"


class EventDecoder:
    """Bytes to events."""

    __slots__ = ("_after_cr", "_begun", "_count", "_name", "_pending", "_rest", "_status", "_total")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._after_cr = False
        self._begun = False
        self._total = 0
        self._count = 0
        self._name = b""
        self._status: int | None = None
        self._pending: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take the next bytes and yield the events they complete.

        :raises InvalidResponseError: when a limit is passed, after the events before it.
        """
        total = self._total = self._total + len(data)
        for line in self._lines(data if total <= MAX_TOTAL else data[: MAX_TOTAL - total]):
            if line.startswith(b"data:"):
                value = None if self._pending or len(line) > MAX_LINE else json_object(line[5:])
                if value is not None:
                    yield self._event(value)
                elif (event := self._text(line)) is not None:
                    yield event
            elif line:
                self._field(line)
            else:
                if self._pending:
                    yield self._joined()
                self._name, self._status = b"", None
        if len(self._rest) > MAX_LINE:
            raise InvalidResponseError(_LONG_LINE)
        if total > MAX_TOTAL:
            raise InvalidResponseError("the stream is longer than 64 MiB")

    def close(self) -> Iterator[Event]:
        """Take the end of the bytes and yield the last event, if it is whole."""
        self._total = 0
        for event in self.feed(b"\n\n"):
            if event.json is not None or event.is_done:
                yield event

    def _lines(self, data: bytes) -> list[bytes]:
        """Return the lines that ``data`` completes; keep the rest."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        lines = data.splitlines()
        if not lines:
            return lines
        if data.endswith(b"\n"):
            last = b""
        elif data.endswith(b"\r"):
            last = b""
            self._after_cr = True
        else:
            last = lines.pop()
        if lines:
            if self._rest:
                lines[0] = bytes(self._rest) + lines[0]
                self._rest.clear()
            if not self._begun:
                lines[0] = lines[0].removeprefix(_BOM)
                self._begun = True
        self._rest += last
        return lines

    def _event(self, value: dict[str, Any] | None, data: bytes = b"") -> Event:
        self._count += 1
        if self._count > MAX_EVENTS:
            raise InvalidResponseError("the stream has more than a million events")
        event = Event(value, self._name, self._status, data)
        self._name, self._status = b"", None
        return event

    def _text(self, line: bytes) -> Event | None:
        """Take a ``data`` line that is no JSON object by itself."""
        _check_length(line)
        text = line[5:].strip()
        if text == b"[DONE]" and not self._pending:
            return self._event(None, text)
        if text:
            self._pending.append(text)
        return None

    def _joined(self) -> Event:
        text = b"\n".join(self._pending)
        self._pending.clear()
        value = json_object(text)
        return self._event(value, b"" if value is not None else text)

    def _field(self, line: bytes) -> None:
        _check_length(line)
        if line.startswith(b"event:"):
            self._name = line[6:].strip()
        elif line.startswith(_STATUS_COMMENT):
            self._status = _number(line[len(_STATUS_COMMENT) :])
        elif line.startswith(b"status:"):
            self._status = _number(line[7:])


def _check_length(line: bytes) -> None:
    if len(line) > MAX_LINE:
        raise InvalidResponseError(_LONG_LINE)


def _number(text: bytes) -> int | None:
    text = text.strip()
    return int(text) if text.isdigit() and len(text) <= 3 else None  # noqa: PLR2004  # an HTTP status has three digits
