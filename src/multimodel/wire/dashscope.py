"""DashScope's native protocol (Alibaba Cloud Model Studio).

A model lives on one of two paths, named here ``text`` and ``multimodal``; the quirk ``native_path`` says which. The
wrong one is refused with ``url error``, as a status or inside a stream: the error then names the other path.
A stream has no ``[DONE]``; it is complete when a finish reason was seen, and only ``stop``, ``length`` and
``tool_calls`` are ones. A whole answer with another has run into the server's time limit.
On the path ``multimodal`` content is a list of parts, except in turns with tool calls or their results: a string.
Every stream is asked for increments, and its frames are read as such. Frames that repeat the text so far are not
detected: no field marks them, and an increment may equal the text before it (``ha``, ``ha``).

Quirks that this codec implements:

===================== ===================================================================================
``native_path``       ``text`` or ``multimodal`` (default: ``multimodal`` for media, else ``text``)
``max_tokens_field``  ``max_completion_tokens`` instead of ``max_tokens``, which does not bound thinking
``stream_only``       true: a whole answer is streamed on the wire; ``thinking``: only while the model thinks
``reasoning``         ``enable_thinking`` (default), ``effort``, ``none``: see :mod:`.thinking`, with its quirks
``tool_choices``      which of ``auto``, ``none``, ``required``, ``named`` work (default: all but ``required``)
``preserve_thinking`` true: what the model thought in earlier turns is sent back; false: the vendor is told not to
``strict_schema``     how the vendor enforces a JSON Schema: see :mod:`.schemas`
``unsupported``       names of request options that the model does not know
===================== ===================================================================================

Source: the vendor's API reference and error page, and the requests of its own SDK, version 2.0.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from ..errors import CallError
from ..types import AudioPart, FinishReason, ImagePart, Message, Part, ReasoningPart, Request, TextPart, VideoPart
from . import Decoder, Dialect, WireRequest
from .answers import AnswerDecoder
from .faults import Fault, as_error, parse_fault
from .history import fitted
from .requests import (
    body_of,
    calls_of,
    check_supported,
    data_url,
    denied,
    headers_for,
    is_prefill,
    merge_extra,
    only_text,
    response_format_of,
    tools_of,
)
from .sealed import given_back
from .thinking import Defaults, thinking

__all__ = ["DashScopeCodec"]

_PATHS = {
    "text": "/services/aigc/text-generation/generation",
    "multimodal": "/services/aigc/multimodal-generation/generation",
}
_OTHER = {"text": "multimodal", "multimodal": "text"}
_OWN = ("result_format", "incremental_output", "n", "stream")
_TOOL_CHOICES = ("auto", "none", "named")
_THINKING = Defaults("enable_thinking", "enable_thinking", {"minimal": "low", "high": "xhigh"})
_MAX_TEMPERATURE = 1.99
_MAX_MEDIUM = 10 * 2**20


class DashScopeCodec:
    """The wire format ``dashscope``."""

    def encode(self, request: Request, model: str, dialect: Dialect, *, stream: bool, path: str | None) -> WireRequest:
        """Encode a request. ``path`` is ``text`` or ``multimodal``, over the catalogue's choice.

        :raises PolicyDeniedError: when the format, or the model, cannot be asked for it.
        """
        check_supported(request, dialect)
        notes, losses = list[str](), list[tuple[str, str]]()
        conversation = fitted(request.messages, dialect, losses)
        where = path or dialect.quirks.get("native_path") or ("text" if _is_text(request) else "multimodal")
        messages = [_message(each, dialect, where, losses) for each in conversation]
        if is_prefill(request):
            messages[-1]["partial"] = True
        if any(message.name is not None for message in request.messages):
            losses.append(("name", "the names of speakers were not sent"))
        parameters: dict[str, Any] = {"result_format": "message", **_options(request, dialect, notes, losses)}
        thought = thinking(request, dialect, defaults=_THINKING, losses=losses)
        parameters |= thought.fields
        stream_only = dialect.quirks.get("stream_only")
        stream = stream or stream_only is True or (stream_only == "thinking" and thought.on is True)
        headers = headers_for(stream=stream)
        if stream:
            parameters["incremental_output"] = True
            headers["x-dashscope-sse"] = "enable"
        if _has_uploads(request):
            headers["x-dashscope-ossresourceresolve"] = "enable"
        merge_extra(parameters, dialect, _OWN)
        body = {"model": model, "input": {"messages": messages}, "parameters": parameters}
        return WireRequest(_PATHS[where], headers, body_of(body), tuple(notes), tuple(losses))

    def decoder(self, dialect: Dialect, headers: Mapping[str, str]) -> Decoder:
        """Return a decoder for one 2xx answer.

        :raises InvalidResponseError: when the content type is not one of this format.
        """
        return _Decoder(dialect, headers)

    def error(self, status: int, headers: Mapping[str, str], body: bytes, dialect: Dialect) -> CallError:
        """Classify an answer that is not 200."""
        return _error(parse_fault(body), dialect, headers, status)


def _error(fault: Fault, dialect: Dialect, headers: Mapping[str, str], status: int | None = None) -> CallError:
    error = as_error(fault, dialect, headers, status)
    if error.kind == "bad_request" and fault.message and "url error" in fault.message.lower():
        error.path = _OTHER.get(dialect.quirks.get("native_path", "text"))
    return error


# --- decoding --------------------------------------------------------------------------------------


class _Decoder(AnswerDecoder):
    reasons: ClassVar[Mapping[str, FinishReason]] = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}

    @override
    def _choices(self, answer: dict[str, Any]) -> list[Any]:
        output = answer.get("output")
        if type(output) is not dict:
            return []
        choices = output.get("choices")
        if type(choices) is list:
            return choices
        if "text" not in output:
            return []
        return [{"message": {"content": output["text"]}, "finish_reason": output.get("finish_reason")}]

    @override
    def _refused(self, fault: Fault) -> CallError:
        error = _error(fault, self._dialect, self._headers)
        if self._content:
            error.path = None
        return error


# --- encoding --------------------------------------------------------------------------------------


def _is_text(request: Request) -> bool:
    return all(only_text(message) is not None for message in request.messages)


def _has_uploads(request: Request) -> bool:
    return any(
        (getattr(part, "url", None) or "").startswith("oss://")
        for message in request.messages
        if not isinstance(message.content, str)
        for part in message.content
    )


def _options(request: Request, dialect: Dialect, notes: list[str], losses: list[tuple[str, str]]) -> dict[str, Any]:
    quirks = dialect.quirks
    fields = {name: value for name in ("top_p", "seed") if (value := getattr(request, name)) is not None}
    if request.temperature is not None:
        fields["temperature"] = min(request.temperature, _MAX_TEMPERATURE)
        if request.temperature > _MAX_TEMPERATURE:
            losses.append(("temperature", f"it was lowered to {_MAX_TEMPERATURE}: the vendor wants less than 2"))
    if request.seed is not None and request.seed < 0:
        raise denied("a negative `seed`")
    if request.max_tokens is not None:
        fields[quirks.get("max_tokens_field", "max_tokens")] = request.max_tokens
    if request.stop:
        fields["stop"] = list(request.stop)
    if "preserve_thinking" in quirks:
        fields["preserve_thinking"] = bool(quirks["preserve_thinking"])
    return {**fields, **_tools(request, dialect, losses), **_format(request, dialect, notes)}


def _tools(request: Request, dialect: Dialect, losses: list[tuple[str, str]]) -> dict[str, Any]:
    if any(tool.name == "search" for tool in request.tools):
        raise denied("a tool called `search`")
    return tools_of(request, dialect.quirks.get("tool_choices", _TOOL_CHOICES), strict=False, losses=losses)


def _format(request: Request, dialect: Dialect, notes: list[str]) -> dict[str, Any]:
    response_format = response_format_of(request, dialect, notes)
    if response_format is None:
        return {}
    if response_format["type"] == "json_object" and not _mentions_json(request):
        notes.append("the vendor refuses `json_object` unless a system or user message has the word `json` in it")
    return {"response_format": response_format}


def _mentions_json(request: Request) -> bool:
    return any("json" in message.text.lower() for message in request.messages if message.role in ("system", "user"))


def _message(message: Message, dialect: Dialect, where: str, losses: list[tuple[str, str]]) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role}
    of_tools = message.role == "tool" or bool(message.tool_calls)
    if where == "multimodal" and not of_tools:
        said["content"] = _parts(message)
    else:
        text = _plain_text(message, losses)
        if text is None:
            raise denied(f"media in a message of role `{message.role}`" if of_tools else "media on the path `text`")
        said["content"] = text
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        said["tool_calls"] = [{**call, "index": index} for index, call in enumerate(calls_of(message.tool_calls))]
    return said | given_back(message, dialect, losses)


def _plain_text(message: Message, losses: list[tuple[str, str]]) -> str | None:
    """Return the text of a message whose content must be a string, or None when it has media."""
    text = only_text(message)
    if text is None and all(isinstance(part, TextPart | ReasoningPart) for part in message.content):
        losses.append(("cache_control", "marks for the prompt cache were not sent: the content is a string here"))
        return message.text
    return text


def _parts(message: Message) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        return [{"text": message.content}]
    return [_part(part) for part in message.content if not isinstance(part, ReasoningPart)]


def _part(part: Part) -> dict[str, Any]:
    mark = getattr(part, "cache_control", None)
    return _unmarked(part) if mark is None else {**_unmarked(part), "cache_control": mark}


def _unmarked(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"text": part.text}
        case ImagePart() | AudioPart() | VideoPart():
            address = data_url(part)
            if len(address) > _MAX_MEDIUM and address.startswith("data:"):
                raise denied("a medium of more than 10 MiB by value")
            return {part.type: address}
        case _:
            raise denied(f"a part of type `{part.type}`")
