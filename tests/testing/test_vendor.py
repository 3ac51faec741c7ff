from __future__ import annotations

import json
import socket
import threading
from http.client import HTTPConnection

import pytest

from multimodel.testing import FaultyVendor, Reply, VendorRequest, faults
from multimodel.types import ToolCall

from .raw import SILENCE, ask, connect, read, request


@pytest.mark.parametrize("wire", ["openai", "compatible", "dashscope"])
@pytest.mark.parametrize("stream", [False, True])
def test_it_says_what_it_is_told_on_every_wire(vendor: FaultyVendor, wire: str, stream: bool):
    vendor.answer = "grün und schön"
    seen = ask(vendor, wire, stream=stream)
    assert (seen.status, seen.end) == (200, "whole")
    assert "schön".encode() in seen.body
    assert (b"grun" in seen.body, "grün und schön".encode() in seen.body) == (False, not stream)


def test_an_answer_may_be_a_function_of_the_request(vendor: FaultyVendor):
    vendor.answer = lambda request: f"{request.model} was asked: {request.text}"
    assert b"m was asked: Why?" in ask(vendor, text="Why?").body


def test_a_function_that_fails_is_an_answer_that_says_so(vendor: FaultyVendor):
    vendor.answer = lambda request: request.nonsense  # type: ignore[attr-defined]
    seen = ask(vendor)
    assert seen.status == 500
    assert "AttributeError" in seen.json["error"]["message"]


def test_without_being_told_it_echoes_the_user(vendor: FaultyVendor):
    assert ask(vendor, text="Hello there").json["choices"][0]["message"]["content"] == "You said: Hello there"


def test_many_requests_share_one_connection(vendor: FaultyVendor):
    connection = HTTPConnection("127.0.0.1", vendor.port, timeout=10)
    for number in range(20):
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": str(number)}]})
        connection.request("POST", "/v1/chat/completions", body)
        assert f"You said: {number}".encode() in connection.getresponse().read()
    connection.close()
    assert vendor.connections.total == 1
    assert {entry.connection for entry in vendor.log} == {0}


def test_requests_that_come_at_once_are_answered_in_order(vendor: FaultyVendor):
    with connect(vendor) as connection:
        connection.sendall(request(text="one") + request(text="two"))
        data = b""
        while data.count(b"You said") < 2:
            data += connection.recv(65536)
    assert data.index(b"You said: one") < data.index(b"You said: two")


def test_a_request_may_come_byte_by_byte(vendor: FaultyVendor):
    with connect(vendor) as connection:
        for byte in request(text="slowly"):
            connection.send(bytes((byte,)))
        assert b"You said: slowly" in read(connection).body


def test_a_client_that_waits_for_permission_gets_it(vendor: FaultyVendor):
    with connect(vendor) as connection:
        head, _, body = request(headers="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert read(connection).status == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [(b"nonsense\r\n\r\n", 400), (b"POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411)],
)
def test_what_it_cannot_read_is_refused_and_the_connection_closed(vendor: FaultyVendor, head: bytes, status: int):
    with connect(vendor) as connection:
        connection.sendall(head)
        assert read(connection).status == status
        assert connection.recv(1) == b""


def test_connection_close_is_obeyed(vendor: FaultyVendor):
    with connect(vendor) as connection:
        connection.sendall(request(headers="Connection: close\r\n"))
        assert read(connection).status == 200
        assert connection.recv(1) == b""


def test_a_fault_that_fails_closes_the_connection_and_is_logged(caplog: pytest.LogCaptureFixture):
    with FaultyVendor(fault=faults.malformed_event(at=1000)) as vendor:
        assert ask(vendor, stream=True).data == b""
        vendor.fault = None
        assert ask(vendor).status == 200
    assert "IndexError" in caplog.text


def test_the_log_has_what_came_and_what_went(vendor: FaultyVendor):
    sent = request("dashscope", stream=True, text="How are you?", headers="Authorization: Bearer sk-1\r\n")
    with connect(vendor) as connection:
        connection.sendall(sent)
        seen = read(connection)
    assert vendor.wait_until(lambda: vendor.log[0].outcome == "answered")
    entry = vendor.log[0]
    assert (entry.method, entry.wire, entry.stream, entry.model, entry.text) == (
        "POST",
        "dashscope",
        True,
        "m",
        "How are you?",
    )
    assert entry.headers["authorization"] == "Bearer sk-1"
    assert (entry.bytes_sent, entry.status, entry.fault) == (len(seen.data), 200, None)
    assert vendor.bytes_received == len(sent)
    assert entry.ended is not None
    assert entry.ended >= entry.at


def test_a_record_shows_neither_key_nor_prompt(vendor: FaultyVendor):
    ask(vendor, text="a secret", headers="Authorization: Bearer sk-secret\r\n")
    assert "secret" not in repr(vendor.log[0])


def test_a_client_that_leaves_is_noticed(vendor: FaultyVendor):
    vendor.fault = faults.stall(after=1)
    with connect(vendor) as connection:
        connection.sendall(request(stream=True))
        connection.recv(65536)
        assert vendor.log[0].outcome == "pending"
    assert vendor.wait_until(lambda: vendor.log[0].outcome == "client_closed")
    assert vendor.log[0].client_closed is not None
    assert vendor.wait_until(lambda: vendor.connections.open == 0)


def test_a_client_that_leaves_in_the_middle_of_a_stream_is_noticed(vendor: FaultyVendor):
    vendor.answer, vendor.pace = "word " * 1000, 0.01
    with connect(vendor) as connection:
        connection.sendall(request(stream=True))
        connection.recv(65536)
    assert vendor.wait_until(lambda: vendor.log[0].outcome == "client_closed")


def test_unfinished_requests_count_as_bytes_but_not_as_requests(vendor: FaultyVendor):
    with connect(vendor) as connection:
        connection.sendall(request()[:-10])
        assert vendor.wait_until(lambda: vendor.connections.open == 1)
    assert vendor.wait_until(lambda: vendor.connections.open == 0)
    assert vendor.bytes_received == len(request()) - 10
    assert vendor.log == []


def test_a_wrong_key_is_refused_in_the_words_of_each_vendor(vendor: FaultyVendor):
    vendor.keys = {"sk-right"}
    assert ask(vendor, headers="Authorization: Bearer sk-right\r\n").status == 200
    refused = {
        wire: ask(vendor, wire, headers="Authorization: Bearer sk-wrong\r\n") for wire in ("openai", "compatible")
    }
    assert [seen.status for seen in refused.values()] == [401, 401]
    assert [seen.json["error"]["code"] for seen in refused.values()] == ["invalid_api_key", "invalid_api_key"]
    native = ask(vendor, "dashscope")
    assert (native.status, native.json["code"]) == (401, "InvalidApiKey")


def test_a_model_that_does_not_exist_is_refused(vendor: FaultyVendor):
    vendor.models = ["other"]
    assert (ask(vendor).status, ask(vendor).json["error"]["code"]) == (404, "model_not_found")
    assert ask(vendor, "dashscope").json["code"] == "ModelNotFound"


def test_an_unknown_path_is_not_found(vendor: FaultyVendor):
    connection = HTTPConnection("127.0.0.1", vendor.port, timeout=10)
    for path in ("/nowhere", "/v1/nowhere", "/api/v1/nowhere"):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 404
    connection.close()


def test_scripted_faults_come_first_and_one_by_one(vendor: FaultyVendor):
    vendor.fault = faults.status(503)
    vendor.script([faults.status(500), None, faults.status(429)])
    assert [ask(vendor).status for _ in range(5)] == [500, 200, 429, 503, 503]
    assert [entry.fault for entry in vendor.log[:3]] == ["status(500)", None, "status(429)"]


def test_a_fault_may_depend_on_the_request(vendor: FaultyVendor):
    def every_third(request: VendorRequest) -> faults.Fault | None:
        return faults.status(500) if request.index % 3 == 0 else None

    vendor.fault = every_third
    assert [ask(vendor).status for _ in range(4)] == [500, 200, 200, 500]


def test_a_fault_of_the_socket_cannot_be_scripted(vendor: FaultyVendor):
    with pytest.raises(ValueError, match=r"`refuse\(\)` meets connections"):
        vendor.script([None, faults.refuse()])


def test_refused_connections_are_refused_and_then_accepted_on_the_same_port(vendor: FaultyVendor):
    port = vendor.port
    for _ in range(3):
        vendor.fault = faults.refuse()
        with pytest.raises(ConnectionRefusedError):
            connect(vendor)
        vendor.fault = None
        assert ask(vendor).status == 200
    assert vendor.port == port


def test_nobody_else_gets_the_port_while_connections_are_refused(vendor: FaultyVendor):
    vendor.fault = faults.refuse()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", vendor.port))


def test_refusing_closes_idle_connections_and_spares_busy_ones(vendor: FaultyVendor):
    vendor.script([None, faults.silent(seconds=0.05)])
    with connect(vendor) as idle, connect(vendor) as busy:
        idle.sendall(request())
        read(idle)
        busy.sendall(request())
        assert vendor.wait_until(lambda: len(vendor.log) == 2)
        vendor.fault = faults.refuse()
        assert idle.recv(1) == b""
        assert read(busy).status == 200


def test_an_unanswered_connection_is_neither_refused_nor_accepted(vendor: FaultyVendor):
    vendor.fault = faults.unanswered()
    with pytest.raises(TimeoutError):
        connect(vendor, SILENCE)
    vendor.fault = None
    assert ask(vendor).status == 200


def test_a_deaf_vendor_accepts_and_reads_nothing(vendor: FaultyVendor):
    vendor.fault = faults.deaf()
    with connect(vendor, SILENCE) as connection:
        connection.sendall(request())
        assert read(connection).end == "silence"
        assert vendor.wait_until(lambda: vendor.connections.total == 1)
        assert (vendor.bytes_received, vendor.log) == (0, [])
        vendor.fault = None
        assert read(connection).end == "reset"
    assert ask(vendor).status == 200


def test_a_fault_may_be_set_from_within_an_answer(vendor: FaultyVendor):
    def last_words(_request: VendorRequest) -> str:
        vendor.fault = faults.refuse()
        return "Goodbye."

    vendor.answer = last_words
    assert b"Goodbye." in ask(vendor).body
    with pytest.raises(ConnectionRefusedError):
        connect(vendor)


def test_a_vendor_that_is_built_with_a_fault_starts_with_it():
    with FaultyVendor(fault=faults.refuse()) as vendor, pytest.raises(ConnectionRefusedError):
        connect(vendor)


def test_closing_breaks_off_what_is_in_flight_and_leaves_no_thread():
    vendor = FaultyVendor(fault=faults.silent()).start()
    with connect(vendor) as connection:
        connection.sendall(request())
        assert vendor.wait_until(lambda: len(vendor.log) == 1)
        vendor.close()
        assert connection.recv(1) == b""
    vendor.close()
    assert vendor.log[0].outcome == "vendor_closed"
    assert "faulty-vendor" not in {thread.name for thread in threading.enumerate()}


def test_a_closed_vendor_starts_again_on_its_port():
    vendor = FaultyVendor()
    with vendor:
        port = vendor.port
        ask(vendor)
    with vendor:
        assert vendor.port == port
        assert ask(vendor).status == 200


def test_a_running_vendor_is_not_started_twice(vendor: FaultyVendor):
    with pytest.raises(RuntimeError, match="running already"):
        vendor.start()


def test_waiting_for_what_does_not_happen_ends(vendor: FaultyVendor):
    assert vendor.wait_until(lambda: False, seconds=0.01) is False


def test_words_and_pace_shape_a_stream(vendor: FaultyVendor):
    vendor.answer, vendor.words, vendor.pace = "one two three four", 2, 0.001
    events = ask(vendor, stream=True).events
    assert [json.loads(event[6:])["choices"][0]["delta"] for event in events[1:3]] == [
        {"content": "one two "},
        {"content": "three four"},
    ]


def test_two_vendors_do_not_share_anything():
    with FaultyVendor(answer="one") as first, FaultyVendor(answer="two") as second:
        first.fault = faults.refuse()
        assert b"two" in ask(second).body
        assert (len(first.log), len(second.log)) == (0, 1)


# --- what it makes up, and what it refuses


TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["C", "F"]},
                "days": {"type": "integer", "minimum": 3},
                "at": {"$ref": "#/$defs/place"},
                "tags": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"type": "string"}]}},
            },
            "$defs": {
                "place": {"type": "object", "properties": {"lat": {"type": "number"}, "sure": {"type": "boolean"}}}
            },
        },
    },
}


def test_given_tools_it_calls_the_first_with_arguments_that_fit(vendor: FaultyVendor):
    message = ask(vendor, tools=[TOOL]).json["choices"][0]["message"]
    call = message["tool_calls"][0]["function"]
    assert (call["name"], message["content"]) == ("weather", None)
    assert json.loads(call["arguments"]) == {
        "city": "text",
        "unit": "C",
        "days": 3,
        "at": {"lat": 1, "sure": True},
        "tags": [None],
    }


def test_a_named_tool_is_called_and_none_means_none(vendor: FaultyVendor):
    other = {"type": "function", "function": {"name": "other"}}
    named = ask(vendor, tools=[TOOL, other], tool_choice={"type": "function", "function": {"name": "other"}})
    assert named.json["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "other", "arguments": "{}"}
    assert ask(vendor, tools=[TOOL], tool_choice="none").json["choices"][0]["finish_reason"] == "stop"


def test_asked_for_json_it_answers_json_that_fits_the_schema(vendor: FaultyVendor):
    schema = {"type": "object", "properties": {"title": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "risk", "schema": schema}}
    content = ask(vendor, response_format=wanted).json["choices"][0]["message"]["content"]
    assert json.loads(content) == {"title": "text"}
    plain = ask(vendor, text="in json", response_format={"type": "json_object"}).json
    assert json.loads(plain["choices"][0]["message"]["content"]) == {"answer": "You said: in json"}


@pytest.mark.parametrize("wire", ["openai", "compatible", "dashscope"])
def test_json_mode_needs_the_word(vendor: FaultyVendor, wire: str):
    seen = ask(vendor, wire, response_format={"type": "json_object"})
    assert seen.status == 400
    assert b"must contain the word 'json'" in seen.body


def test_thinking_is_given_when_it_is_asked_for_and_left_out_when_it_is_switched_off(vendor: FaultyVendor):
    vendor.answer = Reply("Yes.", reasoning="Hmm.")
    on, off = (ask(vendor, "dashscope", enable_thinking=wish).json for wish in (True, False))
    assert on["output"]["choices"][0]["message"]["reasoning_content"] == "Hmm."
    assert on["usage"]["output_tokens_details"] == {"reasoning_tokens": 1}
    assert "reasoning_content" not in off["output"]["choices"][0]["message"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"enable_thinking": True, "response_format": {"type": "json_object"}}, "Json mode response is not supported"),
        ({"enable_thinking": True, "tool_choice": "required", "tools": [TOOL]}, "tool_choice"),
        ({"enable_thinking": True, "incremental_output": False}, "incremental_output parameter must be"),
        ({"tools": [TOOL], "result_format": "text"}, "result_format parameter must be"),
    ],
)
def test_the_native_wire_refuses_what_dashscope_refuses(vendor: FaultyVendor, options: dict, words: str):
    seen = ask(vendor, "dashscope", stream=True, text="as json", **options)
    assert (seen.status, seen.json["code"]) == (400, "InvalidParameter")
    assert words in seen.json["message"]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "tool", "tool_call_id": "1", "content": "x"}],
        [{"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}, {"role": "user", "content": "and?"}],
    ],
)
def test_results_of_tools_must_follow_their_calls(vendor: FaultyVendor, messages: list):
    seen = ask(vendor, messages=messages)
    assert seen.status == 400
    assert "tool_calls" in seen.json["error"]["message"]


def test_a_round_of_tools_is_accepted(vendor: FaultyVendor):
    call = ToolCall(id="1", name="weather").model_dump()
    messages = [
        {"role": "user", "content": "Sunny?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "yes"},
    ]
    assert ask(vendor, messages=messages, tools=[TOOL]).json["choices"][0]["message"]["content"] == "You said: Sunny?"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "m"}', b'{"messages": []}'])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/v1/services/aigc/text-generation/generation"])
def test_a_body_that_is_no_request_is_refused(vendor: FaultyVendor, path: str, body: bytes):
    connection = HTTPConnection("127.0.0.1", vendor.port, timeout=10)
    connection.request("POST", path, body)
    response = connection.getresponse()
    response.read()
    connection.close()
    assert response.status == 400


def test_usage_can_be_dictated(vendor: FaultyVendor):
    from multimodel.types import Usage

    vendor.answer = Reply("Yes.", usage=Usage(input_tokens=7, output_tokens=5, total_tokens=12, cached_tokens=3))
    assert ask(vendor).json["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}
    last = json.loads(ask(vendor, "dashscope", stream=True).events[-1].partition(b"data:")[2])
    assert (last["usage"]["total_tokens"], last["usage"]["prompt_tokens_details"]) == (12, {"cached_tokens": 3})
