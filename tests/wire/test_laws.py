"""What holds for every format and every answer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from multimodel.errors import CallError
from multimodel.types import Finished

from .reading import JSON, RECORDED, STREAM, chunk, frame, read, recorded, sse

FILES = sorted(file.name for file in RECORDED.iterdir() if file.suffix in (".sse", ".json"))
WIRES = ["openai_chat", "dashscope"]


def wire_of(name: str) -> str:
    return "dashscope" if name.startswith("dashscope") else "openai_chat"


def facts(error: CallError | None) -> tuple[object, ...]:
    return (error.kind, error.code, error.request_id, error.status) if error else ()


def result(wire: str, chunks: object, headers: dict[str, str]) -> tuple[object, tuple[object, ...]]:
    events, error = read(wire, chunks, headers)  # type: ignore[arg-type]  # bytes or their pieces
    return events, facts(error)


@pytest.mark.parametrize("name", FILES)
def test_a_recorded_answer_cut_at_any_byte_gives_the_same_events(name: str):
    data, wire = recorded(name), wire_of(name)
    headers = STREAM if name.endswith("sse") else JSON
    whole = result(wire, data, headers)
    for place in range(len(data)):
        assert result(wire, [data[:place], data[place:]], headers) == whole
    assert result(wire, [data[index : index + 1] for index in range(len(data))], headers) == whole


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_a_recorded_answer_with_other_line_ends_gives_the_same_events(name: str, end: bytes):
    data, wire = recorded(name), wire_of(name)
    other = data.replace(b"\n", end)
    assert result(wire, other, STREAM) == result(wire, data, STREAM)
    assert result(wire, [other[index : index + 1] for index in range(len(other))], STREAM) == result(wire, data, STREAM)


@pytest.mark.parametrize("name", FILES)
def test_a_recorded_answer_that_breaks_off_anywhere_is_never_a_different_success(name: str):
    data, wire = recorded(name), wire_of(name)
    events, _ = read(wire, data)
    for place in range(len(data)):
        some, error = read(wire, data[:place])
        if error is None:
            assert some[:-1] == events[:-1]
        else:
            assert some == events[: len(some)]
            assert not any(isinstance(event, Finished) for event in some)


PAYLOADS = st.one_of(
    st.sampled_from(["[DONE]", "oops", "{", "[]", "null", ""]),
    st.builds(chunk, st.none() | st.text(max_size=4), st.sampled_from([None, "stop", "null", "error", "content_filter"])),
    st.builds(frame, st.text(max_size=4) | st.just([]), st.sampled_from(["null", None, "stop", "length"])),
    st.builds(
        lambda index, identity, name, arguments: chunk(tool_calls=[{"index": index, "id": identity, "function": {"name": name, "arguments": arguments}}]),
        st.none() | st.integers(-1, 2), st.none() | st.sampled_from(["", "a", "b"]), st.none() | st.sampled_from(["", "f", "g"]), st.text(max_size=3),
    ),
    st.just({"error": {"type": "overloaded_error"}}),
    st.just({"code": "Throttling", "message": "x"}),
    st.just({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}),
)  # fmt: skip
STREAMS = st.lists(st.builds(lambda before, payload, end: before + sse(payload, end=end), st.sampled_from([b"", b": x\n", b"event:error\n", b"id:1\r\n"]), PAYLOADS, st.sampled_from(["\n\n", "\r\n\r\n", "\r\r", "\n"])), max_size=6).map(b"".join)  # fmt: skip


@pytest.mark.parametrize("wire", WIRES)
@given(data=STREAMS, cuts=st.lists(st.integers(0, 400), max_size=6))
def test_any_stream_cut_anyhow_gives_the_same_events(wire: str, data: bytes, cuts: list[int]):
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = [data[start:stop] for start, stop in pairwise(places)]
    single = [data[index : index + 1] for index in range(len(data))]
    whole = result(wire, [data], STREAM)
    assert result(wire, parts, STREAM) == whole
    assert result(wire, single, STREAM) == whole


NAMES = ["choices", "delta", "message", "content", "tool_calls", "index", "id", "function", "name", "arguments", "finish_reason",
         "usage", "prompt_tokens", "error", "code", "output", "text", "reasoning_content", "object", "model", "request_id", "type", "thinking"]  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3) | st.sampled_from(["stop", "error", "null"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("wire", WIRES)
@settings(max_examples=300)
@given(values=st.lists(JUNK, max_size=4))
def test_json_of_any_shape_raises_nothing_but_call_errors(wire: str, values: list[object]):
    read(wire, sse(*values))
    for value in values:
        read(wire, to_json(value), JSON)


@pytest.mark.parametrize("wire", WIRES)
@given(
    chunks=st.lists(
        st.binary(max_size=40) | st.sampled_from([b"data:", b"\n\n", b'{"choices":[', b"event:error\n", b"]}"]),
        max_size=8,
    )
)
def test_random_bytes_raise_nothing_but_call_errors(wire: str, chunks: list[bytes]):
    for headers in (STREAM, JSON):
        events, error = read(wire, chunks, headers)
        assert error is not None or isinstance(events[-1], Finished)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "bomb",
    [b"[" * 10**6, b'{"a":' * 10**6, b'{"choices":[{"delta":{"content":' + b"9" * 10**6 + b"}}]}", b'{"usage":1e99999}', b'{"a":"' + b"\\u0000" * 10**5 + b'"}'],
)  # fmt: skip
def test_json_bombs_are_no_answers(wire: str, bomb: bytes):
    for data, headers in ((bomb, JSON), (b"data: " + bomb + b"\n\n", STREAM)):
        _, error = read(wire, data, headers)
        assert error is not None
        assert error.kind in ("invalid_response", "truncated_stream")


@pytest.mark.parametrize("wire", WIRES)
def test_a_million_events_and_more_are_no_answer(wire: str):
    _, error = read(wire, [b"data:{}\n" * 10_000] * 101)
    assert error is not None
    assert error.kind == "invalid_response"
