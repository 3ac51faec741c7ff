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
``preserve_thinking`` true: what the model thought in earlier turns is sent back as ``reasoning_content``
``video_url``         true: films are understood, as ``{"type": "video_url"}``
``unsupported``       names of request options that the vendor does not know
===================== ===================================================================================
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
    reasoning_of,
    response_format_of,
    tools_of,
)
from .thinking import Defaults, thinking

__all__ = ["OpenAIChatCodec"]

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
        quirks, notes = dialect.quirks, list[str]()
        thought = thinking(request, dialect, defaults=_THINKING, notes=notes)
        stream_only = quirks.get("stream_only")
        stream = stream or stream_only is True or (stream_only == "thinking" and thought.on is True)
        body: dict[str, Any] = {
            "model": model,
            "messages": [_message(each, model, dialect) for each in request.messages],
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
        body |= tools_of(request, quirks.get("tool_choices", _TOOL_CHOICES), strict=True, notes=notes)
        response_format = response_format_of(request)
        if response_format is not None:
            body["response_format"] = response_format
        body |= thought.fields
        if stream:
            body["stream"] = True
            if quirks.get("stream_usage", True):
                body["stream_options"] = {"include_usage": True}
        merge_extra(body, dialect, _OWN)
        return WireRequest(to, headers_for(stream=stream), body_of(body), tuple(notes))

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


def _message(message: Message, model: str, dialect: Dialect) -> dict[str, Any]:
    text = only_text(message)
    if text is None and message.role != "user":
        raise denied(f"media in a message of role `{message.role}`")
    content: Any = text if text is not None else [_part(part, dialect) for part in _visible(message)]
    said: dict[str, Any] = {"role": message.role, "content": content}
    if message.name is not None:
        said["name"] = message.name
    if message.tool_call_id is not None:
        said["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        said["content"] = content or None
        said["tool_calls"] = calls_of(message.tool_calls)
    thought = reasoning_of(message, model, dialect)
    if thought is not None:
        said["reasoning_content"] = thought
    return said


def _visible(message: Message) -> list[Part]:
    assert not isinstance(message.content, str)
    return [part for part in message.content if not isinstance(part, ReasoningPart)]


def _part(part: Part, dialect: Dialect) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return {"type": "image_url", "image_url": {"url": data_url(part)}}
        case VideoPart() if dialect.quirks.get("video_url"):
            return {"type": "video_url", "video_url": {"url": data_url(part)}}
        case AudioPart():
            media_type, data = inline(part)
            kind = media_type.rpartition("/")[2]
            return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO_FORMATS.get(kind, kind)}}
        case FilePart():
            media_type, data = inline(part)
            file = {"filename": part.name or "file", "file_data": f"data:{media_type};base64,{data}"}
            return {"type": "file", "file": file}
        case _:
            raise denied(f"a part of type `{part.type}`")
