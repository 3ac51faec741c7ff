"""OpenAI's chat completions, models and embeddings, and DashScope's compatible mode, as a server speaks them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Collection
from time import time
from typing import Any, Protocol

from ..types import Usage
from .answer import Answer, Event
from .checks import bad_for_openai
from .refusals import DASHSCOPE, OPENAI, Refusal, compatible_body, openai_body
from .reply import Reply, Says, VendorRequest, fragments, pieces
from .speech import DIMENSIONS, reply_to, vector

__all__ = ["House", "OpenAIWire"]


class House(Protocol):
    """What a wire must know of the vendor."""

    answer: Says
    words: int
    pace: float
    models: Collection[str] | None
    native_paths: dict[str, str]


class OpenAIWire:
    """OpenAI's own wire, or (``compatible``) the same with DashScope's errors."""

    def __init__(self, *, compatible: bool) -> None:
        self._compatible = compatible

    def respond(self, request: VendorRequest, path: str, house: House) -> Answer:
        """Return the healthy answer to a request; ``path`` is what follows the base URL."""
        match request.method, path:
            case "POST", "/chat/completions":
                return self._chat(request, house)
            case "POST", "/embeddings":
                return self._embeddings(request)
            case "GET", "/models":
                names = house.models or ("stand-in",)
                rows = [{"id": name, "object": "model", "created": 0, "owned_by": "stand-in"} for name in names]
                return self._whole(request, {"object": "list", "data": rows})
        return self.refuse(request, Refusal(404, None, f"Invalid URL ({request.method} {request.path})"))

    # --- what faults ask for

    def frame(self, event: Event, number: int) -> bytes:  # noqa: ARG002  # this wire does not number its events
        """``data: {…}``."""
        return b"data: %b\n\n" % event.payload()

    def refusal(self, request: VendorRequest, kind: str) -> Refusal:  # noqa: ARG002  # the same for every request
        """Return what the vendor says when ``kind`` happens."""
        table = DASHSCOPE if self._compatible else OPENAI
        return table.get(kind, table["server_error"])

    def refuse(self, request: VendorRequest, refusal: Refusal) -> Answer:
        """Return the answer that refuses a request."""
        headers = [("x-request-id", request.request_id), *refusal.headers]
        event = Event("whole", self._error(request, refusal))
        return Answer(self, request, [event], status=refusal.status, headers=headers)

    def error_event(self, request: VendorRequest, refusal: Refusal) -> Event:
        """Return an error inside a stream."""
        return Event("error", self._error(request, refusal))

    def text_event(self, request: VendorRequest, text: str) -> Event:
        """Return one more piece of text."""
        return Event("text", _chunk(request, _usage_is_asked(request), {"content": text}))

    # --- answers

    def _chat(self, request: VendorRequest, house: House) -> Answer:
        refusal = bad_for_openai(request, compatible=self._compatible)
        if refusal is None and house.models is not None and request.model not in house.models:
            refusal = self.refusal(request, "model_not_found")
        if refusal is not None:
            return self.refuse(request, refusal)
        reply = reply_to(request, house.answer)
        if not request.stream:
            return self._whole(request, _completion(request, reply))
        answer = self._whole(request, {})
        answer.stream, answer.content_type, answer.pace = True, "text/event-stream; charset=utf-8", house.pace
        answer.events = _events(request, reply, house.words)
        return answer

    def _embeddings(self, request: VendorRequest) -> Answer:
        body = request.body or {}
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts) or not texts:
            return self.refuse(request, Refusal(400, None, "'$.input' is invalid."))
        size = body.get("dimensions") or DIMENSIONS
        # DashScope documents `float` only
        packed = body.get("encoding_format") == "base64" and not self._compatible
        rows = []
        for index, text in enumerate(texts):
            values = vector(text, size)
            packing = base64.b64encode(struct.pack(f"<{size}f", *values)).decode() if packed else values
            rows.append({"object": "embedding", "index": index, "embedding": packing})
        tokens = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return self._whole(request, {"object": "list", "data": rows, "model": request.model, "usage": usage})

    def _whole(self, request: VendorRequest, data: dict[str, Any]) -> Answer:
        return Answer(self, request, [Event("whole", data)], headers=[("x-request-id", request.request_id)])

    def _error(self, request: VendorRequest, refusal: Refusal) -> dict[str, Any]:
        if self._compatible:
            return compatible_body(refusal, request.model, request.index, request.request_id)
        return openai_body(refusal, request.model)


def _completion(request: VendorRequest, reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or (None if reply.tool_calls else "")}
    if reply.reasoning:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in reply.tool_calls
        ]
    return {
        "id": f"chatcmpl-{request.index}",
        "object": "chat.completion",
        "created": int(time()),
        "model": request.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reply.ends_with}],
        "usage": _usage(reply.usage),
        "system_fingerprint": None,
    }


def _events(request: VendorRequest, reply: Reply, words: int) -> list[Event]:
    asked = _usage_is_asked(request)
    events = [Event("role", _chunk(request, asked, {"role": "assistant", "content": ""}))]
    events += [
        Event("reasoning", _chunk(request, asked, {"content": None, "reasoning_content": piece}))
        for piece in pieces(reply.reasoning, words)
    ]
    events += [Event("text", _chunk(request, asked, {"content": piece})) for piece in pieces(reply.text, words)]
    for index, call in enumerate(reply.tool_calls):
        first = {"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        rest = [{"index": index, "function": {"arguments": piece}} for piece in fragments(call.arguments)]
        events += [Event("tool", _chunk(request, asked, {"tool_calls": [part]}), call=index) for part in (first, *rest)]
    events.append(Event("finish", _chunk(request, asked, {}, reply.ends_with)))
    if asked:
        last = _chunk(request, asked, {})
        last["choices"], last["usage"] = [], _usage(reply.usage)
        events.append(Event("usage", last))
    return [*events, Event("done", "[DONE]")]


def _chunk(request: VendorRequest, usage: bool, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:  # noqa: FBT001  # private
    made = {
        "id": f"chatcmpl-{request.index}",
        "object": "chat.completion.chunk",
        "created": int(time()),
        "model": request.model,
        "system_fingerprint": None,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }
    return {**made, "usage": None} if usage else made


def _usage_is_asked(request: VendorRequest) -> bool:
    asked = request.options.get("stream_options")
    return isinstance(asked, dict) and bool(asked.get("include_usage"))


def _usage(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens or 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
    }
