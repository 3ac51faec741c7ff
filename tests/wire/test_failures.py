"""What an answer that is none says to people, and the facts that it carries."""

from __future__ import annotations

from typing import Any

import pytest

from multimodel import errors
from multimodel.types import Finished, ReasoningDelta, TextDelta
from multimodel.wire import Dialect, answers, codec_for, sse
from multimodel.wire.openai_chat import OpenAIChatCodec

from .reading import JSON, STREAM, answer, chunk, failure, finish_of, frame, read, text_of, thought_of
from .reading import sse as stream

WIRE = "openai_chat"
STOP = chunk(finish="stop")
INVALID, CUT = errors.InvalidResponseError, errors.TruncatedStreamError


def whole(payload: dict[str, Any]) -> bytes:
    return stream(payload)[len("data: ") :]


def choice(content: Any = None, finish: str | None = None) -> dict[str, Any]:
    """A chunk that names no request."""
    return {"choices": [{"delta": {"content": content}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("body", "error", "message", "code"),
    [
        (b"<html>Sign in", INVALID, "the answer is a page, not JSON", None),
        (b"", INVALID, "the answer is not JSON within the limits", None),
        (b"{]", INVALID, "the answer is not JSON within the limits", None),
        (b'{"choices":NaN,', INVALID, "the answer is not JSON within the limits", None),
        (b'{"choices":[', CUT, "the answer stops in the middle of its JSON", None),
        (b"[]", INVALID, "the answer is JSON, but not of this format", None),
        (b'{"choices":[]}', INVALID, "the answer is JSON, but not of this format", None),
        (b"data: oops\n\n", INVALID, "an event of the stream is not JSON", None),
        (b": ping\n\n", CUT, "the answer ended without a finish reason", None),
        (whole(choice("Hal")), CUT, "the answer ended without a finish reason", None),
        (stream(choice(7)), INVALID, "the content is no text", None),
        (whole(choice(7, "stop")), INVALID, "the content is no text", None),
        (stream(choice("Hal", "Timeout")), CUT, "the answer ended for an unknown reason", "Timeout"),
        (stream(choice("Hal", "tool_calls")), INVALID, "the answer ended for tool calls, but has none", None),
        (stream(choice(None, "safety")), errors.ContentFilteredError, "the vendor's moderation refused", "safety"),
        (stream(choice("Hal", "abort")), errors.ServerError, "the vendor broke the answer off", "abort"),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_says_why_and_names_the_request(
    body: bytes, error: type[errors.CallError], message: str, code: str | None
):
    found = failure(WIRE, body, {"x-request-id": "req-7"})
    assert (type(found), found.message, found.code, found.request_id) == (error, message, code, "req-7")


def test_a_foreign_content_type_says_so_and_names_the_request():
    for headers in ({"content-type": "text/html"}, {"content-type": "text/html", "request-id": "req-7"}):
        with pytest.raises(INVALID) as caught:
            OpenAIChatCodec().decoder(Dialect(), headers)
        assert caught.value.message == "the content type of the answer is not of this format"
        assert caught.value.request_id == headers.get("request-id")


@pytest.mark.parametrize(
    "body",
    [
        stream(chunk("Hal"), "oops"),
        stream(chunk("Hal")),
        stream(chunk("Hal"), chunk(7)),
        stream(chunk("Hal"), choice("x", "timeout")),
        stream(chunk("Hal"), choice("x", "abort")),
        stream(chunk("Hal"), choice("x", "tool_calls")),
        stream(chunk(""), choice(None, "content_filter")),
        stream(chunk("Hal"), {"error": {"type": "overloaded_error"}}),
        whole(chunk("Hal")),
        whole(chunk("Hal", "timeout")),
    ],
)
def test_an_error_after_the_first_object_has_the_id_that_the_object_stated(body: bytes):
    assert failure(WIRE, body).request_id == "chatcmpl-9"
    assert failure(WIRE, body, {"x-request-id": "req-7"}).request_id == "req-7"


def test_the_id_that_an_error_states_comes_before_that_of_the_content():
    stated = {"error": {"message": "x"}, "request_id": "r-2"}
    assert failure(WIRE, stream(chunk("Hal"), stated)).request_id == "r-2"


@pytest.mark.parametrize(
    ("lines", "status"),
    [(b":HTTP_STATUS/503\n", 503), (b"status: 503\n", 503), (b"", 429), (b":HTTP_STATUS/x\n", 429)],
)
def test_the_status_of_an_error_is_that_of_its_event_then_the_one_it_states(lines: bytes, status: int):
    found = failure(WIRE, b"event: error\n" + lines + b'data: {"error":{"code":429}}\n\n')
    assert (found.status, found.kind) == (status, "overloaded" if status == 503 else "rate_limited")


def test_an_error_event_that_is_no_json_has_its_status_and_its_words():
    found = failure(WIRE, b"event: error\n:HTTP_STATUS/503\ndata: out of \xff\n\n")
    assert (found.kind, found.status, found.detail) == ("overloaded", 503, "out of �")


@pytest.mark.parametrize("name", ["", "message", "result", "data"])
def test_an_event_that_should_be_json_and_is_none_breaks_the_answer(name: str):
    data = f"event: {name}\n".encode() + b"data: oops\n\n"
    assert failure(WIRE, data).message == "an event of the stream is not JSON"


# --- what is an error, and what is none ---


@pytest.mark.parametrize(
    "payload",
    [
        {"error": {"message": "x"}},
        {"error": "x"},
        {"error": "x", "choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]},
        {"object": "error", "message": "x"},
        {"object": "error", "message": "x", "code": 0},
        {"code": "E1", "message": "x"},
        {"code": 201, "message": "x"},
        {"code": 1, "message": "x"},
    ],
)
@pytest.mark.parametrize("headers", [STREAM, JSON])
def test_an_error_is_told_from_an_answer(payload: dict[str, Any], headers: dict[str, str]):
    found = failure(WIRE, stream(payload) if headers is STREAM else whole(payload), headers)
    assert (found.kind, found.detail) == ("server_error", "x")


@pytest.mark.parametrize(
    "more",
    [{"code": "E1"}, {"code": 500}, {"object": "error"}, {"object": "chat.completion"}, {"code": "200"}, {"error": {}}],
)
def test_an_answer_with_choices_is_an_answer_whatever_its_code(more: dict[str, Any]):
    payload = {**chunk("Hi", "stop"), **more}
    assert text_of(answer(WIRE, whole(payload), JSON)) == "Hi"
    assert text_of(answer(WIRE, stream(payload))) == "Hi"
    assert text_of(answer(WIRE, b"event: message\n" + stream(payload))) == "Hi"


@pytest.mark.parametrize("code", [None, "", 0, "0", 200, "200"])
def test_a_code_of_success_without_choices_is_no_error_in_any_event(code: object):
    strange = b"event: result\n" + stream({"code": code, "object": "x"})
    assert text_of(answer(WIRE, stream(chunk("Hi")) + strange + stream(STOP))) == "Hi"


@pytest.mark.parametrize("index", [None, 0])
def test_a_choice_without_an_index_is_the_first(index: int | None):
    said = {"index": index, "delta": {"content": "Hi"}, "finish_reason": "stop"}
    other = {"index": 1, "delta": {"content": "Ho"}, "finish_reason": "length"}
    assert answer(WIRE, stream({"choices": [other, said, said]})) == [TextDelta("Hi"), Finished("stop")]


# --- the beginning of a body ---


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_spaces_and_a_byte_order_mark_may_come_alone_before_a_whole_answer(size: int):
    body = b"\xef\xbb\xbf \r\n\t" + whole(chunk("Hi", "stop")) + b" \n"
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    assert text_of(answer(WIRE, chunks, JSON)) == "Hi"


def test_a_list_is_a_whole_body_too():
    error = failure(WIRE, b'[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]')
    assert (error.kind, error.status, error.code) == ("rate_limited", 429, "RESOURCE_EXHAUSTED")
    assert text_of(answer(WIRE, b"[" + whole(chunk("Hi", "stop")).strip() + b"]")) == "Hi"


def test_a_whole_body_has_a_limit_in_bytes(monkeypatch: pytest.MonkeyPatch):
    body = whole(chunk("Hi", "stop"))
    monkeypatch.setattr(answers, "MAX_BODY", len(body))
    for chunks in ([body], [body[:9], body[9:]]):
        assert text_of(answer(WIRE, chunks, JSON)) == "Hi"
    for chunks in ([body + b" "], [body, b" "], [b" " * (len(body) + 1)]):
        error = failure(WIRE, chunks, {"x-request-id": "req-7"})
        assert (error.message, error.request_id) == ("the answer is longer than 32 MiB", "req-7")


def test_the_limits_are_those_that_the_messages_name():
    assert (answers.MAX_BODY, sse.MAX_LINE, sse.MAX_TOTAL, sse.MAX_EVENTS) == (32 * 2**20, 2**20, 64 * 2**20, 10**6)


# --- the end ---


def states(*parts: bytes) -> list[tuple[bool, bool, bool]]:
    """Whether each part gave content, and what the decoder says of the end after it."""
    decoder = OpenAIChatCodec().decoder(Dialect(), STREAM)
    return [(bool(list(decoder.feed(part))), decoder.terminal, decoder.done) for part in parts]


USAGE = {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}


@pytest.mark.parametrize(
    ("after", "done"),
    [
        (stream({"choices": [], **USAGE}), True),
        (stream(USAGE), True),
        (stream({**chunk("x"), **USAGE}), False),
        (stream({"choices": []}), False),
        (stream({"usage": None}), False),
        (stream("[DONE]"), True),
        (stream("oops"), False),
        (b"event: error\n" + stream("oops"), False),
        (b":" + b"x" * 2**21, True),
    ],
)
def test_after_the_finish_reason_usage_done_or_a_passed_limit_end_the_stream(after: bytes, done: bool):
    assert states(stream(chunk("Hi", "stop")), after) == [(True, True, False), (False, True, done)]


def test_after_the_end_nothing_is_read():
    first = stream(chunk("Hi", "stop"), "[DONE]", {"choices": [], **USAGE})
    assert states(first, stream(chunk("more"))) == [(True, True, True), (False, True, True)]
    decoder = OpenAIChatCodec().decoder(Dialect(), STREAM)
    assert [*decoder.feed(first), *decoder.close()][-1] == Finished("stop", None, "m-1", "chatcmpl-9")


@pytest.mark.parametrize("wire", ["openai_chat", "dashscope"])
@pytest.mark.parametrize("headers", [STREAM, JSON])
def test_an_answer_is_done_once_it_is_closed(wire: str, headers: dict[str, str]):
    payload = chunk("Hi", "stop") if wire == "openai_chat" else frame("Hi", "stop")
    decoder = codec_for(wire).decoder(Dialect(), headers)
    list(decoder.feed(stream(payload) if headers is STREAM else whole(payload)))
    assert not decoder.done
    list(decoder.close())
    assert (decoder.terminal, decoder.done) == (True, True)


# --- what stands in the last event ---


def test_the_first_model_and_the_first_id_count():
    first, second = chunk("A"), {**chunk("B", "stop"), "id": "other", "model": "m-2"}
    assert finish_of(answer(WIRE, stream(first, second))) == Finished("stop", None, "m-1", "chatcmpl-9")
    assert finish_of(answer(WIRE, stream({**first, "id": "", "model": ""}, second))) == Finished(
        "stop", None, "m-2", "other"
    )


def test_a_request_id_comes_before_an_id():
    both = {**chunk("A", "stop"), "request_id": "r-1"}
    assert finish_of(answer(WIRE, stream(both))).request_id == "r-1"
    assert finish_of(answer(WIRE, stream({**both, "request_id": 7}))).request_id == "chatcmpl-9"


def test_the_usage_of_a_choice_counts_only_where_there_is_no_other():
    said = {"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 5, "completion_tokens": 5}}
    assert finish_of(answer(WIRE, stream({"choices": [said]}))).usage.input_tokens == 5
    assert finish_of(answer(WIRE, stream({"choices": [said], **USAGE}))).usage.input_tokens == 1
    assert finish_of(answer(WIRE, stream({"choices": [{**said, "usage": 7}]}))).usage is None


@pytest.mark.parametrize("thought", ["Hm", [{"text": "Hm"}], [{"text": "H"}, 3, {"text": 7}, {"text": "m"}]])
def test_thinking_among_parts_is_a_text_or_a_list_of_texts(thought: object):
    parts = [{"thinking": thought}, {"text": "Yes"}, {"text": 7}, {"thinking": 7}, {"text": ""}]
    events = answer(WIRE, stream(chunk(content=parts), STOP))
    assert (thought_of(events), text_of(events)) == ("Hm", "Yes")
    assert [type(event) for event in events[:-1]] == [ReasoningDelta] * (len(events) - 2) + [TextDelta]


def test_content_before_an_error_in_the_same_bytes_is_kept():
    events, error = read(WIRE, stream(chunk("Hi"), chunk(" you", "abort"), chunk("never")))
    assert (text_of(events), error.kind) == ("Hi you", "server_error")


def test_a_finish_reason_is_known_in_any_case_and_with_a_word_behind_it():
    said = [" Stop ", "STOP: done", "length:x"]
    assert [finish_of(answer(WIRE, stream(chunk("Hi", word)))).reason for word in said] == ["stop", "stop", "length"]
