"""DashScope's native protocol as its server speaks it.

1. A stream is what ``X-DashScope-SSE: enable`` asks for. Its frames repeat all that was said so far, unless
   ``incremental_output`` is true, or unset for a family whose default that is.
2. On the path ``text-generation`` an answer is plain text unless ``result_format`` is ``message``; on
   ``multimodal-generation`` it is always a message, its content a list of parts.
3. Options that other vendors have, too, are mapped. All others in ``parameters`` are this vendor's own: they go on to
   targets of the profile ``dashscope`` alone, and the report of a call says where they were not sent. Those that ask
   for more than one answer are refused.
4. ``content_filter`` is no finish reason here: it is told as the error ``DataInspectionFailed``.
5. Tokens stand in the last frame only: before it they are not known.

Source: the requests of the vendor's SDK, version 2.0.2, and what it needs of the answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from ..errors import CallError, ContentFilteredError, PermissionDeniedError
from ..types import (
    Completion,
    Finished,
    ReasoningDelta,
    StreamEvent,
    Switched,
    Target,
    TextDelta,
    ToolCall,
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

__all__ = ["DashScopeChat", "DashScopeInbound"]

_CHAT = {
    "/services/aigc/text-generation/generation": False,
    "/services/aigc/multimodal-generation/generation": True,
}
_EMBEDDINGS = "/services/embeddings/text-embedding/text-embedding"
_SAME = ("temperature", "top_p", "seed", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format")
_MEDIA = ("image", "audio", "video")
_INCREMENTAL_BY_DEFAULT = ("qwen3-max", "qwen3-vl", "qwq", "qvq")
_VENDOR = "dashscope"

_ERRORS: dict[str, tuple[int, str]] = {
    "authentication": (401, "InvalidApiKey"),
    "permission_denied": (403, "AccessDenied"),
    "policy_denied": (403, "AccessDenied"),
    "quota_exhausted": (400, "Arrearage"),
    "rate_limited": (429, "Throttling.RateQuota"),
    "overloaded": (503, "ModelUnavailable"),
    "local_overload": (503, "ModelUnavailable"),
    "timeout": (504, "RequestTimeOut"),
    "deadline_exceeded": (504, "RequestTimeOut"),
    "bad_request": (400, "InvalidParameter"),
    "context_window_exceeded": (400, "InvalidParameter"),
    "content_filtered": (400, "DataInspectionFailed"),
    "model_not_found": (404, "ModelNotFound"),
}
"""Status and code, by the kind of an error; any other is 500 ``InternalError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DashScopeChat(Chat):
    """A completion that is asked for in DashScope's words.

    :ivar parts: whether content is a list of parts.
    :ivar plain: whether the answer is text beside no message.
    :ivar incremental: whether a frame has only what is new.
    """

    parts: bool = False
    plain: bool = False
    incremental: bool = False


class DashScopeInbound:
    """The protocol of both chat paths and of text embeddings; ``path`` is what follows ``/api/v1``."""

    def decode(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Inbound:
        """Read a request."""
        if headers.get("x-dashscope-async", "").lower() == "enable":
            raise PermissionDeniedError("asynchronous tasks are not served")
        if method == "POST" and path in _CHAT:
            stream = headers.get("x-dashscope-sse", "").lower() == "enable"
            return _chat(body_from(body), parts=_CHAT[path], stream=stream)
        if method == "POST" and path == _EMBEDDINGS:
            return _embed(body_from(body))
        raise unknown_path(method, path)

    def whole(self, asked: DashScopeChat, answer: Completion[Any], identity: str, created: int) -> bytes:  # noqa: ARG002  # it has no place for it
        """Write one body.

        :raises ContentFilteredError: moderation cut the answer.
        """
        _check_reason(answer.finish_reason)
        draft = _Frames(asked, identity)
        draft.text, draft.reasoning = answer.text, answer.reasoning
        draft.calls = {index: [call.id, call.name, call.arguments] for index, call in enumerate(answer.tool_calls)}
        return to_json(draft.body(answer.finish_reason, answer.usage))

    def writer(self, asked: DashScopeChat, target: Target, identity: str, created: int) -> _Frames:  # noqa: ARG002  # it has no place for them
        """Return the writer of frames."""
        return _Frames(asked, identity)

    def embeddings(self, asked: Embed, answer: Embedded, identity: str) -> bytes:  # noqa: ARG002  # the same for every request
        """Write the list of vectors."""
        rows = [{"text_index": index, "embedding": list(vector)} for index, vector in enumerate(answer.vectors)]
        usage = {"total_tokens": answer.usage.total_tokens} if answer.usage is not None else {}
        return to_json({"output": {"embeddings": rows}, "usage": usage, "request_id": identity})

    def models(self, asked: Models, names: Iterable[str]) -> bytes:  # noqa: ARG002  # there is no list
        """There is no such list."""
        raise unknown_path("GET", "/models")

    def error(self, error: CallError, identity: str) -> tuple[int, bytes]:
        """Write ``{"code", "message", "request_id"}``."""
        status, said = _told(error, identity)
        return status, to_json(said)


# --- requests --------------------------------------------------------------------------------------


def _chat(fields: dict[str, Any], *, parts: bool, stream: bool) -> DashScopeChat:
    route = word_from(fields, "model")
    options = _options(fields)
    given = fields.get("input")
    messages = _messages(given if isinstance(given, dict) else {})
    plain = options.pop("result_format", "text") != "message" and not parts
    increments = options.pop("incremental_output", None)
    options.pop("stream", None)
    asked = {name: options.pop(name) for name in _SAME if name in options}
    most = options.pop("max_tokens", None)
    asked["max_tokens"] = options.pop("max_completion_tokens", most)
    asked["reasoning_effort"] = effort_of(options)
    _check_rest(options)
    asked["extra"] = {_VENDOR: options} if options else None
    incremental = route.startswith(_INCREMENTAL_BY_DEFAULT) if increments is None else increments is True
    return DashScopeChat(
        route=route,
        request=request_from({**asked, "messages": messages}),
        stream=stream,
        parts=parts,
        plain=plain,
        incremental=incremental,
    )


def _embed(fields: dict[str, Any]) -> Embed:
    route = word_from(fields, "model")
    options = _options(fields)
    given = fields.get("input")
    texts = given.get("texts") if isinstance(given, dict) else None
    inputs = [texts] if isinstance(texts, str) else texts
    if not isinstance(inputs, list) or not all(isinstance(text, str) for text in inputs):
        raise RefusedError("`input.texts` must be a list of texts", param="input.texts")
    if options.pop("output_type", "dense") != "dense":
        raise RefusedError("only dense vectors can be asked of a route", param="output_type")
    dimensions = options.pop("dimension", None)
    if dimensions is not None and type(dimensions) is not int:
        raise RefusedError("`dimension` is a whole number", param="dimension")
    extra = {"extra": {_VENDOR: options}} if options else {}
    return Embed(route=route, inputs=tuple(inputs), dimensions=dimensions, options=extra)


def _options(fields: Mapping[str, Any]) -> dict[str, Any]:
    options = fields.get("parameters")
    return {name: value for name, value in options.items() if value is not None} if isinstance(options, dict) else {}


def _check_rest(options: dict[str, Any]) -> None:
    """Refuse what asks for more than one answer; take out what changes nothing."""
    if options.pop("n", 1) != 1:
        raise RefusedError("`n` other than 1 cannot be asked of a route", param="n")
    if options.get("logprobs"):
        raise RefusedError("`logprobs` cannot be asked of a route", param="logprobs")
    for name in ("logprobs", "top_logprobs"):
        options.pop(name, None)


def _messages(given: Mapping[str, Any]) -> list[Any]:
    if isinstance(given.get("messages"), list):
        return [_message(message) if isinstance(message, dict) else message for message in given["messages"]]
    if not isinstance(given.get("prompt"), str):
        raise RefusedError("`input.messages` is missing", param="input.messages")
    if given.get("history"):
        raise RefusedError("`history` cannot be asked of a route", param="input.history", hint="send `messages`")
    return [{"role": "user", "content": given["prompt"]}]


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    said = {name: value for name, value in message.items() if name != "partial"}
    if not isinstance(content, list):
        return said
    found = [_part(part) for part in content]
    if message.get("role") != "user" and all(part.keys() == {"type", "text"} for part in found):
        return {**said, "content": "".join(part["text"] for part in found)}
    return {**said, "content": found}


def _part(part: object) -> dict[str, Any]:
    """Read a part, which is named by what it holds."""
    if isinstance(part, dict):
        mark = {"cache_control": part["cache_control"]} if part.get("cache_control") else {}
        if isinstance(part.get("text"), str):
            return {"type": "text", "text": part["text"], **mark}
        for kind in _MEDIA:
            if isinstance(part.get(kind), str):
                return {"type": kind, "url": part[kind], **mark}
    raise RefusedError("a part of a message is neither text nor one image, sound or film", param="input.messages")


# --- answers ---------------------------------------------------------------------------------------


class _Frames:
    """Writes one stream. What was said so far is kept, for frames that repeat it."""

    def __init__(self, asked: DashScopeChat, identity: str) -> None:
        self._asked = asked
        self._identity = identity
        self._number = 0
        self.text = ""
        self.reasoning = ""
        self.calls: dict[int, list[str]] = {}

    def begin(self) -> bytes:
        """Nothing comes first."""
        return b""

    def event(self, event: StreamEvent) -> bytes:
        """Return the frame of an event.

        :raises ContentFilteredError: moderation cut the answer.
        """
        match event:
            case TextDelta(text):
                self.text += text
                return self._frame(text=text)
            case ReasoningDelta(text):
                self.reasoning += text
                return self._frame(reasoning=text)
            case ToolCallDelta():
                return self._frame(piece=self._take(event))
            case Finished():
                _check_reason(event.reason)
                if self._asked.incremental:
                    return self._frame(finish=event.reason, usage=event.usage)
                return self._result(self.body(event.reason, event.usage))
            case Switched():
                return b""  # who writes is not told here
        raise TypeError(f"no event of an answer: {type(event).__name__}")

    def error(self, error: CallError) -> bytes:
        """Return the frame that all generations of the SDK take for an error."""
        status, said = _told(error, self._identity)
        self._number += 1
        head = b"id:%d\nevent:error\n:HTTP_STATUS/%d\nstatus:%d\n" % (self._number, status, status)
        return head + b"data:%b\n\n" % to_json(said)

    def body(self, finish: str, usage: Usage | None = None) -> dict[str, Any]:
        """Return all that was said so far."""
        calls = [ToolCall(id=call[0], name=call[1], arguments=call[2]) for _, call in sorted(self.calls.items())]
        pieces = [{**call, "index": index} for index, call in enumerate(calls_of(calls))]
        return self._output(self.text, self.reasoning, pieces, finish, usage)

    def _frame(
        self,
        *,
        text: str = "",
        reasoning: str = "",
        piece: dict[str, Any] | None = None,
        finish: str = "null",
        usage: Usage | None = None,
    ) -> bytes:
        if not self._asked.incremental:
            return self._result(self.body(finish, usage))
        return self._result(self._output(text, reasoning, [piece] if piece else [], finish, usage))

    def _take(self, event: ToolCallDelta) -> dict[str, Any]:
        """Keep a piece of a call; only the first one names it."""
        call = self.calls.setdefault(event.index, ["", "", ""])
        call[0], call[1], call[2] = event.id or call[0], event.name or call[1], call[2] + event.arguments
        function = {"name": event.name or "", "arguments": event.arguments}
        return {"index": event.index, "id": event.id or "", "type": "function", "function": function}

    def _output(
        self, text: str, reasoning: str, calls: list[dict[str, Any]], finish: str, usage: Usage | None
    ) -> dict[str, Any]:
        content = ([{"text": text}] if text else []) if self._asked.parts else text
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if reasoning:
            message["reasoning_content"] = reasoning
        if calls:
            message["tool_calls"] = calls
        output: dict[str, Any] = {"choices": [{"finish_reason": finish, "message": message}]}
        if self._asked.plain and not calls:
            output = {"text": text, "finish_reason": finish, "choices": None}
        return {"output": output, "usage": _usage(usage), "request_id": self._identity}

    def _result(self, data: dict[str, Any]) -> bytes:
        self._number += 1
        return b"id:%d\nevent:result\n:HTTP_STATUS/200\ndata:%b\n\n" % (self._number, to_json(data))


def _check_reason(reason: str) -> None:
    if reason == "content_filter":
        raise ContentFilteredError("the vendor's moderation cut the answer")


def _usage(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    counts: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
    if usage.reasoning_tokens is not None:
        counts["output_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    if usage.cached_tokens is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    return counts


def _told(error: CallError, identity: str) -> tuple[int, dict[str, Any]]:
    status, code = _ERRORS.get(standing_for(error).kind.partition(".")[0], (500, "InternalError"))
    return status, {"code": code, "message": str(error), "request_id": identity}
