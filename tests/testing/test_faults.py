from __future__ import annotations

import gzip
import inspect
import json

import pytest

from multimodel.testing import Answer, FaultyVendor, Move, Reply, Script, faults
from multimodel.types import ToolCall

from .raw import SILENCE, ask, connect, read, request

WIRES = ["openai", "compatible", "dashscope"]
everywhere = pytest.mark.parametrize("wire", WIRES)


@pytest.fixture(autouse=True)
def says(vendor: FaultyVendor) -> None:
    vendor.answer = "one two three four five"


def healthy(vendor: FaultyVendor, wire: str = "openai") -> list[bytes]:
    """The events of the same answer without a fault."""
    fault, vendor.fault = vendor.fault, None
    events = ask(vendor, wire, stream=True, stream_options={"include_usage": True}).events
    vendor.fault = fault
    return [_same(event) for event in events]


def _same(event: bytes) -> bytes:
    """Without what differs between two answers: the request's number and the time."""
    head, data, text = event.partition(b"data:")
    try:
        body = json.loads(text)
    except ValueError:
        return event
    for name in ("id", "created", "request_id"):
        body.pop(name, None)
    return head + data + json.dumps(body).encode()


def faulty(vendor: FaultyVendor, wire: str = "openai") -> list[bytes]:
    return [_same(event) for event in ask(vendor, wire, stream=True, stream_options={"include_usage": True}).events]


OF_SOCKETS = {"deaf", "refuse", "tls_expired", "tls_missing", "tls_untrusted", "tls_wrong_host", "unanswered"}
NEEDED = {"body": ("{}",), "finish_reason": ("length",), "refusal": ("rate_limited",), "status": (418,)}
"""Arguments of the faults that need some."""


@pytest.mark.parametrize("name", sorted(set(faults.__all__) - {"Fault", "fault"} - OF_SOCKETS))
@everywhere
@pytest.mark.parametrize("stream", [False, True])
def test_after_each_fault_a_healthy_request_is_answered(vendor: FaultyVendor, name: str, wire: str, stream: bool):
    small = {"gzip_bomb": {"size": 1_000_000}, "long_line": {"size": 100_000}, "tiny_events": {"count": 1000}}
    fault = getattr(faults, name)(*NEEDED.get(name, ()), **small.get(name, {}))
    vendor.script([fault])
    with connect(vendor) as connection:
        connection.settimeout(0.03)
        connection.sendall(request(wire, stream=stream))
        read(connection, limit=200_000)
    assert vendor.wait_until(lambda: len(vendor.log) == 1)
    assert vendor.log[0].fault == fault.name
    assert b"one two" in ask(vendor, wire).body
    assert vendor.wait_until(lambda: vendor.log[0].outcome != "pending")


def test_every_fault_says_what_it_does_and_what_it_takes():
    for name in faults.__all__:
        value = getattr(faults, name)
        assert inspect.getdoc(value)
        if name not in {"Fault", "fault"}:
            assert "answer" not in inspect.signature(value).parameters


def test_faults_are_equal_by_name_and_show_it():
    assert faults.cut(after=2) == faults.cut(after=2) != faults.cut(after=3)
    assert str(faults.cut(after=2)) == "cut(after=2)"
    assert str(faults.status(429)) == "status(429)"


def test_a_fault_of_ones_own_is_a_generator(vendor: FaultyVendor):
    @faults.fault
    def half_a_status_line(answer: Answer, size: int) -> Script:
        yield answer.head()[:size]
        yield Move.CLOSE

    vendor.fault = half_a_status_line(10)
    seen = ask(vendor)
    assert (seen.data, seen.end) == (b"HTTP/1.1 2", "eof")


# --- before the headers


def test_silence_lasts_for_ever_or_for_a_time(vendor: FaultyVendor):
    vendor.script([faults.silent(), faults.silent(seconds=0.01)])
    first = ask(vendor, patience=SILENCE)
    assert (first.data, first.end) == (b"", "silence")
    assert ask(vendor).status == 200


def test_a_reset_and_a_close_before_headers_send_nothing(vendor: FaultyVendor):
    vendor.script([faults.reset_before_headers(), faults.close_before_headers()])
    for end in ("reset", "eof"):
        seen = ask(vendor)
        assert (seen.data, seen.end) == (b"", end)
    assert [entry.outcome for entry in vendor.log] == ["vendor_closed", "vendor_closed"]
    assert [entry.status for entry in vendor.log] == [None, None]


def test_slow_headers_come_byte_by_byte(vendor: FaultyVendor):
    vendor.script([faults.slow_headers(every=0.02), faults.slow_headers(every=0.0001)])
    with connect(vendor) as connection:
        connection.sendall(request())
        assert [connection.recv(100) for _ in range(4)] == [b"H", b"T", b"T", b"P"]
    assert b"one two" in ask(vendor).body


def test_half_of_the_headers_is_followed_by_the_end_or_by_nothing(vendor: FaultyVendor):
    vendor.script([faults.partial_headers(), faults.partial_headers(hang=True)])
    for end in ("eof", "silence"):
        seen = ask(vendor, patience=SILENCE)
        assert (seen.data[:8], seen.end) == (b"HTTP/1.1", end)
        assert b"\r\n\r\n" not in seen.data


def test_endless_headers_never_end(vendor: FaultyVendor):
    vendor.fault = faults.endless_headers()
    with connect(vendor) as connection:
        connection.sendall(request())
        seen = read(connection, limit=1_000_000)
    assert seen.end == "limit"
    assert b"\r\n\r\n" not in seen.data
    assert vendor.wait_until(lambda: vendor.log[0].outcome == "client_closed")


def test_garbage_is_no_http(vendor: FaultyVendor):
    vendor.fault = faults.garbage()
    seen = ask(vendor)
    assert not seen.data.startswith(b"HTTP")
    assert seen.end == "eof"


def test_informational_answers_come_before_the_real_one(vendor: FaultyVendor):
    vendor.fault = faults.informational(count=3)
    with connect(vendor) as connection:
        connection.sendall(request())
        data = b""
        while b"one two" not in data:
            data += connection.recv(65536)
    assert data.count(b"HTTP/1.1 103 Early Hints\r\n") == 3


def test_a_redirect_points_elsewhere(vendor: FaultyVendor):
    vendor.fault = faults.redirect("http://127.0.0.1:9/x", status=302)
    seen = ask(vendor)
    assert seen.status == 302
    assert b"location: http://127.0.0.1:9/x" in seen.head


# --- instead of the answer


@pytest.mark.parametrize(
    ("status", "openai", "compatible", "dashscope"),
    [
        (400, "invalid_value", "invalid_parameter_error", "InvalidParameter"),
        (401, "invalid_api_key", "invalid_api_key", "InvalidApiKey"),
        (404, "model_not_found", "model_not_found", "ModelNotFound"),
        (429, "rate_limit_exceeded", "limit_requests", "Throttling.RateQuota"),
        (500, None, "internal_error", "InternalError"),
        (503, None, "ModelUnavailable", "ModelUnavailable"),
    ],
)
def test_a_status_comes_with_the_body_of_the_vendor(
    vendor: FaultyVendor, status: int, openai: str, compatible: str, dashscope: str
):
    vendor.fault = faults.status(status)
    for wire, code in (("openai", openai), ("compatible", compatible)):
        seen = ask(vendor, wire, stream=True)
        assert seen.status == status
        assert {"message", "type", "param", "code"} == set(seen.json["error"])
        assert seen.json["error"]["code"] == code
        assert ("request_id" in seen.json) is (wire == "compatible")
    native = ask(vendor, "dashscope", stream=True)
    assert (native.status, set(native.json)) == (status, {"code", "message", "request_id"})
    assert native.json["code"] == dashscope
    assert b"content-type: application/json" in native.head


def test_a_status_takes_code_message_and_headers(vendor: FaultyVendor):
    vendor.fault = faults.status(429, code="CommodityNotPurchased", message="Buy it.", headers={"Retry-After": "2"})
    seen = ask(vendor, "dashscope")
    assert (seen.json["code"], seen.json["message"]) == ("CommodityNotPurchased", "Buy it.")
    assert b"\r\nRetry-After: 2\r\n" in seen.data
    assert ask(vendor, "compatible").json["error"]["code"] == "CommodityNotPurchased"


def test_a_header_may_come_twice(vendor: FaultyVendor):
    vendor.fault = faults.status(429, headers=[("Retry-After", "2"), ("Retry-After", "nan")])
    assert ask(vendor).head.count(b"Retry-After") == 2


def test_arrears_look_as_each_vendor_shows_them(vendor: FaultyVendor):
    vendor.fault = faults.arrearage()
    native, compatible, openai = (ask(vendor, wire) for wire in ("dashscope", "compatible", "openai"))
    assert (native.status, native.json["code"]) == (400, "Arrearage")
    assert (compatible.status, compatible.json["error"]["type"]) == (400, "Arrearage")
    assert (openai.status, openai.json["error"]["code"]) == (429, "insufficient_quota")


def test_a_refusal_is_worded_by_kind(vendor: FaultyVendor):
    vendor.fault = faults.refusal("context_window_exceeded", headers={"x-should-retry": "false"})
    assert ask(vendor).json["error"]["code"] == "context_length_exceeded"
    native = ask(vendor, "dashscope")
    assert "Range of input length should be" in native.json["message"]
    assert b"x-should-retry: false" in native.head


def test_a_framed_refusal_is_an_event_labelled_as_json(vendor: FaultyVendor):
    vendor.fault = faults.framed_refusal()
    seen = ask(vendor, "dashscope", stream=True)
    assert seen.status == 400
    assert b"content-type: application/json" in seen.head
    assert seen.body.startswith(b"id:1\nevent:error\n:HTTP_STATUS/400\ndata:{")


def test_a_body_is_sent_as_it_stands(vendor: FaultyVendor):
    vendor.fault = faults.body('{"choices": []}', 203, "text/json")
    seen = ask(vendor, stream=True)
    assert (seen.status, seen.body) == (203, b'{"choices": []}')
    assert b"content-type: text/json" in seen.head


def test_a_refusal_is_cut_stalls_or_never_ends(vendor: FaultyVendor):
    vendor.script([faults.cut_refusal(), faults.cut_refusal(429, hang=True), faults.endless_refusal(503)])
    for status, end in ((500, "eof"), (429, "silence")):
        seen = ask(vendor, "dashscope", stream=True, patience=SILENCE)
        assert (seen.status, seen.end, seen.body[:2]) == (status, end, b'{"')
        with pytest.raises(ValueError, match=r"."):
            json.loads(seen.body)
    with connect(vendor) as connection:
        connection.sendall(request())
        seen = read(connection, limit=500_000)
    assert (seen.status, seen.end) == (503, "limit")


def test_pages_emptiness_and_wrong_labels(vendor: FaultyVendor):
    vendor.script([faults.html(), faults.html(502), faults.empty(), faults.wrong_content_type()])
    page, proxy, nothing, mislabelled = (ask(vendor, stream=True) for _ in range(4))
    assert (page.status, proxy.status) == (200, 502)
    assert b"text/html" in page.head
    assert (nothing.status, nothing.body) == (200, b"")
    assert b"text/plain" in mislabelled.head
    assert mislabelled.events[-1] == b"data: [DONE]"


def test_a_gzip_bomb_is_small_on_the_wire_and_right_inside(vendor: FaultyVendor):
    vendor.fault = faults.gzip_bomb(size=5_000_000)
    seen = ask(vendor)
    assert b"content-encoding: gzip" in seen.head
    assert len(seen.body) < 20_000
    inside = gzip.decompress(seen.body)
    assert len(inside) > 5_000_000
    assert json.loads(inside)["choices"]


def test_a_wrong_content_length_is_too_long_or_too_short(vendor: FaultyVendor):
    vendor.script([faults.content_length_too_long(), faults.content_length_too_short(by=10)])
    long, short = ask(vendor), ask(vendor)
    assert (long.end, json.loads(long.body)["object"]) == ("eof", "chat.completion")
    announced = int(short.head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert announced == len(short.body) - 10


# --- how it is put into HTTP


def test_old_http_ends_with_the_connection(vendor: FaultyVendor):
    vendor.fault = faults.old_http()
    seen = ask(vendor, stream=True)
    assert (seen.data[:13], seen.end, seen.events[-1]) == (b"HTTP/1.0 200 ", "eof", b"data: [DONE]")
    assert b"content-length" not in seen.head
    assert b"transfer-encoding" not in seen.head


def test_a_connection_is_closed_behind_the_answer(vendor: FaultyVendor):
    vendor.fault = faults.close_after_answer()
    with connect(vendor) as connection:
        connection.sendall(request())
        seen = read(connection)
        assert (seen.end, connection.recv(1)) == ("whole", b"")
    assert b"connection: close" not in seen.head


def test_a_second_answer_comes_that_nobody_asked_for(vendor: FaultyVendor):
    vendor.fault = faults.unasked_answer("Surprise.")
    with connect(vendor) as connection:
        connection.sendall(request())
        data = b""
        while b"Surprise." not in data:
            data += connection.recv(65536)
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert len(vendor.log) == 1


@everywhere
def test_a_chunk_has_no_size(vendor: FaultyVendor, wire: str):
    vendor.fault = faults.broken_chunk(after=2)
    data = ask(vendor, wire, stream=True).data
    assert data.endswith(b"\n\n\r\nnot-a-size\r\n0\r\n\r\n")


def test_two_lengths_are_announced(vendor: FaultyVendor):
    vendor.fault = faults.two_lengths()
    assert ask(vendor).head.count(b"content-length: ") == 2


# --- inside the answer


@everywhere
@pytest.mark.parametrize("after", [0, 1, 3, -1])
def test_a_cut_stream_has_so_many_events_and_no_end(vendor: FaultyVendor, wire: str, after: int):
    vendor.fault = faults.cut(after=after)
    seen = ask(vendor, wire, stream=True, stream_options={"include_usage": True})
    assert seen.end == "eof"
    assert not seen.data.endswith(b"0\r\n\r\n")
    assert [_same(event) for event in seen.events] == healthy(vendor, wire)[:after]
    assert vendor.log[0].outcome == "vendor_closed"


def test_a_clean_cut_ends_the_body_as_it_should(vendor: FaultyVendor):
    vendor.fault = faults.cut(after=3, clean=True)
    seen = ask(vendor, stream=True)
    assert (seen.end, len(seen.events)) == ("whole", 3)


def test_a_whole_body_is_cut_in_its_middle(vendor: FaultyVendor):
    vendor.script([faults.cut(), faults.reset(), faults.stall()])
    for end in ("eof", "reset", "silence"):
        seen = ask(vendor, patience=SILENCE)
        assert seen.end == end
        assert seen.body
        with pytest.raises(ValueError, match=r"."):
            json.loads(seen.body)


@everywhere
def test_a_reset_comes_inside_a_chunk(vendor: FaultyVendor, wire: str):
    vendor.fault = faults.reset(after=2)
    seen = ask(vendor, wire, stream=True)
    assert seen.end == "reset"
    body = seen.data.partition(b"\r\n\r\n")[2]
    assert b"\n\n\r\n" in body
    assert not body.endswith(b"\r\n")


@everywhere
def test_a_stall_stops_and_may_go_on(vendor: FaultyVendor, wire: str):
    vendor.script([faults.stall(after=2), faults.stall(after=2, seconds=0.01)])
    first, second = ask(vendor, wire, stream=True, patience=SILENCE), ask(vendor, wire, stream=True)
    assert (first.end, len(first.events)) == ("silence", 2)
    assert second.end == "whole"
    assert [_same(event) for event in second.events][:2] == [_same(event) for event in first.events]


@pytest.mark.parametrize("stream", [False, True])
def test_headers_then_silence_sends_the_headers_only(vendor: FaultyVendor, stream: bool):
    vendor.fault = faults.headers_then_silence()
    seen = ask(vendor, stream=stream, patience=SILENCE)
    assert (seen.status, seen.body, seen.end) == (200, b"", "silence")


@everywhere
@pytest.mark.parametrize("crlf", [False, True])
def test_a_split_answer_is_the_same_answer(vendor: FaultyVendor, wire: str, crlf: bool):
    vendor.answer = "grün 漢字"
    vendor.fault = faults.split(size=1, crlf=crlf)
    seen = ask(vendor, wire, stream=True, stream_options={"include_usage": True})
    body = seen.body.replace(b"\r\n", b"\n") if crlf else seen.body
    assert (b"\r\n" in seen.body) is crlf
    assert [_same(event) for event in body.split(b"\n\n") if event] == healthy(vendor, wire)
    assert b"\r\n1\r\n" in seen.data


@everywhere
def test_one_event_is_malformed_and_the_others_are_right(vendor: FaultyVendor, wire: str):
    vendor.fault = faults.malformed_event(at=2)
    seen, right = faulty(vendor, wire), healthy(vendor, wire)
    assert [number for number, event in enumerate(seen) if event != right[number]] == [2]
    with pytest.raises(ValueError, match=r"."):
        json.loads(seen[2].partition(b"data:")[2])


@everywhere
def test_comments_come_between_the_events_and_change_none(vendor: FaultyVendor, wire: str):
    vendor.fault = faults.commented("hold on")
    seen, right = faulty(vendor, wire), healthy(vendor, wire)
    assert seen[::2] == [b": hold on"] * len(right)
    assert seen[1::2] == right


@everywhere
def test_events_come_without_blank_lines(vendor: FaultyVendor, wire: str):
    vendor.fault = faults.unseparated()
    body = ask(vendor, wire, stream=True).body
    assert b"\n\n" not in body
    assert body.count(b"\ndata:") + body.startswith(b"data:") == len(ask_healthy(vendor, wire))


@everywhere
def test_one_event_is_no_utf8(vendor: FaultyVendor, wire: str):
    vendor.fault = faults.not_utf8(at=1)
    bad = []
    for number, event in enumerate(ask(vendor, wire, stream=True).events):
        try:
            event.decode()
        except UnicodeDecodeError:
            bad.append(number)
    assert bad == [1]


@everywhere
@pytest.mark.parametrize("stream", [False, True])
def test_a_finish_reason_is_dictated(vendor: FaultyVendor, wire: str, stream: bool):
    vendor.fault = faults.finish_reason("bored")
    body = ask(vendor, wire, stream=stream).body
    assert (body.count(b'"bored"'), b'"stop"' in body) == (1, False)


@everywhere
def test_no_done_leaves_the_connection_open(vendor: FaultyVendor, wire: str):
    vendor.fault = faults.no_done()
    seen = ask(vendor, wire, stream=True, stream_options={"include_usage": True}, patience=SILENCE)
    assert seen.end == "silence"
    assert [_same(event) for event in seen.events] == [e for e in healthy(vendor, wire) if b"[DONE]" not in e]


@everywhere
def test_no_terminal_means_no_finish_reason(vendor: FaultyVendor, wire: str):
    vendor.fault = faults.no_terminal()
    seen = ask(vendor, wire, stream=True)
    assert seen.end == "whole"
    assert b'"stop"' not in seen.body
    assert len(seen.events) == len(ask_healthy(vendor, wire)) - 1


def ask_healthy(vendor: FaultyVendor, wire: str) -> list[bytes]:
    fault, vendor.fault = vendor.fault, None
    events = ask(vendor, wire, stream=True).events
    vendor.fault = fault
    return events


@everywhere
@pytest.mark.parametrize("stream", [False, True])
def test_usage_is_missing_everywhere(vendor: FaultyVendor, wire: str, stream: bool):
    vendor.fault = faults.usage_missing()
    seen = ask(vendor, wire, stream=stream, stream_options={"include_usage": True})
    assert (seen.end, b'"stop"' in seen.body, b"usage" in seen.body) == ("whole", True, False)


@everywhere
def test_a_second_terminal_event_and_text_after_it(vendor: FaultyVendor, wire: str):
    vendor.script([faults.second_terminal(), faults.text_after_terminal(" More.")])
    doubled, late = ask(vendor, wire, stream=True), ask(vendor, wire, stream=True)
    assert doubled.body.count(b'"stop"') == 2
    assert late.body.index(b'"stop"') < late.body.index(b" More.")


@everywhere
def test_an_error_inside_a_stream_has_the_shape_of_the_vendor(vendor: FaultyVendor, wire: str):
    vendor.fault = faults.in_stream_error(after=2, kind="rate_limited")
    seen = ask(vendor, wire, stream=True)
    assert (seen.status, seen.end, len(seen.events)) == (200, "whole", 3)
    data = json.loads(seen.events[-1].partition(b"data:")[2])
    if wire == "dashscope":
        assert seen.events[-1].startswith(b"id:3\nevent:error\n:HTTP_STATUS/429\ndata:")
        assert data["code"] == "Throttling.RateQuota"
    else:
        assert data["error"]["code"] == {"openai": "rate_limit_exceeded", "compatible": "limit_requests"}[wire]


def test_a_whole_answer_is_refused_instead(vendor: FaultyVendor):
    vendor.fault = faults.in_stream_error(code="SystemError")
    seen = ask(vendor, "dashscope")
    assert (seen.status, seen.json["code"]) == (500, "SystemError")


def test_pings_never_end(vendor: FaultyVendor):
    vendor.fault = faults.pings_forever(after=1, every=0.001)
    with connect(vendor) as connection:
        connection.sendall(request(stream=True))
        seen = read(connection, limit=3000)
    assert seen.events[-1].startswith(b": ping")
    assert vendor.wait_until(lambda: vendor.log[0].outcome == "client_closed")


def test_a_long_line_and_tiny_events_have_their_size(vendor: FaultyVendor):
    vendor.script([faults.long_line(size=1_000_000), faults.tiny_events(count=5000)])
    line, tiny = ask(vendor, stream=True), ask(vendor, stream=True)
    assert max(len(one) for one in line.body.split(b"\n")) > 900_000
    assert tiny.body.count(b'"content":"x"') == 5000
    assert (line.end, tiny.end) == ("whole", "whole")


@everywhere
def test_pieces_of_several_tool_calls_come_by_turns(vendor: FaultyVendor, wire: str):
    calls = [ToolCall(id=f"call_{name}", name=name, arguments='{"value": "something"}') for name in ("first", "second")]
    vendor.answer = Reply(tool_calls=tuple(calls))
    vendor.fault = faults.shuffled_tool_calls()
    indexes, arguments = [], {0: "", 1: ""}
    for event in ask(vendor, wire, stream=True).events:
        if b'tool_calls":[' not in event:
            continue
        choice = json.loads(event.partition(b"data:")[2])
        choice = choice.get("output", choice)["choices"][0]
        piece = (choice.get("delta") or choice.get("message"))["tool_calls"][0]
        indexes.append(piece["index"])
        arguments[piece["index"]] += piece["function"]["arguments"]
    assert indexes[:4] == [1, 0, 1, 0]
    assert set(arguments.values()) == {'{"value": "something"}'}
