"""What an answer must be: a JSON Schema to ask with, and a check of what came back."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Generic

from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaValidator, from_json, to_json

from .answers import ParsedT

__all__ = ["MisfitError", "Shape", "arguments_of", "json_text", "partial_json"]

_SHOWN = 5
_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_TOLD = 200
_OPENING = re.compile(r"[ \t]*```[A-Za-z]*[ \t]*")
_SPACE = "\ufeff \t\r\n"
_WRAP = "value"


class MisfitError(ValueError):
    """A text is not what was asked for. ``str()`` is made of our own words.

    :ivar detail: what is wrong with it; may quote the text.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail or message


@dataclass(frozen=True, slots=True)
class Shape(Generic[ParsedT]):
    """What an answer must be.

    :ivar name: letters, digits, ``_`` and ``-``, 64 at most.
    :ivar schema: a JSON Schema of an object: a type that is none is the property ``value`` of one.
    :ivar unchecked: why the schema is only asked with and not checked, or None.

    >>> Shape.of(list[int]).parse('Here you are: {"value": [1, 2]}')
    [1, 2]
    """

    name: str
    schema: dict[str, Any]
    check: Callable[[str], ParsedT]
    wrapped: bool = False
    unchecked: str | None = None

    @classmethod
    def of(cls, kind: type[ParsedT] | TypeAdapter[ParsedT]) -> Shape[ParsedT]:
        """Read a pydantic model, or any type that a ``TypeAdapter`` takes.

        :raises ValueError: when it has no JSON Schema.
        """
        given: Any = kind
        try:
            return _of(given)
        except TypeError:  # an annotation that cannot be hashed
            return _of.__wrapped__(given)

    @classmethod
    def from_schema(cls, name: str, schema: dict[str, Any]) -> Shape[JsonValue]:
        """Take a JSON Schema. Answers are checked by ``jsonschema`` if that is installed.

        A ``pattern`` that backtracks and ``uniqueItems`` take long for some answers; that risk is the caller's.

        :raises ValueError: when it is no JSON Schema.
        """
        check, unchecked = _checked_by(to_json(schema))
        return Shape(name, schema, check, unchecked=unchecked)

    def parse(self, text: str) -> ParsedT:
        """Return the value that an answer spells.

        :raises MisfitError: when it is not exactly one JSON value, or does not fit.
        """
        found = json_text(text)
        if self.wrapped:
            value = from_json(found)
            if isinstance(value, dict) and list(value) == [_WRAP]:
                found = to_json(value[_WRAP]).decode()
        return self.check(found)

    def partial(self, text: str) -> JsonValue:
        """Return what can be read of the beginning of an answer; None when that is nothing."""
        value = partial_json(text)
        return value.get(_WRAP) if self.wrapped and isinstance(value, dict) else value


def partial_json(text: str) -> JsonValue:
    """Return the object or list that ``text`` spells or begins to spell, with words before it; None without one.

    >>> partial_json('Here: {"title": "Lock-in", "seve')
    {'title': 'Lock-in'}
    """
    start = min((place for place in map(text.find, "{[") if place >= 0), default=-1)
    if start < 0:
        return None
    end = _end_of_object(text, start) if "}" in text else None  # words may follow it
    try:
        value: JsonValue = from_json(text[start:end], allow_partial="trailing-strings")
    except ValueError:
        return None
    return value


def json_text(text: str) -> str:
    r"""Return the one JSON value of an answer: the whole of it, in a code fence, or one object with words around it.

    :raises MisfitError: when there is none, or more than one.

    >>> json_text('Sure!\n{"a": 1}\nAnything else?')
    '{"a": 1}'
    """
    whole = text.strip(_SPACE)
    if not whole:
        raise MisfitError("the answer is empty")
    if _is_json(whole):
        return whole
    fenced = [block.strip(_SPACE) for block in islice(_fenced(whole), 2)]
    if len(fenced) == 1 and _is_json(fenced[0]):
        return fenced[0]
    if not fenced:
        start = whole.find("{")
        end = _end_of_object(whole, start) if start >= 0 else None
        if end is not None and "{" not in whole[end:] and _is_json(whole[start:end]):
            return whole[start:end]
    raise MisfitError("the answer is not exactly one JSON value")


def arguments_of(function: Callable[..., Any]) -> Callable[[str], object]:
    """Return a check of the arguments of a tool's call, as JSON text. The function itself is never called."""
    if inspect.isclass(function):
        return Shape.of(function).check
    schema: Any = TypeAdapter(function).core_schema  # type: ignore[arg-type]  # pydantic takes callables
    inner = schema["schema"] if schema["type"] == "definitions" else schema
    arguments = inner["arguments_schema"]
    validator = SchemaValidator({**schema, "schema": arguments} if inner is not schema else arguments)
    return lambda text: _validated(validator.validate_json, text)


# --- reading JSON ---


def _is_json(text: str) -> bool:
    try:
        from_json(text, allow_inf_nan=False)
    except ValueError:
        return False
    return True


def _fenced(text: str) -> Iterator[str]:
    """Yield what stands in each code fence. Each line is looked at once: models write fences without number."""
    block: list[str] | None = None
    for line in text.split("\n"):
        if block is None:
            block = [] if _OPENING.fullmatch(line) else None
        elif line.strip(" \t") == "```":
            yield "\n".join(block)
            block = None
        else:
            block.append(line)


def _end_of_object(text: str, start: int) -> int | None:
    try:
        end: int = json.JSONDecoder().raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None
    return end


# --- types ---


@lru_cache(128)
def _of(kind: Any) -> Shape[Any]:
    try:
        adapter: TypeAdapter[Any] = kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)
        schema = adapter.json_schema()
    except (PydanticUserError, ValueError) as error:
        raise ValueError(f"`{_name_of(kind)}` has no JSON Schema: {str(error).splitlines()[0][:200]}") from error
    schema, wrapped = _as_object(schema)
    return Shape(_name_of(kind), schema, lambda text: _validated(adapter.validate_json, text), wrapped)


def _name_of(kind: Any) -> str:
    name = getattr(kind, "__name__", None) if inspect.isclass(kind) else None
    return _NAME.sub("_", name or "answer")[:64]


def _as_object(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the schema with an object at its root, which vendors insist on, and whether that had to be added."""
    definitions = schema.get("$defs", {})
    root = schema
    if "$ref" in schema:  # a recursive type
        root = {**definitions.get(schema["$ref"].rpartition("/")[2], {}), "$defs": definitions}
    if root.get("type") == "object":
        return root, False
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    wrapped = {"type": "object", "properties": {_WRAP: inner}, "required": [_WRAP], "additionalProperties": False}
    return {**wrapped, "$defs": definitions} if definitions else wrapped, True


def _validated(validate: Callable[[str], Any], text: str) -> Any:
    try:
        return validate(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [f"`{_place(one['loc'])}`: {one['msg'][:_TOLD]}" for one in found[:_SHOWN]]
        kinds = ", ".join(sorted({one["type"] for one in found})[:_SHOWN])
        raise MisfitError(f"the answer does not fit the schema: {kinds}", "; ".join(lines)) from None


def _place(path: Iterable[str | int]) -> str:
    return ".".join(map(str, path))[:_TOLD] or "the whole"


# --- schemas ---


@lru_cache(128)
def _checked_by(schema: bytes) -> tuple[Callable[[str], JsonValue], str | None]:
    try:
        from jsonschema import exceptions, validators
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ImportError:
        return from_json, "`jsonschema` is not installed, so the answer was not checked against the schema"
    try:
        asked = from_json(schema)
        kind = validators.validator_for(asked, default=validators.validator_for({"$schema": _DRAFT}))
        kind.check_schema(asked)
        validator = kind(asked, registry=Registry())  # which fetches nothing
    except exceptions.SchemaError as error:
        raise ValueError(f"it is no JSON Schema: {error.message[:_TOLD]}") from None
    except Exception as error:  # whatever a library makes of what it did not expect
        raise ValueError(f"it is no JSON Schema: {str(error)[:_TOLD]}") from error

    def check(text: str) -> JsonValue:
        value: JsonValue = from_json(text)
        try:
            problems = list(islice(validator.iter_errors(value), _SHOWN))  # each quotes its part of the answer whole
        except Unresolvable as error:
            raise MisfitError(f"a reference of the schema leads nowhere: {error.ref[:_TOLD]}") from None
        except (RecursionError, ArithmeticError, re.error) as error:
            raise MisfitError(f"the answer cannot be checked against the schema: {type(error).__name__}") from None
        if problems:
            lines = [f"`{_place(one.path)}`: {one.message[:_TOLD]}" for one in problems]
            words = ", ".join(sorted({str(one.validator) for one in problems}))
            raise MisfitError(f"the answer does not fit the schema: {words}", "; ".join(lines))
        return value

    return check, None


_DRAFT = "https://json-schema.org/draft/2020-12/schema"
