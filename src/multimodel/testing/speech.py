"""What a vendor says when nobody told it what to say: something that fits the request, the same every time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, cast

from ..types import ToolCall, Usage
from .answer import dumps
from .reply import Reply, Says, VendorRequest, as_reply, text_of

__all__ = ["DIMENSIONS", "reply_to", "sample", "usage_of", "vector"]

DIMENSIONS = 8
"""Numbers of a vector, when the request does not say."""

_THOUGHT = "Let me think."


def reply_to(request: VendorRequest, says: Says) -> Reply:
    """Return the reply to one request."""
    said = says(request) if callable(says) else says
    reply = _invented(request) if said is None else as_reply(said)
    thinking = request.options.get("enable_thinking")
    reasoning = reply.reasoning
    if thinking is False:
        reasoning = ""
    elif thinking is True:
        reasoning = reasoning or _THOUGHT
    usage = reply.usage or usage_of(request, reply, reasoning)
    return Reply(reply.text, reasoning, reply.tool_calls, reply.ends_with, usage)


def usage_of(request: VendorRequest, reply: Reply, reasoning: str) -> Usage:
    """Count a word as a token."""
    asked = sum(len(text_of(message.get("content")).split()) for message in request.messages)
    thought = len(reasoning.split())
    said = len(reply.text.split()) + sum(1 + len(call.arguments.split()) for call in reply.tool_calls) + thought
    return Usage(input_tokens=asked, output_tokens=said, total_tokens=asked + said, reasoning_tokens=thought or None)


def _invented(request: VendorRequest) -> Reply:
    options = request.options
    tool = _tool(options)
    if tool is not None and request.messages and request.messages[-1].get("role") != "tool":
        arguments = dumps(sample({"type": "object", **(tool.get("parameters") or {})})).decode()
        return Reply(tool_calls=(ToolCall(id=f"call_{request.index}", name=tool["name"], arguments=arguments),))
    wanted: dict[str, Any] = options.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        return Reply(dumps(sample(wanted["json_schema"].get("schema") or {})).decode())
    if wanted.get("type") == "json_object":
        return Reply(dumps({"answer": f"You said: {request.text}"}).decode())
    return Reply(f"You said: {request.text}")


def _tool(options: dict[str, Any]) -> dict[str, Any] | None:
    """The tool that is called: the one that is named, else the first."""
    choice = options.get("tool_choice")
    tools = options.get("tools")
    functions = [tool["function"] for tool in tools] if isinstance(tools, list) else []
    if choice == "none" or not functions:
        return None
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    found: dict[str, Any] = next((function for function in functions if function["name"] == named), functions[0])
    return found


def sample(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:  # noqa: PLR0911  # one row a type
    """Return a small value that fits a JSON Schema of the usual kind.

    >>> sample({"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}})
    {'city': 'text', 'days': 1}
    """
    root = schema if root is None else root
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    inner = _refers_to(schema, root)
    if inner is not None:
        return sample(inner, root)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {name: sample(inner, root) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [sample(schema.get("items") or {}, root)] * max(1, schema.get("minItems", 1))
        case "integer" | "number":
            return min(max(1, math.ceil(schema.get("minimum", 1))), schema.get("maximum", math.inf))
        case "boolean":
            return True
        case "null":
            return None
    return "text".ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


def _refers_to(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if "$ref" in schema:
        found: Any = root
        for step in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found[step]
        return cast("Mapping[str, Any]", found)
    return next((schema[key][0] for key in ("anyOf", "oneOf", "allOf") if schema.get(key)), None)


def vector(text: str, size: int) -> list[float]:
    """Return a vector of length 1 that depends on the text alone.

    >>> vector("a", 3) == vector("a", 3) != vector("b", 3)
    True
    """
    raw = b"".join(hashlib.sha256(f"{number} {text}".encode()).digest() for number in range(math.ceil(size / 32)))
    values = [byte - 127.5 for byte in raw[:size]]
    length = math.hypot(*values)
    return [round(value / length, 6) for value in values]
