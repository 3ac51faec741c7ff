"""Pieces of tool calls, as vendors number them, to pieces numbered as they should be.

1. A piece belongs to the call of its ``index``; indexes may come in any order.
2. Without an index (Google, some proxies) it belongs to the call of its ``id``; without both it goes on with the
   latest call, unless it names a tool while the latest has its name already: then it begins the next call.
3. Another ``id`` and a name at an index that is taken begin the next call: some vendors number every call 0. So do
   an ``id`` that is taken and another name; and, without indexes, any name twice in one list.
4. The first ``id`` and the first name that are not empty are passed on once and never overwritten.
5. An ``id`` is passed on for one call only: the next one that says ``x`` gets ``x-2``.
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
    id: str | None = None  # as the vendor says it
    name: str | None = None


class ToolCalls:
    """The tool calls of one answer. False while there are none."""

    __slots__ = ("_at", "_given", "_latest", "_next")

    def __init__(self) -> None:
        self._at: dict[int | str, _Call] = {}
        self._given: dict[str, int] = {}
        self._latest: _Call | None = None
        self._next = 0

    def __bool__(self) -> bool:
        return self._latest is not None

    def take(self, pieces: object) -> Iterator[ToolCallDelta]:
        """Take the ``tool_calls`` of one message or delta. What is no tool call is left out."""
        seen = set[int]()
        for piece in pieces if isinstance(pieces, list) else ():
            function = piece.get("function") if isinstance(piece, dict) else None
            if not isinstance(function, dict):
                continue
            identity, name = _word(piece.get("id")), _word(function.get("name"))
            arguments = _arguments(function.get("arguments"))
            if identity is None and name is None and not arguments:
                continue
            call = self._find(piece.get("index"), identity, name, seen)
            delta = ToolCallDelta(call.index, arguments=arguments)
            if call.id is None and identity is not None:
                call.id, delta.id = identity, self._unique(identity)
                self._at[identity] = call
            if call.name is None and name is not None:
                call.name = delta.name = name
            self._latest = call
            seen.add(call.index)
            yield delta

    def _find(self, index: object, identity: str | None, name: str | None, seen: set[int]) -> _Call:
        if type(index) is int and index >= 0:
            call = self._at.get(index)
            if call is None or (name and identity and _is_another(call, identity, name)):
                call = self._at[index] = self._new(index if call is None else self._next)
            return call
        if identity is not None:
            call = self._at.get(identity)
            if call is None or (name and (call.index in seen or _is_another(call, identity, name))):
                call = self._new(self._next)
            return call
        latest = self._latest
        if latest is None or (name is not None and latest.name is not None):
            return self._new(self._next)
        return latest

    def _new(self, index: int) -> _Call:
        self._next = max(self._next, index + 1)
        return _Call(index)

    def _unique(self, identity: str) -> str:
        given, count = identity, self._given.get(identity, 0)
        while given in self._given:
            count += 1
            given = f"{identity}-{count}"
        self._given[identity] = max(count, 1)
        self._given.setdefault(given, 1)
        return given


def _is_another(call: _Call, identity: str, name: str) -> bool:
    """Whether a piece with this id and name cannot be of this call."""
    return call.id not in (None, identity) or (call.id is not None and call.name not in (None, name))


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _arguments(value: object) -> str:
    """The arguments as JSON text; some vendors send the object itself."""
    if isinstance(value, str):
        return value
    return to_json(value).decode() if isinstance(value, dict) else ""
