"""DashScope's native wire, as its server speaks it."""

from __future__ import annotations

from typing import Any

from ..types import ToolCall, Usage
from .answer import Answer, Event, EventKind
from .checks import bad_for_dashscope
from .openai_wire import House
from .refusals import DASHSCOPE, Refusal, flat_body
from .reply import Reply, VendorRequest, fragments, pieces
from .speech import DIMENSIONS, reply_to, vector

__all__ = ["DashScopeWire"]

_CHAT = {
    "/services/aigc/text-generation/generation": "text",
    "/services/aigc/multimodal-generation/generation": "multimodal",
}
_EMBEDDINGS = "/services/embeddings/text-embedding/text-embedding"
_INCREMENTAL_BY_DEFAULT = ("qwen3-max", "qwen3-vl", "qwq", "qvq")


class DashScopeWire:
    """Both native paths, and text embeddings."""

    def respond(self, request: VendorRequest, path: str, house: House) -> Answer:
        """Return the healthy answer to a request; ``path`` is what follows the base URL."""
        if request.headers.get("x-dashscope-async") == "enable":
            words = "current user api does not support asynchronous calls."
            return self.refuse(request, Refusal(403, "AccessDenied", words))
        if request.method == "POST" and path in _CHAT:
            return self._chat(request, _CHAT[path], house)
        if request.method == "POST" and path == _EMBEDDINGS:
            return self._embeddings(request)
        return self.refuse(request, Refusal(404, "NotFound", "Not found."))

    # --- what faults ask for

    def frame(self, event: Event, number: int) -> bytes:
        """``id``, ``event``, a comment with the status, and one line of data."""
        name = b"error" if event.kind == "error" else b"result"
        return b"id:%d\nevent:%b\n:HTTP_STATUS/%d\ndata:%b\n\n" % (number, name, event.status, event.payload())

    def refusal(self, request: VendorRequest, kind: str) -> Refusal:  # noqa: ARG002  # the same for every request
        """Return what the vendor says when ``kind`` happens."""
        return DASHSCOPE.get(kind, DASHSCOPE["server_error"])

    def refuse(self, request: VendorRequest, refusal: Refusal) -> Answer:
        """Return the answer that refuses a request."""
        headers = [("x-request-id", request.request_id), *refusal.headers]
        event = Event("whole", flat_body(refusal, request.model, request.request_id))
        return Answer(self, request, [event], status=refusal.status, headers=headers)

    def error_event(self, request: VendorRequest, refusal: Refusal) -> Event:
        """Return an error inside a stream."""
        return Event("error", flat_body(refusal, request.model, request.request_id), status=refusal.status)

    def text_event(self, request: VendorRequest, text: str) -> Event:
        """Return one more piece of text."""
        path = _CHAT[request.path.partition("/api/v1")[2]]
        return _Draft(request, path).text(text)

    # --- answers

    def _chat(self, request: VendorRequest, path: str, house: House) -> Answer:
        refusal = bad_for_dashscope(request, path, house.native_paths.get(request.model))
        if refusal is not None and request.stream and "url error" in refusal.message:
            return self._stream(request, [self.error_event(request, refusal)], house)
        if refusal is None and house.models is not None and request.model not in house.models:
            refusal = self.refusal(request, "model_not_found")
        if refusal is not None:
            return self.refuse(request, refusal)
        reply = reply_to(request, house.answer)
        draft = _Draft(request, path)
        if request.stream:
            return self._stream(request, draft.events(reply, house.words), house)
        return self._whole(request, draft.whole(reply))

    def _embeddings(self, request: VendorRequest) -> Answer:
        given = (request.body or {}).get("input")
        texts = given.get("texts") if isinstance(given, dict) else None
        if not isinstance(texts, list) or not texts:
            return self.refuse(request, self.refusal(request, "bad_request"))
        size = request.options.get("dimension") or DIMENSIONS
        rows = [{"text_index": index, "embedding": vector(str(text), size)} for index, text in enumerate(texts)]
        tokens = sum(len(str(text).split()) for text in texts)
        usage = {"total_tokens": tokens}
        return self._whole(request, {"output": {"embeddings": rows}, "usage": usage, "request_id": request.request_id})

    def _whole(self, request: VendorRequest, data: dict[str, Any]) -> Answer:
        return Answer(self, request, [Event("whole", data)], headers=[("x-request-id", request.request_id)])

    def _stream(self, request: VendorRequest, events: list[Event], house: House) -> Answer:
        answer = self._whole(request, {})
        answer.stream, answer.content_type, answer.pace = True, "text/event-stream;charset=UTF-8", house.pace
        answer.events = events
        return answer


class _Draft:
    """An answer as it grows: each event shows what is new, or (cumulative) all so far."""

    def __init__(self, request: VendorRequest, path: str) -> None:
        options = request.options
        self._request = request
        self._parts = path == "multimodal"
        self._plain = path == "text" and options.get("result_format") != "message"
        wanted = options.get("incremental_output")
        self._incremental = request.model.startswith(_INCREMENTAL_BY_DEFAULT) if wanted is None else wanted is True
        self._all = Reply()
        self._arguments: dict[int, str] = {}
        self._usage: Usage | None = None
        self._tokens = 0

    def events(self, reply: Reply, words: int) -> list[Event]:
        """Return the stream of a reply."""
        self._usage = reply.usage
        found = [self._event("reasoning", reasoning=piece) for piece in pieces(reply.reasoning, words)]
        found += [self.text(piece) for piece in pieces(reply.text, words)]
        for index, call in enumerate(reply.tool_calls):
            found.append(self._event("tool", call=(index, call, "")))
            found += [self._event("tool", call=(index, call, piece)) for piece in fragments(call.arguments)]
        self._tokens = reply.usage.output_tokens if reply.usage else 0
        return [*found, self._event("finish", finish=reply.ends_with, tool_calls=reply.tool_calls)]

    def whole(self, reply: Reply) -> dict[str, Any]:
        """Return the body of a reply that is not streamed."""
        self._incremental = False
        data = self.events(reply, words=1_000_000)[-1].data
        assert isinstance(data, dict)
        return data

    def text(self, text: str) -> Event:
        """Return the event with one more piece of text."""
        return self._event("text", text=text)

    def _event(
        self,
        kind: EventKind,
        *,
        text: str = "",
        reasoning: str = "",
        call: tuple[int, ToolCall, str] | None = None,
        finish: str = "null",
        tool_calls: tuple[ToolCall, ...] = (),
    ) -> Event:
        self._tokens += len((text or reasoning).split())
        if not self._incremental:
            self._all = Reply(self._all.text + text, self._all.reasoning + reasoning)
            text, reasoning = self._all.text, self._all.reasoning
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self._parts:
            message["content"] = [{"text": text}] if text else []
        if reasoning or kind == "reasoning":
            message["reasoning_content"] = reasoning
        if call is not None:
            message["tool_calls"] = [self._call(*call)]
        elif tool_calls and not self._incremental:
            message["tool_calls"] = [_tool_call(index, one, one.arguments) for index, one in enumerate(tool_calls)]
        output: dict[str, Any]
        if self._plain:
            output = {"text": text, "finish_reason": finish, "choices": None}
        else:
            output = {"choices": [{"finish_reason": finish, "message": message}]}
        data = {"output": output, "usage": self._counted(), "request_id": self._request.request_id}
        return Event(kind, data, call=0 if call is None else call[0])

    def _call(self, index: int, call: ToolCall, piece: str) -> dict[str, Any]:
        known = index in self._arguments
        self._arguments[index] = self._arguments.get(index, "") + piece
        if not self._incremental:
            return _tool_call(index, call, self._arguments[index])
        if known:
            return {"index": index, "id": "", "type": "function", "function": {"arguments": piece}}
        return _tool_call(index, call, piece)

    def _counted(self) -> dict[str, Any]:
        usage = self._usage
        asked = usage.input_tokens if usage else 0
        counted: dict[str, Any] = {
            "input_tokens": asked,
            "output_tokens": self._tokens,
            "total_tokens": asked + self._tokens,
        }
        if usage is not None and usage.reasoning_tokens is not None:
            counted["output_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
        if usage is not None and usage.cached_tokens is not None:
            counted["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
        return counted


def _tool_call(index: int, call: ToolCall, arguments: str) -> dict[str, Any]:
    return {
        "index": index,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }
