"""Schemas and answers that are made to be judged badly: each is an error in our words, in linear time."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel import AllTargetsFailedError, BadRequestError, Client, Completion, ToolCall
from multimodel.testing import FakeProvider, Reply
from multimodel.types.schema import MisfitError, Shape, json_text

BLOCK = re.compile(r"^[ \t]*```[A-Za-z]*[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)


def ask(fake: FakeProvider, **options: Any) -> Completion[Any]:
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        return client.complete("chat", "Hi", **options)


def formatted(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}


@pytest.mark.parametrize("name", [5, [], {}])
def test_a_schema_of_an_unreadable_kind_is_refused_before_anything_is_sent(name: object):
    fake = FakeProvider(["{}"])
    with pytest.raises(BadRequestError, match="`response_format`: it is no JSON Schema"):
        ask(fake, response_format=formatted({"$schema": name}))
    assert not fake.attempts


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"$ref": "#"}, "{}"),
        ({"properties": {"a": {"multipleOf": 0.1}}}, '{"a": 1e400}'),
        ({"properties": {"a": {"$ref": "http://[/"}}}, '{"a": "x"}'),
    ],
)
def test_an_answer_that_cannot_be_judged_is_a_misfit(schema: dict[str, Any], text: str):
    shape = Shape.from_schema("it", schema)
    with pytest.raises(MisfitError):
        shape.parse(text)


def test_a_schema_that_is_its_own_reference_ends_the_call_with_an_error_of_ours():
    with pytest.raises(AllTargetsFailedError):
        ask(FakeProvider(["{}", "{}"]), response_format=formatted({"$ref": "#"}))


def scale(by: float) -> None:
    """Scale it."""


@pytest.mark.parametrize(
    "tool",
    [
        scale,
        {"name": "scale", "parameters": {"properties": {"by": {"multipleOf": 0.1}}}},
        {"name": "scale", "parameters": {"$schema": 5}},
    ],
)
@pytest.mark.parametrize("number", ["Infinity", "NaN"])
def test_arguments_that_are_no_json_numbers_are_asked_for_once_more(tool: Any, number: str):
    wrong, good = (
        Reply(tool_calls=(ToolCall(id="c1", name="scale", arguments=f'{{"by": {one}}}'),)) for one in (number, "0")
    )
    fake = FakeProvider([wrong, good])
    assert ask(fake, tools=[tool]).tool_calls == good.tool_calls
    assert "the arguments of `scale` are not JSON" in fake.attempts[1].request.messages[-1].text


@pytest.mark.parametrize("text", ["```a\n" * 8000, "```\n```\n" * 8000, "```a\n```\n{" * 4000])
def test_fences_without_number_are_read_in_linear_time(text: str):
    begun = time.process_time()
    with pytest.raises(MisfitError):
        json_text(text)
    assert time.process_time() - begun < 0.5


@given(st.lists(st.sampled_from(["```", "```json", " ``` ", "\t```a\t", "``` a", "1", "x", "", "````"]), max_size=9))
def test_a_block_is_what_stands_between_two_fences(lines: list[str]):
    text = "\n".join(lines)
    whole = text.strip()
    blocks = BLOCK.findall(whole)
    wanted = "1" if whole == "1" or (len(blocks) == 1 and blocks[0].strip() == "1") else None
    try:
        found: str | None = json_text(text)
    except MisfitError:
        found = None
    assert found == wanted


def test_of_very_many_misfits_a_few_are_looked_for():
    shape = Shape.from_schema("it", {"items": {"type": "string"}})
    begun = time.process_time()
    with pytest.raises(MisfitError) as caught:
        shape.parse(f"[{'1,' * 200_000}1]")
    assert time.process_time() - begun < 0.5
    assert caught.value.detail.count("is not of type") == 5


def test_what_is_said_of_a_misfit_is_short():
    shape = Shape.from_schema("it", {"additionalProperties": {"type": "string"}})
    with pytest.raises(MisfitError) as caught:
        shape.parse(f'{{"{"a" * 100_000}": {[0] * 100_000}}}')
    assert len(caught.value.detail) < 1000


def _anything(*args, **kwargs):
    """Take anything."""


@pytest.mark.parametrize("tool", [_anything, print])
def test_a_function_whose_arguments_are_no_schema_is_a_bad_request(tool):
    with Client({"routes": {"chat": {"chain": ["fake:m"]}}}, providers={"fake": FakeProvider()}) as client:
        with pytest.raises(BadRequestError, match="JSON Schema"):
            client.complete("chat", "x", tools=[tool])
