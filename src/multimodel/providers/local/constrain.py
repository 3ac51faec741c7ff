"""Which bytes may come next in a JSON value of a schema: a matcher that takes one byte at a time.

1. A state is the set of everything that the bytes so far can mean, each a stack of frames: what is open, innermost
   last. A byte leads from state to state; None means that no value of the schema begins so.
2. Values are compact: one space after a colon or a comma, nowhere else. Objects have their properties in the
   schema's order, and no others where it names some. Numbers have at most fifteen digits before the point, and nine after it.
3. What bounds a text or a number (``pattern``, ``maxLength``, ``maximum``, …) is not looked at: ``ignored`` names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic_core import to_json

__all__ = ["ANY_OBJECT", "TEXT", "Grammar", "State"]

Frame: TypeAlias = tuple[Any, ...]
Stack: TypeAlias = tuple[Frame, ...]
State: TypeAlias = frozenset[Stack]

ANY_OBJECT: Mapping[str, Any] = {"type": "object"}
TEXT: Frame = ("text",)
"""The frame inside a text, where any character may follow."""

_DEEPEST = 64
_LONGEST = {"digits": 15, "fraction": 9, "exponent": 2}
_KINDS = {
    ord("0"): "0",
    **dict.fromkeys(b"123456789", "1"),
    ord("."): ".",
    **dict.fromkeys(b"eE", "e"),
} | dict.fromkeys(b"+-", "+")
_IN_NUMBERS = {
    ("sign", "0"): "zero",
    ("sign", "1"): "digits",
    ("power", "+"): "power sign",
    **{(phase, "."): "point" for phase in ("zero", "digits")},
    **{(phase, "e"): "power" for phase in ("zero", "digits", "fraction")},
    **{("digits", digit): "digits" for digit in "01"},
    **{(phase, digit): "fraction" for phase in ("point", "fraction") for digit in "01"},
    **{(phase, digit): "exponent" for phase in ("power", "power sign", "exponent") for digit in "01"},
}
"""What a byte leads to inside a number."""
_REMEMBERED = 20_000
_FOLLOWED = frozenset(
    {
        "$defs", "$ref", "additionalProperties", "allOf", "anyOf", "const", "definitions", "enum", "items", "maxItems",
        "minItems", "oneOf", "prefixItems", "properties", "required", "type",
    }
)  # fmt: skip
_SAYING = frozenset({"$comment", "$id", "$schema", "default", "deprecated", "description", "discriminator", "examples",
                     "readOnly", "title", "writeOnly"})  # fmt: skip
_TYPES = ("object", "array", "string", "number", "boolean", "null")
_ESCAPES = frozenset(b'"\\/bfnrt')
_HEX = frozenset(b"0123456789abcdefABCDEF")
_TAILS = (  # the first bytes of characters in UTF-8, what may follow them, and how many more after that
    (0xC2, 0xDF, 0x80, 0xBF, 0), (0xE0, 0xE0, 0xA0, 0xBF, 1), (0xE1, 0xEC, 0x80, 0xBF, 1), (0xED, 0xED, 0x80, 0x9F, 1),
    (0xEE, 0xEF, 0x80, 0xBF, 1), (0xF0, 0xF0, 0x90, 0xBF, 2), (0xF1, 0xF3, 0x80, 0xBF, 2), (0xF4, 0xF4, 0x80, 0x8F, 2),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Text:
    pass


@dataclass(frozen=True, slots=True)
class _Number:
    whole: bool
    signed: bool


@dataclass(frozen=True, slots=True)
class _Literals:
    spellings: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Object:
    """``names``: how each key is spelt, with its colon; its value; whether it must be there. ``free``: any key's value."""

    names: tuple[tuple[bytes, int, bool], ...]
    free: int | None


@dataclass(frozen=True, slots=True)
class _Array:
    first: tuple[int, ...]
    rest: int | None
    least: int
    most: int | None

    def item(self, place: int) -> int | None:
        """Return what stands at a place, or None when nothing may."""
        if self.most is not None and place >= self.most:
            return None
        return self.first[place] if place < len(self.first) else self.rest

    def after(self, place: int) -> int:
        """Return the next place; beyond what the schema tells apart, places are one."""
        known = max(self.least, len(self.first), self.most or 0)
        return min(place + 1, known)


@dataclass(frozen=True, slots=True)
class _Choice:
    nodes: tuple[int, ...]


_Node: TypeAlias = _Text | _Number | _Literals | _Object | _Array | _Choice


class Grammar:
    """The values of one schema.

    :ivar start: the state before the first byte.
    :ivar ignored: keywords of the schema that are not looked at.

    >>> grammar = Grammar({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    >>> grammar.reads(b'{"n": 12}'), grammar.reads(b'{"n": "'), grammar.reads(b'{"m')
    (True, False, False)
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.ignored: set[str] = set()
        self._nodes: list[_Node | None] = []
        self._known: dict[str, int] = {}
        self._next: dict[tuple[State, int], State | None] = {}
        self._any: int | None = None
        self._root = schema
        self.start: State = frozenset({(("value", self._node_at("#", schema)),)})

    def step(self, state: State, byte: int) -> State | None:
        """Take the next byte."""
        key = (state, byte)
        if key in self._next:
            return self._next[key]
        if len(self._next) >= _REMEMBERED:
            self._next.clear()
        after = frozenset(found for stack in state for found in self._step(stack, byte))
        self._next[key] = after or None
        return after or None

    def complete(self, state: State) -> bool:
        """Whether the bytes so far are a whole value."""
        return any(not stack or (len(stack) == 1 and _may_end(stack[0])) for stack in state)

    def reads(self, text: bytes) -> bool:
        """Whether ``text`` is a whole value."""
        state: State | None = self.start
        for byte in text:
            state = self.step(state, byte) if state is not None else None
        return state is not None and self.complete(state)

    # --- one byte ---

    def _step(self, stack: Stack, byte: int) -> Iterator[Stack]:
        if not stack:
            return
        *below, frame = stack
        under = tuple(below)
        if _may_end(frame):
            yield from self._step(under, byte)
        match frame[0]:
            case "value" | "spaced":
                if byte == ord(" ") and frame[0] == "spaced":
                    yield (*under, ("value", frame[1]))
                yield from self._begin(under, frame[1], byte, set())
            case "object":
                yield from self._in_object(under, frame, byte)
            case "key":
                yield from self._in_key(under, frame, byte)
            case "array":
                yield from self._in_array(under, frame, byte)
            case "text":
                yield from _in_text(under, byte)
            case _:
                yield from _in_small(under, frame, byte)

    def _begin(self, under: Stack, number: int, byte: int, seen: set[int]) -> Iterator[Stack]:
        """Begin a value; ``seen`` takes the nodes that were looked at, as many choices may lead to one."""
        if number in seen:
            return
        seen.add(number)
        node = self._nodes[number]
        match node:
            case _Text() if byte == ord('"'):
                yield (*under, TEXT)
            case _Number() if byte == ord("-") and node.signed:
                yield (*under, ("number", node.whole, "sign", 0))
            case _Number() if byte == ord("0"):
                yield (*under, ("number", node.whole, "zero", 1))
            case _Number() if ord("1") <= byte <= ord("9"):
                yield (*under, ("number", node.whole, "digits", 1))
            case _Literals():
                yield from self._step((*under, ("literal", node.spellings)), byte)
            case _Object() if byte == ord("{") and len(under) < _DEEPEST:
                yield (*under, ("object", number, 0, "opened"))
            case _Array() if byte == ord("[") and len(under) < _DEEPEST:
                yield (*under, ("array", number, 0, "opened"))
            case _Choice():
                for one in node.nodes:
                    yield from self._begin(under, one, byte, seen)
            case _:
                pass

    def _in_object(self, under: Stack, frame: Frame, byte: int) -> Iterator[Stack]:
        _, number, place, phase = frame
        node = self._nodes[number]
        assert isinstance(node, _Object)
        left = node.names[place:]
        if byte == ord("}") and phase in ("opened", "item") and not any(needed for _, _, needed in left):
            yield under
        elif byte == ord(",") and phase == "item" and (left or node.free is not None):
            yield (*under, ("object", number, place, "comma"))
        elif byte == ord(" ") and phase == "comma":
            yield (*under, ("object", number, place, "space"))
        elif byte == ord('"') and phase != "item":
            if node.free is not None:
                yield (*under, ("object", number, 0, "item"), ("colon", node.free), TEXT)
            keys = []
            for offset, (spelling, _, needed) in enumerate(left):
                keys.append((spelling[1:], place + offset))
                if needed:  # none behind it may come before it
                    break
            if keys:
                yield (*under, ("key", number, tuple(keys)))

    def _in_key(self, under: Stack, frame: Frame, byte: int) -> Iterator[Stack]:
        _, number, keys = frame
        node = self._nodes[number]
        assert isinstance(node, _Object)
        rest = tuple((spelling[1:], place) for spelling, place in keys if spelling[0] == byte)
        done = [
            place for spelling, place in rest if not spelling
        ]  # no key is the beginning of another: all end by `":`
        if done:
            yield (*under, ("object", number, done[0] + 1, "item"), ("spaced", node.names[done[0]][1]))
        elif rest:
            yield (*under, ("key", number, rest))

    def _in_array(self, under: Stack, frame: Frame, byte: int) -> Iterator[Stack]:
        _, number, place, phase = frame
        node = self._nodes[number]
        assert isinstance(node, _Array)
        item = node.item(place)
        if byte == ord("]") and phase in ("opened", "item"):
            if place >= node.least:
                yield under
        elif phase == "item":
            if byte == ord(",") and item is not None:
                yield (*under, ("array", number, place, "comma"))
        elif byte == ord(" ") and phase == "comma":
            yield (*under, ("array", number, place, "space"))
        elif item is not None:
            holder = (*under, ("array", number, node.after(place), "item"))
            yield from self._begin(holder, item, byte, set())

    # --- the schema ---

    def _add(self, node: _Node | None) -> int:
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _node_at(self, pointer: str, schema: Any) -> int:
        """Return the node of what can be referred to; it is known before it is read, as it may hold itself."""
        if pointer not in self._known:
            number = self._known[pointer] = self._add(None)
            self._nodes[number] = _Choice((self._read(schema),))
        return self._known[pointer]

    def _anything(self) -> int:
        if self._any is None:
            self._any = self._add(None)
            self._nodes[self._any] = _Choice(tuple(self._of_type(kind, {}) for kind in _TYPES))
        return self._any

    def _read(self, schema: Any) -> int:
        if schema is False:
            return self._add(_Literals(()))
        if not isinstance(schema, Mapping):
            return self._anything()
        self.ignored |= schema.keys() - _FOLLOWED - _SAYING
        combined = self._combined(schema)
        if combined is not None:
            return combined
        kinds = schema.get("type", "object" if "properties" in schema or "required" in schema else _TYPES)
        if isinstance(kinds, str):
            return self._of_type(kinds, schema)
        return self._add(_Choice(tuple(self._of_type(kind, schema) for kind in kinds)))

    def _combined(self, schema: Mapping[str, Any]) -> int | None:
        """Read what says its values or leads to other schemas; None for what only has a type."""
        if "$ref" in schema:
            return self._refer(str(schema["$ref"]))
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            return self._add(_Literals(tuple(to_json(value) for value in values)))
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return self._add(_Choice(tuple(self._read(one) for one in schema[word])))
        return self._all_of(schema) if schema.get("allOf") else None

    def _refer(self, reference: str) -> int:
        found: Any = self._root
        for step in reference.split("/")[1:] if reference.startswith("#") else ["?"]:
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if found is None:
            self.ignored.add("$ref")
            return self._anything()
        return self._node_at(reference, found)

    def _all_of(self, schema: Mapping[str, Any]) -> int:
        """Follow the first of several; the others are looked at when the answer is checked."""
        first, *others = schema["allOf"]
        if others:
            self.ignored.add("allOf")
        return self._read(first)

    def _of_type(self, kind: str, schema: Mapping[str, Any]) -> int:
        node: _Node | None = None
        match kind:
            case "object":
                node = self._object(schema)
            case "array":
                node = self._array(schema)
            case "string":
                node = _Text()
            case "number" | "integer":
                least = schema.get("minimum", schema.get("exclusiveMinimum", -1))
                node = _Number(kind == "integer", not isinstance(least, int | float) or least < 0)
            case "boolean":
                node = _Literals((b"true", b"false"))
            case "null":
                node = _Literals((b"null",))
        return self._anything() if node is None else self._add(node)

    def _object(self, schema: Mapping[str, Any]) -> _Object:
        needed, properties = schema.get("required", ()), schema.get("properties", {})
        named = {**properties, **{name: True for name in needed if name not in properties}}
        others = schema.get("additionalProperties", True)
        free = self._read(others) if not named and others is not False else None
        names = tuple((to_json(name) + b":", self._read(one), name in needed) for name, one in named.items())
        return _Object(names, free)

    def _array(self, schema: Mapping[str, Any]) -> _Array:
        first = tuple(self._read(one) for one in schema.get("prefixItems", ()))
        items = schema.get("items", True)
        rest = None if items is False else self._read(items)
        return _Array(first, rest, schema.get("minItems", 0), schema.get("maxItems"))


def _may_end(frame: Frame) -> bool:
    """Whether what is open may end before the next byte: only that byte tells."""
    return (frame[0] == "number" and frame[2] in ("zero", "digits", "fraction", "exponent")) or (
        frame[0] == "literal" and b"" in frame[1]
    )


def _in_number(frame: Frame, byte: int) -> Frame | None:
    _, whole, phase, count = frame
    after = _IN_NUMBERS.get((phase, _KINDS.get(byte, "")))
    count = count + 1 if after == phase else 1
    if after is None or (whole and after in ("point", "power")) or count > _LONGEST.get(after, 1):
        return None
    return ("number", whole, after, count)


def _in_small(under: Stack, frame: Frame, byte: int) -> Iterator[Stack]:
    """Go on in what holds nothing else: a literal, a number, a colon, an escape or a character of several bytes."""
    match frame:
        case ("literal", spellings):
            rest = tuple(sorted({one[1:] for one in spellings if one[:1] == bytes((byte,))}))
            if rest:
                yield under if rest == (b"",) else (*under, ("literal", rest))
        case ("number", *_):
            after = _in_number(frame, byte)
            if after is not None:
                yield (*under, after)
        case ("colon", node) if byte == ord(":"):
            yield (*under, ("spaced", node))
        case ("escape",) if byte == ord("u"):
            yield (*under, ("hex", 0, b""))
        case ("escape",) if byte in _ESCAPES:
            yield (*under, TEXT)
        case ("hex", count, first) if byte in _HEX:
            surrogate = count == 1 and first in b"dD" and byte not in b"01234567"
            if not surrogate:  # halves of a character: they would have to come in pairs
                yield (*under, TEXT if count == 3 else ("hex", count + 1, first or bytes((byte,))))  # noqa: PLR2004  # four
        case ("tail", low, high, more) if low <= byte <= high:
            yield (*under, ("tail", 0x80, 0xBF, more - 1) if more else TEXT)
        case _:
            pass


def _in_text(under: Stack, byte: int) -> Iterator[Stack]:
    if byte == ord('"'):
        yield under
    elif byte == ord("\\"):
        yield (*under, ("escape",))
    elif 0x20 <= byte < 0x80:  # noqa: PLR2004  # ASCII without its controls
        yield (*under, TEXT)
    else:
        for first, last, low, high, more in _TAILS:
            if first <= byte <= last:
                yield (*under, ("tail", low, high, more))
