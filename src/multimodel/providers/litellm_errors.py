"""What an exception out of litellm means: told by what lies beneath it, never by litellm's words.

litellm sorts failures by their text and gives status 500 to whatever has none (a refused connection is an
``InternalServerError``). Below its exception, in the chain of causes, stand the vendor's answer or the network's own
error: those decide. Its class decides where there is neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import CallError, ConfigurationError, Kind, error_for
from ..wire import Dialect
from ..wire.faults import as_error, fault_from, parse_fault
from .litellm_reader import LateError

__all__ = ["failure"]

_BUGS = (TypeError, KeyError, AttributeError, ValueError, IndexError, NameError)
_NETWORK: tuple[tuple[frozenset[str], Kind, str], ...] = (
    (
        frozenset({"httpcore.ConnectTimeout", "httpx.ConnectTimeout", "aiohttp.ConnectionTimeoutError"}),
        "timeout.connect",
        "no connection in time",
    ),
    (
        frozenset({"ssl.SSLError", "aiohttp.ClientSSLError"}),
        "connection.tls",
        "the vendor's certificate or TLS handshake was not accepted",
    ),
    (
        frozenset(
            {
                "httpcore.ConnectError",
                "aiohttp.ClientConnectorError",
                "aiohttp.ClientProxyConnectionError",
                "socket.gaierror",
                "builtins.ConnectionRefusedError",
            }
        ),
        "connection.unsent",
        "no connection",
    ),
)
"""What says that nothing was sent. ``httpx.ConnectError`` does not: litellm also calls a broken connection so."""
_TIMEOUTS = {"httpx.TimeoutException", "aiohttp.ServerTimeoutError", "openai.APITimeoutError"}
_BROKEN = {
    "httpx.TransportError",
    "httpcore.NetworkError",
    "httpcore.ProtocolError",
    "aiohttp.ClientError",
    "builtins.ConnectionError",
}
_BY_CLASS: tuple[tuple[str, Kind, str], ...] = (
    (
        "litellm.ContextWindowExceededError",
        "context_window_exceeded",
        "the request does not fit into the model's window",
    ),
    ("litellm.ContentPolicyViolationError", "content_filtered", "the vendor's moderation refused"),
    ("litellm.NotFoundError", "model_not_found", "the vendor does not know the model or the path"),
    ("litellm.PermissionDeniedError", "permission_denied", "the vendor does not allow this to the key"),
    ("litellm.RateLimitError", "rate_limited", "the vendor takes no more requests now"),
    ("litellm.ServiceUnavailableError", "overloaded", "the vendor has no capacity now"),
    ("litellm.APIResponseValidationError", "invalid_response", "litellm could not read the answer"),
)
_FINER = _BY_CLASS[:2]
"""What litellm knows of more vendors than the tables do, where a status says no more than that the request is wrong."""
_DISTRIBUTIONS = {"google": "'litellm[google]'"}
"""What brings a module whose name is that of another distribution."""


def failure(error: Exception, late: Callable[[], CallError], dialect: Dialect, *, answering: bool) -> Exception:
    """Return what ``error`` means, or the bug that it hides.

    :param late: says what it means that the time is over.
    :param answering: whether the vendor's answer had begun.
    """
    if isinstance(error, LateError):
        return late()
    chain = list(_chain(getattr(error, "original_exception", None) or error))
    for cause in chain:
        if isinstance(cause, CallError):  # our own, from in between
            return cause
    names = frozenset(name for cause in chain for name in _names(type(cause)))
    return (
        _refused(chain, names, dialect)
        or _network(names, late, answering=answering)
        or _unsent(chain, names, answering=answering)
        or _inside(chain, names, dialect, answering=answering)
    )


def _refused(chain: list[BaseException], names: frozenset[str], dialect: Dialect) -> CallError | None:
    """What the vendor's own answer means, if there was one."""
    answers = [cause.response for cause in reversed(chain) if _is_answer(cause)]  # type: ignore[attr-defined]  # just asked
    if not answers:
        return None
    headers = {name.lower(): value for name, value in answers[0].headers.items()}
    error = as_error(parse_fault(_body(answers)), dialect, headers, answers[0].status_code)
    finer = next((row for row in _FINER if row[0] in names), None)
    if error.kind != "bad_request" or finer is None:
        return error
    _, kind, message = finer
    return error_for(
        kind, message, status=error.status, code=error.code, request_id=error.request_id, detail=error.detail
    )


def _is_answer(cause: BaseException) -> bool:
    """Whether an exception carries an answer that came over the wire: litellm's own carry made-up ones."""
    http = any(name in ("httpx.HTTPStatusError", "httpx2.HTTPStatusError") for name in _names(type(cause)))
    return http or (type(cause).__module__.startswith("openai") and getattr(cause, "response", None) is not None)


def _body(answers: list[Any]) -> bytes:
    for answer in answers:
        try:
            return bytes(answer.content)
        except Exception:  # noqa: BLE001, S112  # not read yet, and now the connection is closed
            continue
    return b""


def _network(names: frozenset[str], late: Callable[[], CallError], *, answering: bool) -> CallError | None:
    """What a failure of the network means, if it is one."""
    for known, kind, message in _NETWORK:
        if names & known:
            return error_for(kind, message)
    if names & _TIMEOUTS:
        return late()
    if names & _BROKEN:
        if answering:
            return error_for("truncated_stream", "the connection broke in the middle of the answer")
        return error_for("connection.maybe_sent", "the connection broke before any answer came")
    return None


def _unsent(chain: list[BaseException], names: frozenset[str], *, answering: bool) -> Exception | None:
    """What stopped litellm before it sent anything, if that is what happened."""
    root = chain[-1]
    if answering:
        return None
    if isinstance(root, ImportError) and root.name:
        distribution = _DISTRIBUTIONS.get(root.name.partition(".")[0], root.name)
        return ConfigurationError(f"litellm needs `{root.name}` for this request", hint=f"pip install {distribution}")
    if "litellm.AuthenticationError" in names or _names(type(root))[0] == "openai.OpenAIError":
        return ConfigurationError("litellm has no key for this model", hint="set the vendor's key variable")
    if type(root) in _BUGS:
        return root if isinstance(root, Exception) else None
    if "litellm.BadRequestError" in names and not any(row[0] in names for row in _FINER):
        return error_for(
            "policy_denied", "litellm cannot say this to the model, or does not know it", detail=str(chain[0])
        )
    return None


def _inside(chain: list[BaseException], names: frozenset[str], dialect: Dialect, *, answering: bool) -> CallError:
    """What is left: an error that the vendor put into its answer, or an answer that litellm could not read."""
    root = chain[-1]
    stated = next((cause.body for cause in chain if isinstance(getattr(cause, "body", None), Mapping)), None)  # type: ignore[attr-defined]  # just asked
    if stated is not None:
        return as_error(fault_from({"error": dict(stated)}), dialect, {})
    if answering and isinstance(root, StopIteration | StopAsyncIteration):
        return error_for("truncated_stream", "the answer ended without a finish reason")
    if isinstance(root, (ValueError, *_BUGS)):
        return error_for("invalid_response", "litellm could not read the answer")
    for name, kind, message in _BY_CLASS:
        if name in names:
            return error_for(kind, message, detail=str(root))
    if answering:
        return error_for("server_error", "the vendor failed", detail=str(root))
    return error_for("invalid_response", "litellm could not read the answer", detail=str(root))


def _chain(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _names(kind: type[BaseException]) -> list[str]:
    """Names of a class and its bases, with the package they come from: no package is imported to ask."""
    return [f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in kind.__mro__]
