"""What calls may spend: set aside before each attempt, booked at its end."""

from __future__ import annotations

import threading
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodel import AllTargetsFailedError, PolicyDeniedError
from multimodel.drivers.simulated import SimulatedDriver
from multimodel.engine import Call, CallSettings, End, Ended, First, HedgeSettings, Start, Step, Woke, run
from multimodel.engine.budget import Budget, BudgetSettings, Spending, Spendings, billionths, dollars
from multimodel.types import Finished, TextDelta, Usage

from .scripted import World, answers, fails, plan, silent

A, B, C = plan("a"), plan("b"), plan("c")
PRICES = {"a": 0.01, "b": 0.002, "c": 0.0}
DAY = 739_000


def costs(cost: float | None) -> list[tuple[float, object]]:
    usage = Usage(input_tokens=1, output_tokens=1, total_tokens=2, cost=cost)
    return [(0.1, TextDelta("fine")), (0.1, Finished("stop", usage))]


def may_spend(
    per_call: float | None = None, per_day: float | None = None, *, goes_on: bool = True, day: Spending | None = None
) -> Budget:
    limits = BudgetSettings(
        None if per_call is None else billionths(per_call), None if per_day is None else billionths(per_day), goes_on
    )
    return Budget(limits, Spending(DAY) if day is None else day)


def call(world: World, budget: Budget | None, *plans, prices=PRICES, **limits: object) -> End:
    made = Call("chat", CallSettings(mid_stream="unseen", **limits), world.clock.now, stream=False)  # type: ignore[arg-type]
    made.cost_at_most = lambda plan, **_: prices.get(plan.target.provider)
    made.budget = budget
    driver = SimulatedDriver(world._vendor, world.clock)
    begun = driver.begin(run(made, plans, world.health, world.rng))
    driver.run()
    assert begun.end is not None
    return begun.end


# --- amounts ---


@given(st.floats(0, 1e6, allow_nan=False))
def test_an_amount_is_never_booked_as_less_than_it_is(amount: float):
    assert dollars(billionths(amount)) >= amount - 1e-12 * max(1.0, amount)
    assert dollars(billionths(amount)) <= amount + 1.1e-9 + 1e-12 * amount


@pytest.mark.parametrize(("amount", "whole"), [(0.05, 50_000_000), (0.0, 0), (1e-9, 1), (1e-10, 1), (20.0, 20 * 10**9)])
def test_amounts_are_whole_billionths(amount: float, whole: int):
    assert billionths(amount) == whole


# --- laws ---


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_is_spent_and_set_aside_never_exceeds_the_budget(data: st.DataObject):
    """Calls begin, end and are given up in any order; no attempt costs more than was set aside for it."""
    amounts = st.floats(0, 1, allow_nan=False)
    per_day, per_call = data.draw(amounts), data.draw(st.none() | amounts)
    day = Spending(DAY)
    calls = [may_spend(per_call, per_day, day=day) for _ in range(3)]
    flying: list[tuple[Budget, int, float]] = []
    for _ in range(data.draw(st.integers(0, 30))):
        if flying and data.draw(st.booleans()):
            budget, held, most = flying.pop(data.draw(st.integers(0, len(flying) - 1)))
            cost = data.draw(st.none() | st.floats(0, most, allow_nan=False))
            budget.settle(held, cost)
        else:
            budget, most = data.draw(st.sampled_from(calls)), data.draw(amounts)
            if budget.refusal(most) is None:
                flying.append((budget, budget.reserve(most), most))
        assert 0 <= day.reserved + day.spent <= billionths(per_day)
        assert day.reserved == sum(held for _, held, _ in flying)
    for budget, held, _ in flying:
        budget.settle(held, None)
    assert day.reserved == 0


@given(per_call=st.floats(0, 1), amounts=st.lists(st.floats(0, 1), max_size=10))
def test_one_call_never_spends_more_than_a_call_may(per_call: float, amounts: list[float]):
    budget, day = may_spend(per_call), Spending(DAY)
    budget._spending = day
    for amount in amounts:
        if budget.refusal(amount) is None:
            budget.settle(budget.reserve(amount), None)
    assert day.spent <= billionths(per_call)


@given(st.none() | st.floats(0, 1), st.none() | st.floats(0, 1))
def test_what_costs_nothing_is_always_allowed_and_what_has_no_price_never(per_call, per_day):
    budget = may_spend(per_call, per_day)
    assert budget.refusal(0.0) is None
    assert budget.refusal(None) is not None
    assert budget.refusal(inf) is not None


@pytest.mark.parametrize("amount", [1e-6, 0.5])
def test_a_budget_of_nothing_allows_nothing_that_costs(amount: float):
    assert may_spend(per_day=0.0).refusal(amount) is not None


def test_threads_never_overshoot():
    """Sixteen threads over one client's lock, each an attempt after the other."""
    day, lock, seen = Spending(DAY), threading.Lock(), []

    def work(seed: int) -> None:
        chance = Random(seed)
        for _ in range(200):
            budget, most = may_spend(per_day=1.0, day=day), chance.random() / 50
            with lock:
                held = budget.reserve(most) if budget.refusal(most) is None else None
                seen.append(day.spent + day.reserved)
            if held is not None:
                with lock:
                    budget.settle(held, most * chance.random())

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(seen) <= billionths(1.0)
    assert day.spent > billionths(0.9)
    assert day.reserved == 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), per_day=st.floats(0, 0.1), hedged=st.booleans())
def test_a_day_of_calls_stays_within_its_budget_whatever_vendors_and_callers_do(
    seed: int, per_day: float, hedged: bool
):
    chance = Random(seed)
    kinds = ("server_error", "timeout.first", "truncated_stream")

    def vendor(start, _now):
        most = PRICES[start.plan.target.provider]
        does = [costs(chance.random() * most), costs(None), silent(), *map(fails, kinds)]
        return chance.choice(does)

    world, day = World(seed, a=vendor, b=vendor, c=vendor), Spending(DAY)
    driver = SimulatedDriver(world._vendor, world.clock)
    hedge = HedgeSettings(0.5, 1.0) if hedged else None
    limits = CallSettings(deadline=5.0, mid_stream="unseen", hedge=hedge)
    seen: list[int] = []
    for number in range(20):

        def begin() -> None:
            made = Call("chat", limits, world.clock.now, stream=False)
            made.cost_at_most = lambda plan, **_: PRICES[plan.target.provider]
            made.budget = may_spend(per_day=per_day, day=day)
            begun = driver.begin(run(made, [A, B, C], world.health, world.rng))
            if chance.random() < 0.3:
                driver.at(world.clock.now + chance.random(), begun.cancel)
            seen.append(day.spent + day.reserved)

        driver.at(number * 0.3, begin)
    driver.run()
    assert max(seen) <= billionths(per_day)
    assert day.spent <= billionths(per_day)
    assert day.reserved == 0


# --- the chain ---


def test_a_target_that_does_not_fit_is_skipped_and_the_next_one_asked():
    world = World(a=answers(), b=costs(0.001), c=answers())
    end = call(world, may_spend(per_call=0.005), A, B, C)
    assert end.plan is B
    (skip,) = end.report.skipped
    assert (skip.target.provider, skip.reason) == ("a", "budget")
    assert skip.detail == "it may cost 0.010000 USD, and 0.005000 USD of the call's are left"
    assert world.sent_to("a") == 0


def test_a_free_target_is_asked_when_the_day_is_spent():
    day = Spending(DAY, spent=billionths(1.0))
    end = call(World(a=answers(), b=answers(), c=answers()), may_spend(per_day=1.0, day=day), A, B, C)
    assert end.plan is C
    assert [skip.reason for skip in end.report.skipped] == ["budget", "budget"]
    assert "of the day's are left" in end.report.skipped[0].detail


def test_a_target_of_unknown_price_is_skipped_and_the_hint_says_what_to_do():
    end = call(World(a=answers(), d=answers()), may_spend(per_day=1.0), plan("d"))
    assert isinstance(end.error, AllTargetsFailedError)
    (error,) = end.error.exceptions
    assert isinstance(error, PolicyDeniedError)
    assert str(error).startswith("skipped: budget, its price is unknown")
    assert "write its price into a profile" in str(error)


def test_without_a_budget_an_unknown_price_is_no_obstacle():
    end = call(World(d=answers()), None, plan("d"))
    assert (end.error, end.report.cost) == (None, None)


def test_a_call_that_may_not_go_on_ends_at_the_first_target_that_does_not_fit():
    world = World(a=answers(), b=answers(), c=answers())
    end = call(world, may_spend(per_call=0.005, goes_on=False), A, B, C)
    assert isinstance(end.error, AllTargetsFailedError)
    assert [(skip.target.provider, skip.reason) for skip in end.report.skipped] == [("a", "budget")]
    assert world.sent == []


def test_when_nothing_fits_each_skip_says_so():
    end = call(World(a=answers(), b=answers()), may_spend(per_day=0.0), A, B)
    assert isinstance(end.error, AllTargetsFailedError)
    assert end.report.attempts == ()
    assert [skip.reason for skip in end.report.skipped] == ["budget", "budget"]
    assert end.report.cost == 0.0


def test_what_an_answer_cost_is_booked_and_the_rest_is_free_again():
    day = Spending(DAY)
    end = call(World(a=costs(0.0004)), may_spend(per_day=1.0, day=day), A)
    assert (day.spent, day.reserved) == (400_000, 0)
    assert end.report.cost == 0.0004
    assert not end.report.cost_estimated


def test_an_answer_whose_cost_nobody_knows_is_booked_in_full():
    day = Spending(DAY)
    end = call(World(a=costs(None)), may_spend(per_day=1.0, day=day), A)
    assert day.spent == billionths(0.01)
    assert end.report.cost is None


def test_an_answer_that_cost_more_than_was_set_aside_is_booked_as_it_is():
    day = Spending(DAY)
    call(World(a=costs(0.02)), may_spend(per_day=1.0, day=day), A)
    assert (day.spent, day.reserved) == (billionths(0.02), 0)


@pytest.mark.parametrize("kind", ["truncated_stream", "timeout.first", "connection.maybe_sent", "invalid_response"])
def test_a_broken_attempt_is_booked_as_the_most_that_it_can_have_cost(kind: str):
    day = Spending(DAY)
    world = World(a=fails(kind), b=costs(0.001))
    end = call(world, may_spend(per_day=1.0, day=day), plan("a", retry=A.retry), B, max_attempts=2)
    broken = [attempt for attempt in end.report.attempts if attempt.outcome == kind]
    assert {(one.cost, one.cost_estimated) for one in broken} == {(0.01, True)}
    assert day.spent == sum(billionths(one.cost) for one in end.report.attempts)
    assert end.report.cost_estimated


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("rate_limited", {"status": 429}),
        ("server_error", {"status": 500}),
        ("connection.unsent", {}),
        ("timeout.connect", {}),
    ],
)
def test_a_refusal_costs_nothing(kind: str, facts: dict[str, int]):
    day = Spending(DAY)
    end = call(World(a=fails(kind, **facts), b=costs(0.001)), may_spend(per_day=1.0, day=day), A, B)
    assert end.report.attempts[0].cost == 0.0
    assert end.report.cost == 0.001
    assert not end.report.cost_estimated
    assert day.spent == billionths(0.001)


def test_what_was_not_sent_costs_nothing():
    day = Spending(DAY)
    call(World(a=fails("policy_denied"), b=costs(0.001)), may_spend(per_day=1.0, day=day), A, B)
    assert (day.spent, day.reserved) == (billionths(0.001), 0)


def test_a_repeat_that_does_not_fit_is_not_sent():
    world = World(a=fails("truncated_stream"), c=answers())
    end = call(world, may_spend(per_call=0.015), A, C)
    assert world.sent_to("a") == 1
    assert end.plan is C


def test_a_cancelled_call_is_booked_and_nothing_stays_set_aside():
    day = Spending(DAY)
    made = Call("chat", CallSettings(mid_stream="unseen"), 0.0, stream=False)
    made.cost_at_most, made.budget = (lambda _plan, **_: 0.01), may_spend(per_day=1.0, day=day)
    world = World()
    steps = run(made, [A], world.health, world.rng)
    next(steps)
    assert (day.spent, day.reserved) == (0, billionths(0.01))
    steps.close()
    assert (day.spent, day.reserved) == (billionths(0.01), 0)
    (attempt,) = made.attempts
    assert (attempt.outcome, attempt.cost, attempt.cost_estimated) == ("cancelled", 0.01, True)


# --- a second attempt ---


def hedged(per_call: float, day: Spending):
    made = Call("chat", CallSettings(mid_stream="unseen", hedge=HedgeSettings(1.0, 1.0)), 0.0, stream=False)
    made.cost_at_most = lambda plan, **_: PRICES[plan.target.provider]
    made.budget = may_spend(per_call, 1.0, day=day)
    world = World()
    steps = run(made, [A, B], world.health, world.rng)
    assert isinstance(next(steps).do, Start)
    return made, steps


def test_a_second_attempt_is_set_aside_for_as_well_and_the_loser_is_booked_in_full():
    day = Spending(DAY)
    made, steps = hedged(0.02, day)
    step = steps.send(Woke(1.0))
    assert isinstance(step, Step)
    assert isinstance(step.do, Start)
    assert day.reserved == billionths(0.012)
    steps.send(First(1.5, 2))
    steps.send(Ended(1.6, 1, cancelled=True))
    usage = Usage(input_tokens=1, output_tokens=1, total_tokens=2, cost=0.0005)
    with pytest.raises(StopIteration):
        steps.send(Ended(2.0, 2, None, usage))
    assert (day.spent, day.reserved) == (billionths(0.0105), 0)
    assert [(one.outcome, one.cost) for one in made.attempts] == [("lost", 0.01), ("ok", 0.0005)]


def test_a_second_attempt_that_does_not_fit_does_not_join():
    day = Spending(DAY)
    _, steps = hedged(0.011, day)
    assert steps.send(Woke(1.0)).do is None
    assert day.reserved == billionths(0.01)


# --- days ---


def test_a_new_day_begins_with_nothing_and_an_old_call_belongs_to_its_own():
    spendings = Spendings()
    before = spendings.today(("acme", "chat"), DAY)
    budget = may_spend(per_day=1.0, day=before)
    held = budget.reserve(0.5)
    after = spendings.today(("acme", "chat"), DAY + 1)
    budget.settle(held, 0.4)
    assert (after.spent, after.reserved) == (0, 0)
    assert (before.spent, before.reserved) == (billionths(0.4), 0)


def test_each_tenant_and_route_has_a_budget_of_its_own():
    spendings = Spendings()
    spendings.today(("acme", "chat"), DAY).spent = 5
    assert spendings.today(("acme", "chat"), DAY).spent == 5
    for other in ((None, "chat"), ("acme", "draft"), ("zeta", "chat")):
        assert spendings.today(other, DAY).spent == 0


def test_a_clock_that_jumps_back_by_a_day_gives_no_second_budget():
    spendings = Spendings()
    spendings.today((None, "chat"), DAY).spent = 5
    assert spendings.today((None, "chat"), DAY - 1).spent == 5
    assert spendings.today((None, "chat"), DAY).spent == 5
    assert spendings.today((None, "chat"), DAY - 9).spent == 0


def test_a_child_process_goes_on_with_what_was_spent_and_not_with_what_is_set_aside():
    spendings = Spendings()
    day = spendings.today((None, "chat"), DAY)
    day.spent, day.reserved = 5, 7
    spendings.after_fork()
    child = spendings.today((None, "chat"), DAY)
    assert (child.spent, child.reserved) == (5, 0)
    assert day.reserved == 7


@pytest.mark.parametrize("cost", [-10.0, float("nan"), inf])
def test_a_cost_that_is_none_books_what_was_set_aside(cost: float):
    budget = may_spend(per_day=1.0)
    budget.settle(budget.reserve(0.25), cost)
    assert (budget._spending.spent, budget._spending.reserved) == (billionths(0.25), 0)


def test_an_alarm_is_due_once_and_a_child_does_not_repeat_it():
    spendings = Spendings()
    day = spendings.today((None, "chat"), DAY)
    limits = BudgetSettings(per_day=billionths(1.0), alarms=(0.5, 1.0))
    budget = Budget(limits, day)
    budget.settle(budget.reserve(0.5), 0.49)
    assert budget.due() == (day, ())
    budget.settle(budget.reserve(0.01), None)
    assert budget.due() == (day, (0.5,))
    assert budget.due() == (day, ())
    spendings.after_fork()
    child = spendings.today((None, "chat"), DAY)
    assert Budget(limits, child).due() == (child, ())
    assert Budget(limits, spendings.today((None, "chat"), DAY + 1)).due()[1] == ()


def test_a_target_that_is_left_out_for_want_of_room_alarms():
    world = World(a=answers(), b=answers())
    day = Spending(DAY)
    budget = may_spend(per_day=0.005, day=day)
    assert call(world, budget, A, B).plan is B
    assert day.stopped
    roomy = Spending(DAY)
    assert call(world, may_spend(per_call=0.005, per_day=1.0, day=roomy), A, B).plan is B
    assert not roomy.stopped
