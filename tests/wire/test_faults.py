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
        (10**12, None, None),
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


def test_a_redirect_says_what_to_do():
    assert "base_url" in as_error(Fault(), Dialect(), {}, 302).hint


def test_an_error_inside_a_stream_has_the_status_that_it_states():
    assert as_error(Fault("Throttling", status=429), Dialect(), {}).status == 429
    assert as_error(Fault("Throttling"), Dialect(), {}).status is None


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
