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


def test_the_dates_own_moment_is_a_wait_of_nothing():
    assert after(retry_after=DATE, date=DATE) == 0.0


@pytest.mark.parametrize("size", [200, 201])
def test_a_header_of_two_hundred_characters_is_read_and_a_longer_one_is_not(size: int):
    assert after(retry_after="7".rjust(size)) == (7.0 if size == 200 else None)
    assert after(retry_after_ms="7".ljust(size)) == (0.007 if size == 200 else None)
    assert after(retry_after=LATER.ljust(size), date=DATE) == (7.0 if size == 200 else None)
    assert after(retry_after=LATER, date=DATE.ljust(size)) == (7.0 if size == 200 else None)


@pytest.mark.parametrize(("value", "seconds"), [("2, nan, 7", 7.0), ("soon, 3", 3.0), ("9,1e400", 9.0), ("-5,4", 4.0)])
def test_of_several_values_the_largest_that_is_a_number_counts(value: str, seconds: float):
    assert after(retry_after=value) == seconds
    assert after(retry_after_ms=value) == seconds / 1000


@pytest.mark.parametrize("value", ["", " ", ",", "FALSE,true", "1", "yes"])
def test_another_word_in_x_should_retry_says_nothing(value: str):
    assert hints({"x-should-retry": value}).should_retry is None


def test_x_should_retry_may_have_spaces_around_it():
    assert hints({"x-should-retry": " False "}).should_retry is False


def test_a_date_in_the_past_is_ignored():
    assert after(retry_after=DATE, date=LATER) is None


@pytest.mark.parametrize(("value", "meant"), [("true", True), ("FALSE", False), ("", None), ("maybe", None)])
def test_x_should_retry_is_true_false_or_nothing(value: str, meant: bool | None):
    assert hints({"x-should-retry": value}).should_retry is meant


def test_without_headers_there_are_no_hints():
    assert (hints({}).retry_after, hints({}).should_retry) == (None, None)


@pytest.mark.parametrize("stated", ["x" * 128, "a", "0", "req_A-1.b:c/d+e="])
def test_what_can_be_a_request_id_is_one(stated: str):
    assert (
        request_id({"x-request-id": stated}) == request_id({"request-id": stated}) == request_id({}, stated) == stated
    )


def test_a_header_that_is_no_request_id_gives_way_to_the_next():
    assert request_id({"x-request-id": "two words", "request-id": "req-1"}, "b") == "req-1"
    assert request_id({"x-request-id": "a-1", "request-id": "req-1"}, "b") == "a-1"
    assert request_id({"x-request-id": "", "request-id": "two words"}, "b") == "b"
    assert request_id({}, "two words") is None


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


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset-requests": "5s"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
        ({"x-ratelimit-remaining-requests": " 0 ", "x-ratelimit-reset-requests": " 5s "}, 5.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-requests": "5s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1h1m1.5s500ms"}, 3662.0),
        ({"x-ratelimit-remaining-images": "0", "x-ratelimit-reset-images": "5s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "5s", "retry-after": ""}, 5.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "5s", "retry-after": "soon"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "5s", "retry-after-ms": "1000"}, 1.0),
    ],
)
def test_only_the_reset_of_what_is_used_up_is_a_wait(headers: dict[str, str], seconds: float | None):
    assert hints(headers).retry_after == seconds


def test_a_reset_that_cannot_be_read_does_not_hide_the_other() -> None:
    headers = {f"x-ratelimit-remaining-{name}": "0" for name in ("requests", "tokens")}
    for requests in ("soon", ""):
        found = hints({**headers, "x-ratelimit-reset-requests": requests, "x-ratelimit-reset-tokens": "5s"})
        assert found.retry_after == 5.0
