"""One request through litellm and its answer, without the I/O: limits, phases, events, and what each failure means.

litellm writes what a vendor left out: a finish reason at the end of a stream that was cut, and token counts of its
own. Neither is passed on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextvars import Token
from functools import partial
from types import TracebackType
from typing import Any, Literal

from ..errors import PolicyDeniedError, error_for
from ..types import (
    AnswerEvent,
    AnyRequest,
    Attempt,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from ..wire import Dialect
from ..wire.sealed import Sealed
from .base import late
from .litellm_errors import failure
from .litellm_once import Sending, sending
from .litellm_reader import LateError

__all__ = ["Exchange", "request_id_of"]

_AFTER_TERMINAL = 0.25
_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
_FAILED = frozenset({"error", "network_error", "malformed_response", "abort", "insufficient_system_resource"})
"""Reasons of vendors (Cohere, Zhipu, Gemini, vLLM, DeepSeek) that litellm calls `stop`: the answer is not whole."""
_REQUEST_IDS = ("llm_provider-x-request-id", "llm_provider-request-id", "llm_provider-apim-request-id")


class Exchange:
    """The state of one attempt. Use it as a context manager around every wait on litellm: what is sent there is bound.

    :param importing: seconds that the import of litellm took; the vendor gets them back, the call does not.
    """

    def __init__(self, attempt: Attempt[AnyRequest], dialect: Dialect, importing: float) -> None:
        self._attempt = attempt
        self._dialect = dialect
        limits = attempt.limits
        self._first = (limits.first_content if attempt.stream else limits.whole) + importing
        self._limit = min(self._first, limits.deadline)
        self._phase: Literal["waiting", "reading", "draining", "over"] = "waiting"
        self._content = False
        self._answer: Any = None
        self._reason: FinishReason = "stop"
        self._usage: Usage | None = None
        self._model: str | None = None
        self._calls: dict[int, bool] = {}  # by index: whether its name was handed out
        self._sealed = Sealed()
        self._sending = Sending(attempt.hosts)
        self._token: Token[Sending | None] | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is to be read."""
        return self._phase == "over"

    @property
    def _answering(self) -> bool:
        """Whether the vendor's answer has begun."""
        return self._phase == "reading"

    @property
    def left(self) -> float:
        """Seconds until the present limit."""
        return self._limit - self._attempt.now()

    @property
    def check(self) -> Callable[[], None]:
        """Raises once the vendor was cut off."""
        return self._attempt.check

    def read_limit(self) -> Any:
        """Return litellm's own time-outs: an upper bound for each read, in whole seconds.

        litellm keeps one client for each value of it, so it must not differ from call to call.
        """
        import httpx

        limits = self._attempt.limits
        first = self._first - self._attempt.now()
        seconds = math.ceil(max(first, limits.idle) if self._attempt.stream else first)
        return httpx.Timeout(float(max(seconds, 1)), connect=limits.connect)

    def opened(self, answer: Any) -> Iterator[AnswerEvent]:
        """Take what litellm returned: a stream, or a whole answer, whose events are yielded."""
        self._answer = answer
        self._phase = "reading"
        if answer is None:
            raise error_for("invalid_response", "litellm returned no answer")
        if self._attempt.stream:
            return
        choice = answer.choices[0]
        message = choice.message
        self._model = answer.model
        self._usage = _usage(getattr(answer, "usage", None))
        self._sealed.take(blocks=_plain(message, "thinking_blocks"), details=_plain(message, "reasoning_details"))
        reasoning = getattr(message, "reasoning_content", None)
        self._content = bool(reasoning or message.content or message.tool_calls)
        if reasoning:
            yield ReasoningDelta(reasoning)
        if message.content:
            yield TextDelta(message.content)
        for index, call in enumerate(message.tool_calls or ()):
            yield ToolCallDelta(index, call.id, call.function.name, call.function.arguments or "")
        fields = getattr(choice, "provider_specific_fields", None) or {}
        self._take_reason(fields.get("native_finish_reason") or choice.finish_reason, choice.finish_reason)
        yield self._finished()

    def feed(self, chunk: Any) -> Iterator[AnswerEvent]:
        """Take the next chunk, None at the end of the stream; yield the events it holds."""
        if chunk is None:
            if self._phase == "reading":
                raise error_for("truncated_stream", "the answer ended without a finish reason")
            yield self._finished()
            return
        self._model = _hidden(chunk).get("provider_response_model") or self._model or chunk.model
        if getattr(chunk, "usage", None) is not None:
            self._usage = _usage(chunk.usage)
        if self._phase == "draining" or not chunk.choices:
            return
        choice = chunk.choices[0]
        for event in self._events(choice.delta):
            self._content = True
            self._wait(self._attempt.limits.idle)
            yield event
        if choice.finish_reason:
            self._terminal(choice.finish_reason)

    def _events(self, delta: Any) -> Iterator[AnswerEvent]:
        self._sealed.take(blocks=_plain(delta, "thinking_blocks"), details=_plain(delta, "reasoning_details"))
        if reasoning := getattr(delta, "reasoning_content", None):
            yield ReasoningDelta(reasoning)
        if content := getattr(delta, "content", None):
            yield TextDelta(content)
        for call in getattr(delta, "tool_calls", None) or ():
            index, name, arguments = call.index or 0, call.function.name or None, call.function.arguments or ""
            if index not in self._calls:
                self._calls[index] = name is not None
                yield ToolCallDelta(index, call.id or None, name, arguments)
                continue
            new = None if self._calls[index] else name
            self._calls[index] = self._calls[index] or name is not None
            if new or arguments:
                yield ToolCallDelta(index, None, new, arguments)

    def _terminal(self, reason: str) -> None:
        """Take litellm's finish reason, if the vendor gave one."""
        answer = self._answer
        given = getattr(answer, "received_finish_reason", None) or getattr(answer, "intermittent_finish_reason", None)
        if given is None:
            raise error_for("truncated_stream", "the answer ended without a finish reason")
        self._take_reason(given, reason)
        self._phase = "draining"
        self._wait(_AFTER_TERMINAL)

    def _take_reason(self, given: str, mapped: str) -> None:
        if given.lower() in _FAILED:
            raise error_for("server_error", "the vendor broke the answer off", code=given[:100])
        reason = _REASONS.get(mapped)
        if reason is None:
            raise error_for("invalid_response", "the answer ended for an unknown reason", code=given[:100])
        if reason == "content_filter" and not self._content:
            raise error_for(
                "content_filtered", "the vendor's moderation refused", request_id=request_id_of(self._answer)
            )
        self._reason = reason

    def _finished(self) -> Finished:
        self._phase = "over"
        self._sending.over = True
        answer = self._answer
        chunks = getattr(answer, "chunks", None)
        if chunks is not None and not any(getattr(chunk, "usage", None) for chunk in chunks):
            self._usage = None  # what litellm counted itself
        return Finished(self._reason, self._usage, self._model, request_id_of(answer), self._sealed.parts())

    def _wait(self, seconds: float) -> None:
        self._limit = min(self._attempt.now() + seconds, self._attempt.limits.deadline)

    def __enter__(self) -> None:
        self._token = sending.set(self._sending)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._token is not None:
            sending.reset(self._token)
        if error is None or not isinstance(error, Exception):
            return False
        self._sending.over = not isinstance(error, LateError | PolicyDeniedError)  # litellm may still be at work
        if self._phase == "draining":
            return True  # the answer is whole: what breaks afterwards changes nothing
        failed = failure(
            error,
            partial(late, self._attempt, content=self._content),
            self._dialect,
            answering=self._answering,
        )
        if failed is error:
            return False
        raise failed from None


def _usage(given: Any) -> Usage | None:
    """Tokens as the vendor reports them; litellm writes zeros where a whole answer has none."""
    if given is None or not given.total_tokens:
        return None
    read, written = given.prompt_tokens_details, given.completion_tokens_details
    return Usage(
        input_tokens=given.prompt_tokens,
        output_tokens=given.completion_tokens,
        total_tokens=given.total_tokens,
        cached_tokens=getattr(read, "cached_tokens", None),
        reasoning_tokens=getattr(written, "reasoning_tokens", None),
    )


def _plain(message: Any, field: str) -> list[Any]:
    """The values of a list that a message or delta may have, as plain mappings."""
    found = getattr(message, field, None) or ()
    return [value if isinstance(value, Mapping) else value.model_dump() for value in found]


def _hidden(answer: Any) -> Mapping[str, Any]:
    """What litellm knows beside an answer or a chunk."""
    return getattr(answer, "_hidden_params", None) or {}


def request_id_of(answer: Any) -> str | None:
    """Return what the vendor calls the request, if litellm knows."""
    headers = _hidden(answer).get("additional_headers") or {}
    return next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
