"""OpenAI's Chat Completions, as OpenAI and all who copy it speak it.

Quirks that this codec implements:

===================== ===================================================================================
``max_tokens_field``  ``max_completion_tokens`` instead of ``max_tokens``
``stream_usage``      false: ``stream_options`` is not sent
``stream_only``       true: a whole answer is streamed on the wire; ``thinking``: only while the model thinks
``reasoning``         ``effort`` (default), ``enable_thinking``, ``none``: see :mod:`.thinking`, with its quirks
``tool_choices``      which of ``auto``, ``none``, ``required``, ``named`` work (default: all)
``prefill_field``     what marks a last assistant message as the answer's beginning (``partial``, ``prefix``)
``prefill_path``      where such a request goes, when not to the usual path
``preserve_thinking`` true: what the model thought in earlier turns is sent back as ``reasoning_content``; ``tools``:
                      only in turns with tool calls; signed thinking goes back in its own form: see :mod:`.sealed`
``empty_content``     what an assistant's turn without text says beside its tool calls (default: null)
``by_value``          types of parts that are taken as bytes only (default: audio and file)
``video_url``         true: films are understood, as ``{"type": "video_url"}``
``strict_schema``     how the vendor enforces a JSON Schema: see :mod:`.schemas`
``unsupported``       names of request options that the vendor does not know
===================== ===================================================================================

Those about whole conversations are in :mod:`.history`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from ..errors import CallError
from ..types import (
    AudioPart,
    FilePart,
    FinishReason,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Request,
    TextPart,
    VideoPart,
)
from . import Decoder, Dialect, WireRequest
from .answers import AnswerDecoder
from .faults import as_error, parse_fault
from .history import fitted
from .requests import (
    body_of,
    calls_of,
    check_supported,
    data_url,
    denied,
    headers_for,
    inline,
    is_prefill,
    merge_extra,
    only_text,
    response_format_of,
    tools_of,
)
from .sealed import given_back
from .thinking import Defaults, thinking

__all__ = ["BY_VALUE", "OpenAIChatCodec"]

BY_VALUE = ("audio", "file")
"""Types of parts that this format has no address for."""

_PATH = "/chat/completions"
_OWN = ("model", "messages", "stream", "n")
_SAME = ("temperature", "top_p", "seed")
_TOOL_CHOICES = ("auto", "none", "required", "named")
_THINKING = Defaults("effort")
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-flac": "flac", "mp4": "m4a"}


class OpenAIChatCodec:
    """The wire format ``openai_chat``."""

    def encode(self, request: Request, model: str, dialect: Dialect, *, stream: bool, path: str | None) -> WireRequest:  # noqa: ARG002  # this format has one path
        """Encode a request.

        :raises PolicyDeniedError: when the format, or this vendor's dialect of it, cannot say what is asked.
        """
        check_supported(request, dialect)
        quirks, notes, losses = dialect.quirks, list[str](), list[tuple[str, str]]()
        thought = thinking(request, dialect, defaults=_THINKING, losses=losses)
        stream_only = quirks.get("stream_only")
        stream = stream or stream_only is True or (stream_only == "thinking" and thought.on is True)
        thinks = bool(thought.fields) or "thinking" in dialect.extra if thought.on is None else thought.on
        messages = fitted(request.messages, dialect, losses)
        body: dict[str, Any] = {
            "model": model,
            "messages": [_message(each, dialect, losses, thinks=thinks) for each in messages],
        }
        to = _PATH
        if is_prefill(request):
            to = quirks.get("prefill_path", _PATH)
            if "prefill_field" in quirks:
                body["messages"][-1][quirks["prefill_field"]] = True
        body |= {name: value for name in _SAME if (value := getattr(request, name)) is not None}
        if request.max_tokens is not None:
            body[quirks.get("max_tokens_field", "max_tokens")] = request.max_tokens
        if request.stop:
            body["stop"] = list(request.stop)
        body |= tools_of(request, quirks.get("tool_choices", _TOOL_CHOICES), strict=True, losses=losses)
        response_format = response_format_of(request, dialect, notes)
        if response_format is not None:
            body["response_format"] = response_format
        body |= thought.fields
        if stream:
            body["stream"] = True
            if quirks.get("stream_usage", True):
                body["stream_options"] = {"include_usage": True}
        merge_extra(body, dialect, _OWN)
        return WireRequest(to, headers_for(stream=stream), body_of(body), tuple(notes), tuple(losses))

    def decoder(self, dialect: Dialect, headers: Mapping[str, str]) -> Decoder:
        """Return a decoder for one 2xx answer.

        :raises InvalidResponseError: when the content type is not one of this format.
        """
        return _Decoder(dialect, headers)

    def error(self, status: int, headers: Mapping[str, str], body: bytes, dialect: Dialect) -> CallError:
        """Classify an answer that is not 200."""
        return as_error(parse_fault(body), dialect, headers, status)


class _Decoder(AnswerDecoder):
    reasons: ClassVar[Mapping[str, FinishReason]] = {
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "content_filter": "content_filter",
        "function_call": "tool_calls",  # OpenAI before tools
        "eos": "stop",  # Together
        "eos_token": "stop",  # Hugging Face
        "model_length": "length",  # Mistral
        "sensitive": "content_filter",  # Zhipu
        "model_context_window_exceeded": "length",  # Anthropic, Zhipu
        # Anthropic's own
        "end_turn": "stop",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "refusal": "content_filter",
        # of OpenAI's Responses
        "max_output_tokens": "length",
        # Google's own
        "safety": "content_filter",
        "recitation": "content_filter",
        "blocklist": "content_filter",
        "prohibited_content": "content_filter",
        "spii": "content_filter",
    }

    @override
    def _choices(self, answer: dict[str, Any]) -> list[Any]:
        choices = answer.get("choices")
        return choices if type(choices) is list else []


def _message(message: Message, dialect: Dialect, losses: list[tuple[str, str]], *, thinks: bool) -> dict[str, Any]:
    text = only_text(message)
    if text is None and message.role != "user" and not all(isinstance(part, TextPart) for part in _visible(message)):
        raise denied(f"media in a message of role `{message.role}`")
    content: Any = text if text is not None else [_part(part, dialect) for part in _visible(message)]
    said: dict[str, Any] = {"role": message.role, "content": content}
    if message.name is not None:
        said["name"] = message.name
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        said["content"] = content or dialect.quirks.get("empty_content")
        said["tool_calls"] = calls_of(message.tool_calls)
    return said | given_back(message, dialect, losses, thinks=thinks)


def _visible(message: Message) -> list[Part]:
    assert not isinstance(message.content, str)
    return [part for part in message.content if not isinstance(part, ReasoningPart)]


def _part(part: Part, dialect: Dialect) -> dict[str, Any]:
    said = _unmarked(part, dialect)
    mark = getattr(part, "cache_control", None)
    return said if mark is None else {**said, "cache_control": mark}


def _unmarked(part: Part, dialect: Dialect) -> dict[str, Any]:
    by_value = part.type in dialect.quirks.get("by_value", BY_VALUE)
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return {"type": "image_url", "image_url": {"url": data_url(part, by_value=by_value)}}
        case VideoPart() if dialect.quirks.get("video_url"):
            return {"type": "video_url", "video_url": {"url": data_url(part, by_value=by_value)}}
        case AudioPart():
            media_type, data = inline(part)
            kind = media_type.rpartition("/")[2]
            return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO_FORMATS.get(kind, kind)}}
        case FilePart() if part.id is not None:
            return {"type": "file", "file": {"file_id": part.id}}
        case FilePart():
            media_type, data = inline(part)
            file = {"filename": part.name or "file", "file_data": f"data:{media_type};base64,{data}"}
            return {"type": "file", "file": file}
        case _:
            raise denied(f"a part of type `{part.type}`")
