from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as some
from jsonschema import validate

from multimodel.testing import FaultyVendor, Reply
from multimodel.testing.reply import fragments, pieces
from multimodel.testing.speech import sample
from multimodel.types import Request, ToolCall

from .raw import request


@given(some.text(), some.integers(1, 5))
def test_the_pieces_of_a_text_are_the_text(text: str, words: int):
    assert "".join(pieces(text, words)) == text


@given(some.text())
def test_the_fragments_of_arguments_are_the_arguments(text: str):
    assert "".join(fragments(text)) == text


REPLIES = some.builds(
    Reply,
    some.text(some.characters(exclude_categories=["Cs"])),
    some.text(some.characters(exclude_categories=["Cs"])),
    some.lists(
        some.builds(ToolCall, id=some.just("1"), name=some.just("f"), arguments=some.text('ab"{} ')), max_size=3
    ),
)


@given(REPLIES, some.integers(1, 3), some.sampled_from(["openai", "compatible"]))
def test_a_stream_spells_the_reply(reply: Reply, words: int, wire: str):
    events = played(reply, words, request(wire, stream=True))
    deltas = [choice["delta"] for event in events[:-1] for choice in json.loads(event[5:])["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == reply.text
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == reply.reasoning
    assert arguments(delta.get("tool_calls") for delta in deltas) == [call.arguments for call in reply.tool_calls]
    assert events[-1] == b"data: [DONE]"


@given(REPLIES, some.integers(1, 3))
def test_a_native_stream_spells_the_reply(reply: Reply, words: int):
    events = played(reply, words, request("dashscope", stream=True))
    messages = [message(event) for event in events]
    assert "".join(one["content"] for one in messages) == reply.text
    assert "".join(one.get("reasoning_content", "") for one in messages) == reply.reasoning
    assert arguments(one.get("tool_calls") for one in messages) == [call.arguments for call in reply.tool_calls]


@given(REPLIES, some.integers(1, 3))
def test_a_cumulative_stream_ends_with_the_reply(reply: Reply, words: int):
    last = message(played(reply, words, request("dashscope", stream=True, incremental_output=False))[-1])
    assert (last["content"], last.get("reasoning_content", "")) == (reply.text, reply.reasoning)
    assert [call["function"]["arguments"] for call in last.get("tool_calls", [])] == [
        call.arguments for call in reply.tool_calls
    ]


def message(event: bytes) -> dict:
    return json.loads(event.partition(b"\ndata:")[2])["output"]["choices"][0]["message"]


def arguments(calls: object) -> list[str]:
    found: dict[int, str] = {}
    for given_calls in calls:  # type: ignore[attr-defined]
        for call in given_calls or ():
            found[call["index"]] = found.get(call["index"], "") + call["function"]["arguments"]
    return [found[index] for index in sorted(found)]


def played(reply: Reply, words: int, raw: bytes) -> list[bytes]:
    """The events of an answer, without a socket."""
    vendor = FaultyVendor(answer=reply)
    vendor.words = words
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    _, script = vendor._site.respond(0, "POST", lines[0].split()[1], headers, body, len(body))
    chunks = [action for action in script if isinstance(action, bytes)]
    return [chunk.partition(b"\r\n")[2].removesuffix(b"\n\n\r\n") for chunk in chunks[1:-1]]


def test_a_sample_fits_a_schema_of_pydantic():
    schema = Request.model_json_schema()
    validate(sample({"$ref": "#/$defs/ToolCall", **schema}), {**schema["$defs"]["ToolCall"]})
