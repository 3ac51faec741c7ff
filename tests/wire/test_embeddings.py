"""Embeddings on both wires: what is sent, and what is read back."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel import CallError, InvalidResponseError, PolicyDeniedError, TruncatedStreamError, Usage
from multimodel.types import EmbedRequest, Vectors
from multimodel.wire import Dialect
from multimodel.wire.embeddings import embeddings_codec_for

WIRES = ["openai_chat", "dashscope"]
JSON = {"content-type": "application/json"}


def sent(wire: str, request: EmbedRequest, **dialect: Any) -> tuple[str, dict[str, Any]]:
    encoded = embeddings_codec_for(wire).encode(request, "m", Dialect(**dialect))
    return encoded.path, json.loads(encoded.body)


def body(wire: str, rows: list[tuple[Any, Any]], **more: Any) -> dict[str, Any]:
    if wire == "dashscope":
        return {"output": {"embeddings": [{"text_index": at, "embedding": row} for at, row in rows]}, **more}
    return {"object": "list", "data": [{"index": at, "embedding": row} for at, row in rows], **more}


def read(wire: str, answer: object, headers: dict[str, str] | None = None, size: int = 1 << 20) -> Vectors:
    """Decode an answer that comes in pieces of ``size`` bytes."""
    data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    decoder = embeddings_codec_for(wire).decoder(Dialect(), JSON if headers is None else headers)
    for start in range(0, len(data), size):
        assert list(decoder.feed(data[start : start + size])) == []
    (event,) = decoder.close()
    assert isinstance(event, Vectors)
    assert decoder.terminal
    assert decoder.done
    return event


def error_of(wire: str, answer: object, headers: dict[str, str] | None = None) -> CallError:
    with pytest.raises(CallError) as caught:
        read(wire, answer, headers)
    return caught.value


def test_openai_is_asked_for_numbers():
    asked = EmbedRequest(inputs=("a", "b"), dimensions=512)
    assert sent("openai_chat", asked) == (
        "/embeddings",
        {"model": "m", "input": ["a", "b"], "encoding_format": "float", "dimensions": 512},
    )
    assert "dimensions" not in sent("openai_chat", EmbedRequest(inputs="a"))[1]


def test_dashscope_is_asked_as_its_own_sdk_asks():
    asked = EmbedRequest(inputs=("a",), dimensions=512)
    assert sent("dashscope", asked, extra={"text_type": "query", "instruct": "i"}) == (
        "/services/embeddings/text-embedding/text-embedding",
        {
            "model": "m",
            "input": {"texts": ["a"]},
            "parameters": {"output_type": "dense", "dimension": 512, "text_type": "query", "instruct": "i"},
        },
    )


def test_extra_options_cannot_take_over_what_the_codec_relies_on():
    for wire, name in [("openai_chat", "input"), ("openai_chat", "encoding_format"), ("dashscope", "output_type")]:
        with pytest.raises(PolicyDeniedError, match=name):
            sent(wire, EmbedRequest(inputs="a"), extra={name: "x"})


@pytest.mark.parametrize("wire", WIRES)
def test_dimensions_are_not_asked_of_a_vendor_that_does_not_know_them(wire: str):
    with pytest.raises(PolicyDeniedError, match="dimensions"):
        sent(wire, EmbedRequest(inputs="a", dimensions=2), quirks={"unsupported": ["dimensions", "seed"]})
    sent(wire, EmbedRequest(inputs="a"), quirks={"unsupported": ["dimensions", "seed"]})


@pytest.mark.parametrize("wire", WIRES)
def test_text_that_is_no_unicode_is_refused(wire: str):
    with pytest.raises(CallError) as caught:
        sent(wire, EmbedRequest.model_construct(inputs=("\ud800",), dimensions=None, extra={}))
    assert caught.value.kind == "bad_request"


@pytest.mark.parametrize("wire", WIRES)
@given(size=st.integers(1, 50))
def test_however_the_bytes_are_cut_the_answer_is_the_same(wire: str, size: int):
    answer = body(wire, [(1, [0.5, -1]), (0, [1, 2.25])], usage={"total_tokens": 7}, request_id="r")
    found = read(wire, answer, size=size)
    assert found.rows == ((1, (0.5, -1.0)), (0, (1.0, 2.25)))
    assert found.usage == Usage(input_tokens=7, output_tokens=0, total_tokens=7)
    assert found.request_id == "r"


def test_openai_says_who_answered_and_what_was_read():
    answer = body("openai_chat", [(0, [1.0])], model="m-2", usage={"prompt_tokens": 3, "total_tokens": 3})
    found = read("openai_chat", answer, {**JSON, "x-request-id": "req_1"})
    assert (found.model, found.request_id) == ("m-2", "req_1")
    assert found.usage == Usage(input_tokens=3, output_tokens=0, total_tokens=3)


def test_what_nobody_counted_is_unknown():
    assert read("openai_chat", body("openai_chat", [(0, [1.0])])).usage is None
    assert read("openai_chat", body("openai_chat", [(0, [1.0])], usage={"prompt_tokens": True})).usage is None


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_base64_is_read_as_the_same_numbers(numbers: list[float]):
    packed = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    assert read("openai_chat", body("openai_chat", [(0, packed)])).rows == ((0, tuple(numbers)),)


def test_rows_without_numbers_are_in_order():
    assert read("openai_chat", {"data": [{"embedding": [1]}, {"embedding": [2]}]}).rows == ((0, (1.0,)), (1, (2.0,)))


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    "rows",
    [
        [],
        [(0, [])],
        [(0, None)],
        [(0, [1, "2"])],
        [(0, [True])],
        [(0, [[1]])],
        [(0, "no base64!")],
        [(0, "AAA=")],
        [(0, "AAAAfw==AA")],
        [(0, [1]), (None, [2])],
        [("0", [1])],
        [(0, [10**400])],
    ],
)
def test_an_answer_whose_vectors_cannot_be_read_is_invalid(wire: str, rows: list[Any]):
    assert isinstance(error_of(wire, body(wire, rows)), InvalidResponseError)


@pytest.mark.parametrize(
    "text", [b'{"data": [{"index": 0, "embedding": [1e400]}]}', b'{"data": [NaN]}', b"{]", b"[]", b"7"]
)
def test_json_beyond_the_limits_is_invalid(text: bytes):
    assert isinstance(error_of("openai_chat", text), InvalidResponseError)


def test_base64_of_what_is_no_number_is_invalid():
    packed = base64.b64encode(struct.pack("<f", float("nan"))).decode()
    assert isinstance(error_of("openai_chat", body("openai_chat", [(0, packed)])), InvalidResponseError)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("answer", [[], {}, {"output": []}, {"output": {"embeddings": [1]}}, {"data": {}}, "text"])
def test_json_of_another_kind_is_invalid(wire: str, answer: object):
    assert isinstance(error_of(wire, answer), InvalidResponseError)


@pytest.mark.parametrize("wire", WIRES)
def test_an_answer_that_stops_in_the_middle_is_cut(wire: str):
    whole = json.dumps(body(wire, [(0, [1.5, 2.5])])).encode()
    assert isinstance(error_of(wire, whole[: len(whole) // 2]), TruncatedStreamError)


def test_a_page_is_no_answer():
    with pytest.raises(InvalidResponseError, match="content type"):
        read("openai_chat", b"<html>", {"content-type": "text/html"})


def test_an_error_inside_the_answer_is_the_vendors():
    inside = {"error": {"message": "no", "type": "rate_limit_exceeded", "code": None}}
    assert error_of("openai_chat", inside).kind == "rate_limited"
    flat = {"code": "Throttling", "message": "slow down", "request_id": "r"}
    found = error_of("dashscope", flat)
    assert (found.kind, found.code, found.request_id) == ("server_error", "Throttling", "r")


@pytest.mark.parametrize("wire", WIRES)
def test_a_refusal_never_sends_the_texts_to_a_path_of_chat(wire: str):
    found = embeddings_codec_for(wire).error(
        400, {}, b'{"code": "InvalidParameter", "message": "url error"}', Dialect()
    )
    assert (found.kind, found.path) == ("bad_request", None)
