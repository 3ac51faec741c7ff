"""Gathers a stream's events into a whole answer."""

from __future__ import annotations

from collections.abc import Collection
from uuid import uuid4

from ..types import ReasoningDelta, Restarted, StreamEvent, Switched, TextDelta, ToolCall, ToolCallDelta

__all__ = ["Transcript"]


class Transcript:
    """What has been said so far. A restart begins it anew.

    :param taken: ids of the tool calls before this answer; its own get others.
    :ivar seams: how many characters of text there were whenever another target went on with it.
    """

    __slots__ = ("_calls", "_reasoning", "_taken", "_text", "seams")

    def __init__(self, taken: Collection[str] = ()) -> None:
        self.seams: list[int] = []
        self._taken = taken
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, list[str]] = {}  # id, name, then the pieces of the arguments

    def add(self, event: StreamEvent) -> None:
        """Take the next event. The first piece of a tool call is given an id where it came without one of its own."""
        kind = type(event)
        if kind is TextDelta:
            self._text.append(event.text)  # type: ignore[union-attr]  # `type() is` is the fast path, mypy wants isinstance
        elif isinstance(event, ToolCallDelta):
            call = self._calls.get(event.index)
            if call is None:
                if not event.id or event.id in self._taken:
                    event.id = f"call_{uuid4().hex[:24]}"
                call = self._calls[event.index] = [event.id, event.name or ""]
            elif event.name and not call[1]:
                call[1] = event.name
            call.append(event.arguments)
        elif isinstance(event, ReasoningDelta):
            self._reasoning.append(event.text)
        elif isinstance(event, Restarted):
            self._text.clear()
            self._reasoning.clear()
            self._calls.clear()
        elif isinstance(event, Switched):
            self.seams.append(len(self.text))

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self._text)

    @property
    def reasoning(self) -> str:
        """All reasoning so far."""
        return "".join(self._reasoning)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in order of their index."""
        return tuple(
            ToolCall(id=identity, name=name, arguments="".join(pieces))
            for _, (identity, name, *pieces) in sorted(self._calls.items())
        )
