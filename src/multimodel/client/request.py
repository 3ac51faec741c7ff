"""From the arguments of a call to a validated request, and what that request needs of a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from ..errors import BadRequestError
from ..types import AudioPart, EmbedRequest, FilePart, ImagePart, Message, Request, TextPart, VideoPart

__all__ = ["build_request", "can_go_on", "continued", "has_effects", "needs_of", "validated", "with_defaults"]

AskedT = TypeVar("AskedT", Request, EmbedRequest)

_MAX_PROBLEMS = 5
_EFFECTS = frozenset(
    {
        "background",
        "code_interpreter",
        "container",
        "conversation",
        "enable_code_interpreter",
        "mcp_servers",
        "previous_response_id",
        "store",
    }
)
"""Vendor options by which a request does more than ask: something is kept, run or queued at the vendor's."""
_NEED_OF_PART = {ImagePart: "vision", AudioPart: "audio", VideoPart: "video", FilePart: "file"}


def build_request(messages: object, options: Mapping[str, Any]) -> Request:
    """Validate a request.

    :raises BadRequestError: names the field and what is wrong with it, never its value.
    """
    return validated(Request, {"messages": messages, **options})


def validated(kind: type[AskedT], fields: Mapping[str, Any]) -> AskedT:
    """Validate a request of either kind.

    :raises BadRequestError: names the field and what is wrong with it, never its value.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        # of a value that fits none of its forms, and of a list with a bad item, one complaint is enough
        problems = [one for one in found if one["loc"][-1:] != ("str",) and one["type"] != "too_short"] or found
        lines = [f"`{_dotted(problem['loc'])}`: {problem['msg']}" for problem in problems[:_MAX_PROBLEMS]]
        raise BadRequestError(
            "the request is not valid: " + "; ".join(lines), hint="nothing was sent; correct the arguments"
        ) from None


def with_defaults(request: Request, defaults: Mapping[str, Any]) -> Request:
    """Fill the options that the call left open with those of route and target."""
    if not defaults:
        return request
    missing = {
        name: value for name, value in defaults.items() if name != "extra" and getattr(request, name) in (None, ())
    }
    extra = defaults.get("extra")
    if extra:
        missing["extra"] = {**extra, **{name: {**extra.get(name, {}), **own} for name, own in request.extra.items()}}
    return request.model_copy(update=missing) if missing else request


def has_effects(request: Request) -> bool:
    """Say whether the vendor does more than answer, so that sending it twice is not only a matter of money."""
    for options in request.extra.values():
        if any(options.get(name) for name in _EFFECTS):
            return True
        tools = options.get("tools")
        if isinstance(tools, list) and any(isinstance(tool, dict) and tool.get("type") != "function" for tool in tools):
            return True
    return False


def can_go_on(request: Request) -> bool:
    """Say whether another target could go on with the answer: it must be plain text, without thinking."""
    plain = request.response_format is None or request.response_format.type == "text"
    return plain and request.reasoning_effort in (None, "none")


def continued(request: Request, said: str) -> Request:
    """Return ``request`` with what was said so far as the beginning of the answer."""
    if not said:
        return request
    *before, last = request.messages
    if last.role != "assistant" or last.tool_calls:
        beginning = Message(role="assistant", content=said)
        return request.model_copy(update={"messages": (*request.messages, beginning)})
    content = last.content + said if isinstance(last.content, str) else (*last.content, TextPart(text=said))
    return request.model_copy(update={"messages": (*before, last.model_copy(update={"content": content}))})


def needs_of(request: Request) -> frozenset[str]:
    """Say what a target must be able to do to answer ``request``."""
    needs: set[str] = set()
    if request.tools:
        needs.add("tools")
    if request.response_format is not None and request.response_format.type == "json_object":
        needs.add("json_object")  # a schema can be asked for in words
    if request.reasoning_effort not in (None, "none"):
        needs.add("reasoning")
    if request.seed is not None:
        needs.add("seed")
    if request.parallel_tool_calls:
        needs.add("parallel_tools")
    if request.messages[-1].role == "assistant":
        needs.add("prefill")
    for message in request.messages:
        if not isinstance(message.content, str):
            needs |= {
                need for kind, need in _NEED_OF_PART.items() if any(isinstance(part, kind) for part in message.content)
            }
    return frozenset(needs)


def _dotted(path: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in path if not str(step).endswith(("]", ")"))) or "request"
