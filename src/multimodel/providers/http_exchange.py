"""One request and its answer over HTTP, without the I/O: limits, phases, and what each failure means.

An exchange waits for headers, then reads the body, then perhaps drains what follows the answer, so that the
connection can be used again.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import TracebackType

import httpcore2

from ..errors import CallError, Kind, error_for
from ..types import AnswerEvent, AnyRequest, Attempt
from ..wire import Codec, Decoder, Dialect
from ..wire.embeddings import EmbeddingsCodec
from ..wire.hints import request_id
from .base import NO_WORD, Key, late
from .http_limits import WIRE, Wire

__all__ = ["Exchange"]

_OK = 200
_ERROR_BODY = 64 * 1024
_REFUSAL = 1.0  # seconds for the body of a refusal: its status is known
_AFTER_TERMINAL = 0.25
_AFTER_DONE = 0.05
_LEFT_OVER = "the connection held something that nobody had asked for"


class Exchange:
    """The state of one attempt. Use it as a context manager around all that waits on the network."""

    def __init__(
        self, codec: Codec | EmbeddingsCodec, dialect: Dialect, attempt: Attempt[AnyRequest], key: Key | None
    ) -> None:
        self._codec = codec
        self._dialect = dialect
        self._attempt = attempt
        self._key = key
        self._now = attempt.now
        limits = attempt.limits
        self._idle = limits.idle
        self._wire = Wire(
            self._now,
            limits,
            stream=attempt.stream,
            given_up=attempt.given_up,
            check=attempt.check,
            hosts=attempt.hosts,
        )
        self._decoder: Decoder | None = None
        self._content = False
        self._terminal = False
        self._draining = False
        self._status: int | None = None
        self._request_id: str | None = None

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the status and the headers.

        :raises ConnectionFailedError: they had come before the request was sent, so they answer another one.
        """
        if not self._wire.received:
            raise error_for("connection.maybe_sent", _LEFT_OVER)
        self._status, self._request_id = status, request_id(headers)
        if status != _OK:
            self._decoder = _Refusal(self._codec, status, headers, self._dialect)
            self._wire.limit = min(self._wire.limit, self._now() + _REFUSAL)
            return
        encoding = headers.get("content-encoding", "identity")
        if encoding not in ("identity", ""):
            raise error_for(
                "invalid_response", f"an answer encoded as `{encoding[:20]}`, which was not asked for", status=status
            )
        self._decoder = self._codec.decoder(self._dialect, headers)

    def feed(self, chunk: bytes) -> Iterable[AnswerEvent]:
        """Take the next bytes of the body and return the events they complete."""
        if self._draining:
            return ()
        decoder = self._decoder
        assert decoder is not None
        events = decoder.feed(chunk)
        if decoder.done:
            self._draining = True
            self._wire.wait(_AFTER_DONE)
            return chain(events, decoder.close())
        if decoder.terminal:
            if not self._terminal:
                self._terminal = True
                self._wire.wait(_AFTER_TERMINAL)
        elif events:
            self._content = True
            self._wire.wait(self._idle)
        return events

    def end(self) -> Iterator[AnswerEvent]:
        """Take the end of the body."""
        decoder = self._decoder
        assert decoder is not None
        return iter(()) if self._draining else decoder.close()

    def __enter__(self) -> None:
        WIRE.set(self._wire)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if isinstance(error, CallError):
            self._complete(error)
            return error.kind == "policy_denied.cut" and self._known
        failure = self._failure(error)
        if failure is None:
            return False
        self._complete(failure)
        if self._known:
            return True
        raise failure from None

    @property
    def _known(self) -> bool:
        """Whether the answer, or the refusal, is known: what breaks afterwards changes nothing."""
        decoder = self._decoder
        return self._draining or isinstance(decoder, _Refusal) or (decoder is not None and decoder.terminal)

    def _complete(self, failure: CallError) -> None:
        """Say what the headers said, where the failure does not know better; a code or id that tells the key is none."""
        if failure.status is None:
            failure.status = self._status
        if failure.request_id is None:
            failure.request_id = self._request_id
        if self._tells_key(failure.code):
            failure.code = None
        if self._tells_key(failure.request_id):
            failure.request_id = None

    def _tells_key(self, said: str | None) -> bool:
        if self._key is None or said is None:
            return False
        key = self._key.reveal()
        return len(key) >= NO_WORD and key in said

    def _failure(self, error: Exception) -> CallError | None:  # noqa: PLR0911  # one row a kind
        """What a failure of the network means; None for a bug."""
        match error:
            case httpcore2.PoolTimeout():
                return error_for("timeout.pool", "no connection of this process's pool was free in time")
            case httpcore2.ConnectTimeout():
                return error_for("timeout.connect", "no connection in time")
            case httpcore2.ReadTimeout() | httpcore2.WriteTimeout():
                return late(self._attempt, content=self._content)
            case httpcore2.ConnectError() if _full(error):
                return error_for("local_overload", "this process may not open another socket")
            case httpcore2.ConnectError() if _tls(error):
                return error_for("connection.tls", "the vendor's certificate or TLS handshake was not accepted")
            case httpcore2.ConnectError() | httpcore2.ProxyError():
                return error_for("connection.unsent", f"no connection: {_reason(error)}")
            case httpcore2.LocalProtocolError() | httpcore2.UnsupportedProtocol():
                return error_for("policy_denied", "the request could not be written as HTTP", code="not_http")
            case httpcore2.NetworkError() | httpcore2.ProtocolError() | OSError():
                return self._broken(error)
        return None

    def _broken(self, error: Exception) -> CallError:
        if self._decoder is not None:
            return error_for("truncated_stream", "the connection broke in the middle of the answer")
        wire = self._wire
        if isinstance(error, httpcore2.ProtocolError) and not wire.ended:
            if wire.connected:
                return error_for("invalid_response", "the answer is not HTTP")
            return error_for("connection.maybe_sent", _LEFT_OVER)
        if wire.received:
            return error_for("connection.maybe_sent", f"the connection broke: {_reason(error)}")
        kind: Kind = "connection.maybe_sent" if wire.connected else "connection.stale"
        return error_for(kind, "the connection was closed before any answer came")


class _Refusal:
    """Collects the body of an answer that is not 200, and raises what it means."""

    terminal = False

    def __init__(
        self, codec: Codec | EmbeddingsCodec, status: int, headers: Mapping[str, str], dialect: Dialect
    ) -> None:
        self._codec, self._status, self._headers, self._dialect = codec, status, headers, dialect
        self._body = bytearray()
        self.done = False

    def feed(self, data: bytes) -> Iterable[AnswerEvent]:
        self._body += data
        self.done = len(self._body) >= _ERROR_BODY
        return ()

    def close(self) -> Iterator[AnswerEvent]:
        raise self._codec.error(self._status, self._headers, bytes(self._body[:_ERROR_BODY]), self._dialect)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _full(error: Exception) -> bool:
    return any(isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE) for cause in _causes(error))


def _tls(error: Exception) -> bool:
    return any(isinstance(cause, ssl.SSLError) for cause in _causes(error))


def _reason(error: Exception) -> str:
    """The operating system's word for it, without addresses."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return type(error).__name__
