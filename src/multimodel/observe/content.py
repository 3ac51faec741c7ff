"""What was asked and answered, in the JSON of the conventions. It is made only where the application has asked for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..types import Message, ReasoningPart, Request, TextPart, Tool, ToolCall
from . import conventions as names

__all__ = ["content"]


def content(request: Request, text: str, reasoning: str, calls: Sequence[ToolCall]) -> dict[str, Any]:
    """Return the attributes that hold a conversation. Bytes are left out: only what they are is told."""
    thought = (ReasoningPart(text=reasoning),) if reasoning else ()
    answer = Message(role="assistant", content=(*thought, TextPart(text=text)), tool_calls=tuple(calls))
    said: dict[str, list[dict[str, Any]]] = {
        names.INPUT_MESSAGES: [_message(message) for message in request.messages],
        names.OUTPUT_MESSAGES: [_message(answer)] if text or reasoning or calls else [],
        names.TOOL_DEFINITIONS: [_tool(tool) for tool in request.tools],
    }
    return {name: value for name, value in said.items() if value}


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        parts = [{"type": "tool_call_response", "id": message.tool_call_id, "response": message.text}]
    else:
        parts = [*_parts(message), *map(_call, message.tool_calls)]
    return {"role": message.role, "parts": parts, **({"name": message.name} if message.name else {})}


def _parts(message: Message) -> Iterator[dict[str, Any]]:
    parts = (TextPart(text=message.content),) if isinstance(message.content, str) else message.content
    for part in parts:
        if isinstance(part, TextPart | ReasoningPart):
            if part.text:
                yield {"type": part.type, "content": part.text}
            continue
        url, media_type = getattr(part, "url", None), getattr(part, "media_type", None)
        kind = {"modality": part.type} | ({} if media_type is None else {"mime_type": media_type})
        if url is not None and not url.startswith("data:"):
            yield {"type": "uri", "uri": url, **kind}
        else:
            yield {"type": part.type, **kind}


def _call(call: ToolCall) -> dict[str, Any]:
    try:
        arguments = call.parsed
    except ValueError:
        arguments = call.arguments
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments}


def _tool(tool: Tool) -> dict[str, Any]:
    return {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters}
