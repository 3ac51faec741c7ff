"""What the encoders of all formats share. Each function refuses what it cannot say, with a ``PolicyDeniedError``."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from ..errors import BadRequestError, CallError, error_for
from ..types import (
    AnyRequest,
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    NamedTool,
    Part,
    ReasoningPart,
    Request,
    TextPart,
    Tool,
    ToolCall,
    VideoPart,
)
from . import Dialect
from .schemas import format_for

__all__ = [
    "body_of",
    "calls_of",
    "check_supported",
    "data_url",
    "denied",
    "headers_for",
    "inline",
    "is_prefill",
    "merge_extra",
    "only_text",
    "response_format_of",
    "tools_of",
]

MediaPart = ImagePart | AudioPart | VideoPart | FilePart

_MAGIC = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
_USUAL = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "file": "application/pdf"}


def denied(what: str) -> CallError:
    """Return the error that says that this vendor cannot be asked for ``what``."""
    return error_for("policy_denied", f"the vendor cannot be asked for {what}", code="capability")


def check_supported(request: AnyRequest, dialect: Dialect) -> None:
    """Refuse what the quirk ``unsupported`` lists: names of the request's options."""
    for name in dialect.quirks.get("unsupported", ()):
        if getattr(request, name, None) not in (None, ()):
            raise denied(f"`{name}`")


def merge_extra(fields: dict[str, Any], dialect: Dialect, own: Iterable[str]) -> None:
    """Add the vendor-only options of the call. They win over ours, but may not take over what the codec relies on."""
    for name in own:
        if name in dialect.extra:
            raise denied(f"`{name}` among the extra options")
    fields.update(dialect.extra)


def body_of(fields: Mapping[str, Any]) -> bytes:
    """Write the body.

    :raises BadRequestError: when a text is not valid Unicode or a value is no JSON.
    """
    try:
        return to_json(fields, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError):
        raise BadRequestError(
            "the request cannot be written as JSON", hint="nothing was sent; look for lone surrogates in the texts"
        ) from None


def headers_for(*, stream: bool) -> dict[str, str]:
    """Return the headers of every format."""
    return {"content-type": "application/json", "accept": "text/event-stream" if stream else "application/json"}


def only_text(message: Message) -> str | None:
    """Return the text of a message, or None when it has media or marks. Reasoning is no part of it."""
    content = message.content
    if isinstance(content, str):
        return content
    return message.text if all(map(_is_plain, content)) else None


def _is_plain(part: Part) -> bool:
    return isinstance(part, ReasoningPart) or (isinstance(part, TextPart) and part.cache_control is None)


def is_prefill(request: Request) -> bool:
    """Whether the last message begins the answer."""
    last = request.messages[-1]
    return last.role == "assistant" and not last.tool_calls


def data_url(part: MediaPart, *, by_value: bool = False) -> str:
    """Return the address of a medium: its own, unless it must come by value, or its bytes as a data URL."""
    if part.url is not None and not by_value:
        return part.url
    media_type, data = inline(part)
    return f"data:{media_type};base64,{data}"


def inline(part: MediaPart) -> tuple[str, str]:
    """Return the media type and the base64 of a medium that comes by value, also in a data URL."""
    if part.data is not None:
        return _media_type(part), base64.b64encode(part.data).decode()
    head, comma, data = (part.url or "").partition(",")
    if not (comma and head.startswith("data:") and head.endswith(";base64")):
        raise denied(f"a part of type `{part.type}` by URL" if part.url else "a file that another vendor keeps")
    return head.removeprefix("data:").partition(";")[0] or _media_type(part), data


def _media_type(part: MediaPart) -> str:
    """As given, as an image's first bytes tell, or the usual one of the kind."""
    if part.media_type:
        return part.media_type
    if part.type == "image" and part.data:
        for magic, name in _MAGIC.items():
            if part.data.startswith(magic):
                return name
    return _USUAL[part.type]


def tools_of(
    request: Request, choices: Iterable[str], *, strict: bool, losses: list[tuple[str, str]]
) -> dict[str, Any]:
    """Return ``tools`` and what belongs to them; ``choices`` are the kinds of ``tool_choice`` that work.

    Without tools the options about them are left out, which is a loss: vendors refuse them.
    """
    if not request.tools:
        lone = [name for name in ("tool_choice", "parallel_tool_calls") if getattr(request, name) is not None]
        losses.extend((name, "it was not sent: there are no tools") for name in lone)
        return {}
    if not strict and any(tool.strict for tool in request.tools):
        losses.append(("tools.strict", "the vendor does not promise arguments that fit a tool's schema"))
    fields: dict[str, Any] = {"tools": [_tool(tool, strict=strict) for tool in request.tools]}
    choice = request.tool_choice
    if choice is not None:
        word = "named" if isinstance(choice, NamedTool) else choice
        if word not in choices:
            raise denied(f"`tool_choice: {word}`")
        fields["tool_choice"] = (
            {"type": "function", "function": {"name": choice.name}} if isinstance(choice, NamedTool) else choice
        )
    if request.parallel_tool_calls is not None:
        fields["parallel_tool_calls"] = request.parallel_tool_calls
    return fields


def calls_of(calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    """Return the tool calls of an earlier turn."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]


def _tool(tool: Tool, *, strict: bool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    if strict and tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def response_format_of(request: Request, dialect: Dialect, notes: list[str]) -> dict[str, Any] | None:
    """Return the response format as OpenAI and DashScope want it; None for text."""
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return {"type": "json_object"}
    return format_for(wanted, dialect.quirks.get("strict_schema"), notes)
