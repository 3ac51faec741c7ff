"""The text of Qwen's models to events: thinking, text and tool calls. Pure; knows no token.

Rules:

1. ``<think>`` counts at the very start only, or when the prompt already opened it. Anywhere else it is text.
2. ``<tool_call>`` counts only when tools were offered. It holds Hermes' JSON (Qwen2.5, Qwen3) or ``<function=…>``
   with one ``<parameter=…>`` an argument (Qwen3-Coder, Qwen3.5); the content tells which, not the model's name.
3. The line breaks that the templates put beside a tag belong to the tag: one on either side, two after ``</think>``.
4. A tool call is one event, once it is whole. One that is cut by a limit is left out; one that is broken is an
   ``InvalidResponseError``.
5. Cutting the text differently never changes what the events spell, and no other character is lost or doubled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from pydantic_core import from_json, to_json

from ..errors import error_for
from ..types import ReasoningDelta, TextDelta, Tool, ToolCallDelta

__all__ = ["QwenText", "held_back"]

_THINK, _END_THINK = "<think>", "</think>"
_CALL, _END_CALL = "<tool_call>", "</tool_call>"
_FUNCTION = re.compile(r"\s*<function=([^>\n]+)>(.*)</function>\s*", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>", re.DOTALL)

Event = TextDelta | ReasoningDelta | ToolCallDelta


def held_back(text: str, marks: Sequence[str]) -> int:
    """Return how many of the last characters of ``text`` may be the beginning of one of ``marks``.

    >>> held_back("a < b <tool", ["<tool_call>"])
    5
    """
    longest = max(map(len, marks), default=0)
    for size in range(min(longest - 1, len(text)), 0, -1):
        if any(len(mark) > size and text.endswith(mark[:size]) for mark in marks):
            return size
    return 0


class QwenText:
    """Reads one answer.

    :param tools: the tools that were offered.
    :param thinking: whether the prompt ends inside ``<think>``.
    :param new_id: makes the ids of tool calls.
    """

    def __init__(self, tools: Sequence[Tool], *, thinking: bool, new_id: Callable[[], str]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._new_id = new_id
        self._held = ""
        self._state: Literal["start", "thinking", "text", "call"] = "thinking" if thinking else "start"
        self._line_breaks = 0  # still to be dropped: they belong to the tag before
        self._searched = 0  # up to here a call holds no end that makes it whole
        self.calls = 0
        """How many tool calls are complete."""

    @property
    def thinking(self) -> bool:
        """Whether the model is thinking now."""
        return self._state == "thinking"

    def feed(self, text: str) -> Iterator[Event]:
        """Take the next piece and yield what is certain now."""
        self._held += text
        step: Iterator[Event] | None = iter(())
        while step is not None:
            yield from step
            self._drop_line_breaks()
            step = self._step()

    def close(self, *, cut: bool) -> Iterator[Event]:
        """Take the end of the answer and yield what was held back.

        :param cut: whether a limit ended it, not the model.
        :raises InvalidResponseError: when the model ended it with a broken tool call.
        """
        held, self._held = self._held, ""
        if self._state == "thinking":
            yield from _reasoning(held)
        elif self._state != "call":
            yield from _text(held)
        elif not cut:
            call = self._call(held)  # whole but for the closing tag
            if call is None:
                raise error_for("invalid_response", "the model wrote a broken tool call", detail=held)
            yield call

    def _drop_line_breaks(self) -> None:
        while self._line_breaks and self._held.startswith("\n"):
            self._held = self._held[1:]
            self._line_breaks -= 1
        if self._held:
            self._line_breaks = 0

    def _step(self) -> Iterator[Event] | None:
        """Return the events up to the next change of state; None when more text is needed."""
        match self._state:
            case "start":
                return self._start()
            case "thinking":
                return self._until(_END_THINK, "text", 2, _reasoning)
            case "text":
                if not self._tools:
                    text, self._held = self._held, ""
                    return _text(text) if text else None
                return self._until(_CALL, "call", 1, _text)
            case "call":
                return self._until_call_ends()

    def _start(self) -> Iterator[Event] | None:
        begun = self._held.lstrip()
        if begun.startswith(_THINK):
            self._state, self._held, self._line_breaks = "thinking", begun[len(_THINK) :], 1
        elif _THINK.startswith(begun):
            return None
        else:
            self._state = "text"
        return iter(())

    def _until(
        self, tag: str, state: Literal["text", "call"], line_breaks: int, event: Callable[[str], Iterator[Event]]
    ) -> Iterator[Event] | None:
        before, found, after = self._held.partition(tag)
        if found:
            self._state, self._held, self._line_breaks = state, after, line_breaks
            self._searched = 0
            return event(before.removesuffix("\n"))
        kept = len(before) - held_back(before, (tag, "\n" + tag))
        self._held = before[kept:]
        return event(before[:kept]) if kept else None

    def _until_call_ends(self) -> Iterator[Event] | None:
        # an argument may itself hold the closing tag: the first end that makes a whole call is the end
        while (end := self._held.find(_END_CALL, self._searched)) >= 0:
            after = end + len(_END_CALL)
            call = self._call(self._held[:end])
            if call is not None:
                self._state, self._held, self._line_breaks = "text", self._held[after:], 1
                return iter((call,))
            self._searched = after
        self._searched = max(self._searched, len(self._held) - len(_END_CALL) + 1)
        return None

    def _call(self, body: str) -> ToolCallDelta | None:
        whole = _xml(body, self._tools) if body.lstrip().startswith("<function=") else _hermes(body)
        if whole is None:
            return None
        self.calls += 1
        return ToolCallDelta(self.calls - 1, self._new_id(), *whole)


def _text(text: str) -> Iterator[Event]:
    return iter((TextDelta(text),) if text else ())


def _reasoning(text: str) -> Iterator[Event]:
    return iter((ReasoningDelta(text),) if text else ())


def _hermes(body: str) -> tuple[str, str] | None:
    try:
        value = from_json(body)
    except ValueError:
        return None
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str):
        return None
    arguments = value.get("arguments", {})
    return name, arguments if isinstance(arguments, str) else to_json(arguments).decode()


def _xml(body: str, tools: dict[str, Tool]) -> tuple[str, str] | None:
    function = _FUNCTION.fullmatch(body)
    if function is None:
        return None
    name, inside = function[1].strip(), function[2]
    if _PARAMETER.sub("", inside).strip():
        return None
    schemas = tools[name].parameters.get("properties", {}) if name in tools else {}
    arguments = {key.strip(): _cast(text, schemas.get(key.strip())) for key, text in _PARAMETER.findall(inside)}
    return name, to_json(arguments).decode()


_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "null": type(None),
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "array": list,
}


_PYTHON = {"True": "true", "False": "false", "None": "null"}  # what models write for JSON's words


def _cast(text: str, schema: Any) -> Any:
    """Read an argument as what its schema says; text that is no such value stays text."""
    types = _types(schema)
    try:
        value = from_json(_PYTHON.get(text, text))
    except ValueError:
        return text
    for name in types:
        wanted = _JSON_TYPES.get(name)
        if wanted is not None and isinstance(value, wanted) and (name == "boolean" or not isinstance(value, bool)):
            return value
    return text


def _types(schema: Any) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    given = schema.get("type", ())
    types = {given} if isinstance(given, str) else set(given)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        types |= _types(choice)
    return types
