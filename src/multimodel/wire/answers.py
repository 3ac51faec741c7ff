"""What the decoders of all formats share: whole body or stream, content, the terminal signal, the end.

1. The content type only rejects: HTML or any other foreign type is no answer. Whether a body is whole or a stream
   is told by its first byte, because vendors mislabel both.
2. An answer is complete when a finish reason was seen. ``[DONE]`` ends the stream, but is neither needed nor enough.
   Its case is folded. One that the format does not know is no success: it is a ``TruncatedStreamError`` with the
   reason as its code, after the content; so are ``timeout`` and ``cancelled``.
3. After the finish reason only usage is read; content, errors and broken events are ignored.
4. Only the first choice is read. A finish reason ``stop`` after tool calls is ``tool_calls``: some vendors say
   ``stop`` when the tool was forced. ``tool_calls`` without any tool call is an ``InvalidResponseError``. The
   ``function_call`` that OpenAI had before tools is read as the one tool call.
5. The finish reason ``content_filter`` is a ``ContentFilteredError`` if no content came before it; otherwise the
   answer, cut by moderation, is ``Finished("content_filter")``. So is one with a ``refusal`` that ends by ``stop``.
6. An error is an ``error`` that is not empty, a ``code`` without ``choices`` that does not mean success,
   ``"object": "error"``, or an event called ``error``. It is classified like an error status.
7. A whole body that stops in the middle of its JSON is a ``TruncatedStreamError``, like a stream without a finish
   reason; one that never was JSON is an ``InvalidResponseError``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..errors import CallError, ContentFilteredError, InvalidResponseError, Kind, TruncatedStreamError, error_for
from ..types import AnswerEvent, Finished, FinishReason, ReasoningDelta, TextDelta
from . import Dialect
from .faults import Fault, as_error, fault_from, showable
from .hints import request_id
from .jsontext import is_cut, parse
from .sealed import Sealed
from .sse import Event, EventDecoder
from .toolcalls import ToolCalls
from .usage import usage_from

__all__ = ["MAX_BODY", "AnswerDecoder"]

MAX_BODY = 32 * 2**20

_SPACE = b"\xef\xbb\xbf \t\r\n"
_NAMES = frozenset({b"", b"message", b"result", b"data"})
_TYPES = frozenset({"", "text/event-stream", "application/json", "text/json"})
_FIRST = (None, 0)
_SUCCESS = (None, "", 0, "0", 200, "200")
_BROKEN: dict[str, Kind] = {
    "abort": "server_error",  # vLLM, SGLang
    "error": "server_error",  # Mistral, OpenRouter
    "insufficient_system_resource": "overloaded",  # DeepSeek
    "network_error": "server_error",  # Zhipu
}
"""Finish reasons that say that the vendor broke off: the answer is not complete."""


class AnswerDecoder(ABC):
    """One 2xx answer. A format says where the choices are and what its finish reasons mean."""

    reasons: ClassVar[Mapping[str, FinishReason]]
    """By the vendor's word in lower case. Any other means that the answer is not complete."""

    def __init__(self, dialect: Dialect, headers: Mapping[str, str]) -> None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _TYPES and not kind.endswith("+json"):
            raise InvalidResponseError(
                "the content type of the answer is not of this format", request_id=request_id(headers)
            )
        self.terminal = False
        self.done = False
        self._dialect = dialect
        self._headers = headers
        self._stream: EventDecoder | None = None
        self._body = bytearray()
        self._is_whole = False
        self._content = False
        self._calls = ToolCalls()
        self._sealed = Sealed()
        self._declined = False  # the model refused, in the field that OpenAI has for that
        self._reason: FinishReason = "stop"
        self._failure: CallError | None = None
        self._usage: Mapping[str, Any] | None = None
        self._model: str | None = None
        self._request_id: str | None = None

    @abstractmethod
    def _choices(self, answer: dict[str, Any]) -> list[Any]:
        """Return the choices of one event or of the whole body; empty when there are none."""

    def _refused(self, fault: Fault) -> CallError:
        """Return the error that a fault inside the answer means."""
        return as_error(fault, self._dialect, self._headers)

    def feed(self, data: bytes) -> Iterable[AnswerEvent]:
        """Take the next bytes, however they are cut."""
        stream = self._stream
        if stream is None:
            stream = self._begin(data)
            if stream is None:
                return ()
            data = bytes(self._body)
            self._body.clear()
        return self._events(stream.feed(data))

    def close(self) -> Iterator[AnswerEvent]:
        """Take the end of the body."""
        if self._stream is not None:
            yield from self._events(self._stream.close())
        else:
            yield from self._whole()
        if not self.terminal:
            raise TruncatedStreamError("the answer ended without a finish reason", request_id=self._identity())
        self.done = True
        usage = usage_from(self._usage) if self._usage is not None else None
        sealed = self._sealed.parts() if self._sealed else ()
        yield Finished(self._reason, usage, self._model, self._identity(), sealed)

    # --- a stream ---

    def _begin(self, data: bytes) -> EventDecoder | None:
        """Collect until the first byte that is no space tells what this is; then collect what is whole."""
        self._body += data
        if not self._is_whole and data.strip(_SPACE):
            first = bytes(self._body.lstrip(_SPACE)[:1])
            if first == b"<":
                raise InvalidResponseError("the answer is a page, not JSON", request_id=self._identity())
            if first not in (b"{", b"["):
                self._stream = EventDecoder()
                return self._stream
            self._is_whole = True
        if len(self._body) > MAX_BODY:
            raise InvalidResponseError("the answer is longer than 32 MiB", request_id=self._identity())
        return None

    def _events(self, events: Iterable[Event]) -> Iterable[AnswerEvent]:
        """Return the content of these events; where one is an error, it is raised after the content before it."""
        contents: list[AnswerEvent] = []
        if self.done:
            return contents
        try:
            for event in events:
                answer = event.json
                if answer is None:
                    self._no_object(event)
                elif self.terminal:
                    self._after(answer)
                else:
                    if (event.name or "choices" not in answer or answer.get("error")) and _is_fault(answer, event.name):
                        raise self._failed(fault_from(answer), event.status)
                    self._contents(answer, contents)
                    if self._failure is not None:
                        raise self._failure
                if self.done:
                    break
        except CallError as error:
            if self.terminal and isinstance(error, InvalidResponseError):
                self.done = True
            else:
                return _then(contents, error)
        return contents

    def _no_object(self, event: Event) -> None:
        if event.is_done:
            self.done = True
        elif self.terminal:
            pass
        elif event.name == b"error":
            raise self._failed(Fault(message=event.data.decode("utf-8", "replace")), event.status)
        elif event.name in _NAMES:
            raise InvalidResponseError("an event of the stream is not JSON", request_id=self._identity())

    def _after(self, answer: dict[str, Any]) -> None:
        """Take the usage that follows the finish reason; an event with nothing else is the last one."""
        if isinstance(answer.get("usage"), dict):
            self._usage = answer["usage"]
            self.done = not self._choices(answer)

    # --- a whole body ---

    def _whole(self) -> Iterator[AnswerEvent]:
        text = bytes(self._body).strip(_SPACE)
        try:
            answer = parse(text)
        except ValueError:
            raise self._unreadable(text) from None
        if isinstance(answer, list):
            answer = next(iter(answer), None)  # Google wraps its errors
        if isinstance(answer, dict) and _is_fault(answer):
            raise self._failed(fault_from(answer))
        if not isinstance(answer, dict) or not self._choices(answer):
            raise InvalidResponseError("the answer is JSON, but not of this format", request_id=self._identity())
        contents: list[AnswerEvent] = []
        self._contents(answer, contents)
        yield from contents
        if self._failure is not None:
            raise self._failure

    def _unreadable(self, text: bytes) -> CallError:
        if is_cut(text):
            return TruncatedStreamError("the answer stops in the middle of its JSON", request_id=self._identity())
        return InvalidResponseError("the answer is not JSON within the limits", request_id=self._identity())

    # --- one object of either ---

    def _contents(self, answer: dict[str, Any], contents: list[AnswerEvent]) -> None:
        """Add the content of one object; note its finish reason, and what goes into ``Finished``."""
        if self._model is None:
            self._model = _word(answer.get("model"))
        if self._request_id is None:
            self._request_id = _word(answer.get("request_id")) or _word(answer.get("id"))
        usage = answer.get("usage")
        if type(usage) is dict:
            self._usage = usage
        for choice in self._choices(answer):
            if type(choice) is not dict or choice.get("index") not in _FIRST or self.terminal:
                continue
            message = choice.get("delta") or choice.get("message")
            if type(message) is dict:
                self._message(message, contents)
            reason = choice.get("finish_reason")
            if reason is not None:
                self._finish(reason, choice, content=self._content or bool(contents))
        if contents:
            self._content = True

    def _message(self, message: dict[str, Any], contents: list[AnswerEvent]) -> None:
        thought = message.get("reasoning_content") or message.get("reasoning")
        if thought and type(thought) is str:
            contents.append(ReasoningDelta(thought))
        details, blocks = message.get("reasoning_details"), message.get("thinking_blocks")
        if details or blocks:
            self._sealed.take(details=details, blocks=blocks)
        content = message.get("content") or message.get("refusal")
        self._declined = self._declined or bool(message.get("refusal"))
        if content:
            if type(content) is str:
                contents.append(TextDelta(content))
            elif type(content) is list:
                contents.extend(_parts(content))
            else:
                self._failure = InvalidResponseError("the content is no text", request_id=self._identity())
        calls = message.get("tool_calls")
        if calls:
            contents.extend(self._calls.take(calls))
        elif message.get("function_call"):
            contents.extend(self._calls.take([{"index": 0, "function": message["function_call"]}]))

    def _finish(self, reason: object, choice: dict[str, Any], *, content: bool) -> None:
        if not isinstance(reason, str):
            return
        word = reason.partition(":")[0].strip().lower()  # Google adds its own word: `content_filter: SAFETY`
        if word in ("", "null"):
            return
        known = self.reasons.get(word)
        self._failure = self._failure or self._failure_of(word, known, showable(reason), content=content)
        if known is None or self._failure is not None:
            return
        if known == "stop" and (self._calls or self._declined):
            known = "tool_calls" if self._calls else "content_filter"
        self._reason = known
        self.terminal = True
        if self._usage is None and isinstance(choice.get("usage"), dict):
            self._usage = choice["usage"]

    def _failure_of(
        self, word: str, known: FinishReason | None, code: str | None, *, content: bool
    ) -> CallError | None:
        identity = self._identity()
        if word in _BROKEN:
            return error_for(_BROKEN[word], "the vendor broke the answer off", code=code, request_id=identity)
        if known is None:
            return TruncatedStreamError("the answer ended for an unknown reason", code=code, request_id=identity)
        if known == "content_filter" and not content:
            return ContentFilteredError("the vendor's moderation refused", code=code, request_id=identity)
        if known == "tool_calls" and not self._calls:
            return InvalidResponseError("the answer ended for tool calls, but has none", request_id=identity)
        return None

    def _failed(self, fault: Fault, status: int | None = None) -> CallError:
        stated = replace(fault, status=status or fault.status, request_id=fault.request_id or self._request_id)
        return self._refused(stated)

    def _identity(self) -> str | None:
        return request_id(self._headers, self._request_id)


def _then(contents: list[AnswerEvent], error: CallError) -> Iterator[AnswerEvent]:
    yield from contents
    raise error


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _is_fault(answer: dict[str, Any], name: bytes = b"") -> bool:
    if name == b"error" or answer.get("error"):
        return True
    return "choices" not in answer and (answer.get("code") not in _SUCCESS or answer.get("object") == "error")


def _parts(content: list[Any]) -> Iterator[AnswerEvent]:
    """The texts of a list of parts: ``{"text": …}`` (DashScope), typed parts, thinking among them (Mistral)."""
    for part in content:
        if not isinstance(part, dict):
            continue
        text, thought = part.get("text"), part.get("thinking")
        if text and isinstance(text, str):
            yield TextDelta(text)
        for piece in thought if isinstance(thought, list) else [{"text": thought}]:
            words = piece.get("text") if isinstance(piece, dict) else None
            if words and isinstance(words, str):
                yield ReasoningDelta(words)
