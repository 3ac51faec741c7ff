"""One request and its answer over HTTP, without the I/O: limits, phases, and what each failure means.

An exchange is *waiting* for headers, then *reading* the body, then perhaps *draining* what follows the
answer, so that the connection can be used again, and then *over*.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Literal

import httpcore2

from ..errors import CallError, Kind, error_for
from ..types import AnswerEvent, Attempt
from ..wire import Codec, Decoder, Dialect
from .http_limits import WIRE, Wire

__all__ = ["Exchange"]

_OK = 200
_ERROR_BODY = 64 * 1024
_REFUSAL = 1.0  # seconds for the body of a refusal: its status is known
_AFTER_TERMINAL = 0.25
_AFTER_DONE = 0.05


class Exchange:
    """The state of one attempt. Use it as a context manager around every wait on the network."""

    def __init__(self, codec: Codec, dialect: Dialect, attempt: Attempt) -> None:
        self._codec = codec
        self._dialect = dialect
        self._attempt = attempt
        limits = attempt.limits
        self._limit = min(limits.first_content if attempt.stream else limits.whole, limits.deadline)
        self._wire = Wire(attempt.now, self._limit, limits.connect)
        self._decoder: Decoder | None = None
        self._phase: Literal["waiting", "reading", "draining", "over"] = "waiting"
        self._content = False
        self._terminal = False

    @property
    def over(self) -> bool:
        """Whether nothing more is to be read."""
        return self._phase == "over"

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the status and the headers."""
        self._phase = "reading"
        if status != _OK:
            self._decoder = _Refusal(self._codec, status, headers, self._dialect)
            self._wire.limit = min(self._wire.limit, self._attempt.now() + _REFUSAL)
            return
        encoding = headers.get("content-encoding", "identity")
        if encoding not in ("identity", ""):
            raise error_for(
                "invalid_response", f"an answer encoded as `{encoding[:20]}`, which was not asked for", status=status
            )
        self._decoder = self._codec.decoder(self._dialect, headers)

    def feed(self, chunk: bytes | None) -> Iterator[AnswerEvent]:
        """Take the next bytes of the body, None at its end; yield the events they complete."""
        decoder = self._decoder
        assert decoder is not None
        if chunk is None:
            if self._phase == "reading":
                yield from decoder.close()
            self._phase = "over"
            return
        if self._phase == "draining":
            return
        content = False
        for event in decoder.feed(chunk):
            content = True
            yield event
        if decoder.done:
            self._phase = "draining"
            yield from decoder.close()
            self._wait(_AFTER_DONE)
        elif decoder.terminal:
            if not self._terminal:
                self._terminal = True
                self._wait(_AFTER_TERMINAL)
        elif content:
            self._content = True
            self._wait(self._attempt.limits.idle)

    def _wait(self, seconds: float) -> None:
        self._wire.limit = min(self._attempt.now() + seconds, self._attempt.limits.deadline)

    def __enter__(self) -> None:
        WIRE.set(self._wire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        decoder = self._decoder
        if self._phase == "draining" or isinstance(decoder, _Refusal) or (decoder is not None and decoder.terminal):
            return True  # the answer, or the refusal, is known: what breaks afterwards changes nothing
        failure = self._failure(error)
        if failure is None:
            return False
        raise failure from None

    def _failure(self, error: Exception) -> CallError | None:  # noqa: PLR0911  # one row a kind
        """What a failure of the network means; None for a bug."""
        match error:
            case httpcore2.PoolTimeout():
                return error_for("timeout.pool", "no connection of this process's pool was free in time")
            case httpcore2.ConnectTimeout():
                return error_for("timeout.connect", "no connection in time")
            case httpcore2.ReadTimeout() | httpcore2.WriteTimeout():
                return self._late()
            case httpcore2.ConnectError() if _tls(error):
                return error_for("connection.tls", "the vendor's certificate or TLS handshake was not accepted")
            case httpcore2.ConnectError() | httpcore2.ProxyError():
                return error_for("connection.unsent", f"no connection: {_reason(error)}")
            case httpcore2.LocalProtocolError() | httpcore2.UnsupportedProtocol():
                return error_for("policy_denied", "the request could not be written as HTTP", code="not_http")
            case httpcore2.NetworkError() | httpcore2.ProtocolError() | OSError():
                return self._broken(error)
        return None

    def _late(self) -> CallError:
        attempt = self._attempt
        if attempt.now() >= attempt.limits.deadline:
            return error_for("deadline_exceeded", "the call's deadline passed during the attempt")
        if self._content:
            return error_for("timeout.idle", f"no content for {attempt.limits.idle:g} s")
        if attempt.stream:
            return error_for("timeout.first", "no content in time")
        return error_for("timeout.whole", "no whole answer in time")

    def _broken(self, error: Exception) -> CallError:
        if self._phase == "reading":
            return error_for("truncated_stream", "the connection broke in the middle of the answer")
        if self._wire.received:
            if isinstance(error, httpcore2.ProtocolError):
                return error_for("invalid_response", "the answer is not HTTP")
            return error_for("connection.maybe_sent", f"the connection broke: {_reason(error)}")
        kind: Kind = "connection.maybe_sent" if self._wire.connected else "connection.stale"
        return error_for(kind, "the connection was closed before any answer came")


class _Refusal:
    """Collects the body of an answer that is not 200, and raises what it means."""

    terminal = False

    def __init__(self, codec: Codec, status: int, headers: Mapping[str, str], dialect: Dialect) -> None:
        self._codec, self._status, self._headers, self._dialect = codec, status, headers, dialect
        self._body = bytearray()
        self.done = False

    def feed(self, data: bytes) -> Iterator[AnswerEvent]:
        self._body += data
        self.done = len(self._body) >= _ERROR_BODY
        return iter(())

    def close(self) -> Iterator[AnswerEvent]:
        raise self._codec.error(self._status, self._headers, bytes(self._body[:_ERROR_BODY]), self._dialect)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _tls(error: Exception) -> bool:
    return any(isinstance(cause, ssl.SSLError) for cause in _causes(error))


def _reason(error: Exception) -> str:
    """The operating system's word for it, without addresses."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return type(error).__name__
