from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel.wire.hints import hints, request_id

DATE = "Tue, 24 Nov 2026 10:00:00 GMT"
LATER = "Tue, 24 Nov 2026 10:00:07 GMT"


def after(**headers: str) -> float | None:
    return hints({name.replace("_", "-"): value for name, value in headers.items()}).retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2", 2.0), ("0", 0.0), ("1.5", 1.5), (" 3 ", 3.0), ("86400", 86400.0), ("1e1", 10.0), (".5", 0.5), ("2, 5", 5.0)],
)
def test_seconds_are_taken_as_they_are(value: str, seconds: float):
    assert after(retry_after=value) == seconds


@pytest.mark.parametrize(
    "value", ["-1", "nan", "inf", "-inf", "1e400", "", "soon", "1_0", "0x10", "٣", "1" * 300, "-0"]
)
def test_what_is_no_number_of_seconds_is_ignored(value: str):
    assert after(retry_after=value) is None


def test_milliseconds_come_first():
    assert after(retry_after_ms="250", retry_after="9") == 0.25
    assert after(retry_after_ms="nan", retry_after="9") == 9.0


def test_a_date_is_compared_with_the_answers_own_date():
    assert after(retry_after=LATER, date=DATE) == 7.0


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 24 Nov 2026 10:00:00 -0000"])
def test_a_date_without_a_usable_date_beside_it_is_ignored(date: str):
    assert after(retry_after=LATER, date=date) is None
    assert after(retry_after=LATER) is None


def test_a_date_in_the_past_is_ignored():
    assert after(retry_after=DATE, date=LATER) is None


@pytest.mark.parametrize(("value", "meant"), [("true", True), ("FALSE", False), ("", None), ("maybe", None)])
def test_x_should_retry_is_true_false_or_nothing(value: str, meant: bool | None):
    assert hints({"x-should-retry": value}).should_retry is meant


def test_without_headers_there_are_no_hints():
    assert (hints({}).retry_after, hints({}).should_retry) == (None, None)


def test_the_request_id_comes_from_the_headers_then_from_the_body():
    assert request_id({"x-request-id": "a-1"}, "b") == "a-1"
    assert request_id({"request-id": "req_1"}) == "req_1"
    assert request_id({}, "b") == "b"
    assert request_id({}) is None


@pytest.mark.parametrize("stated", ["", "two words", "x" * 129, "a\nb", "Überlänge"])
def test_what_cannot_be_a_request_id_is_none(stated: str):
    assert request_id({"x-request-id": stated}) is None


@given(
    st.fixed_dictionaries(
        {},
        optional={name: st.text(max_size=40) for name in ("retry-after", "retry-after-ms", "date", "x-should-retry")},
    )
)
def test_any_headers_give_a_finite_wait_or_none(headers: dict[str, str]):
    wait = hints(headers).retry_after
    assert wait is None or (math.isfinite(wait) and wait >= 0)


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("2m59.56s", 179.56),
        ("6m0s", 360.0),
        ("1h2m", 3720.0),
        ("soon", None),
        ("-1s", None),
    ],
)
def test_without_a_wait_the_reset_of_what_is_used_up_counts(reset: str, seconds: float | None) -> None:
    used_up = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    assert hints(used_up).retry_after == (seconds if seconds is None else pytest.approx(seconds))
    assert hints({**used_up, "x-ratelimit-remaining-requests": "3"}).retry_after is None
    assert hints({**used_up, "retry-after": "7"}).retry_after == 7.0


def test_of_two_resets_the_later_counts() -> None:
    headers = {f"x-ratelimit-remaining-{name}": "0" for name in ("requests", "tokens")}
    headers |= {"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "5s"}
    assert hints(headers).retry_after == 5.0
