"""A recorded call is told as it was, whoever wrote the record and whatever stands in it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

from multimodel import AllTargetsFailedError, AttemptRecord, Client, ConfigurationError, Report, Skip, Target, Usage
from multimodel.client.recorded import read_call
from multimodel.client.recount import RecordedCall, recount
from multimodel.testing import FaultyVendor, faults

FIRST, SECOND = Target("first", "m", "acme"), Target("second", "m")


def attempt(index: int, target: Target, reason: str, outcome: str, started: float, ended: float, **facts: Any):
    return AttemptRecord(index, target, reason, outcome, started, ended, **facts)  # type: ignore[arg-type]


def told(*attempts: AttemptRecord, **facts: Any) -> str:
    """The text, its lines joined where they were broken."""
    last = max(one.ended for one in attempts)
    report = Report("chat", attempts, **{"outcome": attempts[-1].outcome, "duration": last, **facts})
    text = str(recount(report))
    assert max(map(len, text.splitlines())) <= 80
    return " ".join(text.split())


@pytest.fixture
def vendors():
    with FaultyVendor(answer="one two three") as first, FaultyVendor(answer="from the second") as second:
        yield first, second


def client_of(vendors, **route: object) -> Client:
    providers = {
        name: {"profile": "openai", "base_url": vendor.openai_url, "api_key": f"sk-canary-{name}", "operator": name}
        for name, vendor in zip(("first", "second"), vendors, strict=True)
    }
    return Client({"providers": providers, "routes": {"chat": {"chain": ["first:m", "second:m"], **route}}})


# --- what was recorded comes back ---


def test_a_completion_and_its_report_are_read_back_as_they_were(vendors):
    vendors[0].faults.extend([faults.status(503), faults.cut(after=2)])
    with client_of(vendors) as client:
        answer = client.complete("chat", "canary prompt")
    read = [read_call(answer.model_dump_json()), read_call(to_json(answer.report))]
    assert [one.report for one in read] == [answer.report, answer.report]
    assert [step.wasted for step in read[0].steps] == [False, True, False]
    text = " ".join(str(read[0]).split())
    assert "asked again after" in text
    assert "because of `overloaded`" in text
    assert "wasted: it may be billed all the same" in text
    assert "second:m: the next that could be asked, because first:m ended with `truncated_stream`" in text
    assert "canary" not in text


def test_a_failure_is_told_with_what_the_caller_got(vendors):
    for vendor in vendors:
        vendor.fault = faults.status(401)
    with client_of(vendors) as client, pytest.raises(AllTargetsFailedError) as caught:
        client.complete("chat", "Hi")
    record = {"error": {"message": caught.value.message, "report": caught.value.report}}
    call = read_call(to_json(record))
    assert call.report == caught.value.report
    assert str(call).endswith("the caller got: no target of route `chat` answered: attempts: 2, skipped: 0")


# --- attempt by attempt ---


def test_a_wait_before_a_repeat_is_drawn_and_told():
    text = told(
        attempt(1, FIRST, "first", "rate_limited", 0.0, 1.0, status=429, code="slow_down"),
        attempt(2, FIRST, "retry", "ok", 3.0, 4.0, first_content=3.5),
    )
    assert "1. |######## | 0.00 to 1.00 s rate_limited" in text
    assert "status 429 · code slow_down" in text
    assert "...............####====| 3.00 to 4.00 s ok" in text
    assert "first:m: asked again after 2.00 s, because of `rate_limited`" in text


def test_a_hedge_is_told_beside_what_it_overtook():
    text = told(
        attempt(1, FIRST, "first", "lost", 0.0, 3.0, cost=0.01, cost_estimated=True),
        attempt(2, SECOND, "hedge", "ok", 2.0, 4.0, first_content=3.0, cost=0.001),
    )
    assert "broken off: the other was faster" in text
    assert "at most 0.01 USD · wasted: it may be billed all the same" in text
    assert "second:m: asked beside attempt 1, which had shown nothing yet" in text
    assert "2 requests, at most 0.011 USD" in text


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("probe", "a probe: its breaker had been open, because first:m ended with `timeout.first`"),
        ("last_resort", "a last resort at once: nothing else answered"),
        ("path", "asked once more, where the vendor says that the model lives"),
        ("reask", "asked once more, because its answer did not fit"),
        ("of_a_later_version", "of_a_later_version, because first:m ended with `timeout.first`"),
    ],
)
def test_each_reason_is_told_in_words(reason: str, words: str):
    first = attempt(1, FIRST, "first", "timeout.first", 0.0, 1.0)
    assert words in told(first, attempt(2, SECOND, reason, "ok", 1.0, 2.0))


def test_tokens_cost_skips_notes_and_losses_are_told():
    usage = Usage(input_tokens=1200, output_tokens=34, total_tokens=1234, cost=0.0025)
    text = told(
        attempt(1, FIRST, "first", "ok", 0.0, 1.0, usage=usage, cost=0.0025),
        skipped=(Skip(SECOND, "breaker", "probe in 3.0 s, opened by overloaded"),),
        notes=("first:m: held to 8192 tokens",),
    )
    assert "1 request, 0.0025 USD" in text
    assert "1,200 tokens in, 34 out · 0.0025 USD" in text
    assert "not asked: second:m, breaker: probe in 3.0 s, opened by overloaded" in text
    assert "note: first:m: held to 8192 tokens" in text


def test_a_call_that_asked_nobody_is_told():
    text = str(recount(Report("chat", skipped=(Skip(FIRST, "off", "operator acme"),), outcome="all_targets_failed")))
    assert text.splitlines() == [
        "route `chat`: all_targets_failed after 0.00 s, 0 requests, 0 USD",
        "not asked: first:m, off: operator acme",
    ]


def test_one_unknown_cost_makes_the_cost_of_the_call_unknown():
    attempts = (attempt(1, FIRST, "first", "lost", 0.0, 1.0), attempt(2, SECOND, "hedge", "ok", 0.5, 1.0, cost=0.1))
    assert "2 requests, cost unknown" in told(*attempts)


# --- records of other versions, and of other things ---


LEAST = {"attempts": [{"target": "first:m", "outcome": "ok", "started": 0, "ended": 1.5}]}


def test_the_least_that_a_record_must_have_is_enough():
    report = read_call(json.dumps(LEAST)).report
    assert (report.route, report.outcome, report.duration) == ("?", "?", 1.5)
    assert report.attempts == (attempt(1, Target("first", "m"), "first", "ok", 0.0, 1.5),)


def test_what_a_later_version_adds_is_left_out():
    record = json.loads(json.dumps(LEAST))
    record["attempts"][0] |= {"tokens_per_second": 12, "usage": {"input_tokens": 3, "audio_tokens": 1}}
    record["trace"] = {"id": "x"}
    assert read_call(json.dumps(record)).report.attempts[0].usage.input_tokens == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1, 2]", "there is no report in it"),
        ('"text"', "there is no report in it"),
        ('{"choices": []}', "there is no report in it"),
        ('{"report": 7}', "`report`: input should be"),
        ('{"attempts": 7}', "`attempts`: input should be"),
        ('{"report": {"route": "chat"}}', "`report.attempts`: field required"),
        ('{"attempts": [{"target": "m", "outcome": "ok", "started": 0, "ended": 1}]}', "`attempts.0.target`"),
        ('{"attempts": [{"target": "a:m", "outcome": "ok", "started": -1, "ended": 1}]}', "`attempts.0.started`"),
        ('{"attempts": [{"target": "a:m", "outcome": "ok", "started": 0, "ended": Infinity}]}', "`attempts.0.ended`"),
        (
            '{"attempts": [{"target": "a:m", "outcome": "ok", "started": 0, "ended": 1, "cost": NaN}]}',
            "`attempts.0.cost`",
        ),
    ],
)
def test_anything_else_is_refused_with_its_place_and_what_to_do(text, message: str):
    with pytest.raises(ConfigurationError, match=r"^`call\.json`") as caught:
        read_call(text, "call.json")
    assert message in caught.value.message
    assert "complete --json" in caught.value.hint


def test_a_failure_without_a_report_says_what_it_was():
    with pytest.raises(ConfigurationError, match="before a target was looked at: unknown route `x`"):
        read_call('{"error": {"message": "unknown route `x`", "report": null}}')


FIELDS = [
    "report", "error", "attempts", "skipped", "notes", "losses", "target", "reason", "outcome", "started", "ended",
    "duration", "route", "usage", "cost", "first_content", "message", "provider", "model", "index",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("a:m"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON)
def test_no_document_breaks_the_reader(document):
    with suppress(ConfigurationError):
        call = read_call(json.dumps(document))
        assert isinstance(call, RecordedCall)
        assert str(call)


@settings(deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "target": st.sampled_from(["a:m", "b:m"]),
                "outcome": st.sampled_from(["ok", "lost", "timeout.first"]),
                "started": st.floats(0, 1e9),
                "ended": st.floats(0, 1e9),
            },
            optional={"first_content": st.none() | st.floats(0, 1e9), "reason": st.sampled_from(["retry", "hedge"])},
        ),
        max_size=5,
    ),
    st.none() | st.floats(0, 1e9),
)
@example([{"target": "a:m", "outcome": "ok", "started": 0.0, "ended": 5e-324}], None)
@example([{"target": "a:m", "outcome": "ok", "started": 5e-324, "ended": 0.0}], None)
def test_whatever_the_times_are_every_attempt_has_a_bar(attempts, duration):
    call = read_call(json.dumps({"attempts": attempts, "duration": duration}))
    bars = [line for line in str(call).splitlines() if line.count("|") == 2]
    assert len(bars) == len(attempts)
    assert all(len(line.split("|")[1]) == 30 for line in bars)
