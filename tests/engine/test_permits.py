"""The client's memory by itself: what is forbidden, what is permitted, and what a result changes."""

from __future__ import annotations

from math import inf

import pytest

from multimodel.engine import BreakerSettings, Health, RetrySettings, TargetPlan
from multimodel.engine.health import Obstacle, Permit
from multimodel.errors import CallError, error_for

from .scripted import plan
from .test_breaker import Longest, Shortest

A, B = plan("a"), plan("b")


def soft() -> Health:
    """Waits are as short as may be: a server's wait to the second, a breaker's first pause 3.75 s."""
    return Health(Shortest())


def admit(health: Health, of: TargetPlan = A, now: float = 0.0, lease_until: float = 1000.0) -> Permit:
    return health.admit(of, now, lease_until)


def take(
    health: Health, error: CallError | None, of: TargetPlan = A, now: float = 0.0, *, blame: bool = True, times: int = 1
) -> None:
    """Let so many attempts end with ``error``."""
    for _ in range(times):
        health.settle(admit(health, of, now), of, now, error, blame=blame)


def limited(retry_after: float | None = None) -> CallError:
    return error_for("rate_limited", status=429, retry_after=retry_after)


def down(**facts: object) -> CallError:
    return error_for("server_error", **facts)  # type: ignore[arg-type]


def unreachable() -> CallError:
    return error_for("connection.unsent")


# --- gates ---


def test_a_gate_is_shut_until_the_instant_that_the_server_named_and_not_at_it():
    health = soft()
    take(health, limited(2.0), now=1.0)
    assert health.obstacle(A, 2.99) == Obstacle("gate", 3.0, None, last_resort=True)
    assert health.state(A, 2.0) == ("gated", 1.0)
    assert health.clear_at(A, 2.0) == 3.0
    assert health.not_before(A) == 3.0
    assert health.obstacle(A, 3.0) is None
    assert health.clear_at(A, 3.5) == 3.5
    assert health.obstacle(B, 2.0) is None
    assert health.not_before(B) == 0.0


def test_a_servers_wait_is_stretched_by_a_tenth_at_most():
    health = Health(Longest())
    take(health, limited(10.0))
    assert health.not_before(A) == pytest.approx(11.0)


@pytest.mark.parametrize(
    ("health", "share"), [(Health(Longest()), 1.0), (Health(Shortest()), 0.5)], ids=["longest", "shortest"]
)
def test_each_refusal_without_a_hint_doubles_the_wait_up_to_twenty_seconds(health: Health, share: float):
    now = 0.0
    for wait in (1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0):
        take(health, limited(), now=now)
        assert health.not_before(A) - now == share * wait
        now = health.not_before(A)


def test_an_answer_ends_the_doubling():
    health = Health(Longest())
    take(health, limited(), times=4)
    take(health, None)
    take(health, limited(), now=100.0)
    assert health.not_before(A) == 101.0


def test_refusals_for_months_overflow_nothing():
    health = Health(Longest())
    take(health, limited(), times=2000)
    assert health.not_before(A) == 20.0


def test_a_wait_that_comes_with_another_failure_shuts_the_gate_and_is_no_refusal():
    health = Health(Longest())
    take(health, error_for("overloaded", retry_after=4.0), blame=False)
    assert health.not_before(A) == pytest.approx(4.4)
    take(health, limited(), now=10.0)
    assert health.not_before(A) == 11.0


def test_a_failure_without_a_wait_shuts_no_gate():
    health = soft()
    take(health, down())
    assert health.not_before(A) == 0.0


def test_a_shorter_wait_does_not_open_a_gate_sooner():
    health = soft()
    take(health, limited(30.0))
    take(health, limited(1.0))
    assert health.not_before(A) == 30.0


def test_a_gate_is_the_credentials():
    health = soft()
    take(health, limited(9.0), plan("a", credential="key"))
    assert health.state(plan("b", credential="key"), 0.0)[0] == "gated"


# --- breakers ---


def named(obstacle: Obstacle | None) -> tuple[str, float, str, bool]:
    assert obstacle is not None
    assert obstacle.cause is not None
    return obstacle.reason, obstacle.until, obstacle.cause.kind, obstacle.last_resort


def test_an_open_breaker_keeps_its_cause_and_nothing_of_the_call():
    health = soft()
    for _ in range(5):
        try:
            raise down()
        except CallError as error:
            take(health, error)
    obstacle = health.obstacle(A, 1.0)
    assert obstacle is not None
    assert obstacle.cause is not None
    assert (obstacle.cause.kind, obstacle.cause.__traceback__) == ("server_error", None)


def test_an_open_breaker_is_an_obstacle_that_names_its_cause():
    health, error = soft(), down()
    take(health, error, times=5)
    assert named(health.obstacle(A, 1.0)) == ("breaker", 3.75, "server_error", True)
    assert health.state(A, 1.0) == ("open", 2.75)
    assert health.clear_at(A, 1.0) == 3.75
    assert health.state(A, 3.75) == ("half_open", 0.0)
    assert health.is_probe(A, 3.75)
    assert not health.is_probe(B, 3.75)
    assert health.state(B, 3.75) == ("closed", 0.0)


def test_of_several_open_breakers_the_last_to_open_again_counts():
    health, refused = soft(), error_for("authentication")
    late = admit(health)
    take(health, down(), times=5)
    health.settle(late, A, 0.0, refused, blame=True)
    assert named(health.obstacle(A, 1.0)) == ("breaker", 60.0, "authentication", False)
    late = plan("c", credential="a")
    take(health, unreachable(), late, 58.0, times=5)
    assert health.obstacle(late, 59.0).until == 61.75


def test_what_waiting_seldom_cures_is_no_last_resort_for_a_minute():
    health = soft()
    for now in (0.0, 60.0):
        take(health, error_for("model_not_found"), now=now)  # the second one opens for two minutes
    assert not health.obstacle(A, 119.9).last_resort
    assert health.obstacle(A, 120.0).last_resort


def test_one_breaker_that_was_opened_at_once_is_enough_to_be_no_last_resort():
    health = soft()
    late = [admit(health) for _ in range(5)]
    take(health, error_for("connection.tls"))
    for permit in late:
        health.settle(permit, A, 50.0, down(), blame=True)
    assert not health.obstacle(A, 51.0).last_resort


def test_while_a_probe_is_under_way_the_target_is_no_last_resort():
    health = soft()
    take(health, down(), times=5)
    admit(health, now=1.0, lease_until=3.0)
    assert not health.obstacle(A, 2.99).last_resort
    assert health.obstacle(A, 3.0).last_resort


@pytest.mark.parametrize(
    ("kind", "alike", "other"),
    [
        ("authentication", {"credential": "a"}, {"endpoint": "a"}),
        ("permission_denied", {"credential": "a"}, {"endpoint": "a"}),
        ("connection.tls", {"endpoint": "a"}, {"credential": "a"}),
        ("model_not_found", {"key": "a"}, {"credential": "a", "endpoint": "a"}),
    ],
)
def test_a_failure_takes_out_what_it_says_something_about(kind: str, alike: dict[str, str], other: dict[str, str]):
    health = soft()
    take(health, error_for(kind))
    assert health.state(plan("b", **alike), 0.0)[0] == "open"
    assert health.state(plan("c", **other), 0.0)[0] == "closed"


def test_a_vendors_table_may_say_that_less_is_meant():
    health = soft()
    take(health, error_for("authentication", scope="target"))
    assert health.state(A, 0.0)[0] == "open"
    assert health.state(plan("b", credential="a"), 0.0)[0] == "closed"


def test_a_neutral_result_is_counted_against_nobody():
    health = soft()
    take(health, down(), times=20, blame=False)
    take(health, error_for("bad_request", status=400), times=20)
    assert health.state(A, 0.0)[0] == "closed"


def test_the_policys_number_of_failures_opens():
    health, patient = soft(), plan("a", breaker=BreakerSettings(failures=7))
    take(health, down(), patient, times=6)
    assert health.state(patient, 0.0)[0] == "closed"
    take(health, down(), patient)
    assert health.state(patient, 0.0)[0] == "open"


def test_answers_before_the_first_failure_speak_for_a_target():
    health, by_ratio = soft(), plan("a", breaker=BreakerSettings(failures=10**6))
    for _ in range(6):
        permit = admit(health, by_ratio)
        health.first_content(permit, by_ratio, 0.5, 0.5)
        health.settle(permit, by_ratio, 0.6, None, blame=True)
    take(health, down(), by_ratio, 1.0, times=5)
    assert health.state(by_ratio, 1.0)[0] == "closed"
    take(health, down(), by_ratio, 1.0)
    assert health.state(by_ratio, 1.0)[0] == "open"


# --- probes ---


def probing(error: CallError, times: int = 5) -> tuple[Health, Permit]:
    """A breaker that ``error`` opened, and the permit of its probe, at the instant 61."""
    health = soft()
    take(health, error, times=times)
    return health, admit(health, now=61.0)


def test_an_answer_without_content_closes_too():
    health, probe = probing(down())
    health.settle(probe, A, 62.0, None, blame=True)
    assert health.state(A, 62.0)[0] == "closed"


def test_the_first_content_of_a_probe_closes_and_its_end_changes_nothing_more():
    health, probe = probing(down())
    health.first_content(probe, A, 62.0, 1.0)
    assert health.state(A, 62.0)[0] == "closed"
    assert probe.probes == ()
    health.release(probe)
    assert health.state(A, 62.0)[0] == "closed"


def test_a_failure_after_the_first_content_of_a_probe_counts_as_one_of_five():
    health, probe = probing(down())
    health.first_content(probe, A, 62.0, 1.0)
    health.settle(probe, A, 63.0, error_for("truncated_stream"), blame=True)
    assert health.state(A, 63.0)[0] == "closed"
    take(health, down(), now=63.0, times=3)
    assert health.state(A, 63.0)[0] == "closed"
    take(health, down(), now=63.0)
    assert health.state(A, 63.0)[0] == "open"


def test_a_vendor_that_answers_at_all_can_be_reached():
    health, probe = probing(unreachable())
    health.settle(probe, A, 62.0, error_for("bad_request", status=400), blame=True)
    assert health.state(A, 62.0)[0] == "closed"


def test_silence_says_nothing_about_the_endpoint():
    health, probe = probing(unreachable())
    health.settle(probe, A, 62.0, error_for("timeout.first"), blame=True)
    assert health.state(A, 62.0)[0] == "half_open"


def test_a_refusal_that_is_the_callers_leaves_the_probe_to_the_next_call():
    health, probe = probing(down())
    assert health.state(A, 61.0)[0] == "open"
    health.settle(probe, A, 62.0, error_for("bad_request", status=400), blame=True)
    assert health.state(A, 62.0)[0] == "half_open"


def test_a_refusal_that_is_nobodys_probe_frees_no_probe():
    health = soft()
    early = admit(health)
    take(health, down(), times=5)
    admit(health, now=61.0)
    health.settle(early, A, 62.0, error_for("bad_request", status=400), blame=True)
    assert health.state(A, 62.0)[0] == "open"


@pytest.mark.parametrize("result", [None, down()], ids=["an answer", "a failure"])
def test_a_result_of_another_epoch_is_dropped(result: CallError | None):
    health = soft()
    late = admit(health)
    take(health, down(), times=5)
    health.settle(late, A, 10.0, result, blame=True)
    assert health.state(A, 1.0) == ("open", 2.75)


def test_a_probe_given_back_late_does_not_free_the_place_of_another():
    health, lost = probing(down())
    take(health, down(), now=1100.0)  # the lease is over; the next probe fails and opens again
    admit(health, now=1150.0, lease_until=1200.0)
    health.release(lost)
    assert health.state(A, 1151.0)[0] == "open"


def test_the_first_content_of_a_lost_probe_does_not_close_what_another_opened():
    health, lost = probing(down())
    take(health, down(), now=1100.0)
    health.first_content(lost, A, 1100.5, 1.0)
    assert health.state(A, 1101.0)[0] == "open"


# --- places ---


def test_a_full_target_is_an_obstacle_without_an_end():
    health, narrow = soft(), plan("a", at_most=2)
    admit(health, narrow)
    assert health.obstacle(narrow, 5.0) is None
    permit = admit(health, narrow)
    assert health.obstacle(narrow, 5.0) == Obstacle("bulkhead", 5.0, None, last_resort=True)
    assert health.state(narrow, 5.0) == ("full", 0.0)
    assert health.clear_at(narrow, 5.0) == inf
    health.release(permit)
    assert health.obstacle(narrow, 5.0) is None


def test_what_is_under_way_is_counted_over_all_targets():
    health = soft()
    permits = [(of, admit(health, of)) for of in (A, A, B)]
    assert health.flying == 3
    health.settle(permits[0][1], A, 1.0, down(), blame=True)
    health.settle(permits[1][1], A, 1.0, None, blame=True)
    assert health.flying == 1
    health.release(permits[2][1])
    assert health.flying == 0


def test_refusals_and_answers_move_the_limit_of_a_target():
    health = soft()
    permits = [admit(health) for _ in range(10)]
    health.settle(permits.pop(), A, 1.0, limited(0.0), blame=True)
    health.settle(permits.pop(), A, 1.0, limited(0.0), blame=True)  # begun before the first: no second cut
    assert health.full(A, 2.0)
    health.settle(permits.pop(), A, 2.0, None, blame=True)
    assert health.full(A, 2.0)
    health.settle(permits.pop(), A, 2.0, None, blame=True)
    assert not health.full(A, 2.0)
    for _ in range(5):
        health.settle(permits.pop(), A, 2.0, None, blame=True)
    permits += [admit(health, now=2.0) for _ in range(6)]
    assert health.full(A, 2.0) is False  # seven are under way: as many answers raised the limit to eight
    admit(health, now=2.0)
    assert health.full(A, 2.0)


def test_other_failures_do_not_move_the_limit_even_with_a_wait():
    health = soft()
    permits = [admit(health) for _ in range(10)]
    health.settle(permits.pop(), A, 1.0, error_for("overloaded", retry_after=1.0), blame=True)
    assert not health.full(A, 2.0)


def test_a_hundred_may_wait_for_a_place():
    health = soft()
    admit(health)
    assert [health.queue(A) for _ in range(101)] == [True] * 100 + [False]
    health.dequeue(A)
    health.dequeue(A)
    assert [health.queue(A) for _ in range(3)] == [True, True, False]


def test_after_a_fork_nothing_is_under_way_and_the_parents_results_count_nowhere():
    health, narrow = soft(), plan("a", at_most=1)
    permit = admit(health, narrow)
    health.after_fork()
    assert health.flying == 0
    admit(health, narrow)
    health.release(permit)
    assert health.flying == 1


# --- budgets ---


def test_a_credential_begins_with_ten_repeats():
    health = soft()
    assert [health.take_retry(A) for _ in range(11)] == [True] * 10 + [False]
    assert health.take_retry(B)
    assert not health.take_retry(plan("c", credential="a"))


def test_first_attempts_earn_their_share_of_a_repeat():
    health, quarter = soft(), plan("a", retry=RetrySettings(budget=0.25))
    for _ in range(10):
        health.take_retry(quarter)
    for _ in range(3):
        health.earn(quarter)
    assert not health.take_retry(quarter)
    health.earn(quarter)
    assert health.take_retry(quarter)
    assert not health.take_retry(quarter)


def test_a_credential_that_never_repeated_has_the_share_of_its_first_call_beside_the_ten():
    health, generous = soft(), plan("a", retry=RetrySettings(budget=1.0))
    health.earn(generous)
    assert [health.take_retry(generous) for _ in range(12)] == [True] * 11 + [False]


def test_no_more_than_a_hundred_repeats_are_saved_up():
    health, generous = soft(), plan("a", retry=RetrySettings(budget=1.0))
    for _ in range(1000):
        health.earn(generous)
    assert sum(health.take_retry(generous) for _ in range(1000)) == 100


def test_a_route_has_a_second_attempt_once_its_calls_have_earned_it():
    health = soft()
    for _ in range(9):
        health.earn_hedge("chat", 0.1)
    assert not health.take_hedge("chat")
    health.earn_hedge("chat", 0.1)  # ten tenths are not quite one, as computers add
    assert not health.take_hedge("other")
    assert health.take_hedge("chat")
    assert not health.take_hedge("chat")
    health.earn_hedge("chat", 0.5)
    assert not health.take_hedge("chat")


def test_the_last_resort_of_a_target_is_spent_once_in_a_quarter_of_a_second():
    health = soft()
    assert [health.take_last_resort(A, now) for now in (0.0, 0.24, 0.25, 0.49, 0.5)] == [
        True,
        False,
        True,
        False,
        True,
    ]
    assert health.take_last_resort(B, 0.5)


# --- usual times ---


def seen(*times: float) -> Health:
    health = soft()
    for took in times:
        health.first_content(admit(health), A, 0.0, took)
    return health


@pytest.mark.parametrize(
    ("times", "usual"),
    [
        ([], None),
        ([3.0], 3.0),
        (range(1, 21), 19.0),
        (range(1, 22), 20.0),
        (range(100, 0, -1), 61.0),
        ([*[9.0] * 64, *[1.0] * 64], 1.0),
    ],
)
def test_the_usual_time_is_the_95th_percentile_of_the_last_64(times: list[float], usual: float | None):
    assert seen(*times).usual_first_content(A) == usual
    assert soft().usual_first_content(B) is None


@pytest.mark.parametrize(("usual", "fair"), [(0.2, 1.0), (0.75, 1.5), (3.0, 6.0), (8.0, 10.0)])
def test_a_fair_chance_is_twice_the_usual_time_within_a_second_and_the_targets_own_limit(usual: float, fair: float):
    assert seen(usual).fair_chance(A, 10.0) == fair
    assert soft().fair_chance(A, 10.0) == 10.0
