"""OpenAI-shaped dictionaries, as applications hold them, to the fields of our own models."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import to_json

_PLAIN = {"role", "content"}
_ROLES = ("user", "assistant", "system")
_NOT_NEEDED_BACK = ("annotations", "audio")
_THOUGHT = ("reasoning_content", "reasoning", "thinking_blocks", "reasoning_details")


def message_from_openai(message: Mapping[str, Any]) -> dict[str, Any]:
    """Map one chat message; a field that is None counts as absent (``model_dump()`` of the SDK has many)."""
    if message.keys() == _PLAIN and type(message["content"]) is str and message["role"] in _ROLES:
        return dict(message)
    given = {key: value for key, value in message.items() if value is not None}
    for key in _NOT_NEEDED_BACK:  # what the openai SDK's own dumps carry and no vendor needs back
        given.pop(key, None)
    _from_functions(given)
    if given.get("role") == "developer":
        given["role"] = "system"
    refusal = given.pop("refusal", None)
    if refusal and not given.get("content"):
        given["content"] = refusal
    content = given.get("content")
    if isinstance(content, list | tuple):
        given["content"] = tuple(_part(part) if isinstance(part, Mapping) else part for part in content)
    calls = given.get("tool_calls")
    if isinstance(calls, list | tuple):
        given["tool_calls"] = tuple(_tool_call(call) if isinstance(call, Mapping) else call for call in calls)
    thought = tuple(_thought({key: given.pop(key) for key in _THOUGHT if key in given}))
    if thought:
        given["content"] = (*thought, *_parts(given.get("content", "")))
    mark = given.pop("cache_control", None)
    if mark is not None and given.get("content"):
        *before, last = _parts(given["content"])
        given["content"] = (*before, {**last, "cache_control": mark} if isinstance(last, Mapping) else last)
    return given


def tool_from_openai(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Map ``{"type": "function", "function": {…}}``; anything else is taken as it is."""
    if tool.get("type") == "function" and isinstance(tool.get("function"), Mapping):
        return {key: value for key, value in tool["function"].items() if value is not None}
    return dict(tool)


def _from_functions(given: dict[str, Any]) -> None:
    """Map what OpenAI had before tools: a call without an id, whose result says the function's name."""
    call = given.pop("function_call", None)
    if isinstance(call, Mapping) and "tool_calls" not in given:
        given["tool_calls"] = ({"id": f"function_{call.get('name')}", "function": call},)
    if given.get("role") == "function":
        given |= {"role": "tool", "tool_call_id": f"function_{given.pop('name', None)}"}


def _tool_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if isinstance(function, Mapping):
        arguments = function.get("arguments", "{}")
        if isinstance(arguments, Mapping):
            arguments = to_json(arguments).decode()
        return {"id": call.get("id"), "name": function.get("name"), "arguments": arguments}
    return dict(call)


def _thought(given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Map what a model thought, in the form that says most: OpenRouter's, Anthropic's by litellm, or plain text."""
    details, blocks = given.get("reasoning_details"), given.get("thinking_blocks")
    text = given.get("reasoning_content") or given.get("reasoning")
    if isinstance(details, list | tuple) and details:
        for detail in details:
            if isinstance(detail, Mapping):
                yield {"type": "reasoning", "text": str(detail.get("text") or ""), "data": dict(detail)}
    elif isinstance(blocks, list | tuple) and blocks:
        for block in blocks:
            if isinstance(block, Mapping):
                yield {
                    "type": "reasoning",
                    "text": str(block.get("thinking") or ""),
                    "signature": block.get("signature"),
                    "data": block.get("data"),
                }
    elif isinstance(text, str) and text:
        yield {"type": "reasoning", "text": text}


def _parts(content: Any) -> tuple[Any, ...]:
    if isinstance(content, str):
        return ({"type": "text", "text": content},) if content else ()
    return tuple(content)


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    mark = {"cache_control": part["cache_control"]} if part.get("cache_control") is not None else {}
    kind = part.get("type")
    if kind in ("image_url", "video_url"):
        inner = part.get(kind)
        url = inner.get("url") if isinstance(inner, Mapping) else inner
        return {"type": kind.removesuffix("_url"), "url": url, **mark}
    if kind == "input_audio" and isinstance(part.get("input_audio"), Mapping):
        audio = part["input_audio"]
        media_type = f"audio/{audio.get('format', 'wav')}"
        return {"type": "audio", "data": _bytes(audio.get("data")), "media_type": media_type, **mark}
    if kind == "file" and isinstance(part.get("file"), Mapping):
        return {**_file(part["file"]), **mark}
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    return dict(part)


def _file(file: Mapping[str, Any]) -> dict[str, Any]:
    data, identity = file.get("file_data"), file.get("file_id")
    found = {"type": "file", "name": file.get("filename"), "id": identity}
    if isinstance(data, str):
        head, _, body = data.rpartition(",")
        media_type = head.removeprefix("data:").removesuffix(";base64") or None
        return {**found, "data": _bytes(body), "media_type": media_type}
    if not isinstance(identity, str):
        raise ValueError("a file needs `file_data` or `file_id`")  # noqa: TRY004  # pydantic reports ValueError
    return found


def _bytes(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("`data` is not base64") from error
