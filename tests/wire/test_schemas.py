"""A JSON Schema for those who take one, take a part of one, or take none."""

from __future__ import annotations

import json
from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from multimodel.providers.catalogue import profiles
from multimodel.types import Message, Request
from multimodel.wire import Dialect, codec_for
from multimodel.wire.schemas import asked_in_words, closed, fitted

STRICT = profiles({})["openai"].quirks["strict_schema"]
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED = {**OBJECT, "additionalProperties": False}


def sent(quirk: Any, wire: str = "openai_chat", **wanted: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The `json_schema` that goes out, and the notes."""
    request = Request(messages="Hi", response_format={"type": "json_schema", "name": "risk", **wanted})
    quirks = {} if quirk is None else {"strict_schema": quirk}
    out = codec_for(wire).encode(request, "m", Dialect(quirks=quirks), stream=False, path=None)
    body = json.loads(out.body)
    return body.get("parameters", body)["response_format"]["json_schema"], out.notes


@pytest.mark.parametrize("wire", ["openai_chat", "dashscope"])
@pytest.mark.parametrize(
    ("quirk", "strict", "schema", "told"),
    [
        (None, None, OBJECT, None),
        (None, False, OBJECT, False),
        (None, True, OBJECT, True),
        (None, "auto", OBJECT, None),
        (False, True, OBJECT, None),
        (False, "auto", OBJECT, None),
        (STRICT, None, OBJECT, None),
        (STRICT, False, OBJECT, False),
        (STRICT, True, CLOSED, True),
        (STRICT, "auto", CLOSED, True),
    ],
)
def test_strict_is_sent_as_the_vendor_wants_it(wire: str, quirk: Any, strict: Any, schema: Any, told: Any):
    found, notes = sent(quirk, wire, json_schema=OBJECT, strict=strict)
    assert found == {"name": "risk", "schema": schema, **({} if told is None else {"strict": told})}
    assert bool(notes) == (schema is CLOSED or (quirk is False and strict is True))


def test_what_the_strict_form_cannot_say_is_not_enforced():
    free = {"type": "object", "additionalProperties": {"type": "integer"}}
    found, notes = sent(STRICT, json_schema=free, strict="auto")
    assert found == {"name": "risk", "schema": free}
    assert notes == ("the schema is not enforced by the vendor: its strict form cannot say it",)
    assert sent(STRICT, json_schema=free, strict=True)[0]["strict"] is True


class Kind(BaseModel):
    kind: Literal["kind"] = "kind"
    note: str | None = None


class Other(BaseModel):
    kind: Literal["other"]
    below: list[Other] = Field(default_factory=list, description="More of them")


class Whole(BaseModel):
    format: str = Field("x", min_length=1, pattern="x")
    one: Kind = Field(default_factory=Kind, description="The one")
    either: Kind | Other = Field(discriminator="kind")


def test_a_schema_of_pydantic_becomes_strict():
    schema = closed(Whole.model_json_schema(), **STRICT)
    assert schema is not None
    assert schema["required"] == ["format", "one", "either"]
    assert schema["properties"]["format"] == {"type": "string", "pattern": "x", "title": "Format"}
    assert schema["properties"]["one"] == {"$ref": "#/$defs/Kind"}
    assert set(schema["properties"]["either"]) == {"anyOf", "title"}
    assert [one["additionalProperties"] for one in schema["$defs"].values()] == [False, False]
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"allOf": [OBJECT]}}},
        {**OBJECT, "additionalProperties": True},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        {"type": "object", "properties": {"a": {"type": "array", "items": {}}}},
    ],
)
def test_what_allows_more_than_it_names_has_no_strict_form(schema: dict[str, Any]):
    assert closed(schema, **STRICT) is None


LEAVES = st.sampled_from(
    [{"type": "string", "minLength": 1}, {"type": "integer"}, {"enum": ["a", 1]}, {"type": "null"}]
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda below: (
        st.builds(
            lambda properties, needed: {
                "type": "object",
                "properties": properties,
                "required": [name for name in properties if name in needed],
            },
            st.dictionaries(st.sampled_from(["a", "b", "format", "default"]), below, min_size=1),
            st.sets(st.sampled_from(["a", "b"])),
        )
        | st.builds(lambda items: {"type": "array", "items": items}, below)
        | st.builds(lambda one, other: {"oneOf": [one, other]}, below, below)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(SCHEMAS)
def test_the_strict_form_is_made_once_and_of_a_copy(schema: dict[str, Any]):
    before = json.dumps(schema)
    strict = closed(schema, **STRICT)
    assert strict is not None
    assert closed(strict, **STRICT) == strict
    assert json.dumps(schema) == before
    jsonschema.Draft202012Validator.check_schema(strict)
    if schema.get("type") == "object":
        assert list(strict["properties"]) == list(schema["properties"]) == strict["required"]


# --- in words ---


def wants(kind: str, *messages: Any) -> Request:
    given = {"json_schema": OBJECT} if kind == "json_schema" else {}
    return Request(messages=messages or "Hi", response_format={"type": kind, **given})


def test_a_schema_in_words_joins_the_system_text():
    (system, user) = asked_in_words(wants("json_schema")).messages
    assert (system.role, user.text) == ("system", "Hi")
    assert json.dumps(OBJECT, separators=(",", ":")) in system.text
    both = asked_in_words(
        wants("json_object", Message(role="system", content="Be brief."), Message(role="user", content="?"))
    )
    assert len(both.messages) == 2
    assert both.messages[0].text.startswith("Be brief.\n\nAnswer with one JSON object")
    for plain in (Request(messages="Hi"), wants("text")):
        assert asked_in_words(plain) is plain


@pytest.mark.parametrize(
    ("kind", "lacks", "left", "words"),
    [
        ("json_schema", set(), "json_schema", 0),
        ("json_schema", {"json_object"}, "json_schema", 0),
        ("json_schema", {"json_schema"}, "json_object", 1),
        ("json_schema", {"json_schema", "json_object"}, None, 1),
        ("json_object", {"json_schema"}, "json_object", 0),
        ("text", {"json_schema"}, "text", 0),
    ],
)
def test_a_request_fits_what_its_target_can(kind: str, lacks: set[str], left: str | None, words: int):
    notes: list[str] = []
    request = fitted(wants(kind), lacks, notes.append)
    assert (request.response_format.type if request.response_format else None) == left
    assert len(request.messages) == 1 + words
    assert len(notes) == words
