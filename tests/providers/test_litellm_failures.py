from __future__ import annotations

from collections.abc import Iterator

import pytest

from multimodel.errors import AttemptTimeoutError, CallError, ConfigurationError, DeadlineExceededError, error_for
from multimodel.providers.litellm_errors import failure
from multimodel.providers.litellm_exchange import Exchange
from multimodel.testing import FaultyVendor, faults
from multimodel.types import Attempt, Limits, Request
from multimodel.wire import Dialect

from .litellm_runs import attempt, both_colours, error_of, run, text_of, within


@pytest.fixture
def vendor() -> Iterator[FaultyVendor]:
    with FaultyVendor() as running:
        yield running


@both_colours
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (faults.status(400), "bad_request"),
        (faults.status(401), "authentication"),
        (faults.status(402), "quota_exhausted"),
        (faults.status(403), "permission_denied"),
        (faults.status(404), "model_not_found"),
        (faults.status(408), "server_error"),
        (faults.status(422), "bad_request"),
        (faults.status(429, code="rate_limit_exceeded"), "rate_limited"),
        (faults.status(429, code="insufficient_quota"), "quota_exhausted"),
        (faults.status(500), "server_error"),
        (faults.status(502), "server_error"),
        (faults.status(503), "overloaded"),
        (faults.status(504), "server_error"),
        (faults.status(529), "overloaded"),
        (faults.refusal("context_window_exceeded"), "context_window_exceeded"),
        (faults.refusal("content_filtered"), "content_filtered"),
        (faults.reset_before_headers(), "connection.maybe_sent"),
        (faults.close_before_headers(), "connection.maybe_sent"),
    ],
    ids=str,
)
def test_a_failure_has_its_kind_and_is_one_request(vendor, colour, stream, fault, kind):
    vendor.fault = fault
    assert error_of(colour, vendor.openai_url, attempt(stream=stream)).kind == kind
    assert len(vendor.log) == 1


@both_colours
def test_an_error_carries_the_vendors_facts_and_its_words_apart(vendor, colour):
    vendor.fault = faults.status(429, code="slow", message="You said: secret", headers={"retry-after": "7"})
    error = error_of(colour, vendor.openai_url, attempt())
    assert (error.status, error.code, error.retry_after) == (429, "slow", 7.0)
    assert error.request_id
    assert error.detail == "You said: secret"
    assert "secret" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


@both_colours
def test_an_error_inside_a_stream_has_the_vendors_kind(vendor, colour):
    vendor.fault = faults.in_stream_error(after=2, kind="rate_limited", code="rate_limit_exceeded")
    assert error_of(colour, vendor.openai_url, attempt()).kind == "rate_limited"


@both_colours
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_no_answer_is_an_invalid_response(vendor, colour, stream):
    vendor.fault = faults.malformed_event() if stream else faults.html()
    assert error_of(colour, vendor.openai_url, attempt(stream=stream)).kind == "invalid_response"


@both_colours
def test_a_refused_connection_was_not_sent(vendor, colour):
    vendor.fault = faults.refuse()
    assert error_of(colour, vendor.openai_url, attempt()).kind == "connection.unsent"


@both_colours
@pytest.mark.parametrize("fault", [faults.silent(), faults.slow_headers(every=0.1), faults.pings_forever()], ids=str)
def test_the_first_content_limit_is_an_instant_whatever_trickles(vendor, colour, fault):
    run(colour, vendor.openai_url, attempt())  # what litellm does once a process is no part of the limit
    vendor.fault = fault
    with within(3.0):
        error = error_of(colour, vendor.openai_url, attempt(first=0.6))
    assert isinstance(error, AttemptTimeoutError)
    assert error.kind == "timeout.first"
    assert len(vendor.log) == 2


@both_colours
@pytest.mark.parametrize("fault", [faults.stall(after=3), faults.pings_forever(after=3)], ids=str)
def test_the_idle_limit_counts_from_the_last_content(vendor, colour, fault):
    vendor.answer = "one two three"
    vendor.fault = fault
    with within(5.0):
        assert error_of(colour, vendor.openai_url, attempt(idle=0.3)).kind == "timeout.idle"


@both_colours
def test_a_whole_answer_has_a_limit_of_its_own(vendor, colour):
    vendor.fault = faults.silent()
    with within(4.0):
        assert error_of(colour, vendor.openai_url, attempt(stream=False, whole=0.6)).kind == "timeout.whole"


@both_colours
def test_the_deadline_of_the_call_ends_an_attempt(vendor, colour):
    vendor.fault = faults.silent()
    with within(4.0):
        assert isinstance(error_of(colour, vendor.openai_url, attempt(deadline=0.6)), DeadlineExceededError)


@both_colours
def test_a_connection_that_stays_open_after_the_end_does_not_hold_the_answer(vendor, colour):
    vendor.answer = "It is."
    vendor.fault = faults.stall(after=-2)  # the last two are the usage and `[DONE]`
    with within(4.0):
        assert text_of(run(colour, vendor.openai_url, attempt())) == "It is."


def test_a_slow_import_is_not_the_vendors_fault():
    limits = Limits(connect=1.0, first_content=10.0, idle=5.0, whole=60.0, deadline=12.0)
    asked = Attempt(Request(messages="Is it?"), "m", True, limits, lambda: 6.0)
    assert Exchange(asked, Dialect(), importing=1.0).left == 5.0
    assert Exchange(asked, Dialect(), importing=6.0).left == 6.0  # the deadline stays


# --- below litellm's words ----------------------------------------------------------------------------


def told(error: BaseException, cause: BaseException | None, *, answering: bool = False) -> Exception:
    error.__context__ = cause
    assert isinstance(error, Exception)
    return failure(error, lambda: error_for("timeout.first"), Dialect(), answering=answering)


class APIConnectionError(Exception):
    """As litellm calls whatever has no status."""


@pytest.mark.parametrize("bug", [TypeError("x"), KeyError("x"), AttributeError("x"), ValueError("x")], ids=repr)
def test_a_bug_that_litellm_calls_a_connection_error_is_the_bug(bug):
    assert told(APIConnectionError(), bug) is bug


def test_the_same_in_the_middle_of_an_answer_is_an_answer_that_cannot_be_read():
    error = told(APIConnectionError(), KeyError("choices"), answering=True)
    assert isinstance(error, CallError)
    assert error.kind == "invalid_response"


def test_a_library_that_litellm_misses_disables_the_target():
    error = told(APIConnectionError(), ModuleNotFoundError("no", name="google.auth"))
    assert isinstance(error, ConfigurationError)
    assert "google.auth" in str(error)


def test_a_broken_connection_is_not_unsent_because_litellm_calls_it_a_connect_error():
    import httpx

    below = httpx.ConnectError("reset")
    below.__context__ = ConnectionResetError()
    error = told(APIConnectionError(), below)
    assert isinstance(error, CallError)
    assert error.kind == "connection.maybe_sent"


@both_colours
def test_without_a_key_the_target_is_disabled_and_nothing_is_sent(monkeypatch, vendor, colour):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigurationError):
        run(colour, vendor.openai_url, attempt(), key=None)
    assert vendor.log == []
