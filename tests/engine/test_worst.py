"""What is told of a call before it is made holds for every run of it, as long as no answer begins."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodel.drivers.simulated import SimulatedDriver
from multimodel.engine import Call, CallSettings, Health, HedgeSettings, RetrySettings, Start, TargetPlan, run
from multimodel.engine.worst import dearest, turns
from multimodel.errors import error_for
from multimodel.types import Report, Target

from .scripted import plan, silent

SLACK = 1e-6
LATE = ["server_error", "overloaded", "rate_limited", "connection.maybe_sent", "invalid_response", "authentication"]
"""How a target may fail that others can be asked after."""


class Adversary:
    """Vendors that never answer, and fail at whatever moment is drawn."""

    def __init__(self, chance: Random, *, silent_only: bool = False) -> None:
        self.chance = chance
        self.silent_only = silent_only
        self.driver = SimulatedDriver(self._script)
        self.health = Health(chance)

    def call(self, plans: list[TargetPlan], limits: CallSettings, costs: list[float] | None = None) -> Report:
        driver = self.driver
        call = Call("chat", limits, driver.clock.now, stream=False)
        if costs is not None:
            by_key = dict(zip((plan.key for plan in plans), costs, strict=True))
            call.cost_at_most = lambda plan, **_: by_key[plan.key]
        begun = driver.begin(run(call, plans, self.health, self.chance))
        driver.run()
        assert begun.end is not None
        return begun.end.report

    def _script(self, start: Start, now: float):
        chance = self.chance
        if self.silent_only or chance.random() < 0.3:
            return silent()
        limits = start.limits
        longest = min(limits.first_content if start.plan.stream else limits.whole, limits.deadline) - now
        after = longest * chance.choice([0.0, 0.5, 1.0, 1.0, 1.0])
        patience = start.plan.retry.patience
        hint = chance.choice([None, None, patience, patience, 50.0])
        return [(after, error_for(chance.choice(LATE), status=500, retry_after=hint))]


@st.composite
def chains(draw: st.DrawFn) -> list[TargetPlan]:
    plans = []
    for number in range(draw(st.integers(1, 5))):
        shared = draw(st.integers(0, number)) if draw(st.booleans()) else number
        plans.append(
            TargetPlan(
                Target(f"vendor{number}", "m"),
                key=f"target{number}",
                credential=f"key{shared}",
                endpoint=f"host{shared}",
                first_content=draw(st.sampled_from([0.6, 3.0, 10.0, 60.0])),
                whole=draw(st.sampled_from([1.0, 60.0])),
                stream=draw(st.booleans()),
                retry=RetrySettings(draw(st.integers(1, 3)), 1.0, draw(st.sampled_from([0.0, 3.0, 10.0]))),
            )
        )
    return plans


LIMITS = st.builds(
    CallSettings,
    deadline=st.sampled_from([0.7, 5.0, 30.0, 120.0]),
    max_attempts=st.integers(1, 8),
    mid_stream=st.just("unseen"),
    hedge=st.none() | st.builds(HedgeSettings, after=st.sampled_from([0.3, 1.0, 8.0]), budget=st.just(1.0)),
)


@settings(max_examples=400, deadline=None)
@given(chain=chains(), limits=LIMITS, seed=st.integers(0, 2**32), silent_only=st.booleans())
def test_no_target_is_asked_later_in_its_turn_than_is_told(chain, limits, seed, silent_only):
    """Several calls, one after the other: breakers open, gates shut, and the next is told with that in mind."""
    world = Adversary(Random(seed), silent_only=silent_only)
    for _ in range(6):
        now = world.driver.clock.now
        obstacles = {one.key: world.health.obstacle(one, now) for one in chain}
        blocked = {key: found.until - now for key, found in obstacles.items() if found is not None}
        told = dict(zip((one.target for one in chain), turns(chain, limits, blocked), strict=True))
        report = world.call(chain, limits)
        assert report.duration <= limits.deadline + SLACK
        for attempt in report.attempts:
            turn = told[attempt.target]
            if attempt.reason == "last_resort":
                assert turn.passed_by
                assert attempt.started <= limits.deadline - 0.5 + SLACK
                continue
            assert sum(one.target == attempt.target for one in report.attempts) <= max(1, turn.requests)
            if attempt is next(one for one in report.attempts if one.target == attempt.target):
                assert turn.begins is not None
                assert attempt.started <= turn.begins + SLACK
            assert attempt.ended <= limits.deadline + SLACK
        if not any(turn.passed_by for turn in told.values()):
            assert report.duration <= max(turn.ends for turn in told.values()) + SLACK
        asked = {one.target for one in report.attempts}
        for target, turn in told.items():
            if not turn.kept_from and not turn.passed_by and target not in asked:
                assert limits.hedge is None
                raise AssertionError(f"{target} was not asked: {report}")
        world.driver.at(world.driver.clock.now + 3.0, lambda: None)
        world.driver.run()


@settings(max_examples=200, deadline=None)
@given(chain=chains(), limits=LIMITS, seed=st.integers(0, 2**32))
def test_the_last_target_begins_and_the_call_ends_by_then_when_all_are_silent(chain, limits, seed):
    report = Adversary(Random(seed), silent_only=True).call(chain, limits)
    told = turns(chain, limits)
    last = next((one for one in report.attempts if one.target == chain[-1].target), None)
    if last is not None:
        assert told[-1].begins is not None
        assert last.started <= told[-1].begins + SLACK
    assert report.duration <= max(turn.ends for turn in told) + SLACK


@settings(max_examples=200, deadline=None)
@given(chain=chains(), limits=LIMITS, seed=st.integers(0, 2**32), data=st.data())
def test_no_call_costs_more_than_is_told(chain, limits, seed, data):
    costs = [data.draw(st.sampled_from([0.0, 0.001, 0.02, 1.0])) for _ in chain]
    world = Adversary(Random(seed))
    for _ in range(3):
        report = world.call(chain, limits, costs)
        assert report.cost is not None
        assert report.cost <= dearest(chain, limits, costs) + SLACK


def test_the_bounds_are_reached():
    """Each target fails at the last moment, and asks for the longest wait that is kept."""
    chain = [plan("a"), plan("b"), plan("c")]
    limits = CallSettings(deadline=300.0, mid_stream="unseen")

    class Latest(Random):
        def random(self) -> float:
            return 1.0

    world = Adversary(Latest())
    world.driver.vendor = lambda start, now: [
        (start.limits.first_content - now, error_for("server_error", status=500, retry_after=3.0))
    ]
    report = world.call(chain, limits)
    told = turns(chain, limits)
    firsts = [attempt for attempt in report.attempts if attempt.reason != "retry"]
    assert [attempt.started for attempt in firsts] == pytest.approx([turn.begins for turn in told], abs=0.01)
    assert [turn.begins for turn in told] == pytest.approx([0.0, 23.3, 46.6], abs=0.01)
    assert [turn.requests for turn in told] == [2, 2, 2]


def test_what_max_attempts_may_use_up_is_told():
    chain = [plan("a"), plan("b"), plan("c")]
    told = turns(chain, CallSettings(max_attempts=4, deadline=300.0))
    assert [turn.kept_from for turn in told] == [(), (), ("max_attempts",)]
    (*_, never) = turns(chain, CallSettings(max_attempts=2, deadline=300.0))
    assert (never.begins, never.requests) == (None, 0)


def test_what_the_deadline_may_leave_no_time_for_is_told():
    chain = [plan("a", first_content=20.0), plan("b", first_content=20.0)]
    told = turns(chain, CallSettings(deadline=8.0))
    assert [turn.kept_from for turn in told] == [(), ("deadline",)]
    assert told[1].begins == pytest.approx(7.5)


def test_what_is_blocked_for_longer_than_its_turn_takes_to_come_delays_nobody():
    chain = [plan("a"), plan("b")]
    told = turns(chain, CallSettings(), {"a": 5.0})
    assert (told[0].begins, told[0].passed_by) == (None, True)
    assert told[1].begins == 0.0


def test_every_request_is_billed_the_dearest_first():
    chain = [plan("a"), plan("b"), plan("c")]
    limits = CallSettings(max_attempts=4)
    assert dearest(chain, limits, [0.01, 1.0, 0.1]) == pytest.approx(2.2)
    assert dearest(chain, limits, [0.01, 1.0, 0.1], visits=2) == pytest.approx(4.0)
    assert dearest(chain, limits, [0.01, None, 0.1]) is None
    assert dearest([], limits, []) == 0.0
