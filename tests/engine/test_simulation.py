"""The simulated driver does with an attempt what real adapters and drivers do."""

from __future__ import annotations

from random import Random

import pytest

from multimodel.drivers.simulated import SimulatedDriver
from multimodel.engine import Call, CallSettings, Cancel, Ended, Health, HedgeSettings, run
from multimodel.errors import error_for
from multimodel.types import Finished, Restarted, Switched, TextDelta, ToolCallDelta

from .scripted import USAGE, World, answers, fails, plan, silent

A, B = plan("a"), plan("b", prefill=True)
CUT = [(0.1, TextDelta("half an")), *fails("truncated_stream")]
HEDGE = HedgeSettings(after=1.0, budget=1.0)


def begin(driver: SimulatedDriver, health: Health, *plans, stream: bool = False, **settings):
    mode = {"mid_stream": "error" if stream else "unseen", **settings}
    call = Call("chat", CallSettings(**mode), driver.clock.now, stream)
    return driver.begin(run(call, plans, health, Random(1)))


def test_calls_are_interleaved_by_instant():
    order: list[tuple[float, str]] = []
    driver = SimulatedDriver(lambda start, now: order.append((now, start.plan.target.provider)) or answers(after=5.0))
    health = Health(Random(1))
    driver.at(2.0, lambda: begin(driver, health, B))
    driver.at(1.0, lambda: begin(driver, health, A))
    driver.at(1.0, lambda: begin(driver, health, B))
    driver.run()
    assert order == [(1.0, "a"), (1.0, "b"), (2.0, "b")]
    assert driver.clock.now == pytest.approx(7.1)


def test_what_came_too_late_does_not_pass_the_time():
    world = World(a=silent(), b=answers())
    world.call(A, B)
    assert world.clock.now == pytest.approx(10.2)


@pytest.mark.parametrize(
    ("settings", "script", "kind", "at"),
    [
        ({}, silent(), "timeout.first", 10.0),
        ({"stream": False, "whole": 7.0}, silent(), "timeout.whole", 7.0),
        ({"stream": False, "whole": 7.0}, [(1.0, TextDelta("x")), (9.0, TextDelta("y"))], "timeout.whole", 7.0),
        ({}, [(1.0, TextDelta("x")), (99.0, TextDelta("y"))], "timeout.idle", 16.0),
        ({}, [(1.0, TextDelta("x"))], "truncated_stream", 1.0),
        ({}, [], "truncated_stream", 0.0),
    ],
)
def test_an_attempt_keeps_its_limits(settings, script, kind: str, at: float):
    world = World(a=script)
    record = world.call(plan("a", **settings), max_attempts=1).report.attempts[0]
    assert record.outcome == kind
    assert record.ended == pytest.approx(at)


def test_a_restart_is_told_with_the_first_content_of_the_new_attempt():
    world = World(a=CUT, b=[(0.1, TextDelta("whole")), *fails("truncated_stream")], c=fails("server_error"))
    end = world.call(A, B, plan("c"), stream=True, mid_stream="restart")
    assert end.error is not None
    assert world.driver.delivered == [TextDelta("half an"), Restarted(B.target), TextDelta("whole")]


def test_a_continuation_is_told_with_the_first_content_of_the_new_attempt():
    world = World(a=CUT, b=answers(" answer"))
    end = world.call(A, B, stream=True, mid_stream="continue")
    assert end.error is None
    assert world.driver.delivered == [TextDelta("half an"), Switched(B.target), TextDelta(" answer")]


def test_a_whole_answer_delivers_nothing_on_the_way():
    world = World(a=CUT, b=answers())
    assert world.call(A, B).error is None
    assert world.driver.delivered == []
    assert world.driver.finished == Finished("stop", USAGE)


def test_the_first_piece_of_a_tool_call_is_told_once():
    pieces = [(0.1, ToolCallDelta(0, "x", "f")), (0.1, ToolCallDelta(0, None, None, "{}")), *fails("truncated_stream")]
    told: list[str] = []
    world = World(a=pieces, b=answers())
    driver = SimulatedDriver(
        world._vendor, watch=lambda _context, event, _answer, _now: told.append(type(event).__name__)
    )
    begin(driver, world.health, A, B, stream=True, mid_stream="restart")
    driver.run()
    assert told == ["NoneType", "First", "ToolShown", "Ended"]


def test_a_second_attempt_joins_a_slow_one_and_the_loser_is_broken_off():
    passed: list[object] = []
    health = Health(Random(1))
    scripts = {"a": answers(after=5.0), "b": answers("quick", after=0.5)}
    driver = SimulatedDriver(
        lambda start, _now: scripts[start.plan.target.provider],
        watch=lambda _context, event, answer, _now: passed.extend([event, getattr(answer, "do", None)]),
    )
    call = begin(driver, health, A, B, stream=True, hedge=HEDGE)
    driver.run()
    assert call.end.error is None
    assert call.end.plan is B
    assert call.delivered == [TextDelta("quick")]
    assert Cancel(1) in passed
    assert Ended(1.5, 1, cancelled=True) in passed
    assert health.flying == 0
    assert driver.clock.now == pytest.approx(1.6)


def test_a_call_that_is_given_up_frees_its_permit_and_is_told_once():
    told: list[object] = []
    health = Health(Random(1))
    driver = SimulatedDriver(
        lambda _start, _now: silent(), watch=lambda _context, _event, answer, _now: told.append(answer)
    )
    call = begin(driver, health, A)
    driver.at(0.3, call.cancel)
    driver.at(0.4, call.cancel)
    driver.run()
    assert call.cancelled
    assert call.end is None
    assert health.flying == 0
    assert told[1:] == [None]
    assert driver.clock.now == pytest.approx(0.4)


def test_an_engine_that_waits_for_nothing_is_a_bug():
    def stuck():
        from multimodel.engine import Step

        yield Step(None)

    with pytest.raises(RuntimeError, match="waits for nothing"):
        SimulatedDriver(lambda _start, _now: []).begin(stuck())


def test_an_error_in_a_script_ends_the_attempt_with_it():
    error = error_for("bad_request", status=400)
    world = World(a=[(0.2, error)])
    assert world.call(A).error is error
