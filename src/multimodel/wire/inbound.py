"""What a drop-in client asks for, whatever protocol it speaks, and how an error is told to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import ValidationError

from ..errors import AllTargetsFailedError, BadRequestError, CallError, ModelNotFoundError, OverloadedError
from ..types import Completion, Request, StreamEvent, Target
from .jsontext import parse

__all__ = [
    "Chat",
    "Embed",
    "Embedded",
    "Inbound",
    "InboundCodec",
    "Models",
    "RefusedError",
    "Writer",
    "body_from",
    "effort_of",
    "request_from",
    "standing_for",
    "unknown_path",
    "word_from",
]

_MAX_NAME = 100
_EFFORTS = ((4096, "low"), (16384, "medium"))


class RefusedError(BadRequestError):
    """What came in cannot be asked of a route. ``code`` and ``param`` are OpenAI's words."""

    def __init__(
        self, message: str, *, code: str | None = None, param: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, status=400, code=code, hint=hint)
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A completion that is asked for.

    :ivar route: the model's name as it came: a route or an alias.
    :ivar options: the call's choices beside the request: ``only``, ``avoid``, ``metadata``.
    """

    route: str
    request: Request
    stream: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """Vectors that are asked for.

    :ivar packed: whether they are wanted as base64 of little-endian 32-bit floats.
    """

    route: str
    inputs: tuple[str, ...]
    dimensions: int | None = None
    packed: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The list of models, or one of them."""

    name: str | None = None


Inbound = Chat | Embed | Models


class Embedded(Protocol):
    """Vectors in the order of their inputs."""

    @property
    def vectors(self) -> Sequence[Sequence[float]]:
        """One for each input."""
        ...

    @property
    def usage(self) -> Any:
        """Tokens, or None."""
        ...

    @property
    def model(self) -> str:
        """The model's name as the vendor gives it."""
        ...


class Writer(Protocol):
    """Writes one streamed answer."""

    def begin(self) -> bytes:
        """Return what comes before the first event."""
        ...

    def event(self, event: StreamEvent) -> bytes:
        """Return an event; with ``Finished`` all that ends the answer."""
        ...

    def error(self, error: CallError) -> bytes:
        """Return the error that ends the answer."""
        ...


class InboundCodec(Protocol):
    """One protocol as its server speaks it. ``identity`` names an answer, ``created`` is in seconds since 1970."""

    def decode(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Inbound:
        """Read a request; ``headers`` has lower-case names.

        :raises RefusedError: when it cannot be asked of a route.
        """
        ...

    def whole(self, asked: Any, answer: Completion[Any], identity: str, created: int) -> bytes:
        """Write a whole answer."""
        ...

    def writer(self, asked: Any, target: Target, identity: str, created: int) -> Writer:
        """Return the writer of a streamed answer that ``target`` begins."""
        ...

    def embeddings(self, asked: Embed, answer: Embedded, identity: str) -> bytes:
        """Write vectors."""
        ...

    def models(self, asked: Models, names: Iterable[str]) -> bytes:
        """Write the list of models, or the one that is asked for.

        :raises CallError: when there is no such model, or the protocol has no such list.
        """
        ...

    def error(self, error: CallError, identity: str) -> tuple[int, bytes]:
        """Write an error; return its status, too."""
        ...


def body_from(body: bytes) -> dict[str, Any]:
    """Read a body.

    :raises RefusedError: when it is no JSON object.
    """
    try:
        value = parse(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RefusedError("the body is no JSON object")
    return value


def word_from(fields: MutableMapping[str, Any], name: str) -> str:
    """Take a text that must be there.

    :raises RefusedError: when it is not.
    """
    value = fields.pop(name, None)
    if not isinstance(value, str) or not value:
        raise RefusedError(f"`{name}` is missing", code="missing_required_parameter", param=name)
    return value


def request_from(fields: Mapping[str, Any]) -> Request:
    """Validate a request.

    :raises RefusedError: names the field and what is wrong with it, never its value.
    """
    try:
        return Request.model_validate({name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(step) for step in problem["loc"][:3])
        words = f"`{place}`: {problem['msg']}" if place else problem["msg"]
        raise RefusedError(f"the request is not valid: {words}", code="invalid_value", param=place or None) from None


def effort_of(fields: MutableMapping[str, Any]) -> str | None:
    """Take what is said about thinking, in OpenAI's words or in Qwen's, and return it as ``reasoning_effort``.

    ``enable_thinking`` without a budget is ``high``: the vendor's own maximum holds, as for ``high`` itself. A budget
    is the least effort that grants it: 4096 tokens are ``low``, 16384 ``medium``.
    """
    effort, on = fields.pop("reasoning_effort", None), fields.pop("enable_thinking", None)
    budget = fields.pop("thinking_budget", None)
    if on is False:
        return "none"
    if effort is not None:
        return "xhigh" if effort == "max" else effort
    if type(budget) is int:
        return next((word for most, word in _EFFORTS if budget <= most), "high")
    return "high" if on else None


def unknown_path(method: str, path: str) -> CallError:
    """Return the error for what is served to nobody."""
    return ModelNotFoundError(f"nothing is served at {method} {path[:_MAX_NAME]}", status=404, code="not_found")


def standing_for(error: CallError) -> CallError:
    """Return the one error that tells what happened.

    Of a chain that gave no answer: what all attempts failed by, if they agree; else that the service is overloaded,
    where trying again makes sense; else the last one. Targets that the policy ruled out say nothing beside others.
    """
    if not isinstance(error, AllTargetsFailedError):
        return error
    known = [one for one in error.exceptions if isinstance(one, CallError)]
    tried = [one for one in known if one.kind != "policy_denied"] or known
    if error.retryable and len({type(one) for one in tried}) > 1:
        return OverloadedError(error.message, retry_after=error.retry_after)
    return tried[-1]
