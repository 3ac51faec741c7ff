"""Repeats and their waits, shut gates, full targets, the last resort."""

from __future__ import annotations

from collections.abc import Generator
from random import Random

import pytest

from multimodel.drivers.simulated import SimulatedCall, SimulatedDriver
from multimodel.engine import (
    BreakerSettings,
    Call,
    CallSettings,
    End,
    Ended,
    Event,
    Health,
    RetrySettings,
    Start,
    Step,
    TargetPlan,
    Woke,
    run,
)
from multimodel.errors import error_for

from .scripted import World, answers, fails, kinds, once, path, plan, silent
from .test_breaker import Shortest

A, B, C = plan("a"), plan("b"), plan("c")
NEVER_OPENS = BreakerSettings(failures=10**6, ratio=2.0)
DOWN = error_for("server_error", status=500)


class Fixed(Random):
    """Chance that always falls the same way."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


def soft(jitter: float = 0.0, now: float = 100.0, **vendors: object) -> World:
    """A server's wait is as long as it says; a repeat waits for ``jitter`` of what it may."""
    world = World(**vendors)  # type: ignore[arg-type]
    world.clock.now, world.health, world.rng = now, Health(Shortest()), Fixed(jitter)
    return world


def limited(retry_after: float | None = None) -> list[tuple[float, object]]:
    return fails("rate_limited", after=0.0, status=429, retry_after=retry_after)


def instants(world: World) -> list[float]:
    return [at - 100.0 for at, _ in world.sent]


def begin(health: Health, *plans: TargetPlan, now: float = 0.0) -> tuple[Generator[Step, Event, End], Start]:
    steps = run(Call("chat", CallSettings(), now, stream=False), plans, health, Fixed(1.0))
    start = next(steps).do
    assert isinstance(start, Start)
    return steps, start


def opened(health: Health, of: TargetPlan, now: float, *, times: int = 5, kind: str = "server_error") -> None:
    for _ in range(times):
        health.settle(health.admit(of, now, now), of, now, error_for(kind), blame=True)  # type: ignore[arg-type]


# --- repeats ---


@pytest.mark.parametrize("jitter", [1.0, 0.5])
def test_each_repeat_waits_up_to_twice_as_long_as_the_one_before_and_eight_seconds_at_most(jitter: float):
    world = soft(jitter, a=fails("server_error", after=0.0))
    world.call(plan("a", retry=RetrySettings(attempts=7), breaker=NEVER_OPENS), max_attempts=9)
    assert instants(world) == [jitter * at for at in (0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5)]


def test_a_target_is_asked_as_often_a_visit_as_the_policy_says():
    for attempts in (1, 2, 3):
        world = soft(a=fails("server_error"), b=answers())
        world.call(plan("a", retry=RetrySettings(attempts=attempts)), B)
        assert world.sent_to("a") == attempts


def test_no_repeat_is_waited_for_that_may_not_be_sent():
    world = soft(1.0, a=fails("server_error", after=0.0), b=answers())
    end = world.call(A, B, max_attempts=1)
    assert end.report.duration == 0.0
    assert world.sent_to("a") == 1


@pytest.mark.parametrize(("deadline", "requests"), [(0.99, 1), (1.0, 2)])
def test_a_repeat_must_be_able_to_run_for_half_a_second(deadline: float, requests: int):
    world = soft(1.0, a=fails("server_error", after=0.0))
    world.call(A, deadline=deadline)
    assert world.sent_to("a") == requests


def test_a_target_whose_breaker_opened_is_not_asked_again():
    world = soft(a=fails("server_error"), b=answers())
    end = world.call(plan("a", breaker=BreakerSettings(failures=1)), B)
    assert path(end) == [("a", "first", "server_error"), ("b", "fallback", "ok")]


@pytest.mark.parametrize(
    ("kind", "should_retry", "requests"),
    [
        ("timeout.idle", True, 2),
        ("timeout.idle", None, 1),
        ("server_error", False, 1),
        ("server_error", None, 2),
        ("content_filtered", True, 1),
    ],
)
def test_the_vendor_may_ask_for_a_repeat_or_forbid_it(kind: str, should_retry: bool | None, requests: int):
    world = soft(a=fails(kind, should_retry=should_retry))
    world.call(A)
    assert world.sent_to("a") == requests


def test_what_may_have_been_carried_out_is_not_repeated():
    world = soft(a=fails("server_error"))
    world.call(A, effects=True)
    assert world.sent_to("a") == 1


def test_the_first_stale_connection_is_free_and_the_second_takes_a_token():
    poor = plan("a", retry=RetrySettings(attempts=4, budget=0.0))
    world = soft(1.0, a=fails("connection.stale", after=0.0))
    world.call(poor, max_attempts=9)
    assert instants(world) == [0.0] * 4  # and nobody waits for it
    spent = sum(world.health.take_retry(poor) for _ in range(20))
    assert spent == 10 - 2


def test_stale_connections_elsewhere_do_not_count():
    poor = plan("b", retry=RetrySettings(budget=0.0))
    world = soft(a=fails("connection.stale"), b=once(fails("connection.stale")))
    while world.health.take_retry(poor):
        pass
    assert path(world.call(A, poor))[-1] == ("b", "retry", "ok")


def test_a_repeat_that_another_call_has_made_pointless_meanwhile_is_not_sent():
    health = Health(Shortest())
    steps, start = begin(health, A, B)
    asleep = steps.send(Ended(0.25, start.attempt, DOWN))
    assert (asleep.do, asleep.wake) == (None, 0.75)
    opened(health, A, 0.5, times=1, kind="authentication")
    after = steps.send(Woke(0.75))
    assert isinstance(after.do, Start)
    assert after.do.plan is B


def test_who_is_woken_early_sleeps_on():
    health = Health(Shortest())
    steps, start = begin(health, A)
    steps.send(Ended(0.25, start.attempt, DOWN))
    still = steps.send(Woke(0.5))
    assert (still.do, still.wake) == (None, 0.75)
    steps.send(Woke(0.3))
    again = steps.send(Woke(0.75))
    assert isinstance(again.do, Start)
    assert again.do.limits.first_content == 10.75


def test_a_clock_that_goes_back_makes_no_attempt_shorter_than_nothing():
    health = Health(Shortest())
    steps, start = begin(health, A, now=50.0)
    with pytest.raises(StopIteration) as stopped:
        steps.send(Ended(20.0, start.attempt))
    assert stopped.value.value.report.attempts[0].duration == 0.0


# --- a server's wait ---


@pytest.mark.parametrize("wait", [0.5, 2.0])
def test_a_wait_is_kept_to_the_microsecond(wait: float):
    world = soft(a=once(limited(wait)), b=answers())
    assert path(world.call(A, B)) == [("a", "first", "rate_limited"), ("a", "retry", "ok")]
    assert wait < instants(world)[1] < wait + 1e-5


@pytest.mark.parametrize(("wait", "asked"), [(3.0, "a"), (3.1, "b")])
def test_a_wait_longer_than_the_policys_patience_is_left_to_the_next_target(wait: float, asked: str):
    world = soft(a=once(limited(wait)), b=answers())
    assert path(world.call(A, B))[-1][0] == asked


@pytest.mark.parametrize(("wait", "requests"), [(60.0, 2), (60.1, 1)])
def test_without_another_target_a_minute_is_waited_for(wait: float, requests: int):
    world = soft(a=once(limited(wait)))
    world.call(A)
    assert world.sent_to("a") == requests


def test_a_target_that_cannot_be_asked_is_no_other_target():
    world = soft(a=once(limited(5.0)), b=answers())
    opened(world.health, B, 100.0, times=1, kind="authentication")
    assert path(world.call(A, B)) == [("a", "first", "rate_limited"), ("a", "retry", "ok")]


def test_without_a_hint_and_without_another_target_the_limit_is_waited_for():
    world = soft(a=once(limited()))
    assert path(world.call(A)) == [("a", "first", "rate_limited"), ("a", "retry", "ok")]
    assert instants(world)[1] == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize(("deadline", "requests"), [(2.4, 1), (2.6, 2)])
def test_a_wait_that_leaves_no_time_is_not_slept(deadline: float, requests: int):
    world = soft(a=once(limited(2.0)))
    end = world.call(A, deadline=deadline)
    assert world.sent_to("a") == requests
    assert end.report.duration == pytest.approx(0.0 if requests == 1 else 2.2)


def shut(wait: float) -> World:
    world = soft(a=answers())
    refusal = error_for("rate_limited", retry_after=wait)
    world.health.settle(world.health.admit(A, 100.0, 100.0), A, 100.0, refusal, blame=True)
    return world


@pytest.mark.parametrize(("wait", "deadline", "requests"), [(59.9, 99.0, 1), (60.1, 99.0, 0)])
def test_a_shut_gate_is_waited_for_up_to_a_minute(wait: float, deadline: float, requests: int):
    world = shut(wait)
    end = world.call(A, deadline=deadline)
    assert world.sent_to("a") == requests
    assert end.report.duration == pytest.approx(wait + 0.2 if requests else 0.0)


@pytest.mark.parametrize(("deadline", "requests"), [(5.4, 0), (5.6, 1)])
def test_a_shut_gate_is_waited_for_only_if_time_is_left_behind_it(deadline: float, requests: int):
    world = shut(5.0)
    end = world.call(A, deadline=deadline)
    assert world.sent_to("a") == requests
    assert end.report.duration == pytest.approx(5.2 if requests else 0.0)


# --- the last resort ---


def test_what_is_clear_soonest_is_asked_first():
    world = soft(a=answers(), b=answers())
    opened(world.health, A, 100.0)
    opened(world.health, B, 99.0)
    assert path(world.call(A, B)) == [("b", "last_resort", "ok")]


def test_a_last_resort_is_not_repeated_and_the_next_is_asked():
    world = soft(a=fails("server_error"), b=answers())
    opened(world.health, A, 99.0)
    opened(world.health, B, 100.0)
    assert path(world.call(A, B)) == [("a", "last_resort", "server_error"), ("b", "last_resort", "ok")]


def test_a_last_resort_that_was_just_spent_is_remarked():
    world = soft(a=fails("server_error", after=0.0))
    opened(world.health, A, 100.0)
    world.call(A)
    end = world.call(A)
    assert world.sent_to("a") == 1
    assert end.report.notes == ("a:m: no last resort, at most four a second",)


def test_a_target_that_is_open_and_full_is_no_last_resort():
    narrow = plan("a", at_most=1)
    world = soft(a=answers())
    opened(world.health, narrow, 100.0)
    late = world.health.admit(plan("a", endpoint="elsewhere", key="a"), 99.0, 99.0)
    end = world.call(narrow)
    assert world.sent_to("a") == 0
    assert kinds(end.error) == ["server_error"]
    world.health.release(late)
    assert path(world.call(narrow)) == [("a", "last_resort", "ok")]


def test_a_last_resort_that_comes_too_late_is_out_of_time():
    world = soft(a=fails("server_error", after=0.7), b=answers())
    opened(world.health, B, 100.0, times=1, kind="rate_limited")
    end = world.call(plan("a", retry=RetrySettings(attempts=1)), B, deadline=1.0)
    assert end.error.kind == "deadline_exceeded"
    assert world.sent_to("b") == 0


def test_the_last_resort_keeps_the_calls_number_of_requests():
    world = soft(a=fails("server_error"), b=answers())
    opened(world.health, B, 100.0)
    end = world.call(B, A, max_attempts=2)
    assert [(skip.target.provider, skip.reason) for skip in end.report.skipped] == [
        ("b", "breaker"),
        ("b", "max_attempts"),
    ]


# --- a full target ---


class Crowd:
    """Callers of one target that takes one attempt at a time."""

    def __init__(self, *scripts: object) -> None:
        self.health = Health(Shortest())
        self.scripts = list(scripts)
        self.driver = SimulatedDriver(lambda _start, _now: self.scripts.pop(0))  # type: ignore[arg-type,return-value]
        self.narrow = plan("a", at_most=1, breaker=NEVER_OPENS)

    def call(self, *plans: TargetPlan, **settings: object) -> SimulatedCall:
        call = Call("chat", CallSettings(**settings), self.driver.clock.now, stream=False)  # type: ignore[arg-type]
        return self.driver.begin(run(call, plans or (self.narrow,), self.health, Fixed(0.0)))

    def waiting(self) -> int:
        """How many wait for a place now."""
        joined = 0
        while self.health.queue(self.narrow):
            joined += 1
        for _ in range(joined):
            self.health.dequeue(self.narrow)
        return 100 - joined


def started(call: SimulatedCall) -> float:
    assert call.end is not None
    (attempt,) = call.end.report.attempts
    assert (attempt.reason, attempt.outcome) == ("last_resort", "ok")
    return attempt.started


def test_who_has_nothing_else_waits_for_a_place_and_takes_it_within_a_twentieth_of_a_second():
    crowd = Crowd(answers(after=0.52), answers())
    crowd.call()
    second = crowd.call()
    assert crowd.waiting() == 1
    crowd.driver.run()
    assert started(second) == pytest.approx(0.65)  # the place was free at 0.62
    assert crowd.waiting() == 0


@pytest.mark.parametrize(("deadline", "waited"), [(10.0, 1.0), (20.0, 2.0), (0.53, 0.03)])
def test_a_tenth_of_the_calls_time_is_waited_and_never_what_an_attempt_needs(deadline: float, waited: float):
    crowd = Crowd(silent())
    crowd.call(deadline=100.0)
    crowd.driver.at(1.0, lambda: calls.append(crowd.call(deadline=deadline)))
    calls: list[SimulatedCall] = []
    crowd.driver.run()
    end = calls[0].end
    assert end.report.duration == pytest.approx(waited)
    assert kinds(end.error) == ["local_overload"]
    assert crowd.waiting() == 0


def test_a_place_is_taken_as_soon_as_it_is_seen_at_the_very_end_of_the_wait():
    crowd = Crowd(answers(after=0.89), answers())
    crowd.call(deadline=10.0)
    second = crowd.call(deadline=10.0)  # waits until 1.0, the place is free at 0.99
    crowd.driver.run()
    assert started(second) == pytest.approx(1.0)


def test_who_is_the_hundred_and_first_to_wait_is_told_at_once():
    crowd = Crowd(silent())
    crowd.call()
    calls = [crowd.call() for _ in range(101)]
    assert [call.end is None for call in calls] == [True] * 100 + [False]
    assert calls[-1].end.report.duration == 0.0


def test_who_gives_up_waiting_leaves_the_queue():
    crowd = Crowd(silent())
    crowd.call()
    second = crowd.call()
    assert crowd.waiting() == 1
    second.cancel()
    assert crowd.waiting() == 0


def test_who_waits_for_a_place_stops_when_the_target_is_refused_meanwhile():
    crowd = Crowd(fails("authentication", after=0.32))
    crowd.call()
    second = crowd.call()
    crowd.driver.run()
    assert second.end.report.duration == pytest.approx(0.35)
    assert kinds(second.end.error) == ["local_overload"]


def test_who_waits_for_a_place_goes_on_to_the_next_full_target():
    crowd = Crowd(silent(), silent(), answers())
    other = plan("b", at_most=1)
    crowd.call(crowd.narrow, deadline=100.0)
    held = crowd.call(other, deadline=100.0)
    third = crowd.call(crowd.narrow, other, deadline=20.0)
    crowd.driver.at(3.01, held.cancel)
    crowd.driver.run()
    assert third.end.plan is other
    assert started(third) == pytest.approx(3.05)
