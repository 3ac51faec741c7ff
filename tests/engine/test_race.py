"""One attempt's limits, and two attempts side by side."""

from __future__ import annotations

from collections.abc import Generator
from random import Random

import pytest

from multimodel.engine import (
    Call,
    CallSettings,
    Cancel,
    Commit,
    End,
    Ended,
    Event,
    First,
    Health,
    HedgeSettings,
    RetrySettings,
    Start,
    Step,
    TargetPlan,
    Woke,
    run,
)
from multimodel.errors import CallError, error_for
from multimodel.types import Limits, TextDelta

from .scripted import World, answers, fails, kinds, path, plan, silent
from .test_breaker import Shortest

A, B, C = plan("a"), plan("b"), plan("c")
HEDGE = HedgeSettings(after=1.0, budget=1.0)
Steps = Generator[Step, Event, End]


class Two:
    """A call that is driven by hand; it began at the instant 100."""

    def __init__(
        self, *plans: TargetPlan, health: Health | None = None, stream: bool = False, **settings: object
    ) -> None:
        given = {"hedge": HEDGE, "mid_stream": "error" if stream else "unseen", **settings}
        self.health = Health(Shortest()) if health is None else health
        self.call = Call("chat", CallSettings(**given), 100.0, stream)  # type: ignore[arg-type]
        self.steps = run(self.call, plans or (A, B), self.health, Random(1))
        self.end: End | None = None
        self.step = next(self.steps)

    def tell(self, *events: Event) -> object:
        """Say what happened; return what shall be done then."""
        for event in events:
            try:
                self.step = self.steps.send(event)
            except StopIteration as stop:
                self.end = stop.value
                return None
        return self.step.do

    def joined(self) -> Start | None:
        """Let the second attempt join, if one may."""
        assert self.step.wake is not None
        do = self.tell(Woke(self.step.wake))
        assert do is None or isinstance(do, Start)
        return do

    def path(self) -> list[tuple[str, str, str]]:
        assert self.end is not None
        return path(self.end)


def side_by_side(*plans: TargetPlan, **facts: object) -> Two:
    two = Two(*plans, **facts)  # type: ignore[arg-type]
    assert two.joined() is not None
    return two


def failed(attempt: int, kind: str = "server_error", now: float = 102.0, **facts: object) -> Ended:
    return Ended(now, attempt, error_for(kind, **facts))  # type: ignore[arg-type]


def landed(health: Health, of: TargetPlan, *errors: CallError | None, now: float = 100.0) -> None:
    for error in errors:
        health.settle(health.admit(of, now, now), of, now, error, blame=True)


# --- limits ---


def limits(*plans: TargetPlan, **settings: object) -> Limits:
    do = Two(*plans, hedge=None, **settings).step.do
    assert isinstance(do, Start)
    return do.limits


def test_an_attempt_has_its_targets_own_limits():
    mine = plan("a", connect=1.0, first_content=4.0, idle=5.0, whole=50.0)
    assert limits(mine) == Limits(1.0, 104.0, 5.0, 104.0, 220.0)


def test_a_target_that_does_not_stream_has_its_limit_for_the_whole():
    mine = plan("a", connect=1.0, first_content=4.0, idle=5.0, whole=50.0, stream=False)
    assert limits(mine) == Limits(1.0, 150.0, 5.0, 150.0, 220.0)


@pytest.mark.parametrize(("targets", "share"), [("a", 9.0), ("ab", 4.5), ("abc", 3.0), ("abcd", 3.0)])
def test_the_time_that_is_left_is_shared_with_two_others_at_most(targets: str, share: float):
    assert limits(*map(plan, targets), deadline=9.0).first_content == 100.0 + share


def test_nothing_is_set_aside_for_a_target_that_cannot_be_asked():
    health = Health(Shortest())
    landed(health, B, error_for("authentication"))
    do = Two(A, B, C, health=health, deadline=9.0, hedge=None).step.do
    assert isinstance(do, Start)
    assert do.limits.first_content == 104.5


@pytest.mark.parametrize("of", [plan("a"), plan("a", stream=False, whole=10.0)])
def test_the_place_of_a_probe_is_kept_five_seconds_longer_than_it_may_take(of: TargetPlan):
    health = Health(Shortest())
    landed(health, of, *[error_for("server_error")] * 5, now=90.0)
    two = Two(of, B, health=health, hedge=None)
    assert two.step.do.reason == "probe"
    assert health.obstacle(of, 101.0).until == 115.0


# --- how an attempt begins ---


@pytest.mark.parametrize(
    ("stream", "mode", "first", "how"),
    [
        (False, "unseen", [(0.1, TextDelta("half"))], "restart"),
        (False, "unseen", [], "fresh"),
        (True, "restart", [(0.1, TextDelta("half"))], "restart"),
        (True, "restart", [], "fresh"),
        (True, "continue", [(0.1, TextDelta("half"))], "continue"),
        (True, "continue", [], "fresh"),
        (True, "error", [], "fresh"),
    ],
)
def test_an_attempt_is_told_what_becomes_of_the_answer_before_it(stream: bool, mode: str, first: list, how: str):
    seen: list[tuple[int, str, str]] = []

    def vendor(start: Start, _now: float) -> list:
        seen.append((start.attempt, start.plan.key, start.how))
        return [*first, *fails("truncated_stream")] if start.plan is single else answers()

    single = plan("a", retry=RetrySettings(attempts=1))
    world = World(a=vendor, b=vendor)
    assert world.call(single, plan("b", prefill=True), stream=stream, mid_stream=mode).error is None
    assert seen == [(1, "a", "fresh"), (2, "b", how)]


# --- when a second attempt joins ---


def usual(took: float) -> Health:
    health = Health(Shortest())
    health.first_content(health.admit(A, 0.0, 0.0), A, 0.0, took)
    return health


@pytest.mark.parametrize(
    ("first", "health", "after", "wake"),
    [
        (A, None, 2.5, 2.5),
        (A, None, None, 5.0),
        (plan("a", first_content=1.0), None, None, 1.0),
        (A, usual(3.0), None, 3.0),
        (A, usual(0.2), None, 1.0),
    ],
    ids=["as the policy says", "half the limit", "at least a second", "the usual time", "at least a second of it"],
)
def test_a_second_attempt_joins_when_the_first_is_slow(
    first: TargetPlan, health: Health | None, after: float | None, wake: float
):
    two = Two(first, B, health=health, hedge=HedgeSettings(after, budget=1.0))
    assert two.step.wake == 100.0 + wake
    joined = two.joined()
    assert joined is not None
    assert (joined.attempt, joined.plan, joined.reason, joined.how) == (2, B, "hedge", "fresh")
    assert joined.limits.first_content == 100.0 + wake + 10.0
    assert two.step.wake is None


@pytest.mark.parametrize(
    ("plans", "settings"),
    [((A, B), {"hedge": None}), ((A,), {}), ((A, B), {"effects": True})],
    ids=["not wanted", "nobody else", "effects"],
)
def test_no_second_attempt_is_thought_of(plans: tuple[TargetPlan, ...], settings: dict[str, object]):
    assert Two(*plans, **settings).step.wake is None


def test_a_repeat_has_no_second_attempt_beside_it():
    two = Two()
    two.tell(failed(1, now=100.5))
    assert two.step.do is None  # it sleeps
    do = two.tell(Woke(two.step.wake))
    assert do.reason == "retry"
    assert two.step.wake is None


def test_an_attempt_on_the_other_path_has_no_second_one_beside_it():
    two = Two()
    do = two.tell(failed(1, "bad_request", path="multimodal"))
    assert do.reason == "path"
    assert two.step.wake is None


def test_a_last_resort_has_no_second_attempt_beside_it():
    health = Health(Shortest())
    for of in (A, B):
        landed(health, of, *[error_for("server_error")] * 5)
    two = Two(health=health)
    assert two.step.do.reason == "last_resort"
    assert two.step.wake is None


def test_a_stream_that_begins_anew_has_no_second_attempt_beside_it():
    two = Two(A, B, C, stream=True, mid_stream="restart")
    do = two.tell(First(100.5, 1), failed(1, "truncated_stream"))
    assert do.reason == "fallback"
    assert two.step.wake is None


def test_a_fallback_has_one_again():
    two = Two(A, B, C)
    do = two.tell(failed(1, "authentication"))
    assert do.reason == "fallback"
    assert two.step.wake == 103.0
    assert two.joined().plan is C


def test_nobody_joins_once_there_is_content():
    two = Two(stream=True)
    assert two.tell(First(100.5, 1)) == Commit(1)
    assert two.step.wake is None


# --- who joins ---


@pytest.mark.parametrize(
    ("other", "joins"),
    [
        (plan("b"), True),
        (plan("b", credential="a"), False),
        (plan("b", endpoint="a"), False),
        (plan("b", credential="a", endpoint="a"), False),
    ],
)
def test_only_a_target_at_another_endpoint_with_another_key_joins(other: TargetPlan, joins: bool):
    assert (Two(A, other).joined() is not None) is joins


def test_who_may_not_join_is_passed_by():
    for stands_before in ("gate", "breaker", "probe", "place"):
        health, second = Health(Shortest()), plan("b", at_most=1)
        if stands_before == "gate":
            landed(health, second, error_for("rate_limited", retry_after=60.0))
        elif stands_before == "breaker":
            landed(health, second, error_for("authentication"))
        elif stands_before == "probe":
            landed(health, second, *[error_for("server_error")] * 5, now=90.0)
        else:
            health.admit(second, 100.0, 100.0)
        assert Two(A, second, C, health=health).joined().plan is C, stands_before


def test_a_window_that_is_too_small_does_not_join():
    two = Two(plan("a", window=9000), B, plan("c", window=9000), plan("d", window=9001))
    two.tell(failed(1, "context_window_exceeded"))
    assert two.joined().plan.key == "d"


@pytest.mark.parametrize(("most", "joins"), [(1, False), (2, True)])
def test_a_second_attempt_is_one_of_the_calls_requests(most: int, joins: bool):
    assert (Two(max_attempts=most).joined() is not None) is joins


def test_attempts_that_have_ended_count_too():
    two = Two(A, B, C, max_attempts=2)
    two.tell(failed(1, "authentication"))
    assert two.joined() is None


@pytest.mark.parametrize(("deadline", "joins"), [(1.49, False), (1.5, True)])
def test_who_could_not_run_for_half_a_second_does_not_join(deadline: float, joins: bool):
    assert (Two(deadline=deadline).joined() is not None) is joins


def test_without_a_token_nobody_joins_and_nobody_is_asked_for_one_again():
    two = Two(A, B, C, hedge=HedgeSettings(1.0, budget=0.4))
    assert two.joined() is None
    assert two.step.wake is None
    assert Two(A, B, C, health=two.health, hedge=HedgeSettings(1.0, budget=0.4)).joined() is None
    assert Two(A, B, C, health=two.health, hedge=HedgeSettings(1.0, budget=0.4)).joined() is not None
    assert Two(A, B, C, health=two.health, hedge=HedgeSettings(1.0, budget=0.4)).joined() is None


def test_who_joins_earns_its_share_of_a_repeat():
    health, generous = Health(Shortest()), plan("b", retry=RetrySettings(budget=1.0))
    while health.take_retry(generous):
        pass
    side_by_side(A, generous, health=health)
    assert health.take_retry(generous)


# --- who wins ---


@pytest.mark.parametrize(("winner", "loser"), [(1, 2), (2, 1)])
def test_the_first_content_wins_and_is_shown_once_the_other_is_gone(winner: int, loser: int):
    two = side_by_side(stream=True)
    assert two.tell(First(102.0, winner)) == Cancel(loser)
    assert two.tell(Ended(102.1, loser, cancelled=True)) == Commit(winner)
    assert two.tell(Ended(103.0, winner)) is None
    assert [(one.index, one.outcome, one.committed) for one in two.end.report.attempts] == [
        (1, "ok" if winner == 1 else "lost", winner == 1),
        (2, "ok" if winner == 2 else "lost", winner == 2),
    ]
    assert two.end.plan is (A if winner == 1 else B)
    assert two.health.flying == 0


def test_a_whole_answer_is_not_shown_before_its_end():
    two = side_by_side()
    assert two.tell(First(102.0, 2)) == Cancel(1)
    assert two.tell(Ended(102.1, 1, cancelled=True)) is None
    assert two.end is None


def test_content_of_the_loser_that_comes_too_late_changes_nothing():
    two = side_by_side(stream=True)
    two.tell(First(102.0, 2))
    assert two.tell(First(102.05, 1)) is None
    assert two.tell(Ended(102.1, 1, cancelled=True)) == Commit(2)
    two.tell(Ended(103.0, 2))
    assert [one.first_content for one in two.end.report.attempts] == [None, 2.0]


def test_a_winner_that_is_over_at_once_waits_for_the_end_of_the_loser():
    two = side_by_side()
    assert two.tell(First(102.0, 2), Ended(102.0, 2)) is None
    assert two.end is None
    two.tell(Ended(102.1, 1, cancelled=True))
    assert two.path() == [("a", "first", "lost"), ("b", "hedge", "ok")]


def test_a_loser_has_no_status_and_says_nothing_about_its_target():
    health = Health(Shortest())
    landed(health, A, *[error_for("server_error")] * 4)
    two = side_by_side(plan("a", http=True), B, health=health)
    two.tell(First(102.0, 2), Ended(102.1, 1, cancelled=True), Ended(103.0, 2))
    assert two.end.report.attempts[0].status is None
    assert health.state(A, 103.0)[0] == "closed"
    landed(health, A, error_for("server_error"), now=103.0)  # an answer would have ended the streak
    assert health.state(A, 103.0)[0] == "open"


def test_a_loser_that_had_failed_by_itself_is_recorded_as_a_failure():
    two = side_by_side()
    two.tell(First(102.0, 2), Ended(102.1, 1, error_for("server_error"), cancelled=True), Ended(103.0, 2))
    assert two.path() == [("a", "first", "server_error"), ("b", "hedge", "ok")]


@pytest.mark.parametrize("fails_first", [1, 2])
def test_when_one_fails_the_other_is_waited_for(fails_first: int):
    two = side_by_side()
    other = 3 - fails_first
    assert two.tell(failed(fails_first)) is None
    assert two.end is None
    two.tell(First(103.0, other), Ended(104.0, other))
    assert two.end.error is None
    assert two.end.plan is (B if fails_first == 1 else A)
    assert two.health.flying == 0


@pytest.mark.parametrize(("winner", "loser", "others"), [(1, 2, ()), (2, 1, ()), (1, 2, (C,)), (2, 1, (C,))])
@pytest.mark.parametrize("lands_first", ["loser", "winner"])
def test_who_lost_to_an_answer_that_broke_has_its_turn_still(
    winner: int, loser: int, others: tuple[TargetPlan, ...], lands_first: str
):
    two = side_by_side(A, B, *others)
    assert two.tell(First(102.0, winner)) == Cancel(loser)
    lands = [Ended(102.1, loser, cancelled=True), failed(winner, "truncated_stream", now=102.1)]
    do = two.tell(*(lands if lands_first == "loser" else reversed(lands)))
    if loser == 1 and others:  # its turn is over: it comes last
        assert isinstance(do, Start)
        assert (do.plan, do.how) == (C, "restart")
        do = two.tell(failed(3, "authentication", now=102.2))
    assert isinstance(do, Start)
    assert (do.plan, do.how, do.reason) == (A if loser == 1 else B, "restart", "fallback")
    two.tell(First(111.0, do.attempt), Ended(111.0, do.attempt))
    assert two.end.error is None


def test_one_that_is_left_alone_is_shown_at_once():
    two = side_by_side(stream=True)
    two.tell(failed(1))
    assert two.tell(First(103.0, 2)) == Commit(2)


@pytest.mark.parametrize("refusal", ["policy_denied", "local_overload"])
def test_one_beside_which_nothing_was_sent_in_the_end_is_repeated_as_if_it_were_alone(refusal: str):
    two = side_by_side(A, B)
    do = two.tell(failed(2, refusal, now=101.5), failed(1, now=102.0))
    while do is None and two.end is None:
        do = two.tell(Woke(two.step.wake or 0.0))
    assert isinstance(do, Start)
    assert (do.plan, do.reason) == (A, "retry")
    do = two.tell(failed(do.attempt, "authentication", now=110.0))
    assert isinstance(do, Start)
    assert (do.plan, do.reason) == (B, "fallback")


def test_when_both_fail_the_next_target_is_asked_and_neither_again():
    two = side_by_side(A, B, C)
    do = two.tell(failed(2), failed(1, now=103.0))
    assert isinstance(do, Start)
    assert (do.attempt, do.plan, do.reason) == (3, C, "fallback")
    two.tell(failed(3, "authentication"))
    assert kinds(two.end.error) == ["server_error", "server_error", "authentication"]


def test_what_the_first_is_refused_is_the_callers_to_see_and_ends_the_second():
    two = side_by_side()
    assert two.tell(failed(1, "bad_request")) == Cancel(2)
    two.tell(Ended(102.1, 2, cancelled=True))
    assert two.end.error.kind == "bad_request"
    assert two.path() == [("a", "first", "bad_request"), ("b", "hedge", "lost")]


def test_content_that_comes_after_the_first_was_refused_changes_nothing():
    two = side_by_side(stream=True)
    two.tell(failed(1, "bad_request"))
    assert two.tell(First(102.05, 2)) is None
    two.tell(Ended(102.1, 2, cancelled=True))
    assert two.end.error.kind == "bad_request"


def test_what_the_second_is_refused_does_not_end_the_first():
    two = side_by_side()
    assert two.tell(failed(2, "bad_request")) is None
    two.tell(First(103.0, 1), Ended(104.0, 1))
    assert two.path() == [("a", "first", "ok"), ("b", "hedge", "bad_request")]


@pytest.mark.parametrize(("empty", "other"), [(1, 2), (2, 1)])
def test_an_answer_without_content_is_an_answer(empty: int, other: int):
    two = side_by_side()
    assert two.tell(Ended(102.0, empty)) == Cancel(other)
    two.tell(Ended(102.1, other, cancelled=True))
    assert two.end.error is None
    assert two.end.plan is (A if empty == 1 else B)


def test_a_winner_that_breaks_is_the_callers_to_see():
    two = side_by_side(A, B, C, stream=True)
    two.tell(First(102.0, 2), Ended(102.1, 1, cancelled=True), failed(2, "truncated_stream", now=103.0))
    assert two.end.error.kind == "stream_interrupted"
    assert two.end.error.target == "b:m"


def test_a_call_that_is_closed_gives_up_both():
    two = side_by_side()
    two.steps.close()
    assert [one.outcome for one in two.call.attempts] == ["cancelled", "cancelled"]
    assert two.health.flying == 0


# --- a fair chance ---


def blamed(of: TargetPlan, *events: Event, health: Health | None = None, **settings: object) -> bool:
    """Whether five such attempts open the target's breaker."""
    shared = Health(Shortest()) if health is None else health
    for _ in range(5):
        two = Two(of, B, C, health=shared, hedge=None, **settings)
        two.tell(*events)
        two.steps.close()
    return shared.state(of, 100.0)[0] == "open"


@pytest.mark.parametrize("kind", ["timeout.first", "timeout.whole", "deadline_exceeded"])
@pytest.mark.parametrize(("at", "open_now"), [(109.99, False), (109.9995, True), (110.0, True)])
def test_a_time_out_counts_only_once_the_target_had_its_own_time(kind: str, at: float, open_now: bool):
    assert blamed(A, failed(1, kind, now=at)) is open_now


@pytest.mark.parametrize(("at", "open_now"), [(102.99, False), (103.0, True)])
def test_a_time_out_counts_once_the_target_had_twice_its_usual_time(at: float, open_now: bool):
    health = usual(1.5)
    health.settle(health.admit(A, 0.0, 0.0), A, 0.0, None, blame=True)
    assert blamed(A, failed(1, "timeout.first", now=at), health=health) is open_now


def test_a_target_that_does_not_stream_has_its_time_for_the_whole():
    whole = plan("a", stream=False, whole=30.0)
    assert not blamed(whole, failed(1, "timeout.whole", now=129.0))
    assert blamed(whole, failed(1, "timeout.whole", now=130.0))


@pytest.mark.parametrize("kind", ["timeout.idle", "timeout.connect", "server_error"])
def test_other_failures_count_however_soon_they_come(kind: str):
    assert blamed(A, failed(1, kind, now=100.0))


def test_an_answer_that_the_deadline_cut_says_nothing_about_the_target():
    assert not blamed(A, First(101.0, 1), failed(1, "deadline_exceeded", now=220.0))


def test_an_answer_that_its_own_limit_cut_counts():
    assert blamed(A, First(101.0, 1), failed(1, "timeout.whole", now=110.0))


def test_a_silent_target_is_blamed_although_its_share_was_all_it_had():
    world = World(a=silent(), b=answers())
    for _ in range(8):
        world.call(plan("a", first_content=4.0), B, deadline=8.0)
    assert world.health.state(A, world.clock.now)[0] != "closed"
    assert world.sent_to("b") == 8


def test_the_time_to_first_content_counts_from_the_beginning_of_the_attempt():
    two = Two(A, B, hedge=None)
    two.tell(First(101.5, 1))
    assert two.health.usual_first_content(A) == 1.5


@pytest.mark.parametrize("more", [(), (plan("d"),)])
def test_a_target_that_was_asked_beside_another_joins_no_second_time(more: tuple[TargetPlan, ...]):
    two = side_by_side(A, plan("b", credential="a"), C, *more)  # the second shares a key with the first
    two.tell(failed(2, "rate_limited"), failed(1, "timeout.first", 110.0))
    assert isinstance(two.step.do, Start)
    assert two.step.do.plan.target.provider == "b"
    two.health.earn_hedge("chat", 1.0)
    joined = two.joined()
    assert (joined is None) if not more else (joined is not None and joined.plan is more[0])
