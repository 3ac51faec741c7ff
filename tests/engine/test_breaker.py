"""When a breaker opens, for how long, and what closes it."""

from __future__ import annotations

from random import Random

import pytest

from multimodel.engine import BreakerSettings
from multimodel.engine.breaker import Breaker
from multimodel.errors import error_for

DOWN = error_for("server_error", status=500)
STREAK = BreakerSettings(ratio=2.0)  # by five failures in a row, never by ratio
RATIO = BreakerSettings(failures=10**6)  # by half of the last minute's, never by a streak


class Longest(Random):
    """Chance that always takes the longest pause."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


class Shortest(Random):
    """Chance that always takes the shortest pause."""

    def uniform(self, a: float, b: float) -> float:
        return min(a, b)


def fail(breaker: Breaker, now: float = 0.0, times: int = 1, settings: BreakerSettings = STREAK) -> None:
    for _ in range(times):
        breaker.fail(now, settings, Longest(), DOWN)


def succeed(breaker: Breaker, now: float = 0.0, times: int = 1, settings: BreakerSettings = RATIO) -> None:
    for _ in range(times):
        breaker.succeed(now, settings)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    fail(breaker, now, 5)
    return breaker


# --- what opens it ---


def test_the_fifth_failure_in_a_row_opens():
    breaker = Breaker()
    fail(breaker, times=4)
    assert breaker.closed
    fail(breaker)
    assert not breaker.closed
    assert breaker.cause is DOWN


def test_an_answer_ends_the_streak():
    breaker = Breaker()
    fail(breaker, times=4)
    succeed(breaker, settings=STREAK)
    fail(breaker, times=4)
    assert breaker.closed
    fail(breaker)
    assert not breaker.closed


def test_a_breaker_that_was_closed_again_needs_five_failures_again():
    breaker = opened()
    succeed(breaker, 6.0)
    fail(breaker, 6.0, 4)
    assert breaker.closed
    fail(breaker, 6.0)
    assert not breaker.closed


@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_half_of_ten_results_opens(apart: float):
    breaker, now = Breaker(), 0.0
    for _ in range(4):
        succeed(breaker, now)
        fail(breaker, now, settings=RATIO)
        now += apart
    succeed(breaker, now)
    assert breaker.closed
    fail(breaker, now, settings=RATIO)
    assert not breaker.closed


def test_fewer_than_half_do_not_open():
    breaker = Breaker()
    succeed(breaker, times=6)
    fail(breaker, times=5, settings=RATIO)
    assert breaker.closed
    fail(breaker, settings=RATIO)
    assert not breaker.closed


def test_nine_failures_are_too_few_to_tell_by_ratio():
    breaker = Breaker()
    fail(breaker, times=9, settings=RATIO)
    assert breaker.closed
    fail(breaker, settings=RATIO)
    assert not breaker.closed


@pytest.mark.parametrize(("now", "closed"), [(159.9, False), (160.0, True)])
def test_what_is_older_than_the_window_counts_no_more(now: float, closed: bool):
    breaker = Breaker()
    fail(breaker, 100.0, 9, RATIO)
    fail(breaker, now, settings=RATIO)
    assert breaker.closed is closed


def test_a_window_shorter_than_half_a_second_is_half_a_second():
    breaker = Breaker()
    fail(breaker, 10.4, 10, BreakerSettings(failures=10**6, window=0.1))
    assert not breaker.closed


def test_targets_with_other_windows_may_share_a_breaker():
    breaker = Breaker(window=10.0)
    fail(breaker, 0.0, 8, RATIO)
    fail(breaker, 30.0, settings=BreakerSettings(failures=10**6, window=10.0))
    assert breaker.closed
    fail(breaker, 31.0, settings=RATIO)
    assert not breaker.closed


def test_answers_from_before_the_first_failure_count():
    breaker = Breaker(answers=[1.0] * 6)
    fail(breaker, 2.0, 5, RATIO)
    assert breaker.closed
    fail(breaker, 2.0, settings=RATIO)
    assert not breaker.closed


def test_results_from_before_it_was_closed_count_no_more():
    breaker = Breaker()
    fail(breaker, times=10, settings=RATIO)
    succeed(breaker, 11.0)
    fail(breaker, 11.0, 9, RATIO)
    assert breaker.closed


def test_it_remembers_a_window_and_no_more():
    breaker = Breaker()
    for half_seconds in range(10_000):
        succeed(breaker, half_seconds / 2)
    assert len(breaker._counts) == 120


# --- for how long ---


@pytest.mark.parametrize(("rng", "pauses"), [(Longest(), [5.0, 10.0, 20.0, 20.0]), (Shortest(), [3.75, 7.5, 15, 15])])
def test_each_failed_probe_doubles_the_pause_up_to_the_policys(rng: Random, pauses: list[float]):
    breaker = Breaker()
    fail(breaker, 100.0, 4)
    for pause in pauses:
        breaker.fail(100.0, STREAK, rng, DOWN)
        assert breaker.open_until == 100.0 + pause
        assert breaker.opened_at == 100.0


def test_the_pause_begins_anew_once_it_was_closed():
    breaker = opened()
    fail(breaker, times=3)
    succeed(breaker, 30.0)
    fail(breaker, 30.0, 5)
    assert breaker.open_until == 35.0


def test_what_waiting_seldom_cures_opens_at_once_for_longer_each_time_up_to_a_limit():
    breaker, pauses = Breaker(), []
    for _ in range(5):
        breaker.trip(100.0, (60.0, 600.0), DOWN)
        pauses.append(breaker.blocked_until - 100.0)
    assert pauses == [60.0, 120.0, 240.0, 480.0, 600.0]
    assert breaker.tripped
    assert breaker.cause is DOWN


def test_a_failure_of_another_kind_after_a_trip_is_an_ordinary_one():
    breaker = Breaker()
    breaker.trip(0.0, (60.0, 600.0), error_for("authentication"))
    fail(breaker, 60.0)
    assert not breaker.tripped
    assert breaker.cause is DOWN
    assert breaker.open_until == 70.0


def test_a_target_that_is_down_for_months_is_still_probed():
    breaker = Breaker()
    for _ in range(2000):
        fail(breaker)
        breaker.trip(0.0, (60.0, 600.0), DOWN)
    assert breaker.open_until == 600.0
    fail(breaker)
    assert breaker.open_until == 20.0


# --- half-open ---


def test_it_is_half_open_from_the_instant_at_which_its_pause_ends():
    breaker = opened(1.0)
    assert breaker.blocked(5.99)
    assert not breaker.half_open(5.99)
    assert breaker.half_open(6.0)
    assert not breaker.blocked(6.0)


def test_a_lease_blocks_until_its_own_end():
    breaker = opened()
    breaker.lease(9.0)
    assert breaker.blocked_until == 9.0
    assert breaker.blocked(8.99)
    assert not breaker.half_open(8.99)
    assert breaker.half_open(9.0)


def test_a_lease_that_ends_before_the_pause_does_not_shorten_it():
    breaker = opened()
    breaker.lease(2.0)
    assert breaker.blocked_until == 5.0
    assert breaker.blocked(3.0)


def test_a_probe_without_a_verdict_leaves_its_place_to_the_next():
    breaker = opened()
    breaker.lease(9.0)
    breaker.free()
    assert breaker.half_open(5.0)
    assert breaker.epoch == 1


def test_a_failed_probe_ends_its_lease():
    breaker = opened()
    breaker.lease(1000.0)
    fail(breaker, 5.0)
    assert breaker.blocked_until == 15.0


def test_an_answer_closes_it_and_leaves_nothing_behind():
    breaker = opened()
    breaker.lease(9.0)
    succeed(breaker, 6.0)
    assert breaker.closed
    assert breaker.cause is None
    assert breaker.blocked_until == 0.0
    assert not breaker.blocked(0.0)
    assert not breaker.half_open(0.0)


def test_every_transition_has_an_epoch_of_its_own():
    breaker, seen = Breaker(), []
    for step in (
        lambda: fail(breaker, times=4),  # still closed
        lambda: fail(breaker),
        lambda: fail(breaker),
        lambda: succeed(breaker),
        lambda: succeed(breaker),  # closed already
        lambda: breaker.trip(0.0, (60.0, 600.0), DOWN),
        lambda: succeed(breaker),
    ):
        step()
        seen.append(breaker.epoch)
    assert seen == [0, 1, 2, 3, 3, 4, 5]
