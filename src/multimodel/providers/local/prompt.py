"""A request to the ids of a prompt, through the weights' own chat template.

The template runs in jinja's immutable sandbox. Strings of the request that spell one of the tokenizer's special
tokens are broken up, so that no message can end its own turn and begin another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import CallError, error_for
from ...types import Message, NamedTool, ReasoningPart, Request, TextPart
from ...wire import Dialect
from ...wire.history import fitted

__all__ = ["Prompt", "Template"]

_TAGS = ("think", "tool_call", "tool_response", "tools")
_TEMPLATES = {
    "system": ("must be at the beginning", "first"),
    "turns": ("must alternate", "alternate"),
}
"""What templates say where they refuse an order of messages, and the quirk that keeps it: see :mod:`multimodel.wire.history`."""
_BREAK = "\u200b"  # zero width space


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads.

    :ivar thinking: whether it ends inside ``<think>``.
    """

    ids: list[int]
    thinking: bool


class Template:
    """The chat template of one tokenizer.

    :param tokenizer: a fast tokenizer of transformers.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        template: str = tokenizer.get_chat_template()
        self._thinks = "enable_thinking" in template
        self._tools = "tools" in template
        self._dialect = Dialect({name: value for name, (mark, value) in _TEMPLATES.items() if mark in template})
        tags = [text for tag in _TAGS for text in (f"<{tag}>", f"</{tag}>")]
        added = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
        marks = sorted({*tokenizer.all_special_tokens, *added, *tags}, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, marks)))

    def prompt(
        self,
        request: Request,
        note: Callable[[str], None],
        lose: Callable[[str, str], None] = lambda _what, _detail: None,
    ) -> Prompt:
        """Return the prompt.

        :param note: takes a remark when something of the request had to be changed.
        :param lose: takes what of the request the weights do not get.
        :raises PolicyDeniedError: when these weights cannot do what the request asks for.
        :raises BadRequestError: when the template refuses the messages.
        """
        self._check(request)
        offered = request.tools if request.tool_choice != "none" else ()
        losses: list[tuple[str, str]] = []
        given = [_message(message) for message in fitted(request.messages, self._dialect, losses)]
        for what, detail in losses:
            lose(what, detail)
        tools = [{"type": "function", "function": tool.model_dump(exclude={"strict"})} for tool in offered]
        messages = self._harmless(given)
        harmless = self._harmless(tools)
        if messages != given or harmless != tools:
            note("special tokens in the request's text were broken up with U+200B")
        switches = {}
        if self._thinks and request.reasoning_effort is not None:
            switches["enable_thinking"] = request.reasoning_effort != "none"
        text = self._render(messages, harmless, switches)
        ids: list[int] = self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        return Prompt(ids, text.rstrip().endswith("<think>"))

    def _render(self, messages: list[Any], tools: list[Any], switches: dict[str, bool]) -> str:
        from jinja2 import TemplateError

        try:
            text: str = self._tokenizer.apply_chat_template(
                messages, tools=tools or None, add_generation_prompt=True, tokenize=False, **switches
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise error_for(
                "bad_request", "the weights' chat template refuses the messages", detail=str(error)
            ) from error
        return text

    def _check(self, request: Request) -> None:
        if request.tools and not self._tools:
            raise _cannot("the weights know no tools")
        if request.tool_choice == "required" or isinstance(request.tool_choice, NamedTool):
            raise _cannot("local weights cannot be forced to call a tool")
        if request.reasoning_effort not in (None, "none") and not self._thinks:
            raise _cannot("the weights have no thinking that can be switched on")

    def _harmless(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._special.sub(lambda found: found[0][0] + _BREAK + found[0][1:], value)
        if isinstance(value, dict):
            return {self._harmless(key): self._harmless(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._harmless(item) for item in value]
        return value


def _cannot(message: str) -> CallError:
    return error_for("policy_denied", message, code="capability")


def _message(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"role": message.role, "content": message.text}
    if not isinstance(message.content, str):
        other = [part.type for part in message.content if not isinstance(part, TextPart | ReasoningPart)]
        if other:
            raise _cannot(f"local weights read text, not {other[0]}")
        thought = "".join(part.text for part in message.content if isinstance(part, ReasoningPart))
        if thought:
            said["reasoning_content"] = thought
    if message.tool_calls:
        said["tool_calls"] = [
            {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": _arguments(call)}}
            for call in message.tool_calls
        ]
    for key in ("tool_call_id", "name"):
        value = getattr(message, key)
        if value is not None:
            said[key] = value
    return said


def _arguments(call: Any) -> Any:
    """Templates print or walk through a mapping; text that is none is handed on as it is."""
    try:
        parsed = call.parsed
    except ValueError:
        return call.arguments
    return parsed if isinstance(parsed, dict) else call.arguments
