"""The error tree.

::

    MultimodelError
    ├── ConfigurationError            the policy, the catalogue or an argument is wrong; raised before any socket
    └── CallError                     one call went wrong; carries the facts below
        ├── BadRequestError           the vendor says the request itself is wrong
        ├── ContextWindowExceededError
        ├── ContentFilteredError
        ├── AuthenticationError
        ├── PermissionDeniedError
        ├── QuotaExhaustedError       arrears, a spent balance, a spend limit
        ├── RateLimitError
        ├── OverloadedError
        ├── ServerError
        ├── AttemptTimeoutError       kind: timeout.connect, .first, .idle, .whole, .pool
        ├── ConnectionFailedError     kind: connection.unsent, .stale, .maybe_sent, connection.tls
        ├── ModelNotFoundError
        ├── InvalidResponseError      a 200 that is no answer, or an answer that fails its schema
        ├── TruncatedStreamError      the answer ended without a terminal signal
        ├── StreamInterruptedError    a stream broke after its first content was handed out
        ├── PolicyDeniedError         the policy forbids it; nothing was sent
        ├── LocalOverloadError        a limit of this process, not of the vendor
        ├── DeadlineExceededError     the call's own deadline
        └── AllTargetsFailedError     (also an ExceptionGroup) one error per attempt and per skip

The class says what happened; ``kind`` is the finer word the engine decides by. ``str()`` is one or two
lines of at most 2 KB made of our own words: never a key, a prompt or a vendor's body. The vendor's own
words, which may quote a prompt, are in ``detail``; they are left out of ``repr``, logs and pickles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from .types import AttemptRecord, Report

__all__ = [
    "AllTargetsFailedError",
    "AttemptTimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "CallError",
    "ConfigurationError",
    "ConnectionFailedError",
    "ContentFilteredError",
    "ContextWindowExceededError",
    "DeadlineExceededError",
    "InvalidResponseError",
    "Kind",
    "LocalOverloadError",
    "ModelNotFoundError",
    "MultimodelError",
    "OverloadedError",
    "PermissionDeniedError",
    "PolicyDeniedError",
    "QuotaExhaustedError",
    "RateLimitError",
    "Scope",
    "ServerError",
    "StreamInterruptedError",
    "TruncatedStreamError",
    "error_for",
    "shortened",
]

Kind = Literal[
    "authentication",
    "permission_denied",
    "quota_exhausted",
    "rate_limited",
    "overloaded",
    "server_error",
    "timeout.connect",
    "timeout.first",
    "timeout.idle",
    "timeout.whole",
    "timeout.pool",
    "deadline_exceeded",
    "connection.unsent",
    "connection.stale",
    "connection.maybe_sent",
    "connection.tls",
    "bad_request",
    "context_window_exceeded",
    "content_filtered",
    "model_not_found",
    "invalid_response",
    "truncated_stream",
    "stream_interrupted",
    "output_invalid",
    "policy_denied",
    "policy_denied.cut",
    "local_overload",
    "all_targets_failed",
]
"""What went wrong, as the engine's table knows it."""

Scope = Literal["target", "credential", "credential_model", "endpoint"]
"""What a failure says something about."""

_MOST_BYTES = 2000
_SHOWN = 8


class MultimodelError(Exception):
    """Base of every error that multimodel raises on purpose."""


class ConfigurationError(MultimodelError):
    r"""The policy, the catalogue, the environment or an argument is wrong. Nothing was sent.

    ``problems`` lists every mistake that was found in one run, ready to print:
    ``file:line:column: message`` with a ``hint:`` line.

    >>> str(ConfigurationError("unknown route `chta`", hint="did you mean `chat`?"))
    'unknown route `chta`\nhint: did you mean `chat`?'
    """

    def __init__(self, message: str, *, hint: str | None = None, problems: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return shortened(self.message if self.hint is None else f"{self.message}\nhint: {self.hint}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), (self.message,), {"hint": self.hint, "problems": self.problems})


class CallError(MultimodelError):
    """One call, or one attempt of it, failed.

    :ivar kind: the finer kind, for instance ``timeout.first``.
    :ivar target: ``provider:model``, or None when no target was tried.
    :ivar provider: the provider's name in the policy.
    :ivar status: HTTP status, or None when no answer came.
    :ivar code: the vendor's own code, for instance ``Throttling.RateQuota``.
    :ivar request_id: what the vendor's support asks for.
    :ivar retry_after: seconds until it makes sense to try again, as the vendor says, or None.
    :ivar retryable: whether the same call may succeed later without a change.
    :ivar report: every attempt and skip of the call, once the call has ended.
    :ivar detail: the vendor's own words, at most 500 characters. May quote the prompt: never in ``str``,
        ``repr``, logs or pickles.
    """

    default_kind: ClassVar[Kind] = "server_error"
    default_retryable: ClassVar[bool] = False

    def __init__(  # noqa: PLR0913  # the facts of an error, all by name
        self,
        message: str = "",
        *,
        kind: Kind | None = None,
        provider: str | None = None,
        target: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        retryable: bool | None = None,
        should_retry: bool | None = None,
        scope: Scope | None = None,
        path: str | None = None,
        hint: str | None = None,
        report: Report | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind: Kind = kind or self.default_kind
        self.provider = provider
        self.target = target
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.retryable = self.default_retryable if retryable is None else retryable
        self.should_retry = should_retry
        """The vendor's ``x-should-retry``: False forbids another try on the same target."""
        self.scope = scope
        """Set by a vendor's table where it differs from the kind's usual scope."""
        self.path = path
        """Set when the vendor wants the same request at another of its paths; names that path."""
        self.hint = hint
        self.report = report
        self.detail = detail[:500] if detail else None

    @property
    def message(self) -> str:
        """What happened, without the facts."""
        return str(self.args[0]) if self.args else ""

    @property
    def attempts(self) -> tuple[AttemptRecord, ...]:
        """Every request of the call that was put on the wire, in order: those of ``report``."""
        return () if self.report is None else self.report.attempts

    def __str__(self) -> str:
        head = self.message or self.kind.replace("_", " ").replace(".", ": ")
        after = None if self.retry_after is None else f"{self.retry_after:g} s"
        named = {
            "target": self.target,
            "status": self.status,
            "code": self.code,
            "request": self.request_id,
            "retry after": after,
        }
        facts = [f"{name} {value}" for name, value in named.items() if value is not None]
        text = f"{head} ({', '.join(facts)})" if facts else head
        return shortened(f"{text}\nhint: {self.hint}" if self.hint else text)

    def _facts(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "provider": self.provider,
            "target": self.target,
            "status": self.status,
            "code": self.code,
            "request_id": self.request_id,
            "retry_after": self.retry_after,
            "retryable": self.retryable,
            "should_retry": self.should_retry,
            "scope": self.scope,
            "path": self.path,
            "hint": self.hint,
            "report": self.report,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), (self.message,), self._facts())


class BadRequestError(CallError):
    """The vendor refuses the request as it stands: HTTP 400, 413 or 422."""

    default_kind = "bad_request"


class ContextWindowExceededError(CallError):
    """The prompt, or prompt and ``max_tokens``, do not fit into the model's window."""

    default_kind = "context_window_exceeded"


class ContentFilteredError(CallError):
    """The vendor's moderation refused the prompt or cut the answer."""

    default_kind = "content_filtered"


class AuthenticationError(CallError):
    """The vendor does not accept the key: HTTP 401."""

    default_kind = "authentication"


class PermissionDeniedError(CallError):
    """The key is known but may not do this, or not from here: HTTP 403."""

    default_kind = "permission_denied"


class QuotaExhaustedError(CallError):
    """The account cannot pay: arrears, a spent balance, a spend limit. Not a rate: waiting does not help."""

    default_kind = "quota_exhausted"


class RateLimitError(CallError):
    """Too many requests: HTTP 429. ``retry_after`` is the vendor's hint in seconds, if it gave one."""

    default_kind = "rate_limited"
    default_retryable = True


class OverloadedError(CallError):
    """The vendor has no capacity now: HTTP 503, 529."""

    default_kind = "overloaded"
    default_retryable = True


class ServerError(CallError):
    """The vendor failed: HTTP 5xx, or an error inside a stream."""

    default_kind = "server_error"
    default_retryable = True


class AttemptTimeoutError(CallError):
    """One attempt ran into one of its limits; ``kind`` names which."""

    default_kind = "timeout.first"
    default_retryable = True


class ConnectionFailedError(CallError):
    """No connection, or it broke; ``kind`` tells whether the request can have reached the vendor."""

    default_kind = "connection.maybe_sent"
    default_retryable = True


class ModelNotFoundError(CallError):
    """The model, or the path, does not exist (any more) at this endpoint: HTTP 404, 410."""

    default_kind = "model_not_found"


class InvalidResponseError(CallError):
    """What came back is no answer of this protocol, or fails the schema that was asked for."""

    default_kind = "invalid_response"
    default_retryable = True


class TruncatedStreamError(CallError):
    """The answer ended without a terminal signal. It is never handed out as a success."""

    default_kind = "truncated_stream"
    default_retryable = True


class StreamInterruptedError(CallError):
    """A stream broke after its first content was handed out.

    :ivar partial: the text that was handed out.
    """

    default_kind = "stream_interrupted"
    default_retryable = True

    def __init__(self, message: str = "", *, partial: str = "", **facts: Any) -> None:
        super().__init__(message, **facts)
        self.partial = partial

    @property
    def committed_chars(self) -> int:
        """How many characters of text were handed out."""
        return len(self.partial)

    def _facts(self) -> dict[str, Any]:
        return {**super()._facts(), "partial": self.partial}


class PolicyDeniedError(CallError):
    """The policy forbids the target: switched off, residency, a missing capability.

    Nothing was sent, but by an attempt that was under way when its vendor was cut off: its kind is ``policy_denied.cut``.
    """

    default_kind = "policy_denied"


class LocalOverloadError(CallError):
    """A limit of this process was reached: a full queue, no free connection."""

    default_kind = "local_overload"
    default_retryable = True


class DeadlineExceededError(CallError):
    """The call's own deadline passed."""

    default_kind = "deadline_exceeded"
    default_retryable = True


class AllTargetsFailedError(CallError, ExceptionGroup[CallError]):
    """No target of the chain answered.

    An ``ExceptionGroup``: ``exceptions`` holds one error per attempt and per skip, in order, so
    ``except* RateLimitError`` works. ``retry_after`` is the soonest moment at which trying again makes
    sense; ``retryable`` is true when any of the errors is.
    """

    default_kind = "all_targets_failed"

    def __new__(cls, message: str, exceptions: Sequence[CallError], **_facts: Any) -> Self:  # noqa: D102  # see the class
        return super().__new__(cls, message, exceptions)

    def __init__(self, message: str, exceptions: Sequence[CallError], **facts: Any) -> None:
        hints = [error.retry_after for error in exceptions if error.retry_after is not None]
        facts.setdefault("retry_after", min(hints) if hints else None)
        facts.setdefault("retryable", any(error.retryable for error in exceptions))
        CallError.__init__(self, message, **facts)

    def derive(self, excs: Sequence[CallError]) -> AllTargetsFailedError:  # type: ignore[override]  # ours holds CallErrors only
        """Return a group of the same facts around ``excs`` (used by ``except*`` and ``split``)."""
        return type(self)(self.message, excs, **self._facts())

    def __str__(self) -> str:
        told = [f"  - {str(error).splitlines()[0][:200]}" for error in self.exceptions[:_SHOWN]]
        lines = [CallError.__str__(self), *told]
        if len(self.exceptions) > _SHOWN:
            lines.append(f"  - … and {len(self.exceptions) - _SHOWN} more")
        return shortened("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), (self.message, list(self.exceptions)), self._facts())


def shortened(text: str) -> str:
    """Cut what an error says to 2 KB."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= _MOST_BYTES else data[: _MOST_BYTES - 3].decode("utf-8", "ignore") + "…"


def _rebuild(cls: type[Any], args: tuple[Any, ...], facts: dict[str, Any]) -> Any:
    return cls(*args, **facts)


_BY_KIND: dict[str, type[CallError]] = {
    "authentication": AuthenticationError,
    "permission_denied": PermissionDeniedError,
    "quota_exhausted": QuotaExhaustedError,
    "rate_limited": RateLimitError,
    "overloaded": OverloadedError,
    "server_error": ServerError,
    "timeout": AttemptTimeoutError,
    "deadline_exceeded": DeadlineExceededError,
    "connection": ConnectionFailedError,
    "bad_request": BadRequestError,
    "context_window_exceeded": ContextWindowExceededError,
    "content_filtered": ContentFilteredError,
    "model_not_found": ModelNotFoundError,
    "invalid_response": InvalidResponseError,
    "truncated_stream": TruncatedStreamError,
    "stream_interrupted": StreamInterruptedError,
    "output_invalid": InvalidResponseError,
    "policy_denied": PolicyDeniedError,
    "local_overload": LocalOverloadError,
}


def error_for(kind: Kind, message: str = "", **facts: Any) -> CallError:
    """Build the error of a kind: ``error_for("timeout.first", …)`` is an ``AttemptTimeoutError``.

    >>> type(error_for("connection.unsent", "no route to host")).__name__
    'ConnectionFailedError'
    """
    return _BY_KIND[kind.partition(".")[0]](message, kind=kind, **facts)
