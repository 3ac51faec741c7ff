"""Pieces of tool calls, as vendors number them, to pieces numbered as they should be.

1. A piece belongs to the call of its ``index``; indexes may come in any order.
2. Without an index (Google, some proxies) it belongs to the call of its ``id``; without both it goes on with the
   latest call, unless it names a tool while the latest has its name already: then it begins the next call.
3. Another ``id`` and a name at an index that is taken begin the next call: some vendors number every call 0.
4. The first ``id`` and the first name that are not empty are passed on once and never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from ..types import ToolCallDelta

__all__ = ["ToolCalls"]


@dataclass(slots=True)
class _Call:
    index: int
    id: str | None = None
    name: str | None = None


class ToolCalls:
    """The tool calls of one answer. False while there are none."""

    __slots__ = ("_at", "_latest", "_next")

    def __init__(self) -> None:
        self._at: dict[int | str, _Call] = {}
        self._latest: _Call | None = None
        self._next = 0

    def __bool__(self) -> bool:
        return self._latest is not None

    def take(self, pieces: object) -> Iterator[ToolCallDelta]:
        """Take the ``tool_calls`` of one message or delta. What is no tool call is left out."""
        for piece in pieces if isinstance(pieces, list) else ():
            function = piece.get("function") if isinstance(piece, dict) else None
            if not isinstance(function, dict):
                continue
            identity, name = _word(piece.get("id")), _word(function.get("name"))
            arguments = _arguments(function.get("arguments"))
            if identity is None and name is None and not arguments:
                continue
            call = self._find(piece.get("index"), identity, name)
            delta = ToolCallDelta(call.index, arguments=arguments)
            if call.id is None and identity is not None:
                call.id = delta.id = identity
                self._at[identity] = call
            if call.name is None and name is not None:
                call.name = delta.name = name
            self._latest = call
            yield delta

    def _find(self, index: object, identity: str | None, name: str | None) -> _Call:
        if type(index) is int and index >= 0:
            call = self._at.get(index)
            if call is None or (name and identity and call.id not in (None, identity)):
                call = self._at[index] = self._new(index if call is None else self._next)
            return call
        if identity is not None:
            return self._at.get(identity) or self._new(self._next)
        latest = self._latest
        if latest is None or (name is not None and latest.name is not None):
            return self._new(self._next)
        return latest

    def _new(self, index: int) -> _Call:
        self._next = max(self._next, index + 1)
        return _Call(index)


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _arguments(value: object) -> str:
    """The arguments as JSON text; some vendors send the object itself."""
    if isinstance(value, str):
        return value
    return to_json(value).decode() if isinstance(value, dict) else ""
