"""OpenAI-shaped dictionaries, as applications hold them, to the fields of our own models."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

_OWN_PARTS = frozenset({"image", "audio", "video", "reasoning", "tool_result"})
_MESSAGE_FIELDS = frozenset({"role", "content", "tool_calls", "tool_call_id", "name"})


def message_from_openai(message: Mapping[str, Any]) -> dict[str, Any]:
    """Map one chat message; a field that is None counts as absent (``model_dump()`` of the SDK has many)."""
    given = {key: value for key, value in message.items() if value is not None}
    # what the openai SDK's own dumps carry and no vendor needs back
    for key in ("refusal", "annotations", "audio", "function_call", "reasoning_content", "reasoning"):
        if key not in _MESSAGE_FIELDS:
            given.pop(key, None)
    if given.get("role") == "developer":
        given["role"] = "system"
    content = given.get("content")
    if isinstance(content, list | tuple):
        given["content"] = tuple(_part(part) if isinstance(part, Mapping) else part for part in content)
    calls = given.get("tool_calls")
    if isinstance(calls, list | tuple):
        given["tool_calls"] = tuple(_tool_call(call) if isinstance(call, Mapping) else call for call in calls)
    return given


def tool_from_openai(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Map ``{"type": "function", "function": {…}}``; anything else is taken as it is."""
    if tool.get("type") == "function" and isinstance(tool.get("function"), Mapping):
        return {key: value for key, value in tool["function"].items() if value is not None}
    return dict(tool)


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if isinstance(function, Mapping):
        arguments = function.get("arguments", "{}")
        if isinstance(arguments, Mapping):
            arguments = to_json(arguments).decode()
        return {"id": call.get("id"), "name": function.get("name"), "arguments": arguments}
    return dict(call)


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind in ("image_url", "video_url"):
        inner = part.get(kind)
        url = inner.get("url") if isinstance(inner, Mapping) else inner
        return {"type": kind.removesuffix("_url"), "url": url}
    if kind == "input_audio" and isinstance(part.get("input_audio"), Mapping):
        audio = part["input_audio"]
        return {"type": "audio", "data": _bytes(audio.get("data")), "media_type": f"audio/{audio.get('format', 'wav')}"}
    if kind == "file" and isinstance(part.get("file"), Mapping):
        return _file(part["file"])
    return dict(part)


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    data = file.get("file_data")
    if not isinstance(data, str):
        raise ValueError("a file by id belongs to one vendor; give `file_data`")  # noqa: TRY004  # pydantic reports ValueError
    head, _, body = data.rpartition(",")
    media_type = head.removeprefix("data:").removesuffix(";base64") or None
    return {"type": "file", "data": _bytes(body), "media_type": media_type, "name": file.get("filename")}


def _bytes(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("`data` is not base64") from error
