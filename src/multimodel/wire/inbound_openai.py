"""OpenAI's Chat Completions, embeddings and models as their server speaks them.

1. Of a chat request these are mapped: ``messages``, ``temperature``, ``top_p``, ``max_tokens`` and
   ``max_completion_tokens``, ``stop``, ``seed``, ``tools``, ``tool_choice``, ``parallel_tool_calls``,
   ``response_format``, ``reasoning_effort``, ``stream``, ``stream_options``, and ``metadata`` (to log events).
   Qwen's ``enable_thinking`` and ``thinking_budget`` become ``reasoning_effort``.
2. These say nothing to a model and are left out: ``user``, ``safety_identifier``, ``service_tier``, ``prediction``,
   ``prompt_cache_key``, ``prompt_cache_options``, ``prompt_cache_retention``.
3. These are left out where their value changes nothing, and else refused: ``n: 1``, ``store: false``,
   ``logprobs: false``, ``top_logprobs: 0``, ``frequency_penalty: 0``, ``presence_penalty: 0``, ``logit_bias: {}``,
   ``modalities: ["text"]``, ``verbosity: "medium"``.
4. What no vendor of OpenAI's format shares stands under ``multimodel``: ``extra``, ``only``, ``avoid``, as a call of a
   client has them. Anything else is refused by name: nothing is dropped in silence.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from ..errors import CallError, InvalidResponseError, ModelNotFoundError
from ..types import (
    Completion,
    Finished,
    ReasoningDelta,
    StreamEvent,
    Switched,
    Target,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from .inbound import (
    Chat,
    Embed,
    Embedded,
    Inbound,
    Models,
    RefusedError,
    body_from,
    effort_of,
    request_from,
    standing_for,
    unknown_path,
    word_from,
)
from .requests import calls_of

__all__ = ["OpenAIChat", "OpenAIInbound"]

_SAME = (
    "messages",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
)
_LEFT_OUT = (
    "user",
    "safety_identifier",
    "service_tier",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
)
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "store": (False,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "verbosity": ("medium",),
}
_KNOWN = frozenset({"audio", "function_call", "functions", "moderation", "web_search_options"})
_OWN = ("extra", "only", "avoid")
_HINT = 'put what one vendor alone knows under `extra_body={"multimodel": {"extra": {"PROVIDER": {…}}}}`'
_INVALID = "invalid_request_error"

_ERRORS: dict[str, tuple[int, str, str | None]] = {
    "authentication": (401, _INVALID, "invalid_api_key"),
    "permission_denied": (403, "permission_error", "permission_denied"),
    "policy_denied": (403, "permission_error", "policy_denied"),
    "quota_exhausted": (429, "insufficient_quota", "insufficient_quota"),
    "rate_limited": (429, "rate_limit_error", "rate_limit_exceeded"),
    "overloaded": (503, "server_error", "overloaded"),
    "local_overload": (503, "server_error", "local_overload"),
    "timeout": (504, "timeout", "timeout"),
    "deadline_exceeded": (504, "timeout", "deadline_exceeded"),
    "bad_request": (400, _INVALID, None),
    "context_window_exceeded": (400, _INVALID, "context_length_exceeded"),
    "content_filtered": (400, _INVALID, "content_filter"),
    "model_not_found": (404, _INVALID, "model_not_found"),
    "connection": (502, "server_error", "connection_failed"),
    "invalid_response": (502, "server_error", "invalid_response"),
    "output_invalid": (502, "server_error", "invalid_response"),
    "truncated_stream": (502, "server_error", "truncated_stream"),
    "stream_interrupted": (502, "server_error", "stream_interrupted"),
}
"""Status, type and code, by the kind of an error; any other is a server's error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIChat(Chat):
    """A completion that is asked for in OpenAI's words.

    :ivar usage: whether the tokens of a stream are wanted.
    """

    usage: bool = False


class OpenAIInbound:
    """The protocol of ``/v1/chat/completions``, ``/v1/embeddings`` and ``/v1/models``."""

    def decode(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Inbound:  # noqa: ARG002  # nothing in them matters here
        """Read a request."""
        match method, path.strip("/").split("/"):
            case "POST", ["chat", "completions"]:
                return _chat(body_from(body))
            case "POST", ["embeddings"]:
                return _embed(body_from(body))
            case "GET", ["models"]:
                return Models()
            case "GET", ["models", *name]:
                return Models(name="/".join(name))
        raise unknown_path(method, path)

    def whole(self, asked: OpenAIChat, answer: Completion[Any], identity: str, created: int) -> bytes:  # noqa: ARG002  # the same for every request
        """Write a ``chat.completion``."""
        message: dict[str, Any] = {"role": "assistant", "content": answer.text or (None if answer.tool_calls else "")}
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        if answer.tool_calls:
            message["tool_calls"] = calls_of(answer.tool_calls)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
        return to_json(
            {
                "id": f"chatcmpl-{identity}",
                "object": "chat.completion",
                "created": created,
                "model": answer.model,
                "choices": [choice],
                "usage": _usage(answer.usage),
            }
        )

    def writer(self, asked: OpenAIChat, target: Target, identity: str, created: int) -> _Chunks:
        """Return the writer of ``chat.completion.chunk`` events."""
        return _Chunks(target.model, f"chatcmpl-{identity}", created, usage=asked.usage)

    def embeddings(self, asked: Embed, answer: Embedded, identity: str) -> bytes:  # noqa: ARG002  # it has no place for it
        """Write the list of vectors."""
        rows = [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if asked.packed else list(vector)}
            for index, vector in enumerate(answer.vectors)
        ]
        used = answer.usage
        usage = None if used is None else {"prompt_tokens": used.input_tokens, "total_tokens": used.total_tokens}
        return to_json({"object": "list", "data": rows, "model": answer.model, "usage": usage})

    def models(self, asked: Models, names: Iterable[str]) -> bytes:
        """Write routes and aliases as models."""
        known = {name: {"id": name, "object": "model", "created": 0, "owned_by": "multimodel"} for name in names}
        if asked.name is None:
            return to_json({"object": "list", "data": list(known.values())})
        if asked.name not in known:
            raise ModelNotFoundError(f"the model `{asked.name[:100]}` does not exist")
        return to_json(known[asked.name])

    def error(self, error: CallError, identity: str) -> tuple[int, bytes]:  # noqa: ARG002  # it has no place for it
        """Write ``{"error": {…}}``."""
        status, said = _told(error)
        return status, to_json(said)


# --- requests --------------------------------------------------------------------------------------


def _chat(fields: dict[str, Any]) -> OpenAIChat:
    fields = {name: value for name, value in fields.items() if value is not None}
    route = word_from(fields, "model")
    stream, stream_options = fields.pop("stream", False) is True, fields.pop("stream_options", None)
    own = _own(fields)
    asked = {name: fields.pop(name) for name in _SAME if name in fields}
    most = fields.pop("max_tokens", None)
    asked["max_tokens"] = fields.pop("max_completion_tokens", most)
    asked["reasoning_effort"] = effort_of(fields)
    asked["extra"] = own.pop("extra", None)
    metadata = fields.pop("metadata", None)
    if isinstance(metadata, dict):
        own["metadata"] = metadata
    _check_rest(fields)
    usage = isinstance(stream_options, dict) and stream_options.get("include_usage") is True
    return OpenAIChat(route=route, request=request_from(asked), stream=stream, options=own, usage=usage)


def _embed(fields: dict[str, Any]) -> Embed:
    fields = {name: value for name, value in fields.items() if value is not None}
    route = word_from(fields, "model")
    given = fields.pop("input", None)
    inputs = (given,) if isinstance(given, str) else given
    if not isinstance(inputs, list | tuple) or not all(isinstance(text, str) for text in inputs):
        raise RefusedError(
            "`input` must be a text or a list of texts: tokens mean something to one model only",
            code="invalid_value",
            param="input",
        )
    packing = fields.pop("encoding_format", "float")
    if packing not in ("float", "base64"):
        raise RefusedError("`encoding_format` is `float` or `base64`", code="invalid_value", param="encoding_format")
    dimensions = fields.pop("dimensions", None)
    if dimensions is not None and type(dimensions) is not int:
        raise RefusedError("`dimensions` is a whole number", code="invalid_value", param="dimensions")
    own = _own(fields)
    _check_rest(fields)
    return Embed(route=route, inputs=tuple(inputs), dimensions=dimensions, packed=packing == "base64", options=own)


def _own(fields: MutableMapping[str, Any]) -> dict[str, Any]:
    """Take what a call of a client may have beside OpenAI's parameters."""
    own = fields.pop("multimodel", {})
    if not isinstance(own, dict):
        raise RefusedError("`multimodel` is an object", code="invalid_value", param="multimodel")
    for name in own:
        if name not in _OWN:
            raise RefusedError(
                f"unknown parameter `multimodel.{name[:100]}`",
                code="unknown_parameter",
                param=f"multimodel.{name[:100]}",
                hint=f"known are {', '.join(f'`{known}`' for known in _OWN)}",
            )
    return dict(own)


def _check_rest(fields: Mapping[str, Any]) -> None:
    """Refuse what would change the answer and cannot be asked of every target."""
    for name, value in fields.items():
        if name in _LEFT_OUT or value in _NEUTRAL.get(name, ()):
            continue
        if name in _NEUTRAL or name in _KNOWN:
            raise RefusedError(
                f"`{name}` cannot be asked of a route", code="unsupported_parameter", param=name, hint=_HINT
            )
        raise RefusedError(f"unknown parameter `{name[:100]}`", code="unknown_parameter", param=name[:100], hint=_HINT)


# --- answers ---------------------------------------------------------------------------------------


class _Chunks:
    """Writes one stream."""

    def __init__(self, model: str, identity: str, created: int, *, usage: bool) -> None:
        self._model = model
        self._identity = identity
        self._created = created
        self._usage = usage

    def begin(self) -> bytes:
        """Return the chunk with the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def event(self, event: StreamEvent) -> bytes:
        """Return the chunk of an event; with the last one the tokens, if they are wanted, and ``[DONE]``."""
        match event:
            case TextDelta(text):
                return self._chunk({"content": text})
            case ReasoningDelta(text):
                return self._chunk({"reasoning_content": text})
            case ToolCallDelta():
                return self._chunk({"tool_calls": [_piece(event)]})
            case Switched(target):
                self._model = target.model
                return b""
            case Finished():
                last = self._chunk({}, event.reason)
                if self._usage:
                    last += _event({**self._head(), "choices": [], "usage": _usage(event.usage)})
                return last + b"data: [DONE]\n\n"
        raise TypeError(f"no event of an answer: {type(event).__name__}")

    def error(self, error: CallError) -> bytes:
        """Return the event that the SDK raises as ``APIError``."""
        return _event(_told(error)[1])

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        chunk = {
            **self._head(),
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
        }
        return _event({**chunk, "usage": None} if self._usage else chunk)

    def _head(self) -> dict[str, Any]:
        return {
            "id": self._identity,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._model,
        }


def _event(data: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % to_json(data)


def _piece(event: ToolCallDelta) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": event.arguments}
    piece: dict[str, Any] = {"index": event.index, "function": function}
    if event.id is not None:
        piece |= {"id": event.id, "type": "function"}
    if event.name is not None:
        function["name"] = event.name
    return piece


def _usage(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.cached_tokens is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens is not None:
        counts["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return counts


def _packed(vector: Sequence[float]) -> str:
    try:
        return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    except OverflowError:
        raise InvalidResponseError("a number of a vector has no room in 32 bits") from None


def _told(error: CallError) -> tuple[int, dict[str, Any]]:
    cause = standing_for(error)
    status, kind, code = _ERRORS.get(cause.kind.partition(".")[0], (500, "server_error", "server_error"))
    param = None
    if isinstance(cause, RefusedError):
        code, param = cause.code, cause.param
    return status, {"error": {"message": str(error), "type": kind, "param": param, "code": code}}
