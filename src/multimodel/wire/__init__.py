"""Sans-IO codecs: requests to bytes, bytes to events. No socket, clock or file is touched here.

A codec turns a :class:`~multimodel.types.Request` into a :class:`WireRequest` and hands out one
:class:`Decoder` per answer. Cutting the answer's bytes differently never changes the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import CallError, Kind, Scope
from ..types import AnswerEvent, Request

__all__ = ["Codec", "Decoder", "Dialect", "ErrorRule", "WireRequest", "codec_for"]


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row of a vendor's error table. Fields that are None match anything; the first match wins.

    :ivar status: HTTP status.
    :ivar code: the vendor's code, compared without case; a trailing ``*`` matches any ending.
    :ivar text: a piece of the vendor's message, compared without case. Last resort.
    :ivar kind: what it means.
    :ivar scope: what it says something about, where that differs from the kind's usual scope.
    :ivar hint: what to do, for people.
    """

    kind: Kind
    status: int | None = None
    code: str | None = None
    text: str | None = None
    scope: Scope | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a codec must know of a vendor and a model, all of it data from the catalogue.

    :ivar quirks: named deviations from the wire format, each implemented by the codec that names it.
    :ivar errors: the vendor's error table, before the defaults.
    :ivar thinking: ``hybrid`` (can be switched), ``always``, ``none``, or None when unknown.
    :ivar extra: vendor-only options of one call, added to the body (``openai_chat``) or to ``parameters`` (``dashscope``).
    """

    quirks: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[ErrorRule, ...] = ()
    thinking: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WireRequest:
    """What to send: always a POST. ``path`` is appended to the base URL; the key is added by the sender.

    ``notes`` are remarks for the report, one sentence each; ``losses`` name what the vendor does not get, each with a
    sentence that says what became of it.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    notes: tuple[str, ...] = ()
    losses: tuple[tuple[str, str], ...] = ()


class Decoder(Protocol):
    """Bytes of one successful (2xx) answer to events.

    ``feed`` returns the events that are complete, nothing (which is false) where there are none, and raises
    :class:`CallError`, after the events before it, where the vendor reports an error inside the stream or the bytes
    are no answer. ``close`` is called once, at the end of the body or
    when ``done``: it yields what is left and then exactly one ``Finished``, or raises
    ``TruncatedStreamError`` when no terminal signal was seen.
    """

    terminal: bool
    """A finish reason was seen: from here on only usage is awaited."""
    done: bool
    """Nothing more will come (for instance after ``[DONE]``)."""

    def feed(self, data: bytes) -> Iterable[AnswerEvent]:
        """Take the next bytes, however they are cut."""
        ...

    def close(self) -> Iterator[AnswerEvent]:
        """Take the end of the body."""
        ...


class Codec(Protocol):
    """One wire format."""

    def encode(self, request: Request, model: str, dialect: Dialect, *, stream: bool, path: str | None) -> WireRequest:
        """Encode a request. ``path`` overrides the catalogue's choice among the vendor's paths.

        :raises PolicyDeniedError: when the format cannot say what the request asks for.
        """
        ...

    def decoder(self, dialect: Dialect, headers: Mapping[str, str]) -> Decoder:
        """Return a decoder for one 2xx answer. ``headers`` has lower-case names; whole body or stream is told by it.

        :raises InvalidResponseError: when the content type is not one of this format.
        """
        ...

    def error(self, status: int, headers: Mapping[str, str], body: bytes, dialect: Dialect) -> CallError:
        """Classify an answer that is not 2xx (or not 200). ``body`` may be cut at 64 KiB."""
        ...


def codec_for(wire: str) -> Codec:
    """Return the codec of a wire format's name: ``openai_chat`` or ``dashscope``."""
    if wire == "dashscope":
        from .dashscope import DashScopeCodec

        return DashScopeCodec()
    from .openai_chat import OpenAIChatCodec

    return OpenAIChatCodec()
