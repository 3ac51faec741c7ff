from __future__ import annotations

from typing import Any

import pytest

from multimodel import errors
from multimodel.types import Finished, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from multimodel.wire import Dialect, ErrorRule
from multimodel.wire.dashscope import DashScopeCodec

from .reading import JSON, STREAM, answer, calls_of, failure, finish_of, frame, read, recorded, sse, text_of, thought_of

WIRE = "dashscope"
STOP = frame("", "stop")
TABLE = (
    ErrorRule("quota_exhausted", code="Arrearage"),
    ErrorRule("content_filtered", code="DataInspectionFailed"),
    ErrorRule("bad_request", code="InvalidParameter*"),
    ErrorRule("rate_limited", code="Throttling*"),
)
VENDOR = Dialect(errors=TABLE)


def error_frame(code: str, message: str = "x", status: int | None = 400, name: str = "event:error") -> bytes:
    lines = ["id:2", name, *([f":HTTP_STATUS/{status}"] if status else [])]
    return ("\n".join(lines) + f'\ndata:{{"code":"{code}","message":"{message}","request_id":"r-5"}}\n\n').encode()


def test_a_recorded_stream_with_thinking_is_read():
    assert answer(WIRE, recorded("dashscope_thinking.sse")) == [
        ReasoningDelta("Let"),
        TextDelta("你好"),
        TextDelta(" 🌊"),
        Finished("stop", Usage(input_tokens=22, output_tokens=4, total_tokens=26, cached_tokens=0, reasoning_tokens=1), None, "7f1c0d3e-0000-4000-8000-000000000001"),
    ]  # fmt: skip


def test_a_recorded_stream_with_lists_and_tool_fragments_is_read():
    events = answer(WIRE, recorded("dashscope_multimodal_tools.sse"))
    assert events == [
        TextDelta("Well"),
        ToolCallDelta(0, "call_1", "add", '{"a":'),
        ToolCallDelta(0, arguments=" 1}"),
        Finished("tool_calls", Usage(input_tokens=40, output_tokens=9, total_tokens=49), None, "r-2"),
    ]


def test_a_recorded_whole_answer_is_read_whatever_was_asked_for():
    for headers in (JSON, STREAM, {}):
        events = answer(WIRE, recorded("dashscope_whole.json"), headers)
        assert (thought_of(events), text_of(events)) == ("Greet.", "Hi")
        assert finish_of(events).usage == Usage(
            input_tokens=22, output_tokens=17, total_tokens=39, cached_tokens=5, reasoning_tokens=9
        )
        assert finish_of(events).request_id == "r-4"


def test_result_format_text_is_read_too():
    body = b'{"output":{"text":"Hi","finish_reason":"stop","choices":null},"usage":{"input_tokens":1,"output_tokens":1},"request_id":"r"}'
    assert text_of(answer(WIRE, body, JSON)) == "Hi"
    assert (
        text_of(
            answer(
                WIRE,
                sse(
                    {"output": {"text": "H", "finish_reason": "null"}},
                    {"output": {"text": "i", "finish_reason": "stop"}},
                ),
            )
        )
        == "Hi"
    )


@pytest.mark.parametrize("finish", ["null", None, ""])
def test_a_finish_reason_of_null_goes_on(finish: str | None):
    assert text_of(answer(WIRE, sse(frame("A", finish), frame("B", "stop")))) == "AB"


@pytest.mark.parametrize("finish", ["null", None, "timeout", "content_filter"])
def test_a_whole_answer_with_another_finish_reason_is_truncated(finish: str | None):
    body = sse(frame("Hal", finish)).removeprefix(b"data: ").strip()
    events, error = read(WIRE, body, JSON)
    assert text_of(events) == "Hal"
    assert isinstance(error, errors.TruncatedStreamError)


def test_an_unknown_finish_reason_names_itself():
    assert failure(WIRE, sse(frame("Hal", "timeout"))).code == "timeout"


def test_a_stream_without_a_finish_reason_is_truncated():
    assert isinstance(failure(WIRE, sse(frame("Hal"))), errors.TruncatedStreamError)


def test_frames_without_blank_lines_ids_or_names_are_read():
    assert text_of(answer(WIRE, sse(frame("A"), frame("B"), STOP, end="\n"))) == "AB"


def test_frames_without_choices_or_output_are_legal():
    extra: list[dict[str, Any]] = [
        {"output": {"choices": []}, "usage": {"input_tokens": 1}},
        {"usage": {}},
        {"output": {}},
        {"output": None},
    ]
    assert text_of(answer(WIRE, sse(frame("A"), *extra, STOP))) == "A"


@pytest.mark.parametrize(
    "body",
    [b'{"output":{}}', b'{"request_id":"r"}', b'{"output":null}', b'{"output":{"choices":[]}}', b'{"output":[]}'],
)
def test_a_whole_answer_without_output_is_no_answer(body: bytes):
    assert isinstance(failure(WIRE, body, JSON), errors.InvalidResponseError)


def test_the_last_cumulative_usage_counts():
    frames = [{**frame("A"), "usage": {"input_tokens": 5, "output_tokens": n, "image_tokens": 3}} for n in (1, 2)]
    assert finish_of(answer(WIRE, sse(*frames, STOP))).usage == Usage(input_tokens=5, output_tokens=2, total_tokens=7)


def test_missing_usage_is_unknown():
    assert finish_of(answer(WIRE, sse(frame("A", "stop")))).usage is None


def test_what_follows_the_finish_reason_is_ignored():
    assert text_of(answer(WIRE, sse(frame("A", "stop"), frame("B", "stop")) + error_frame("InternalError"))) == "A"


# --- errors ---


def test_a_recorded_error_comes_after_the_content_before_it():
    events, error = read(WIRE, recorded("dashscope_error.sse"), dialect=VENDOR)
    assert events == [TextDelta("Once")]
    assert isinstance(error, errors.RateLimitError)
    assert (error.status, error.code, error.request_id) == (429, "Throttling.RateQuota", "r-3")


@pytest.mark.parametrize("name", ["event:error", "event: error", "event:result", ":"])
@pytest.mark.parametrize("status", [None, 200, 400])
def test_a_code_makes_an_error_with_or_without_its_event_name_and_status(name: str, status: int | None):
    error = failure(WIRE, error_frame("Arrearage", status=status, name=name), dialect=VENDOR)
    assert isinstance(error, errors.QuotaExhaustedError)


def test_a_status_line_gives_the_status_of_an_error():
    error = failure(WIRE, b'event:error\nstatus:503\ndata:{"code":"Strange","message":"x"}\n\n')
    assert (error.kind, error.status) == ("overloaded", 503)


def test_an_event_called_error_without_a_code_is_an_error():
    assert failure(WIRE, b'event:error\n:HTTP_STATUS/500\ndata:{"message":"x"}\n\n').kind == "server_error"
    assert failure(WIRE, b'event:error\ndata:{"output":{}}\n\n').kind == "server_error"


def test_an_error_object_on_a_native_path_is_an_error():
    body = b'{"error":{"message":"no","type":"invalid_request_error","code":"model_not_found"}}'
    assert isinstance(failure(WIRE, body, JSON), errors.ModelNotFoundError)
    assert isinstance(DashScopeCodec().error(404, {}, body, VENDOR), errors.ModelNotFoundError)


def test_a_code_in_a_whole_answer_of_status_200_is_an_error():
    assert isinstance(
        failure(WIRE, b'{"code":"Arrearage","message":"x"}', JSON, dialect=VENDOR), errors.QuotaExhaustedError
    )


def test_moderation_in_the_middle_of_a_stream_is_a_content_filter():
    error = failure(WIRE, sse(frame("A")) + error_frame("DataInspectionFailed"), dialect=VENDOR)
    assert isinstance(error, errors.ContentFilteredError)


def test_an_error_status_whose_body_is_an_event_is_read():
    error = DashScopeCodec().error(400, JSON, error_frame("Arrearage"), VENDOR)
    assert isinstance(error, errors.QuotaExhaustedError)
    assert error.request_id == "r-5"


# --- the other path ---


@pytest.mark.parametrize(("here", "there"), [("text", "multimodal"), ("multimodal", "text")])
def test_a_url_error_names_the_other_path(here: str, there: str):
    dialect = Dialect(quirks={"native_path": here}, errors=TABLE)
    message = "url error, please check url！"
    for error in (
        DashScopeCodec().error(400, {}, error_frame("InvalidParameter", message), dialect),
        failure(WIRE, error_frame("InvalidParameter", message), dialect=dialect),
        failure(WIRE, error_frame("InvalidParameter", message, status=200), dialect=dialect),
    ):
        assert isinstance(error, errors.BadRequestError)
        assert error.path == there


@pytest.mark.parametrize(("quirks", "there"), [({}, "multimodal"), ({"native_path": "elsewhere"}, None)])
def test_the_other_path_is_that_of_media_unless_the_catalogue_says_more(quirks: dict[str, str], there: str | None):
    for message in ("url error", "URL Error, please check"):
        error = DashScopeCodec().error(400, {}, error_frame("InvalidParameter", message), Dialect(quirks=quirks))
        assert (error.kind, error.status, error.path) == ("bad_request", 400, there)


def test_a_url_error_that_is_no_bad_request_names_no_path():
    for status in (404, 500):
        assert DashScopeCodec().error(status, {}, b'{"message":"url error"}', Dialect()).path is None
    assert DashScopeCodec().error(400, {}, b'{"code":"E1"}', Dialect()).path is None


def test_the_status_and_the_headers_of_an_error_are_facts_of_it():
    error = DashScopeCodec().error(429, {"retry-after": "2", "x-request-id": "a-1"}, b"{}", Dialect())
    assert (error.kind, error.status, error.retry_after, error.request_id) == ("rate_limited", 429, 2.0, "a-1")
    body = error_frame("Strange", status=503)
    error = failure(WIRE, body, {**STREAM, "retry-after": "2", "x-request-id": "a-1"})
    assert (error.kind, error.status, error.retry_after, error.request_id) == ("overloaded", 503, 2.0, "a-1")


def test_a_url_error_after_content_names_no_path():
    assert failure(WIRE, sse(frame("A")) + error_frame("InvalidParameter", "url error")).path is None


def test_another_bad_request_names_no_path():
    assert DashScopeCodec().error(400, {}, error_frame("InvalidParameter", "wrong"), VENDOR).path is None


def test_tool_calls_of_a_whole_answer_are_read():
    call = {"id": "c", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}"}}
    body = sse(frame("", "tool_calls", tool_calls=[call])).removeprefix(b"data: ").strip()
    assert calls_of(answer(WIRE, body, JSON)) == {0: ("c", "f", "{}")}
