from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from multimodel import errors
from multimodel.errors import CallError, Kind
from multimodel.wire import Dialect, ErrorRule, codec_for
from multimodel.wire.faults import Fault, as_error, classify, fault_from, parse_fault

# --- reading ---


def test_an_openai_error_is_read():
    body = {"error": {"message": "No.", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}}
    assert parse_fault(to_json(body)) == Fault("model_not_found", "No.", "invalid_request_error", "model")


def test_a_flat_error_is_read():
    body = b'{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing.","request_id":"r-1"}'
    fault = parse_fault(body)
    assert (fault.code, fault.request_id) == ("Arrearage", "r-1")
    assert fault.message.startswith("Access denied")


def test_an_anthropic_error_is_read():
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_011"}'
    assert parse_fault(body) == Fault(None, "Overloaded", "overloaded_error", request_id="req_011")


def test_a_google_error_is_read_from_its_list():
    body = b'[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]'
    assert parse_fault(body) == Fault(None, "Quota", "RESOURCE_EXHAUSTED", status=429)


def test_a_vllm_error_is_read_flat_and_nested():
    flat = b'{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}'
    nested = b'{"error":{"message":"too long","type":"BadRequestError","param":null,"code":400}}'
    assert parse_fault(flat) == parse_fault(nested) == Fault(None, "too long", "BadRequestError", status=400)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"model is loading"}', "model is loading"),
        (b'{"detail":"Not authenticated"}', "Not authenticated"),
        (b'{"error":{"message":{"a":1}},"message":"outer"}', "outer"),
        (b"upstream connect error", "upstream connect error"),
        (b"404 page not found", "404 page not found"),
    ],
)
def test_one_text_is_the_message(body: bytes, message: str):
    assert parse_fault(body).message == message


def test_a_server_sent_event_is_read_whatever_its_content_type():
    body = b'id:1\nevent:error\n:HTTP_STATUS/400\ndata:{"code":"InvalidParameter","message":"url error, please check url!","request_id":"r-2"}\n\n'
    assert parse_fault(body) == Fault("InvalidParameter", "url error, please check url!", request_id="r-2", status=400)
    assert parse_fault(b"data: no json\n\n").message == "no json"


def test_a_body_that_was_cut_is_read_as_far_as_it_goes():
    body = b'{"error":{"code":"rate_limit_exceeded","type":"tokens","message":"Limit 3'
    assert parse_fault(body) == Fault("rate_limit_exceeded", "Limit 3", "tokens")


@pytest.mark.parametrize(
    "body", [b"", b"  \n", b"<html><title>502</title></html>", b"{}", b"[]", b"[1]", b'{"error":null}']
)
def test_what_says_nothing_is_an_empty_fault(body: bytes):
    assert parse_fault(body) == Fault()


@pytest.mark.parametrize("lead", [b"data:", b"event:error\ndata:", b"id:1\ndata:", b"status:400\ndata:", b":x\ndata:"])
def test_a_server_sent_event_is_told_by_its_first_field(lead: bytes):
    fault = parse_fault(b"\xef\xbb\xbf\n" + lead + b'{"code":"E1","message":"x"}')
    assert (fault.code, fault.message) == ("E1", "x")


def test_the_first_event_counts_and_its_status_comes_before_the_one_it_states():
    assert parse_fault(b"data: no\n\ndata: never\n\n") == Fault(message="no")
    assert parse_fault(b':HTTP_STATUS/503\ndata:{"code":429,"message":"x"}\n\n') == Fault(message="x", status=503)
    assert parse_fault(b'data:{"code":429,"message":"x"}\n\n') == Fault(message="x", status=429)
    assert parse_fault(b"event: error\n\n").message == "event: error"


@pytest.mark.parametrize("body", [b"{oops", b'{"code":NaN,"message":"x"}', b"[oops]"])
def test_what_only_begins_like_json_is_one_text(body: bytes):
    assert parse_fault(body) == Fault(message=body.decode())


@pytest.mark.parametrize(
    "body",
    [b"x" * 3000, b"{" + b"x" * 3000, b'"x"' * 1000, b"data: " + b"x" * 3000, b'{"error":"' + b"x" * 3000 + b'"}'],
)
def test_of_a_long_text_the_first_two_thousand_characters_are_kept(body: bytes):
    message = parse_fault(body).message
    assert len(message) == 2000
    assert body[-1500:].decode().rstrip('"}')[:9] in message


def test_bytes_that_are_no_text_are_replaced():
    assert parse_fault(b"caf\xe9").message == parse_fault(b"data: caf\xe9\n\n").message == "caf\ufffd"


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("down", Fault(message="down")),
        (["down", {"message": "x"}, {"message": "y"}], Fault(message="x")),
        (7, Fault()),
        (None, Fault()),
        ({"error": {"message": ""}, "message": "outer"}, Fault(message="outer")),
        ({"error": {"message": "inner", "detail": "d"}, "message": "outer"}, Fault(message="inner")),
        ({"error": "word", "detail": "d", "msg": "m"}, Fault(message="word")),
        ({"detail": "d", "msg": "m"}, Fault(message="d")),
        ({"msg": "m"}, Fault(message="m")),
        ({"error": {"msg": "m"}}, Fault(message="m")),
        ({"type": "", "status": "GONE"}, Fault(type="GONE")),
        ({"type": "t", "status": "GONE"}, Fault(type="t")),
        ({"error": {"type": "t"}, "type": "error"}, Fault(type="t")),
        ({"error": {"param": "model"}}, Fault(param="model")),
        ({"param": 7}, Fault()),
        ({"request_id": "r-1", "requestId": "r-3", "error": {"request_id": "r-2"}}, Fault(request_id="r-1")),
        ({"requestId": "r-3", "error": {"request_id": "r-2"}}, Fault(request_id="r-2")),
        ({"requestId": "r-3", "request_id": ""}, Fault(request_id="r-3")),
    ],
)
def test_each_fact_has_its_places_and_the_first_that_says_something_counts(value: object, fault: Fault):
    assert fault_from(value) == fault


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("<400> <500> X", "<500> X"),
        (" X ", "X"),
        ("<429>X", "X"),
        ("<400>", None),
        ("<40> X", "<40> X"),
        ("X <400> ", "X <400>"),
    ],
)
def test_one_leading_status_is_no_part_of_a_code(code: str, read: str | None):
    assert fault_from({"code": code}).code == read


def test_a_leading_status_in_a_code_is_dropped():
    assert fault_from({"code": "<400> InternalError.Algo"}).code == "InternalError.Algo"


@pytest.mark.parametrize(
    ("code", "read", "status"),
    [
        (1113, "1113", None),
        ("1500", "1500", None),
        (404, None, 404),
        ("429", None, 429),
        (True, None, None),
        (False, None, None),
        (0, "0", None),
        (10**9 - 1, "999999999", None),
        (1 - 10**9, "-999999999", None),
        (10**9, None, None),
        (-(10**9), None, None),
        (399, "399", None),
        (400, None, 400),
        (599, None, 599),
        (600, "600", None),
        ("4000", "4000", None),
        (400.0, None, None),
        ("", None, None),
        ([], None, None),
    ],
)
def test_numbers_are_codes_unless_they_are_an_error_status(code: object, read: str | None, status: int | None):
    fault = fault_from({"error": {"code": code}})
    assert (fault.code, fault.status) == (read, status)


# --- meaning, for everybody ---

DEFAULTS = [
    (400, "bad_request"),
    (401, "authentication"),
    (402, "quota_exhausted"),
    (403, "permission_denied"),
    (404, "model_not_found"),
    (405, "bad_request"),
    (408, "server_error"),
    (409, "server_error"),
    (410, "model_not_found"),
    (413, "bad_request"),
    (418, "bad_request"),
    (422, "bad_request"),
    (429, "rate_limited"),
    (451, "permission_denied"),
    (500, "server_error"),
    (502, "server_error"),
    (503, "overloaded"),
    (504, "server_error"),
    (520, "server_error"),
    (524, "server_error"),
    (529, "overloaded"),
    (599, "server_error"),
    (201, "invalid_response"),
    (204, "invalid_response"),
    (301, "invalid_response"),
    (307, "invalid_response"),
    (101, "invalid_response"),
    (600, "invalid_response"),
    (0, "invalid_response"),
]


@pytest.mark.parametrize(("status", "kind"), DEFAULTS)
def test_a_status_alone_has_one_meaning(status: int, kind: Kind):
    assert classify(status, Fault()) == (kind, None)


@pytest.mark.parametrize(
    ("status", "fault", "kind"),
    [
        (400, Fault("context_length_exceeded", type="invalid_request_error"), "context_window_exceeded"),
        (400, Fault("content_policy_violation"), "content_filtered"),
        (400, Fault("content_filter"), "content_filtered"),
        (400, Fault("model_not_found"), "model_not_found"),
        (403, Fault("model_not_found"), "model_not_found"),
        (400, Fault(param="model"), "model_not_found"),
        (422, Fault(param="model"), "model_not_found"),
        (400, Fault(param="messages"), "bad_request"),
        (429, Fault("credit_balance_exhausted", type="insufficient_quota"), "quota_exhausted"),
        (429, Fault("project_spend_limit_exceeded"), "quota_exhausted"),
        (429, Fault("enforced_spend_limit_reached", type="rate_limit_error"), "quota_exhausted"),
        (429, Fault("insufficient_quota"), "rate_limited"),
        (429, Fault("rate_limit_exceeded"), "rate_limited"),
        (403, Fault(type="billing_error"), "quota_exhausted"),
        (401, Fault("content_filter"), "authentication"),
        (500, Fault("context_length_exceeded"), "server_error"),
        (599, Fault("context_length_exceeded"), "server_error"),
        (499, Fault("context_length_exceeded"), "context_window_exceeded"),
        (399, Fault("context_length_exceeded"), "invalid_response"),
        (402, Fault("content_filter"), "quota_exhausted"),
        (408, Fault("content_filter"), "server_error"),
        (409, Fault("content_filter"), "server_error"),
        (400, Fault("strange", type=" Content_Filter "), "content_filtered"),
        (400, Fault("content_filter", type="billing_error"), "content_filtered"),
        (403, Fault(param="model"), "permission_denied"),
        (429, Fault(param="model"), "rate_limited"),
        (400, Fault("overloaded_error"), "bad_request"),
    ],
)
def test_a_known_code_is_finer_than_a_status(status: int, fault: Fault, kind: Kind):
    assert classify(status, fault)[0] == kind


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(type="overloaded_error"), "overloaded"),
        (Fault(type="rate_limit_error"), "rate_limited"),
        (Fault(type="RESOURCE_EXHAUSTED"), "rate_limited"),
        (Fault("server_error"), "server_error"),
        (Fault(type="api_error"), "server_error"),
        (Fault(type="authentication_error"), "authentication"),
        (Fault(type="invalid_request_error", code="context_length_exceeded"), "context_window_exceeded"),
        (Fault(type="invalid_request_error"), "bad_request"),
        (Fault(type="BadRequestError", status=400), "bad_request"),
        (Fault(status=502), "server_error"),
        (Fault(status=429), "rate_limited"),
        (Fault(status=200), "server_error"),
        (Fault(status=399), "server_error"),
        (Fault(status=400), "bad_request"),
        (Fault(status=599), "server_error"),
        (Fault(status=600, type="overloaded_error"), "overloaded"),
        (Fault("strange", type="overloaded_error"), "overloaded"),
        (Fault("rate_limit_exceeded", type="overloaded_error"), "rate_limited"),
        (Fault("content_filter", status=400), "content_filtered"),
        (Fault("content_filter", status=500), "server_error"),
        (Fault(message="rate limit"), "server_error"),
        (Fault(), "server_error"),
    ],
)
@pytest.mark.parametrize("status", [None, 200])
def test_inside_a_stream_the_code_then_the_status_it_states_then_the_type_decides(
    fault: Fault, kind: Kind, status: int | None
):
    assert classify(status, fault) == (kind, None)


# --- meaning, by a vendor's table ---


def kind(status: int | None, fault: Fault, *rules: ErrorRule) -> str:
    return classify(status, fault, rules)[0]


def test_the_first_row_that_matches_holds():
    first, second = ErrorRule("overloaded", code="Busy"), ErrorRule("server_error", code="Busy")
    assert classify(400, Fault("Busy"), (first, second)) == ("overloaded", first)


def test_codes_are_compared_without_case_and_with_a_star():
    rule = ErrorRule("rate_limited", code="Throttling*")
    for code in ("Throttling", "throttling.ratequota", "THROTTLING.X"):
        assert kind(400, Fault(code), rule) == "rate_limited"
    assert kind(400, Fault("NoThrottling"), rule) == "bad_request"
    assert kind(400, Fault("Throttling.RateQuota"), ErrorRule("rate_limited", code="Throttling")) == "bad_request"


def test_all_conditions_of_a_row_must_hold():
    rule = ErrorRule("quota_exhausted", status=429, code="Throttling.AllocationQuota", text="free allocated quota")
    fault = Fault("Throttling.AllocationQuota", "Free allocated quota exceeded.")
    assert kind(429, fault, rule) == "quota_exhausted"
    assert kind(400, fault, rule) == "bad_request"
    assert kind(429, Fault("Throttling.AllocationQuota", "Slow down"), rule) == "rate_limited"


def test_inside_a_stream_a_row_with_a_code_counts_without_its_status():
    assert kind(None, Fault("Throttling"), ErrorRule("rate_limited", status=429, code="Throttling")) == "rate_limited"
    assert kind(None, Fault("Throttling"), ErrorRule("rate_limited", status=429)) == "server_error"
    stated = Fault("Throttling", status=400)
    assert kind(None, stated, ErrorRule("rate_limited", status=429, code="Throttling")) == "bad_request"


def test_the_type_counts_only_where_no_row_knows_the_code():
    rules = ErrorRule("bad_request", code="invalid_request_error"), ErrorRule("model_not_found", code="no_such_model")
    assert kind(400, Fault("no_such_model", type="invalid_request_error"), *rules) == "model_not_found"
    assert kind(500, Fault("strange", type="invalid_request_error"), *rules) == "bad_request"
    assert kind(500, Fault(type="invalid_request_error"), *rules) == "bad_request"


def test_a_code_that_leads_the_message_is_a_code():
    fault = Fault(
        "invalid_parameter_error",
        "<400> InternalError.Algo.DataInspectionFailed: Input data may contain inappropriate content.",
    )
    assert kind(400, fault, ErrorRule("content_filtered", code="DataInspectionFailed")) == "content_filtered"
    assert kind(400, fault, ErrorRule("content_filtered", code="InternalError.Algo.Data*")) == "content_filtered"


def test_a_code_that_leads_the_message_is_one_more_code():
    fault = Fault("Own", "InternalError.Algo.Inner: x")
    for code in ("own", "internalerror.algo.inner", "inner"):
        assert kind(400, fault, ErrorRule("overloaded", code=code)) == "overloaded"
    assert kind(400, Fault(None, "Some.Inner: x"), ErrorRule("overloaded", code="Some.Inner")) == "overloaded"
    assert kind(400, Fault(None, "Some.Inner: x"), ErrorRule("overloaded", code="Inner")) == "bad_request"
    for message in ("Some.Inner:x", "Inner: x", "It was Some.Inner: x", "Some.Inner x"):
        assert kind(400, Fault(None, message), ErrorRule("overloaded", code="*Inner")) == "bad_request"
        assert kind(400, Fault(None, message), ErrorRule("overloaded", code="Some.Inner")) == "bad_request"


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (ErrorRule("overloaded"), True),
        (ErrorRule("overloaded", status=429), True),
        (ErrorRule("overloaded", status=428), False),
        (ErrorRule("overloaded", status=428, code="Busy"), False),
        (ErrorRule("overloaded", status=428, text="slow"), False),
        (ErrorRule("overloaded", status=429, code="Busy", text="SLOW"), True),
        (ErrorRule("overloaded", code="Bus"), False),
        (ErrorRule("overloaded", code="BUS*"), True),
        (ErrorRule("overloaded", code="*"), True),
        (ErrorRule("overloaded", text="fast"), False),
        (ErrorRule("overloaded", code="Busy", text="fast"), False),
        (ErrorRule("overloaded", code="Other", text="slow"), False),
    ],
)
def test_a_row_matches_when_each_of_its_fields_does(rule: ErrorRule, matches: bool):
    fault = Fault("Busy", "Slow down")
    assert classify(429, fault, (rule,)) == (("overloaded", rule) if matches else ("rate_limited", None))


def test_a_row_with_a_text_counts_inside_a_stream_without_its_status():
    fault, rule = Fault(message="Slow down"), ErrorRule("overloaded", status=429, text="slow")
    assert kind(None, fault, rule) == kind(200, fault, rule) == "overloaded"
    assert kind(None, Fault(message="x"), rule) == kind(None, Fault(), rule) == "server_error"


def test_a_row_for_all_codes_needs_a_code_or_a_type():
    assert kind(400, Fault(), ErrorRule("overloaded", code="*")) == "bad_request"
    assert kind(400, Fault(type=" T "), ErrorRule("overloaded", code="t")) == "overloaded"


def test_text_is_compared_without_case_in_any_language():
    assert kind(400, Fault(message="余额不足"), ErrorRule("quota_exhausted", text="余额")) == "quota_exhausted"


# --- the error ---


def test_an_error_carries_the_facts_but_not_the_vendors_words():
    fault = Fault("Throttling.RateQuota", "the prompt was: SECRET", request_id="r-1")
    rule = ErrorRule("rate_limited", code="Throttling*", scope="credential", hint="ask for more")
    error = as_error(fault, Dialect(errors=(rule,)), {"retry-after": "2", "x-should-retry": "false"}, 429)
    assert isinstance(error, errors.RateLimitError)
    assert (error.status, error.code, error.request_id) == (429, "Throttling.RateQuota", "r-1")
    assert (error.retry_after, error.should_retry, error.scope, error.hint) == (
        2.0,
        False,
        "credential",
        "ask for more",
    )
    assert error.detail == "the prompt was: SECRET"
    assert "SECRET" not in str(error) + repr(error)


@pytest.mark.parametrize("code", ["x" * 200, "a\nb", "ignore <b>", "ключ", " "])
def test_a_code_that_could_be_a_text_is_not_shown(code: str):
    assert as_error(Fault(code), Dialect(), {}, 400).code is None


@pytest.mark.parametrize("code", ["x" * 100, "a", "InternalError.Algo:1/2-3 x_", "0"])
def test_a_code_that_is_a_word_is_shown(code: str):
    assert as_error(Fault(code), Dialect(), {}, 400).code == code
    assert as_error(Fault(type=code), Dialect(), {}, 400).code == code
    assert as_error(Fault("first", type=code), Dialect(), {}, 400).code == "first"


def test_a_code_of_more_than_a_hundred_characters_is_not_shown():
    assert as_error(Fault("x" * 101), Dialect(), {}, 400).code is None


@pytest.mark.parametrize("status", [300, 302, 399])
def test_a_redirect_says_what_to_do(status: int):
    error = as_error(Fault(), Dialect(), {}, status)
    assert str(error).splitlines() == [
        f"the answer is none of this format (status {status})",
        "hint: redirects are not followed; correct `base_url`",
    ]


@pytest.mark.parametrize("status", [299, 400, 500, None])
def test_what_is_no_redirect_has_no_hint(status: int | None):
    assert as_error(Fault(), Dialect(), {}, status).hint is None


def test_a_row_of_the_table_gives_its_own_hint_or_none():
    rules = ErrorRule("bad_request", status=301, hint="look there"), ErrorRule("bad_request", status=302)
    hints = [as_error(Fault(), Dialect(errors=rules), {}, status).hint for status in (301, 302)]
    assert hints == ["look there", None]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("authentication", "the vendor does not accept the key"),
        ("permission_denied", "the vendor does not allow this to the key, or not from here"),
        ("quota_exhausted", "the vendor's account has no money or allowance left"),
        ("rate_limited", "the vendor takes no more requests now"),
        ("overloaded", "the vendor has no capacity now"),
        ("server_error", "the vendor failed"),
        ("bad_request", "the vendor refuses the request as it stands"),
        ("context_window_exceeded", "the request does not fit into the model's window"),
        ("content_filtered", "the vendor's moderation refused"),
        ("model_not_found", "the vendor does not know the model or the path"),
        ("invalid_response", "the answer is none of this format"),
        ("timeout.first", ""),
    ],
)
def test_each_kind_has_its_words(kind: Kind, message: str):
    error = as_error(Fault(), Dialect(errors=(ErrorRule(kind),)), {}, 400)
    assert (error.kind, error.message) == (kind, message)


def test_the_facts_of_an_error_come_from_the_headers_then_from_the_body():
    headers = {"x-request-id": "a-1", "retry-after-ms": "500", "x-should-retry": "true"}
    error = as_error(Fault(message="x", request_id="b-1", status=500), Dialect(), headers, 429)
    assert (error.request_id, error.retry_after, error.should_retry) == ("a-1", 0.5, True)
    assert (error.status, error.scope, error.detail) == (429, None, "x")
    assert as_error(Fault(request_id="b-1"), Dialect(), {}, 429).request_id == "b-1"


def test_an_error_inside_a_stream_has_the_status_that_it_states():
    assert as_error(Fault("Throttling", status=429), Dialect(), {}).status == 429
    assert as_error(Fault("Throttling"), Dialect(), {}).status is None
    assert as_error(Fault("Throttling", status=429), Dialect(), {}, 200).status == 429
    assert as_error(Fault("Throttling"), Dialect(), {}, 200).status == 200


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "type", "status", "param", "detail", "request_id", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
RULES = st.lists(
    st.builds(
        ErrorRule,
        st.sampled_from([kind for kind in get_args(Kind) if kind != "all_targets_failed"]),
        st.none() | st.integers(0, 999),
        st.none() | st.text(max_size=4) | st.sampled_from(["*", "a*", "Throttling*"]),
        st.none() | st.text(max_size=3),
    ),
    max_size=3,
).map(tuple)


@given(
    st.integers(-1, 1000),
    st.binary(max_size=60) | ANY_JSON.map(to_json),
    RULES,
    st.sampled_from(["openai_chat", "dashscope"]),
)
def test_every_status_and_body_has_exactly_one_kind(status: int, body: bytes, rules: tuple[ErrorRule, ...], wire: str):
    error = codec_for(wire).error(status, {}, body, Dialect(errors=rules))
    assert isinstance(error, CallError)
    assert error.kind in get_args(Kind)
    assert len(str(error)) <= 2000
