"""Gathers a stream's events into a whole answer."""

from __future__ import annotations

from uuid import uuid4

from ..types import ReasoningDelta, Restarted, StreamEvent, Switched, TextDelta, ToolCall, ToolCallDelta

__all__ = ["Transcript"]


class Transcript:
    """What has been said so far. A restart begins it anew.

    :ivar seams: how many characters of text there were whenever another target went on with it.
    """

    __slots__ = ("_calls", "_reasoning", "_text", "seams")

    def __init__(self) -> None:
        self.seams: list[int] = []
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[int, list[str]] = {}  # id, name, then the pieces of the arguments

    def add(self, event: StreamEvent) -> None:
        """Take the next event. The first piece of a tool call that came without an id is given one."""
        kind = type(event)
        if kind is TextDelta:
            self._text.append(event.text)  # type: ignore[union-attr]  # `type() is` is the fast path, mypy wants isinstance
        elif isinstance(event, ToolCallDelta):
            call = self._calls.get(event.index)
            if call is None:
                event.id = event.id or f"call_{uuid4().hex[:24]}"
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
