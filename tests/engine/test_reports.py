"""What a call tells afterwards: its records, its skips, its errors, word by word."""

from __future__ import annotations

from random import Random

import pytest

from multimodel.engine import Call, CallSettings, Ended, First, Health, TargetPlan, run
from multimodel.errors import (
    AllTargetsFailedError,
    AuthenticationError,
    CallError,
    DeadlineExceededError,
    LocalOverloadError,
    PolicyDeniedError,
    RateLimitError,
    ServerError,
    StreamInterruptedError,
    error_for,
)
from multimodel.types import AttemptRecord, Finished, Skip, Target, TextDelta

from .scripted import USAGE, World, answers, fails, kinds, once, path, plan, silent
from .test_breaker import Shortest

A, B, C = plan("a"), plan("b"), plan("c")
HALF = TextDelta("half an")


def cut(kind: str = "truncated_stream", **facts: object) -> list[tuple[float, object]]:
    return [(0.25, HALF), *fails(kind, after=0.25, **facts)]


def new(**settings: object) -> Call:
    return Call("chat", CallSettings(**settings), 100.0, stream=False)  # type: ignore[arg-type]


def soft(**vendors: object) -> World:
    """Its pauses and gates are as short as may be."""
    world = World(**vendors)  # type: ignore[arg-type]
    world.health = Health(Shortest())
    return world


# --- records ---


def at_a_hundred(script: object, of: TargetPlan = A, **settings: object) -> AttemptRecord:
    world = World(a=script)  # type: ignore[arg-type]
    world.clock.now = 100.0
    return world.call(of, max_attempts=1, **settings).report.attempts[0]


@pytest.mark.parametrize(("http", "status"), [(True, 200), (False, None)])
def test_an_answer_is_recorded_with_its_times_its_usage_and_the_vendors_name_for_it(http: bool, status: int | None):
    script = [(0.25, TextDelta("x")), (0.5, Finished("stop", USAGE, request_id="r-1"))]
    assert at_a_hundred(script, plan("a", http=http)) == AttemptRecord(
        1, Target("a", "m"), "first", "ok", 0.0, 0.75, 0.25, status, None, "r-1", committed=False, usage=USAGE
    )


def test_a_failure_is_recorded_with_the_vendors_words_for_it():
    script = fails("server_error", after=0.25, status=503, code="Busy", request_id="r-2")
    assert at_a_hundred(script, plan("a", http=True)) == AttemptRecord(
        1, Target("a", "m"), "first", "server_error", 0.0, 0.25, None, 503, "Busy", "r-2", cost=0.0, cost_estimated=True
    )


def test_a_broken_stream_is_recorded_as_shown():
    assert at_a_hundred(cut(), stream=True) == AttemptRecord(
        1, Target("a", "m"), "first", "truncated_stream", 0.0, 0.5, 0.25, committed=True
    )


def test_a_call_that_is_closed_records_what_was_under_way_up_to_then():
    call = new()
    steps = run(call, [plan("a", http=True)], Health(Random(1)), Random(1))
    next(steps)
    steps.send(First(101.0, 1))
    steps.close()
    assert call.attempts == [AttemptRecord(1, Target("a", "m"), "first", "cancelled", 0.0, 1.0, 1.0)]


def test_attempts_are_numbered_and_listed_in_the_order_in_which_they_began():
    call = new()
    for index in (2, 1, 3):
        call.attempts.append(AttemptRecord(index, A.target, "first", "lost", 0.0, 1.0))
    assert [attempt.index for attempt in call.report("ok", 101.0).attempts] == [1, 2, 3]
    end = World(a=fails("server_error"), b=answers()).call(A, B)
    assert [attempt.index for attempt in end.report.attempts] == [1, 2, 3]


def test_a_report_names_the_route_the_outcome_and_the_time_that_passed():
    report = new().report("ok", 102.5)
    assert (report.route, report.outcome, report.duration) == ("chat", "ok", 2.5)


@pytest.mark.parametrize(
    ("script", "outcome"), [(answers(), "ok"), (fails("bad_request"), "bad_request"), (silent(), "deadline_exceeded")]
)
def test_the_report_of_a_call_says_how_it_ended(script: object, outcome: str):
    end = World(a=script).call(A, deadline=5.0)  # type: ignore[arg-type]
    assert end.report.outcome == outcome
    assert end.error is None or end.error.report is end.report
    assert end.plan is (A if outcome == "ok" else None)


def test_a_remark_is_made_once():
    call = new()
    for text in ("one", "two", "one"):
        call.note(text)
    assert call.report("ok", 100.0).notes == ("one", "two")


def test_an_error_knows_which_target_it_is_of():
    end = World(a=fails("server_error"), b=fails("authentication")).call(A, B)
    assert [(one.target, one.provider) for one in end.error.exceptions] == [
        ("a:m", "a"),
        ("a:m", "a"),
        ("b:m", "b"),
    ]


# --- skips ---


def test_a_skip_without_a_cause_is_forbidden_by_the_policy():
    call = new()
    call.skip(A.target, "off", "licence")
    call.skip(B.target, "off")
    assert call.report("ok", 100.0).skipped == (Skip(A.target, "off", "licence"), Skip(B.target, "off"))
    assert [type(error) for error in call.errors] == [PolicyDeniedError] * 2
    assert [error.message for error in call.errors] == ["skipped: off, licence", "skipped: off"]
    assert [error.target for error in call.errors] == ["a:m", "b:m"]
    assert [error.provider for error in call.errors] == ["a", "b"]


def test_a_skip_has_the_class_and_the_facts_of_its_cause():
    facts = {"status": 401, "code": "InvalidApiKey", "hint": "set a key", "retry_after": 9.0, "retryable": True}
    cause = error_for("authentication", "the key is not accepted", **facts)
    call = new()
    call.skip(A.target, "breaker", "opened", cause)
    (error,) = call.errors
    assert type(error) is AuthenticationError
    assert error.message == "skipped: breaker, opened"
    assert {name: getattr(error, name) for name in facts} == facts
    assert error.kind == "authentication"
    assert error.target == "a:m"
    assert error is not cause


def test_the_finer_kind_of_a_cause_is_the_kind_of_the_skip():
    call = new()
    call.skip(A.target, "breaker", "", error_for("connection.tls"))
    assert call.errors[0].kind == "connection.tls"


SKIPS = [
    ("server_error", {"status": 500}, 5, "breaker", "probe in 3.7 s, opened by server_error", ServerError, 3.74),
    ("authentication", {}, 1, "breaker", "probe in 60.0 s, opened by authentication", AuthenticationError, 59.99),
    ("rate_limited", {"retry_after": 90.0}, 1, "gate", "opens in 90.0 s", RateLimitError, 89.99),
]


@pytest.mark.parametrize(("kind", "facts", "times", "reason", "detail", "error", "left"), SKIPS)
def test_what_stands_before_a_target_is_told_with_the_seconds_that_are_left(
    kind: str, facts: dict[str, object], times: int, reason: str, detail: str, error: type[CallError], left: float
):
    world = soft(a=fails(kind, **facts), b=answers())
    for _ in range(times):
        permit = world.health.admit(A, 0.0, 0.0)
        world.health.settle(permit, A, 0.0, error_for(kind, **facts), blame=True)  # type: ignore[arg-type]
    world.clock.now = 0.01
    call = Call("chat", CallSettings(), world.clock.now, stream=False)
    next(run(call, [A, B], world.health, world.rng))
    assert call.skipped == [Skip(A.target, reason, detail)]
    assert [type(one) for one in call.errors] == [error]
    assert call.errors[0].retry_after == pytest.approx(left)
    assert call.errors[0].message == f"skipped: {reason}, {detail}"


def test_a_wait_of_less_than_a_second_is_told_too():
    world = soft(a=fails("rate_limited", after=0.0, retry_after=0.5), b=answers())
    world.call(A, B, max_attempts=1)
    call = Call("chat", CallSettings(), 0.0, stream=False)
    next(run(call, [A, B], world.health, world.rng))
    assert call.errors[0].retry_after == 0.5


def test_a_full_target_is_told_without_a_time():
    health, narrow = Health(Random(1)), plan("a", at_most=1)
    health.admit(narrow, 0.0, 9.0)
    call = new()
    next(run(call, [narrow, B], health, Random(1)))
    assert call.skipped == [Skip(A.target, "bulkhead", "as many attempts are under way as may be")]
    assert [type(error) for error in call.errors] == [LocalOverloadError]
    assert call.errors[0].retry_after is None


def test_a_spent_call_says_how_many_requests_were_sent():
    end = World(a=fails("server_error")).call(A, B, max_attempts=2)
    assert end.report.skipped == (Skip(B.target, "max_attempts", "2 requests were sent"),)


def test_a_window_that_is_too_small_is_told_with_its_size():
    world = World(a=fails("context_window_exceeded"), c=answers())
    end = world.call(plan("a", window=8000), plan("b", window=8000), plan("c", window=8001))
    assert end.report.skipped == (Skip(B.target, "window", "its window of 8000 tokens is not larger"),)
    assert path(end)[-1] == ("c", "fallback", "ok")


def test_of_several_windows_that_were_too_small_the_largest_counts():
    world = World(a=fails("context_window_exceeded"), b=fails("context_window_exceeded"))
    end = world.call(plan("a", window=9000), plan("b"), plan("c", window=9000))
    assert [skip.reason for skip in end.report.skipped] == ["window"]
    assert path(end)[-1][0] == "b"


def test_a_target_that_is_not_known_to_go_on_is_told():
    world = World(a=cut(), c=answers())
    end = world.call(A, B, plan("c", prefill=True), stream=True, mid_stream="continue")
    assert end.error is None
    assert end.report.skipped == (Skip(B.target, "prefill", "it is not known to go on with an answer"),)
    assert path(end)[-1] == ("c", "fallback", "ok")


def test_what_was_not_sent_is_told_by_its_code_or_else_by_its_kind():
    denied = fails("policy_denied", code="off", message="switched off")
    world = World(a=denied, b=fails("local_overload", message="no free connection"), c=answers())
    end = world.call(A, B, C)
    assert end.report.skipped == (
        Skip(A.target, "off", "switched off"),
        Skip(B.target, "local_overload", "no free connection"),
    )
    assert path(end) == [("c", "fallback", "ok")]


# --- ends ---


def test_a_chain_that_gave_no_answer_says_how_much_was_tried():
    world = World(a=fails("server_error"), b=fails("policy_denied"))
    end = world.call(A, B)
    assert type(end.error) is AllTargetsFailedError
    assert end.error.message == "no target of route `chat` answered: attempts: 2, skipped: 1"
    assert kinds(end.error) == ["server_error", "server_error", "policy_denied"]
    assert end.report.outcome == "all_targets_failed"


def test_a_chain_without_a_target_says_so():
    end = World().call()
    assert end.error.message == "no target of route `chat` answered: attempts: 0, skipped: 0"
    assert [one.message for one in end.error.exceptions] == ["the chain has no target"]


def test_a_failure_has_its_report_before_the_call_has_ended():
    call = new()
    call.skip(A.target, "off")
    report = call.failure(101.0).report
    assert (report.outcome, report.duration, report.skipped) == ("all_targets_failed", 1.0, (Skip(A.target, "off"),))


def test_a_call_that_is_out_of_time_says_what_was_tried():
    call = new(deadline=2.5)
    error = call.out_of_time(100.0)
    assert error.message == "the deadline of 2.5 s leaves no time for an attempt"
    assert error.hint == "give the call more time"
    assert error.__cause__ is None
    assert (error.report.outcome, error.report.duration) == ("deadline_exceeded", 0.0)


def test_a_call_that_ran_out_of_time_has_all_that_went_wrong_as_its_cause():
    world = World(a=fails("authentication"), b=silent())
    end = world.call(A, B, deadline=4.0)
    assert end.error.message == "the deadline of 4 s passed; attempts: 2"
    assert end.error.hint is None
    assert isinstance(end.error.__cause__, AllTargetsFailedError)
    assert kinds(end.error.__cause__) == ["authentication", "deadline_exceeded"]
    assert end.error.__cause__.report.duration == 4.0


def test_a_broken_stream_keeps_the_facts_of_what_broke_it():
    world = World(a=cut("server_error", message="it broke", status=503, code="Busy", request_id="r-3"))
    error = world.call(A, stream=True).error
    assert type(error) is StreamInterruptedError
    assert error.message == "the stream broke after its first content: it broke"
    assert (error.provider, error.target, error.status) == ("a", "a:m", 503)
    assert (error.code, error.request_id) == ("Busy", "r-3")
    assert error.hint == ("what came before is in `partial`; use `complete()` for answers that are whole or not at all")
    assert error.__cause__.kind == "server_error"
    assert error.report.outcome == "stream_interrupted"


def test_a_broken_stream_without_words_is_told_by_its_kind():
    error = World(a=cut()).call(A, stream=True).error
    assert error.message == "the stream broke after its first content: truncated_stream"


def test_what_broke_a_stream_first_is_what_is_told():
    world = World(a=cut(request_id="first"), b=cut("server_error", request_id="second"))
    error = world.call(A, B, stream=True, mid_stream="restart").error
    assert error.request_id == "first"
    assert error.message == "the stream broke after its first content: truncated_stream"
    assert kinds(error.__cause__) == ["truncated_stream", "server_error"]


def test_a_stream_that_nobody_can_go_on_with_has_what_broke_it_as_its_cause():
    error = World(a=cut(), b=answers()).call(A, B, stream=True, mid_stream="continue").error
    assert type(error) is StreamInterruptedError
    assert error.__cause__.kind == "truncated_stream"


def test_a_broken_stream_without_time_for_another_target_is_interrupted_for_want_of_time():
    world = World(a=[(0.25, HALF), *fails("truncated_stream", after=0.5)], b=answers())
    error = world.call(A, B, stream=True, mid_stream="restart", deadline=1.0).error
    assert type(error) is StreamInterruptedError
    assert error.message == "the stream broke after its first content: truncated_stream"
    assert type(error.__cause__) is DeadlineExceededError
    assert world.sent_to("b") == 0


# --- whether a broken answer goes on elsewhere ---


def test_a_stream_that_is_cut_by_the_deadline_is_not_asked_for_again():
    world = World(a=[(0.25, HALF), *[(4.0, HALF)] * 9], b=answers())
    error = world.call(plan("a", idle=5.0), B, stream=True, mid_stream="restart", deadline=10.0).error
    assert type(error) is StreamInterruptedError
    assert error.__cause__.kind == "deadline_exceeded"
    assert world.sent_to("b") == 0


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("server_error", 0),
        ("timeout.first", 0),
        ("truncated_stream", 0),
        ("overloaded", 1),
        ("rate_limited", 1),
        ("connection.unsent", 1),
    ],
)
def test_another_target_is_asked_only_for_what_cannot_have_been_carried_out(kind: str, asked: int):
    world = World(a=fails(kind), b=answers())
    end = world.call(A, B, effects=True)
    assert world.sent_to("b") == asked
    assert (end.error is None) is (asked == 1)


def test_a_stream_of_an_answer_that_may_have_had_effects_does_not_begin_anew():
    world = World(a=cut(), b=answers())
    error = world.call(A, B, stream=True, mid_stream="restart", effects=True).error
    assert type(error) is StreamInterruptedError
    assert world.sent_to("b") == 0


def test_what_is_not_sent_again_is_remarked():
    end = World(a=fails("server_error"), b=answers()).call(A, B, effects=True)
    assert end.report.notes == ("a:m: not sent again, it may have been carried out",)
    assert kinds(end.error) == ["server_error"]


@pytest.mark.parametrize("kind", ["bad_request", "content_filtered", "context_window_exceeded"])
def test_what_a_continuation_is_refused_is_no_matter_of_the_callers(kind: str):
    world = World(a=cut(), b=fails(kind), c=answers(" answer"))
    end = world.call(A, plan("b", prefill=True), plan("c", prefill=True), stream=True, mid_stream="continue")
    assert end.error is None
    assert path(end)[-1] == ("c", "fallback", "ok")


def test_a_continuation_that_is_refused_after_its_own_content_ends_the_call():
    world = World(a=cut(), b=cut("content_filtered"), c=answers(" answer"))
    end = world.call(A, plan("b", prefill=True), plan("c", prefill=True), stream=True, mid_stream="continue")
    assert type(end.error) is StreamInterruptedError
    assert end.error.__cause__.kind == "content_filtered"
    assert world.sent_to("c") == 0


def test_what_a_new_beginning_is_refused_ends_the_call():
    world = World(a=cut(), b=fails("bad_request"), c=answers())
    end = world.call(A, B, C, stream=True, mid_stream="restart")
    assert type(end.error) is StreamInterruptedError
    assert end.error.__cause__.kind == "bad_request"
    assert world.sent_to("c") == 0


# --- the vendor's other path ---


def elsewhere(name: str, **facts: object) -> list[tuple[float, CallError]]:
    return [(0.0, error_for("bad_request", status=400, path=name, **facts))]  # type: ignore[arg-type]


@pytest.mark.parametrize("before", [None, "text"])
def test_a_path_that_was_wrong_too_is_not_remembered(before: str | None):
    world = World(a=elsewhere("multimodal"))
    if before is not None:
        world.health.paths["a"] = before
    world.call(A)
    assert world.sent_to("a") == 2
    assert world.health.paths == ({} if before is None else {"a": before})


def test_a_path_is_remembered_although_the_request_fails_there_for_another_reason():
    world = World(a=once(elsewhere("multimodal"), fails("bad_request", status=400)))
    world.call(A)
    assert world.health.paths == {"a": "multimodal"}


def test_a_target_that_is_asked_once_is_not_asked_on_its_other_path():
    world = World(a=elsewhere("multimodal"), b=answers())
    single = plan("a", retry=type(A.retry)(attempts=1))
    assert world.call(single, B).error.kind == "bad_request"
    assert world.sent_to("a") == 1


def test_an_attempt_that_is_not_under_way_is_a_bug_of_the_driver():
    steps = run(new(), [A], Health(Random(1)), Random(1))
    next(steps)
    with pytest.raises(ValueError, match="attempt 7 is not under way"):
        steps.send(Ended(100.5, 7))
