from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodel.drivers.simulated import VirtualClock
from multimodel.engine import Call, CallSettings, Ended, Health, RetrySettings, run
from multimodel.types import TextDelta

from .scripted import World, answers, fails, kinds, once, path, plan, silent

A, B = plan("a"), plan("b")


def test_a_dead_target_costs_five_attempts_and_then_only_probes():
    world = World(a=fails("connection.unsent"), b=answers())
    for _ in range(1000):
        assert world.call(A, B).error is None
    probes = world.clock.now / 15.0 + 3
    assert world.sent_to("a") <= 5 + probes


def test_a_breaker_closes_with_the_first_content_of_its_probe():
    down = [True]
    world = World(a=lambda _s, _n: fails("server_error") if down[0] else answers(), b=answers())
    for _ in range(3):
        world.call(A, B)
    assert world.health.state(A, world.clock.now)[0] == "open"
    down[0] = False
    world.clock.now += 21.0
    assert path(world.call(A, B)) == [("a", "probe", "ok")]
    assert world.health.state(A, world.clock.now)[0] == "closed"


def test_a_failed_probe_opens_again_for_longer():
    world = World(a=fails("server_error"), b=answers())
    for _ in range(3):
        world.call(A, B)
    world.clock.now += 5.0
    world.call(A, B)
    _, seconds = world.health.state(A, world.clock.now)
    assert 7.0 < seconds <= 10.0


def test_a_silent_probe_costs_its_caller_a_second():
    mode = ["answers"]
    world = World(a=lambda _s, _n: silent() if mode[0] == "silent" else answers(), b=answers())
    world.call(A, B)
    mode[0] = "silent"
    for _ in range(5):
        world.call(A, B)
    world.clock.now += 6.0
    end = world.call(A, B)
    assert end.report.attempts[0].reason == "probe"
    assert end.report.attempts[0].duration == pytest.approx(1.0)


def test_half_open_admits_one_probe_at_a_time():
    health, clock, rng = Health(Random(1)), VirtualClock(), Random(2)
    world = World(a=fails("server_error"), b=answers())
    world.health = health
    for _ in range(3):
        world.call(A, B)
    clock.now = world.clock.now + 21.0
    steps = [run(Call("chat", CallSettings(), clock.now, stream=False), [A, B], health, rng) for _ in range(3)]
    asked = [next(step).do.plan.target.provider for step in steps]
    assert asked == ["a", "b", "b"]
    steps[0].close()
    assert next(run(Call("chat", CallSettings(), clock.now, stream=False), [A, B], health, rng)).do.reason == "probe"


def test_the_result_of_another_epoch_changes_nothing():
    world = World(a=fails("server_error"), b=answers())
    late = run(Call("chat", CallSettings(), 0.0, stream=False), [A], world.health, Random(3))
    next(late)
    for _ in range(3):
        world.call(A, B)
    before = world.health.state(A, world.clock.now)
    with pytest.raises(StopIteration):
        late.send(Ended(world.clock.now, 1))
    assert world.health.state(A, world.clock.now) == before


def test_a_lost_probe_does_not_wedge_the_breaker():
    world = World(a=fails("server_error"), b=answers())
    for _ in range(3):
        world.call(A, B)
    now = world.clock.now + 21.0
    lost = run(Call("chat", CallSettings(), now, stream=False), [A, B], world.health, Random(3))
    assert next(lost).do.reason == "probe"
    world.clock.now = now + 200.0
    world.vendors["a"] = answers()
    assert path(world.call(A, B)) == [("a", "probe", "ok")]


def test_one_dead_target_of_an_endpoint_takes_its_siblings_out():
    first, second = plan("a", endpoint="host:443"), plan("c", endpoint="host:443")
    world = World(a=fails("connection.unsent"), c=answers(), b=answers())
    for _ in range(3):
        world.call(first, B)
    end = world.call(second, B)
    assert path(end) == [("b", "fallback", "ok")]
    assert end.report.skipped[0].reason == "breaker"


def test_a_refused_key_takes_out_all_targets_of_the_key():
    first, second = plan("a", credential="key"), plan("c", credential="key")
    world = World(a=fails("authentication"), c=answers(), b=answers())
    end = world.call(first, second, B)
    assert path(end) == [("a", "first", "authentication"), ("b", "fallback", "ok")]


def test_neutral_results_never_open_a_breaker():
    world = World(a=fails("bad_request"), b=answers())
    for _ in range(50):
        world.call(A, B)
    assert world.health.state(A, world.clock.now) == ("closed", 0.0)


def test_hasty_callers_do_not_condemn_a_healthy_target():
    world = World(a=answers(after=0.9))
    for _ in range(50):
        world.call(A, deadline=0.6)
    assert world.health.state(A, world.clock.now)[0] == "closed"


def test_a_healthy_target_with_a_few_failures_stays_closed():
    rng = Random(7)
    world = World(a=lambda _s, _n: fails("server_error") if rng.random() < 0.04 else answers(), b=answers())
    for _ in range(5000):
        world.call(A, B)
    skipped = 5000 - sum(1 for _, name in world.sent if name == "a")
    assert skipped < 5


def test_a_slow_target_that_was_never_measured_is_given_its_own_limit_when_it_is_probed():
    down = [True]
    world = World(a=lambda _s, _n: fails("server_error") if down[0] else answers(after=3.0), b=answers())
    for _ in range(3):
        world.call(A, B)
    down[0] = False
    world.clock.now += 21.0
    assert path(world.call(A, B)) == [("a", "probe", "ok")]


def test_hasty_callers_do_not_condemn_a_target_that_was_never_measured():
    world = World(a=answers(after=3.0))
    for _ in range(10):
        world.call(A, deadline=2.2)
    assert world.health.state(A, world.clock.now)[0] == "closed"


def test_the_last_resort_shares_what_the_deadline_leaves():
    world = World(a=fails("server_error"), b=fails("server_error"))
    for _ in range(3):
        world.call(A, B)
    world.vendors = {"a": silent(), "b": answers()}
    end = world.call(A, B, deadline=10.0)
    assert end.error is None
    assert [one.reason for one in end.report.attempts] == ["last_resort", "last_resort"]
    assert end.report.attempts[0].duration == pytest.approx(5.0)


def test_what_an_adapter_must_not_raise_is_recorded_as_an_error_and_gives_its_permit_back():
    world = World(a=fails("server_error"), b=answers())
    for _ in range(3):
        world.call(A, B)
    now = world.clock.now + 21.0
    call = Call("chat", CallSettings(), now, stream=False)
    steps = run(call, [A, B], world.health, Random(1))
    next(steps)
    with pytest.raises(KeyError):
        steps.throw(KeyError("a bug"))
    assert [attempt.outcome for attempt in call.attempts] == ["error"]
    assert world.health.state(A, now)[0] == "half_open"


# --- gates ---


def test_a_short_wait_is_slept_and_the_same_target_asked_not_before():
    world = World(a=once(fails("rate_limited", status=429, retry_after=2.0)), b=answers())
    end = world.call(A, B)
    assert path(end) == [("a", "first", "rate_limited"), ("a", "retry", "ok")]
    assert end.report.attempts[1].started >= 2.01


def test_a_long_wait_goes_to_the_next_target_at_once_and_holds_for_the_whole_client():
    world = World(a=fails("rate_limited", status=429, retry_after=86400.0), b=answers())
    end = world.call(A, B)
    assert path(end) == [("a", "first", "rate_limited"), ("b", "fallback", "ok")]
    assert end.report.duration < 0.3
    world.clock.now += 30.0
    assert path(world.call(A, B)) == [("b", "fallback", "ok")]


def test_a_wait_of_a_day_is_never_cut_short():
    world = World(a=fails("rate_limited", status=429, retry_after=86400.0))
    world.call(A)
    world.clock.now += 3600.0
    end = world.call(A)
    assert world.sent_to("a") == 1
    assert end.report.duration == 0.0
    assert end.error.retry_after > 80000.0


def test_the_last_target_is_waited_for_when_it_is_worth_it():
    world = World(a=once(fails("rate_limited", status=429, retry_after=20.0)))
    end = world.call(A)
    assert path(end) == [("a", "first", "rate_limited"), ("a", "retry", "ok")]
    assert end.report.duration > 20.0


def test_a_call_that_meets_a_shut_gate_and_nothing_else_waits_for_it():
    world = World(a=once(fails("rate_limited", status=429, retry_after=5.0), answers()))
    world.call(A, deadline=2.0)
    end = world.call(A)
    assert path(end) == [("a", "last_resort", "ok")]
    assert end.report.attempts[0].started >= 4.5


def test_a_limit_without_a_hint_is_not_repeated_while_another_target_is_left():
    world = World(a=fails("rate_limited", status=429), b=answers())
    assert path(world.call(A, B)) == [("a", "first", "rate_limited"), ("b", "fallback", "ok")]


def test_should_retry_false_forbids_the_same_target_and_not_the_next():
    world = World(a=fails("server_error", should_retry=False), b=answers())
    assert path(world.call(A, B)) == [("a", "first", "server_error"), ("b", "fallback", "ok")]


# --- budget and jitter ---


def test_repeats_never_exceed_the_budget():
    rng = Random(5)
    world = World(a=lambda _s, _n: fails("invalid_response") if rng.random() < 0.3 else answers(), b=answers())
    generous = plan("a", breaker=type(A.breaker)(failures=10**6, ratio=1.1))
    firsts = repeats = 0
    for _ in range(2000):
        for attempt in world.call(generous, B).report.attempts:
            firsts += attempt.target.provider == "a" and attempt.reason == "first"
            repeats += attempt.reason == "retry"
            assert repeats <= 10 + 0.1 * firsts


def test_an_empty_budget_means_the_next_target_and_no_wait():
    world = World(a=fails("invalid_response", after=0.0), b=answers(after=0.0))
    poor = plan("a", breaker=type(A.breaker)(failures=10**6, ratio=1.1), retry=RetrySettings(budget=0.0))
    for _ in range(10):
        world.call(poor, B)
    end = world.call(poor, B)
    assert path(end) == [("a", "first", "invalid_response"), ("b", "fallback", "ok")]
    assert end.report.duration == pytest.approx(0.1)


def test_no_sleep_crosses_the_deadline():
    for seed in range(50):
        world = World(seed, a=fails("server_error"), b=fails("server_error"))
        end = world.call(A, B, deadline=1.2)
        assert world.clock.now <= 1.2 + 1e-9
        assert end.error is not None


# --- the last resort ---


def test_an_open_target_is_asked_when_nothing_else_answers():
    down = [True]
    world = World(a=lambda _s, _n: fails("server_error") if down[0] else answers())
    for _ in range(3):
        world.call(A)
    down[0] = False
    assert path(world.call(A)) == [("a", "last_resort", "ok")]
    assert world.health.state(A, world.clock.now)[0] == "closed"


def test_the_last_resort_is_taken_four_times_a_second_at_most():
    world = World(a=fails("server_error", after=0.0))
    for _ in range(5):
        world.call(A)
    before = world.sent_to("a")
    for _ in range(100):
        world.call(A)
        world.clock.now += 0.01
    assert world.sent_to("a") - before <= 5


def test_a_refused_key_is_no_last_resort_for_a_minute():
    world = World(a=fails("authentication"))
    world.call(A)
    end = world.call(A)
    assert world.sent_to("a") == 1
    assert kinds(end.error) == ["authentication"]


# --- permits ---


def test_closing_a_call_gives_its_permit_back_and_records_it():
    world = World(a=fails("server_error"), b=answers())
    for _ in range(3):
        world.call(A, B)
    now = world.clock.now + 21.0
    call = Call("chat", CallSettings(), now, stream=False)
    steps = run(call, [A, B], world.health, Random(1))
    next(steps)
    assert world.health.state(A, now)[0] == "open"
    steps.close()
    assert world.health.state(A, now)[0] == "half_open"
    assert [attempt.outcome for attempt in call.attempts] == ["cancelled"]


KINDS = ["server_error", "rate_limited", "timeout.first", "connection.unsent", "truncated_stream", "invalid_response"]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.sampled_from([*KINDS, "ok", "ok", "cut", "silent"]), min_size=1, max_size=40))
def test_any_mixture_of_faults_keeps_the_laws(seed: int, plays: list[str]):
    rng = Random(seed)

    def vendor(_start, _now):
        play = rng.choice(plays)
        if play == "ok":
            return answers(after=rng.random())
        if play == "silent":
            return silent()
        if play == "cut":
            return [(0.1, TextDelta("x")), *fails("truncated_stream")]
        return fails(play, retry_after=rng.choice([None, 1.0, 5.0, 100.0]) if play == "rate_limited" else None)

    world = World(seed, a=vendor, b=vendor)
    for _ in range(10):
        begun = world.clock.now
        stream = rng.random() < 0.5
        deadline = rng.choice([2.0, 30.0])
        end = world.call(A, B, stream=stream, deadline=deadline, max_attempts=5)
        assert world.clock.now <= begun + deadline + 1e-6
        assert len(end.report.attempts) <= 5
        for name in ("a", "b"):
            assert sum(attempt.target.provider == name for attempt in end.report.attempts) <= 3
        assert (end.error is None) == (end.report.outcome == "ok")
        if end.error is None:
            assert end.report.attempts[-1].outcome == "ok"
        if end.error is not None and end.error.kind == "all_targets_failed":
            assert len(end.error.exceptions) == len(end.report.attempts) + len(end.report.skipped)


def test_a_stale_connection_is_repeated_for_free():
    world = World(a=once(fails("connection.stale", after=0.0)), b=answers())
    poor = plan("a", retry=RetrySettings(budget=0.0))
    for _ in range(11):
        world.vendors["a"] = once(fails("connection.stale", after=0.0))
        assert path(world.call(poor, B)) == [("a", "first", "connection.stale"), ("a", "retry", "ok")]
