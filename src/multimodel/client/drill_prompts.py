"""What a drill asks: ten neutral prompts of ours, or JSON lines of the user's."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from ..errors import BadRequestError, ConfigurationError
from ..governance.drill import Kind
from ..types import Request
from ..types.schema import MisfitError, Shape
from .request import build_request
from .structured import expected

__all__ = ["BUILT_IN", "Prompt", "read_prompts", "script_of"]

_MAX_TOKENS = 1000  # some models think first
_HINT = 'write one JSON object a line, as in `{"messages": [{"role": "user", "content": "…"}]}`'


@dataclass(frozen=True)
class Prompt:
    """One request, as it is asked of a route.

    :ivar request: the same, validated.
    """

    messages: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    request: Request = field(init=False, repr=False)

    def __post_init__(self) -> None:
        request = build_request(self.messages, self.options)
        expected(request, None, request.tools)  # whether a schema is none
        object.__setattr__(self, "request", request)

    @property
    def kind(self) -> Kind:
        """Whether it asks for plain text, for JSON of a schema, or offers tools."""
        if self.request.tools:
            return "tools"
        return "schema" if self._schema is not None else "text"

    def fits(self, text: str) -> bool | None:
        """Whether an answer fits the schema that this asks for; None where nothing can tell."""
        schema = self._schema
        if schema is None:
            return None
        shape = Shape.from_schema("answer", schema)
        if shape.unchecked is not None:
            return None
        try:
            shape.parse(text)
        except MisfitError:
            return False
        return True

    @property
    def _schema(self) -> dict[str, Any] | None:
        wanted = self.request.response_format
        return None if wanted is None else wanted.json_schema


def read_prompts(file: Path) -> tuple[Prompt, ...]:
    """Read a file of JSON lines: ``messages``, and options by OpenAI's names.

    ``json_schema`` may stand in the place of ``response_format``.

    :raises ConfigurationError: names the line, and what is wrong with it.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(f"`{file}` cannot be read: {error.strerror}") from error
    prompts = tuple(_read(f"{file}:{number}", line) for number, line in enumerate(lines, 1) if line.strip())
    if not prompts:
        raise ConfigurationError(f"`{file}` has no prompts", hint=_HINT)
    return prompts


def _read(place: str, line: bytes) -> Prompt:
    try:
        given = from_json(line, allow_inf_nan=False)
    except ValueError:
        raise ConfigurationError(f"{place}: this is no JSON", hint=_HINT) from None
    if not isinstance(given, dict) or "messages" not in given:
        raise ConfigurationError(f"{place}: it has no `messages`", hint=_HINT)
    messages = given.pop("messages")
    schema = given.pop("json_schema", None)
    if schema is not None:
        inner = schema.get("schema", schema) if isinstance(schema, dict) else schema
        if not isinstance(inner, dict):
            raise ConfigurationError(f"{place}: `json_schema` is no object", hint=_HINT)
        given["response_format"] = _fits(inner, schema.get("name", "answer"))
    try:
        return Prompt(messages, given)
    except BadRequestError as error:
        raise ConfigurationError(f"{place}: {error.message}", hint="correct the line; nothing was sent") from None


def script_of(text: str) -> str | None:
    """Return the script that most letters of a text belong to; None where there are none.

    >>> script_of("Hello"), script_of("你好, hi"), script_of("42")
    ('latin', 'cjk', None)
    """
    letters = (unicodedata.name(char, "").partition(" ")[0].lower() for char in text if char.isalpha())
    found = Counter(name for name in letters if name).most_common(1)
    return found[0][0] if found else None


def _asks(text: str, **options: Any) -> Prompt:
    return Prompt([{"role": "user", "content": text}], {"max_tokens": _MAX_TOKENS, **options})


def _object(**properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


_TEXT: Mapping[str, Any] = {"type": "string"}
_PERSON = _object(name=_TEXT, age={"type": "integer"}, languages={"type": "array", "items": _TEXT})
_TICKET = _object(product=_TEXT, urgency={"type": "string", "enum": ["low", "normal", "high"]})
_WEATHER = {
    "name": "weather",
    "description": "Look up the weather of a city.",
    "parameters": _object(city=_TEXT, days={"type": "integer", "description": "how many days, from today"}),
}


def _fits(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


BUILT_IN: Sequence[Prompt] = (
    _asks("In one sentence: what is a fire drill for?"),
    _asks("Name three causes of a power cut, one a line."),
    _asks("Translate into French: The library opens at nine."),
    _asks("How much is 17 times 23? Answer with the number only."),
    _asks("Put this into plain words: The meeting was postponed owing to unforeseen circumstances."),
    _asks(
        "Ada is 36 years old and speaks English and French. Give her name, age and languages as JSON.",
        response_format=_fits(_PERSON, "person"),
    ),
    _asks("请用一句话说明什么是备份。"),
    _asks("What will the weather be in Lima over the next three days? Use the tool.", tools=[_WEATHER]),
    _asks("Write a Python function that returns the larger of two numbers. Code only."),
    _asks(
        "Our printer has stopped and the office cannot work. Name the product and the urgency as JSON.",
        response_format=_fits(_TICKET, "ticket"),
    ),
)
"""Seven in words, one of them in Chinese; two with a schema, one with a tool."""
