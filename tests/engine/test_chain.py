from __future__ import annotations

import pytest

from multimodel.engine import RULES
from multimodel.errors import AllTargetsFailedError, DeadlineExceededError, StreamInterruptedError, error_for
from multimodel.types import Restarted, TextDelta, ToolCallDelta

from .scripted import World, answers, fails, kinds, once, path, plan, silent

A, B, C = plan("a"), plan("b"), plan("c")


def test_a_healthy_first_target_answers_with_one_attempt():
    end = World(a=answers("hi"), b=answers()).call(A, B)
    assert end.error is None
    assert path(end) == [("a", "first", "ok")]
    assert end.report.attempts[0].usage.total_tokens == 5


def test_a_server_error_is_repeated_once_then_the_next_target_answers():
    world = World(a=fails("server_error", status=500), b=answers())
    assert path(world.call(A, B)) == [
        ("a", "first", "server_error"),
        ("a", "retry", "server_error"),
        ("b", "fallback", "ok"),
    ]


def test_a_single_server_error_is_answered_by_the_same_target():
    world = World(a=once(fails("server_error", status=500)), b=answers())
    assert path(world.call(A, B)) == [("a", "first", "server_error"), ("a", "retry", "ok")]


def test_a_silent_target_is_not_waited_for_twice():
    world = World(a=silent(), b=answers())
    end = world.call(A, B)
    assert path(end) == [("a", "first", "timeout.first"), ("b", "fallback", "ok")]
    assert end.report.attempts[0].duration == pytest.approx(10.0)


def test_a_silent_target_cannot_eat_the_time_of_the_fallback():
    world = World(a=silent(), b=answers())
    end = world.call(A, B, deadline=8.0)
    assert end.error is None
    assert end.report.attempts[0].duration == pytest.approx(4.0)


@pytest.mark.parametrize("kind", ["bad_request", "content_filtered"])
def test_what_the_caller_must_change_is_not_tried_elsewhere(kind: str):
    world = World(a=fails(kind, status=400), b=answers())
    end = world.call(A, B)
    assert end.error.kind == kind
    assert end.error.target == "a:m"
    assert len(end.error.report.attempts) == 1


def test_a_content_filter_is_left_only_when_the_policy_says_so():
    world = World(a=fails("content_filtered"), b=answers())
    assert world.call(A, B, on_content_filter="next").error is None


@pytest.mark.parametrize(
    "kind",
    ["authentication", "permission_denied", "quota_exhausted", "model_not_found", "timeout.connect", "connection.tls"],
)
def test_what_waiting_does_not_cure_goes_to_the_next_target_at_once(kind: str):
    world = World(a=fails(kind), b=answers())
    assert path(world.call(A, B)) == [("a", "first", kind), ("b", "fallback", "ok")]


def test_a_prompt_that_is_too_long_goes_only_to_larger_or_unknown_windows():
    world = World(a=fails("context_window_exceeded"), b=answers(), c=answers())
    end = world.call(plan("a", window=8000), plan("b", window=8000), plan("c", window=32000))
    assert path(end)[-1] == ("c", "fallback", "ok")
    assert [(skip.target.provider, skip.reason) for skip in end.report.skipped] == [("b", "window")]


def test_nothing_sent_is_a_skip_and_no_attempt():
    world = World(a=fails("policy_denied", code="off"), b=answers())
    end = world.call(A, B)
    assert path(end) == [("b", "fallback", "ok")]
    assert [(skip.target.provider, skip.reason) for skip in end.report.skipped] == [("a", "off")]


def test_the_group_has_one_error_per_attempt_and_per_skip():
    world = World(a=fails("server_error"), b=fails("authentication"))
    for _ in range(3):
        end = world.call(A, B)
    assert isinstance(end.error, AllTargetsFailedError)
    report = end.error.report
    assert len(end.error.exceptions) == len(report.attempts) + len(report.skipped)
    assert end.error.retryable


def test_a_chain_never_sends_more_than_max_attempts():
    world = World(a=fails("server_error"), b=fails("server_error"), c=fails("server_error"))
    end = world.call(A, B, C, max_attempts=3)
    assert len(end.report.attempts) == 3
    assert [(skip.target.provider, skip.reason) for skip in end.report.skipped] == [("c", "max_attempts")]


def test_the_deadline_ends_the_call_and_names_what_was_tried():
    world = World(a=silent())
    end = world.call(A, deadline=3.0)
    assert isinstance(end.error, DeadlineExceededError)
    assert world.clock.now == pytest.approx(3.0)
    assert len(end.error.report.attempts) == 1


def test_no_attempt_starts_with_less_than_half_a_second_left():
    world = World(a=fails("server_error", after=0.8))
    end = world.call(A, deadline=1.0)
    assert world.sent_to("a") == 1
    assert kinds(end.error) == ["server_error"]


def test_a_cut_before_the_end_is_repeated_when_nothing_was_shown():
    world = World(a=once([(0.1, TextDelta("half an")), *fails("truncated_stream")]), b=answers())
    end = world.call(A, B)
    assert path(end) == [("a", "first", "truncated_stream"), ("a", "retry", "ok")]


def test_a_stream_that_breaks_after_its_first_content_is_the_callers_to_see():
    world = World(a=[(0.1, TextDelta("half an")), *fails("truncated_stream")], b=answers())
    end = world.call(A, B, stream=True)
    assert isinstance(end.error, StreamInterruptedError)
    assert world.sent_to("b") == 0
    assert end.report.attempts[0].committed


CUT = [(0.1, TextDelta("half an")), *fails("truncated_stream")]


def test_with_restart_the_next_target_begins_anew_and_the_caller_is_told():
    world = World(a=CUT, b=answers("whole"))
    end = world.call(A, B, stream=True, mid_stream="restart")
    assert end.error is None
    assert path(end) == [("a", "first", "truncated_stream"), ("b", "fallback", "ok")]
    assert world.driver.delivered == [TextDelta("half an"), Restarted(B.target), TextDelta("whole")]


def test_a_restart_that_finds_no_target_left_is_an_interrupted_stream():
    world = World(a=CUT, b=fails("authentication"))
    end = world.call(A, B, stream=True, mid_stream="restart")
    assert isinstance(end.error, StreamInterruptedError)
    assert isinstance(end.error.__cause__, AllTargetsFailedError)


def test_an_answer_of_which_a_tool_call_was_shown_never_begins_anew():
    world = World(a=[(0.1, ToolCallDelta(0, "x", "f")), *fails("truncated_stream")], b=answers())
    end = world.call(A, B, stream=True, mid_stream="restart")
    assert isinstance(end.error, StreamInterruptedError)
    assert world.sent_to("b") == 0


def test_what_must_not_be_tried_elsewhere_does_not_restart_either():
    world = World(a=[(0.1, TextDelta("half an")), *fails("content_filtered")], b=answers())
    end = world.call(A, B, stream=True, mid_stream="restart")
    assert isinstance(end.error, StreamInterruptedError)
    assert world.sent_to("b") == 0


def test_a_stream_that_fails_before_its_first_content_is_answered_by_the_next_target():
    world = World(a=fails("connection.maybe_sent"), b=answers("whole"))
    end = world.call(A, B, stream=True)
    assert end.error is None
    assert [event.text for event in world.driver.delivered] == ["whole"]


def test_an_end_without_a_terminal_signal_is_never_a_success():
    world = World(a=[(0.1, TextDelta("half an"))])
    assert kinds(world.call(A).error) == ["truncated_stream", "truncated_stream"]


def test_a_request_refused_on_one_path_is_sent_once_on_the_other_and_the_path_is_remembered():
    def vendor(start, _now):
        if start.path != "multimodal":
            error = error_for("bad_request", status=400)
            error.path = "multimodal"
            return [(0.01, error)]
        return answers()

    world = World(a=vendor)
    assert path(world.call(A)) == [("a", "first", "bad_request"), ("a", "path", "ok")]
    assert path(world.call(A)) == [("a", "first", "ok")]


def test_the_other_path_counts_as_an_attempt_and_as_the_repeat():
    def vendor(start, _now):
        error = error_for("bad_request" if start.path is None else "server_error", status=400)
        error.path = "multimodal" if start.path is None else None
        return [(0.01, error)]

    world = World(a=vendor, b=answers())
    assert path(world.call(A, B)) == [
        ("a", "first", "bad_request"),
        ("a", "path", "server_error"),
        ("b", "fallback", "ok"),
    ]
    world = World(a=vendor)
    assert len(world.call(A, max_attempts=1).report.attempts) == 1


def test_a_deadline_too_short_for_any_attempt_says_so():
    end = World(a=answers()).call(A, deadline=0.3)
    assert "leaves no time for an attempt" in str(end.error)


def test_every_kind_has_a_rule():
    from typing import get_args

    from multimodel.errors import Kind

    assert set(RULES) == set(get_args(Kind))


@pytest.mark.parametrize("kind", sorted(RULES))
def test_only_the_table_allows_a_second_request_to_the_same_target(kind: str):
    if kind in ("stream_interrupted", "all_targets_failed"):
        return
    world = World(a=fails(kind), b=answers())
    world.call(A, B)
    allowed = 2 if RULES[kind].same in ("budget", "free") else 1
    assert world.sent_to("a") <= allowed
