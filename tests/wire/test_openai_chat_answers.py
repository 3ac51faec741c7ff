from __future__ import annotations

from typing import Any

import pytest

from multimodel import errors
from multimodel.types import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from multimodel.wire import Dialect, ErrorRule
from multimodel.wire.openai_chat import OpenAIChatCodec

from .reading import JSON, STREAM, answer, calls_of, chunk, failure, finish_of, read, recorded, sse, text_of, thought_of

WIRE = "openai_chat"
HELLO = chunk("Hello")
STOP = chunk(finish="stop")


def test_a_recorded_stream_of_text_is_read():
    assert answer(WIRE, recorded("openai_text.sse")) == [
        TextDelta("Grüße"),
        TextDelta(" 你好 🌊\n"),
        Finished("stop", Usage(input_tokens=9, output_tokens=5, total_tokens=14, cached_tokens=4, reasoning_tokens=2), "gpt-4o-mini-2024-07-18", "chatcmpl-1"),
    ]  # fmt: skip


def test_a_recorded_stream_of_parallel_tool_calls_is_read():
    events = answer(WIRE, recorded("openai_tools.sse"))
    assert events[0] == ToolCallDelta(0, "call_a", "add", "")
    assert calls_of(events) == {0: ("call_a", "add", '{"a": 1, "b": 2}'), 1: ("call_b", "now", "{}")}
    assert finish_of(events).reason == "tool_calls"


def test_reasoning_under_another_name_usage_after_the_end_and_comments_are_read():
    events = answer(WIRE, recorded("reasoning_openrouter.sse"))
    assert (thought_of(events), text_of(events)) == ("The", "Fünf")
    assert finish_of(events).usage.reasoning_tokens == 1


def test_a_recorded_whole_answer_is_read():
    events = answer(WIRE, recorded("openai_whole.json"), JSON)
    assert events == [
        TextDelta("Grüße 🌊"),
        Finished("stop", Usage(input_tokens=9, output_tokens=3, total_tokens=12), "gpt-4o", "chatcmpl-3"),
    ]


# --- whole or stream ---


@pytest.mark.parametrize(
    "label",
    ["text/event-stream", "application/json", "", "Application/JSON; charset=utf-8", "application/problem+json"],
)
@pytest.mark.parametrize(
    "body",
    [sse(HELLO, STOP, "[DONE]"), recorded("openai_whole.json"), b"\xef\xbb\xbf\n " + recorded("openai_whole.json")],
)
def test_the_first_byte_tells_whole_from_stream_whatever_the_label(label: str, body: bytes):
    headers = {"content-type": label} if label else {}
    assert text_of(answer(WIRE, body, headers)) in ("Hello", "Grüße 🌊")


@pytest.mark.parametrize("label", ["text/html", "text/plain", "image/png", "application/octet-stream", "x"])
def test_a_foreign_content_type_is_no_answer(label: str):
    with pytest.raises(errors.InvalidResponseError, match="content type"):
        OpenAIChatCodec().decoder(Dialect(), {"content-type": label})


def test_a_page_is_no_answer_whatever_its_label():
    assert isinstance(failure(WIRE, b"<!DOCTYPE html><p>Sign in", JSON), errors.InvalidResponseError)


def test_an_empty_body_is_no_answer_and_an_empty_stream_is_cut():
    assert isinstance(failure(WIRE, b"", JSON), errors.InvalidResponseError)
    assert isinstance(failure(WIRE, b" \n", JSON), errors.InvalidResponseError)
    assert isinstance(failure(WIRE, b": ping\n\n"), errors.TruncatedStreamError)


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[]}',
        b"{}",
        b"[]",
        b"[1]",
        b'{"choices":{}}',
        b'{"object":"list","data":[]}',
        b'{"choices":null}',
        b'{"detail":"x"}',
    ],
)
def test_json_without_choices_is_no_answer(body: bytes):
    assert isinstance(failure(WIRE, body, JSON), errors.InvalidResponseError)


@pytest.mark.parametrize(
    "body",
    [
        b"{]",
        b'{"choices":[}',
        b"{'a':1}",
        b'{"choices":NaN}',
        b"[[" * 40 + b"]]" * 40,
        b"[" * 100_000,
        b'{"a":1e400}',
        b'{"a":\xff}',
        b'{"choices":[]} x',
    ],
)
def test_a_body_that_is_no_json_within_the_limits_is_no_answer(body: bytes):
    assert isinstance(failure(WIRE, body, JSON), errors.InvalidResponseError)


def test_a_whole_body_that_stops_in_the_middle_is_a_truncated_answer():
    body = recorded("openai_whole.json").rstrip()
    for stop in (1, 20, 150, len(body) - 1):
        assert isinstance(failure(WIRE, body[:stop], JSON), errors.TruncatedStreamError)


def test_a_body_of_more_than_32_mebibytes_is_no_answer():
    chunks = [b'{"a":"' + b"x" * 2**20, *[b"x" * 2**20] * 32]
    assert isinstance(failure(WIRE, chunks, JSON), errors.InvalidResponseError)


def test_a_whole_answer_without_a_finish_reason_is_truncated():
    body = b'{"choices":[{"message":{"content":"Hal"},"finish_reason":null}]}'
    assert isinstance(failure(WIRE, body, JSON), errors.TruncatedStreamError)


# --- the end ---


def test_done_is_not_needed():
    assert finish_of(answer(WIRE, sse(HELLO, STOP))).reason == "stop"


def test_done_is_not_enough():
    assert isinstance(failure(WIRE, sse(HELLO, "[DONE]")), errors.TruncatedStreamError)


def test_a_stream_that_ends_without_a_finish_reason_is_truncated_after_its_content():
    events, error = read(WIRE, sse(HELLO) + b'data: {"choices":[{"del')
    assert events == [TextDelta("Hello")]
    assert isinstance(error, errors.TruncatedStreamError)


def test_terminal_and_done_tell_when_to_stop_reading():
    decoder = OpenAIChatCodec().decoder(Dialect(), STREAM)
    seen = []
    for payload in (HELLO, STOP, "[DONE]"):
        list(decoder.feed(sse(payload)))
        seen.append((decoder.terminal, decoder.done))
    assert seen == [(False, False), (True, False), (True, True)]


def test_an_event_of_usage_alone_after_the_finish_reason_is_the_last_one():
    decoder = OpenAIChatCodec().decoder(Dialect(), STREAM)
    list(decoder.feed(sse(HELLO, STOP, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})))
    assert decoder.done


@pytest.mark.parametrize(
    "after", [chunk("more"), chunk(finish="length"), {"error": {"message": "late"}}, "oops", {"choices": "x"}]
)
def test_what_follows_the_finish_reason_is_ignored(after: object):
    assert answer(WIRE, sse(HELLO, STOP, after)) == [TextDelta("Hello"), Finished("stop", None, "m-1", "chatcmpl-9")]


def test_a_limit_passed_after_the_finish_reason_is_no_error():
    assert finish_of(answer(WIRE, sse(HELLO, STOP) + b":" + b"x" * 2**21)).reason == "stop"


CALL = {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("said", "meant"),
    [("stop", "stop"), ("STOP", "stop"), ("eos", "stop"), ("end_turn", "stop"), ("stop_sequence", "stop"),
     ("length", "length"), ("MAX_TOKENS", "length"), ("max_output_tokens", "length"), ("model_length", "length"),
     ("content_filter", "content_filter"), ("SAFETY", "content_filter"), ("content_filter: SAFETY", "content_filter"),
     ("RECITATION", "content_filter"), ("PROHIBITED_CONTENT", "content_filter"), ("sensitive", "content_filter")],
)  # fmt: skip
def test_finish_reasons_are_put_into_our_words(said: str, meant: str):
    assert finish_of(answer(WIRE, sse(HELLO, chunk(finish=said)))).reason == meant


@pytest.mark.parametrize("said", ["tool_calls", "function_call", "tool_use", "TOOL_CALLS", "stop"])
def test_an_answer_with_tool_calls_ends_for_tool_calls(said: str):
    assert finish_of(answer(WIRE, sse(chunk(tool_calls=[CALL]), chunk(finish=said)))).reason == "tool_calls"


@pytest.mark.parametrize("headers", [STREAM, JSON])
def test_tool_calls_as_a_reason_without_any_is_no_answer(headers: dict[str, str]):
    body = sse(chunk("Hello", "tool_calls"))
    events, error = read(WIRE, body if headers is STREAM else body[6:], headers)
    assert text_of(events) == "Hello"
    assert isinstance(error, errors.InvalidResponseError)


@pytest.mark.parametrize("said", ["timeout", "cancelled", "incomplete", "connection_error", "MALFORMED_FUNCTION_CALL"])
@pytest.mark.parametrize("headers", [STREAM, JSON])
def test_an_unknown_finish_reason_is_no_success_but_an_error_after_the_content(said: str, headers: dict[str, str]):
    body = sse(chunk("Hello", said))
    events, error = read(WIRE, body if headers is STREAM else body[6:], headers)
    assert events == [TextDelta("Hello")]
    assert isinstance(error, errors.TruncatedStreamError)
    assert (error.code, error.request_id) == (said, "chatcmpl-9")


def test_a_finish_reason_that_could_be_a_text_is_not_shown():
    assert failure(WIRE, sse(chunk("Hello", "the answer: Grüße"))).code is None
    assert failure(WIRE, sse(chunk(finish="content_filter: Grüße"))).code is None


@pytest.mark.parametrize("said", [None, "", "null", 7, ["stop"]])
def test_a_finish_reason_that_says_nothing_is_none(said: Any):
    assert isinstance(failure(WIRE, sse(chunk("Hello", said))), errors.TruncatedStreamError)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("insufficient_system_resource", "overloaded"),
        ("network_error", "server_error"),
        ("error", "server_error"),
        ("abort", "server_error"),
        ("ABORT", "server_error"),
    ],
)
def test_a_finish_reason_that_admits_a_failure_is_an_error_after_the_content(reason: str, kind: str):
    events, error = read(WIRE, sse(HELLO, chunk(" you", reason)))
    assert text_of(events) == "Hello you"
    assert (error.kind, error.code) == (kind, reason)


def test_a_content_filter_before_any_content_is_an_error():
    assert isinstance(failure(WIRE, sse(chunk(finish="content_filter"))), errors.ContentFilteredError)
    body = b'{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}'
    assert isinstance(failure(WIRE, body, JSON), errors.ContentFilteredError)


def test_a_content_filter_after_content_ends_the_answer():
    assert finish_of(answer(WIRE, sse(chunk("Hel", "content_filter")))).reason == "content_filter"


# --- content ---


def test_content_of_null_or_empty_gives_no_event():
    assert len(answer(WIRE, sse(chunk(None, role="assistant"), chunk(""), STOP))) == 1


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_apart_from_text_and_before_it(name: str):
    events = answer(WIRE, sse(chunk("Yes", **{name: "Hm"}), STOP))
    assert events[:2] == [ReasoningDelta("Hm"), TextDelta("Yes")]


def test_reasoning_under_both_names_is_given_once():
    assert thought_of(answer(WIRE, sse(chunk(reasoning_content="Hm", reasoning="Hm"), STOP))) == "Hm"


def test_content_in_parts_is_read_with_its_thinking():
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
        {"type": "text", "text": "Yes"},
        {"type": "reference"},
        3,
    ]
    events = answer(WIRE, sse(chunk(content=parts), STOP))
    assert (thought_of(events), text_of(events)) == ("Hm", "Yes")


def test_a_refusal_is_text():
    said = answer(WIRE, sse(chunk(refusal="I cannot"), STOP))
    assert text_of(said) == "I cannot"
    assert said[-1].reason == "content_filter"


@pytest.mark.parametrize("content", [7, True, {"a": 1}])
def test_content_of_another_kind_is_no_answer(content: object):
    assert isinstance(failure(WIRE, sse(chunk(content=content), STOP)), errors.InvalidResponseError)


def test_only_the_first_choice_is_read():
    second = {"choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": "stop"}]}
    assert text_of(answer(WIRE, sse(HELLO, second, STOP))) == "Hello"


def test_events_of_unknown_shape_are_skipped():
    strange = [{}, {"object": "x"}, {"choices": None}, {"choices": [None, 3, {}]}, {"choices": [{"delta": "x"}]}]
    assert text_of(answer(WIRE, sse(HELLO, *strange, STOP))) == "Hello"


def test_an_event_of_an_unknown_name_that_is_no_json_is_skipped():
    assert text_of(answer(WIRE, sse(HELLO) + b"event: ping\ndata: 12:00\n\n" + sse(STOP))) == "Hello"


def test_an_event_that_is_no_json_breaks_the_answer_after_what_came_before():
    events, error = read(WIRE, sse(HELLO, '{"choices": [oops', chunk("more"), STOP))
    assert events == [TextDelta("Hello")]
    assert isinstance(error, errors.InvalidResponseError)


def test_whole_chunks_with_message_instead_of_delta_are_read():
    whole = {"choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}]}
    assert text_of(answer(WIRE, sse(whole))) == "Hello"


# --- tool calls ---


def pieces(*each: dict[str, Any]) -> dict[int, tuple[str | None, str | None, str]]:
    return calls_of(answer(WIRE, sse(*(chunk(tool_calls=[piece]) for piece in each), STOP)))


def piece(arguments: Any = "", *, id: str | None = None, name: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: A002
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def test_id_and_name_are_given_once_and_never_overwritten():
    repeated = [
        piece("{", id="a", name="f", index=0),
        piece("}", id="", name="", index=0),
        piece("", id="a", name="f", index=0),
        piece(" ", index=0),
    ]
    events = answer(WIRE, sse(*(chunk(tool_calls=[each]) for each in repeated), STOP))
    assert events[:-1] == [
        ToolCallDelta(0, "a", "f", "{"),
        ToolCallDelta(0, arguments="}"),
        ToolCallDelta(0),
        ToolCallDelta(0, arguments=" "),
    ]


def test_indexes_may_come_in_any_order():
    assert pieces(piece("{}", id="b", name="g", index=1), piece("{}", id="a", name="f", index=0)) == {
        1: ("b", "g", "{}"),
        0: ("a", "f", "{}"),
    }


@pytest.mark.parametrize("index", [{}, {"index": None}, {"index": -1}, {"index": "0"}, {"index": True}])
def test_without_an_index_the_id_tells_calls_apart(index: dict[str, Any]):
    found = pieces(
        piece('{"a":', id="a", name="f", **index),
        piece("1}", **index),
        piece("{", id="b", name="f", **index),
        piece("}", id="b", **index),
    )
    assert found == {0: ("a", "f", '{"a":1}'), 1: ("b", "f", "{}")}


def test_without_index_and_id_a_name_begins_the_next_call():
    assert pieces(piece("{}", name="f"), piece("{}", name="g")) == {0: (None, "f", "{}"), 1: (None, "g", "{}")}


def test_another_id_and_name_at_a_taken_index_begin_the_next_call():
    found = pieces(piece("{}", id="a", name="f", index=0), piece("{", id="b", name="g", index=0), piece("}", index=0))
    assert found == {0: ("a", "f", "{}"), 1: ("b", "g", "{}")}


@pytest.mark.parametrize("index", [True, False])
def test_equal_ids_in_one_answer_are_told_apart(index: bool):
    calls = [piece("{}", id=identity, name="f") for identity in ("x", "x", "x-2", "x")]
    if index:
        calls = [{**each, "index": place} for place, each in enumerate(calls)]
    found = calls_of(answer(WIRE, sse(chunk(tool_calls=calls), STOP)))
    assert found == {n: (i, "f", "{}") for n, i in enumerate(["x", "x-2", "x-2-2", "x-3"])}


def test_very_many_equal_ids_are_told_apart():
    calls = [piece("{}", id="x", name="f")] * 50_000
    whole = sse({"choices": [{"message": {"tool_calls": calls}, "finish_reason": "stop"}]})[6:]
    found = calls_of(answer(WIRE, whole, JSON))
    assert len({identity for identity, _, _ in found.values()}) == len(calls)


def test_an_id_that_was_told_apart_stays_so_when_it_is_repeated():
    first, second = piece("{}", id="x", name="f", index=0), piece("{", id="x", name="f", index=1)
    rest = piece("}", id="x", name="f", index=1)
    assert pieces(first, second, rest) == {0: ("x", "f", "{}"), 1: ("x-2", "f", "{}")}


@pytest.mark.parametrize("index", [{}, {"index": 0}])
def test_another_name_under_the_same_id_begins_the_next_call(index: dict[str, int]):
    found = pieces(piece("{}", id="x", name="f", **index), piece("{}", id="x", name="g", **index))
    assert found == {0: ("x", "f", "{}"), 1: ("x-2", "g", "{}")}


def test_the_legacy_function_call_is_a_tool_call():
    stream = [{"name": "f", "arguments": ""}, {"arguments": '{"a":'}, {"arguments": "1}"}]
    events = answer(WIRE, sse(*(chunk(function_call=each) for each in stream), chunk(finish="function_call")))
    assert calls_of(events) == {0: (None, "f", '{"a":1}')}
    assert finish_of(events).reason == "tool_calls"
    whole = {"message": {"content": None, "function_call": {"name": "f", "arguments": "{}"}}, "finish_reason": "stop"}
    events = answer(WIRE, sse({"choices": [whole]})[6:], JSON)
    assert calls_of(events) == {0: (None, "f", "{}")}
    assert finish_of(events).reason == "tool_calls"


@pytest.mark.parametrize("legacy", [None, {}, "f", 1])
def test_a_function_call_that_is_none_is_left_out(legacy: object):
    assert calls_of(answer(WIRE, sse(chunk("Hi", function_call=legacy), STOP))) == {}


def test_arguments_that_are_an_object_become_text():
    assert pieces(piece({"a": [1]}, id="a", name="f")) == {0: ("a", "f", '{"a":[1]}')}


@pytest.mark.parametrize(
    "calls", [{}, [None], [{"function": None}], [{"id": 1, "function": {"name": 2, "arguments": 3}}], "x", 7, True]
)
def test_what_is_no_tool_call_is_left_out(calls: object):
    assert calls_of(answer(WIRE, sse(chunk(tool_calls=calls), STOP))) == {}
    both = [*(calls if isinstance(calls, list) else [calls]), piece("{}", id="a", name="f")]
    assert calls_of(answer(WIRE, sse(chunk(tool_calls=both), STOP))) == {0: ("a", "f", "{}")}


@pytest.mark.parametrize("said", [{"id": "a"}, {"name": "f"}, {"arguments": "{}"}])
def test_a_piece_may_say_only_one_thing(said: dict[str, str]):
    call = piece(said.get("arguments", ""), id=said.get("id"), name=said.get("name"))
    assert pieces(call) == {0: (said.get("id"), said.get("name"), said.get("arguments", ""))}


def test_a_piece_that_says_nothing_begins_no_call():
    assert pieces(piece(), piece("", index=3), piece([1], index=4), piece("{}", id="a", name="f")) == {
        0: ("a", "f", "{}")
    }


def test_an_id_or_a_name_may_come_later_than_the_first_piece():
    found = pieces(piece("{", index=0), piece("", id="a", index=0), piece("}", name="f", index=0))
    assert found == {0: ("a", "f", "{}")}
    assert pieces(piece("{", name="f"), piece("", id="a"), piece("}", id="a")) == {
        0: (None, "f", "{"),
        1: ("a", None, "}"),
    }


def test_an_id_alone_at_a_taken_index_goes_on_with_its_call():
    assert pieces(piece("{", id="a", name="f", index=0), piece("}", id="b", index=0)) == {0: ("a", "f", "{}")}
    assert pieces(piece("{", id="a", name="f", index=0), piece("}", name="g", index=0)) == {0: ("a", "f", "{}")}


def test_a_piece_with_its_id_alone_finds_a_call_that_has_an_index():
    first, second = piece("{", id="a", name="f", index=2), piece("{", id="b", name="g", index=5)
    assert pieces(first, second, piece("}", id="a"), piece("}")) == {2: ("a", "f", "{}}"), 5: ("b", "g", "{")}


def test_calls_without_an_index_are_numbered_after_those_that_have_one():
    found = pieces(piece("{}", id="a", name="f", index=4), piece("{}", id="b", name="g"), piece("{}", id="c", name="h"))
    assert found == {4: ("a", "f", "{}"), 5: ("b", "g", "{}"), 6: ("c", "h", "{}")}
    found = pieces(
        piece("{}", id="a", name="f", index=4),
        piece("{}", id="b", name="g", index=1),
        piece("{}", id="c", name="h"),
        piece("{}", id="d", name="i", index=1),
    )
    assert found == {4: ("a", "f", "{}"), 1: ("b", "g", "{}"), 5: ("c", "h", "{}"), 6: ("d", "i", "{}")}


def test_a_call_that_took_the_place_of_another_is_the_one_that_goes_on():
    found = pieces(
        piece("{}", id="a", name="f", index=0),
        piece("{", id="b", name="f", index=0),
        piece("}", id="b", name="f", index=0),
        piece("{}", id="c", name="f", index=0),
    )
    assert found == {0: ("a", "f", "{}"), 1: ("b", "f", "{}"), 2: ("c", "f", "{}")}


def test_the_same_name_in_one_list_begins_the_next_call_but_not_in_the_next_list():
    twice = [piece("{", id="x", name="f"), piece("{", id="x", name="f")]
    events = answer(WIRE, sse(chunk(tool_calls=twice), chunk(tool_calls=[piece("}", id="x", name="f")]), STOP))
    assert calls_of(events) == {0: ("x", "f", "{"), 1: ("x-2", "f", "{}")}


# --- usage ---


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2}, (1, 2, 3, None, None)),
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 5}, (1, 2, 5, None, None)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}, (9, 2, 11, 4, None)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 3}, (9, 2, 11, 3, None)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": None}, (9, 2, 11, None, None)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 0}, "cached_tokens": 3}, (9, 2, 11, 0, None)),
        ({"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 0, "prompt_cache_hit_tokens": 3}, (9, 2, 11, 0, None)),
        ({"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 4}}, (9, 2, 11, 4, None)),
        ({"input_tokens": 9, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}}, (9, 2, 11, None, 1)),
        ({"prompt_tokens": 9, "input_tokens": 7, "completion_tokens": 2, "output_tokens": 3, "total_tokens": 0}, (9, 2, 0, None, None)),
        ({"prompt_tokens": "9", "input_tokens": 7, "completion_tokens": 0}, (7, 0, 7, None, None)),
        ({"prompt_tokens": 9}, None),
        ({"completion_tokens": 9}, None),
        ({"prompt_tokens": -1, "completion_tokens": 2}, None),
        ({"prompt_tokens": "9", "completion_tokens": 2}, None),
        ({"prompt_tokens": True, "completion_tokens": 2}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_usage_is_read_or_unknown(counts: dict[str, Any], usage: tuple[Any, ...] | None):
    found = finish_of(answer(WIRE, sse(HELLO, STOP, {"choices": [], "usage": counts}))).usage
    names = ("input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")
    assert (found and tuple(getattr(found, name) for name in names)) == usage


def test_the_last_usage_counts_wherever_it_stands():
    first, last = ({"prompt_tokens": 1, "completion_tokens": count} for count in (1, 2))
    assert finish_of(answer(WIRE, sse({**HELLO, "usage": first}, {**STOP, "usage": last}))).usage.output_tokens == 2
    moonshot = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": last}]}
    assert finish_of(answer(WIRE, sse(HELLO, moonshot))).usage.output_tokens == 2


def test_the_request_id_of_the_headers_comes_first():
    events = answer(WIRE, sse(HELLO, STOP), {**STREAM, "x-request-id": "req-7"})
    assert finish_of(events).request_id == "req-7"


# --- errors inside an answer of status 200 ---


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"error": {"message": "Overloaded", "type": "overloaded_error"}}, "overloaded"),
        ({"error": {"message": "slow", "type": "rate_limit_error", "code": None}}, "rate_limited"),
        ({"error": {"message": "x", "type": "BadRequestError", "param": None, "code": 400}}, "bad_request"),
        ({"object": "error", "message": "x", "type": "BadRequestError", "code": 400}, "bad_request"),
        (
            {
                "error": {"code": 502, "message": "down"},
                "choices": [{"delta": {"content": ""}, "finish_reason": "error"}],
            },
            "server_error",
        ),
        ({"error": {"message": "too long", "code": "context_length_exceeded"}}, "context_window_exceeded"),
        ({"error": "broken"}, "server_error"),
        ({"code": "Arrearage", "message": "pay"}, "server_error"),
    ],
)
@pytest.mark.parametrize("headers", [STREAM, JSON])
def test_an_error_object_is_classified_like_an_error_status(
    payload: dict[str, Any], kind: str, headers: dict[str, str]
):
    body = sse(payload) if headers is STREAM else sse(payload)[6:]
    assert failure(WIRE, body, headers).kind == kind


def test_an_error_after_content_comes_after_the_content():
    events, error = read(WIRE, sse(HELLO, {"error": {"type": "server_error"}}))
    assert events == [TextDelta("Hello")]
    assert isinstance(error, errors.ServerError)


def test_an_event_called_error_is_an_error_in_any_shape():
    assert failure(WIRE, b'event: error\ndata: {"message":"x","type":"overloaded_error"}\n\n').kind == "overloaded"
    error = failure(WIRE, b"event: error\ndata: out of memory\n\n")
    assert (error.kind, error.detail) == ("server_error", "out of memory")


def test_the_vendors_table_holds_inside_a_stream_too():
    dialect = Dialect(errors=(ErrorRule("quota_exhausted", status=429, code="insufficient_quota"),))
    error = failure(WIRE, sse({"error": {"code": "insufficient_quota"}}), dialect=dialect)
    assert isinstance(error, errors.QuotaExhaustedError)


@pytest.mark.parametrize("empty", [None, {}, "", False])
def test_an_empty_error_is_none(empty: object):
    assert text_of(answer(WIRE, sse({**HELLO, "error": empty}, STOP))) == "Hello"


@pytest.mark.parametrize("code", [None, "", 0, 200, "0"])
def test_a_code_of_success_is_no_error(code: object):
    assert text_of(answer(WIRE, sse(HELLO, {"code": code, "usage": {}}, STOP))) == "Hello"


def test_an_error_status_is_classified_with_its_hints():
    error = OpenAIChatCodec().error(
        429, {"retry-after": "2"}, b'{"error":{"code":"rate_limit_exceeded","message":"slow"}}', Dialect()
    )
    assert isinstance(error, errors.RateLimitError)
    assert (error.retry_after, error.status, error.code) == (2.0, 429, "rate_limit_exceeded")
