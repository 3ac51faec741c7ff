"""A JSON Schema for those who take one, take a part of one, or take none.

The quirk ``strict_schema`` says how a vendor enforces schemas: false, not at all; a mapping, by a subset in which
every property is required and no object is open, without the keywords that its ``drop`` lists. A schema with one of
those that its ``cannot`` lists is not enforced.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic_core import to_json

from ..types import Message, Request, ResponseFormat

__all__ = ["asked_in_words", "closed", "fitted", "format_for"]

_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_TABLES = frozenset({"properties", "$defs", "definitions"})


def fitted(request: Request, lacks: Collection[str], note: Callable[[str], None]) -> Request:
    """Return the request as it can be asked where ``lacks`` cannot: with its schema in words."""
    wanted = request.response_format
    if wanted is None or wanted.type != "json_schema" or "json_schema" not in lacks:
        return request
    if "json_object" in lacks:
        note("it takes no `json_schema`: the schema was sent in words")
        kept = None
    else:
        note("it takes no `json_schema`: the schema was sent in words, with `json_object`")
        kept = ResponseFormat(type="json_object")
    return asked_in_words(request).model_copy(update={"response_format": kept})


def asked_in_words(request: Request) -> Request:
    """Return the request with its response format in the system text too."""
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return request
    said = "Answer with one JSON object and nothing else: no explanation, no code fence."
    if wanted.json_schema is not None:
        said += f" It must fit this JSON Schema:\n{to_json(wanted.json_schema).decode()}"
    first, *rest = request.messages
    if first.role == "system":
        system = first.model_copy(update={"content": f"{first.text}\n\n{said}"})
        return request.model_copy(update={"messages": (system, *rest)})
    return request.model_copy(update={"messages": (Message(role="system", content=said), first, *rest)})


def format_for(wanted: ResponseFormat, strict_schema: object, notes: list[str]) -> dict[str, Any]:
    """Return a ``json_schema`` format as OpenAI and DashScope want it.

    :param strict_schema: the vendor's quirk; None is a vendor that takes ``strict`` as the caller says.
    """
    strict = wanted.strict
    schema = wanted.json_schema
    if isinstance(strict_schema, Mapping) and strict and schema is not None:
        rewritten = closed(schema, strict_schema.get("drop", ()), strict_schema.get("cannot", ()))
        if rewritten is None and strict == "auto":
            notes.append("the schema is not enforced by the vendor: its strict form cannot say it")
        elif rewritten is not None:
            if rewritten != schema:
                notes.append("the schema was rewritten to the vendor's strict form: every property is required")
            strict, schema = True, rewritten
    elif strict_schema is False and strict is True:
        notes.append("`strict` was not sent: the vendor does not enforce schemas")
        strict = None
    asked: dict[str, Any] = {"name": wanted.name, "schema": schema}
    if isinstance(strict, bool):
        asked["strict"] = strict
    return {"type": "json_schema", "json_schema": asked}


def closed(
    schema: Mapping[str, Any], drop: Collection[str] = (), cannot: Collection[str] = ()
) -> dict[str, Any] | None:
    """Return the schema with every property required and every object closed; None where that would say another thing.

    :param drop: keywords to leave out.
    :param cannot: keywords that cannot be said.

    >>> closed({"type": "object", "properties": {"a": {"type": "string", "default": ""}}}, drop=["default"])
    {'type': 'object', 'properties': {'a': {'type': 'string'}}, 'required': ['a'], 'additionalProperties': False}
    """
    try:
        found: dict[str, Any] = _closed(schema, frozenset(drop), frozenset(cannot))
    except _OpenError:
        return None
    return found


class _OpenError(Exception):
    """The schema allows what is not named, or has a keyword that cannot be said."""


def _closed(schema: Any, drop: frozenset[str], cannot: frozenset[str]) -> Any:
    if not isinstance(schema, Mapping) or not schema or not cannot.isdisjoint(schema):
        raise _OpenError
    kept = ("$ref", *_TABLES) if "$ref" in schema else schema  # what stands beside a reference is refused
    found = {key: _inside(key, value, drop, cannot) for key, value in schema.items() if key in kept and key not in drop}
    if "oneOf" in found and "anyOf" not in found:
        found["anyOf"] = found.pop("oneOf")
    if found.get("type") == "object" or "properties" in found:
        if found.get("additionalProperties", False) is not False or not found.get("properties"):
            raise _OpenError
        found |= {"required": list(found["properties"]), "additionalProperties": False}
    return found


def _inside(key: str, value: Any, drop: frozenset[str], cannot: frozenset[str]) -> Any:
    if key in _TABLES and isinstance(value, Mapping):
        return {name: _closed(each, drop, cannot) for name, each in value.items()}
    if key in _LISTS and isinstance(value, list | tuple):
        return [_closed(each, drop, cannot) for each in value]
    return _closed(value, drop, cannot) if key == "items" else value
