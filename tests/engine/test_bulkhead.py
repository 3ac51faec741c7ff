"""How many attempts may be under way on one target."""

from __future__ import annotations

from multimodel.engine.bulkhead import Bulkhead


def busy(flying: int) -> Bulkhead:
    bulkhead = Bulkhead()
    bulkhead.flying = flying
    return bulkhead


def test_by_itself_there_is_no_limit():
    assert not busy(10_000).full(0.0, None)


def test_the_policys_limit_holds():
    assert busy(3).full(0.0, 3)
    assert not busy(2).full(0.0, 3)


def test_a_refusal_leaves_seven_tenths():
    bulkhead = busy(10)
    bulkhead.refused(1.0, begun=0.5)
    assert bulkhead.limit == 7


def test_refusals_of_the_same_burst_count_once():
    bulkhead = busy(10)
    for _ in range(5):
        bulkhead.refused(1.0, begun=0.5)
        bulkhead.flying -= 1
    assert bulkhead.limit == 7
    bulkhead.flying = 7
    bulkhead.refused(3.0, begun=2.0)
    assert bulkhead.limit == 4


def test_at_least_one_may_always_be_under_way():
    bulkhead = busy(1)
    bulkhead.refused(1.0, begun=0.5)
    bulkhead.flying = 0
    assert bulkhead.limit == 1
    assert not bulkhead.full(1.0, None)


def test_as_many_answers_as_the_limit_raise_it_by_one():
    bulkhead = busy(10)
    bulkhead.refused(1.0, begun=0.5)
    for _ in range(7):
        assert bulkhead.limit == 7
        bulkhead.answered()
    assert bulkhead.limit == 8


def test_a_minute_without_a_refusal_and_the_limit_is_forgotten():
    bulkhead = busy(10)
    bulkhead.refused(1.0, begun=0.5)
    assert bulkhead.full(60.9, None)
    assert not bulkhead.full(61.0, None)
    assert bulkhead.limit is None


def test_an_attempt_begun_at_the_instant_of_the_cut_was_begun_under_the_old_limit():
    bulkhead = busy(10)
    bulkhead.refused(1.0, begun=0.5)
    bulkhead.refused(2.0, begun=1.0)
    assert bulkhead.limit == 7


def test_what_is_still_under_way_from_before_does_not_raise_the_limit():
    bulkhead = busy(100)
    bulkhead.refused(1.0, begun=0.5)
    assert bulkhead.limit == 70
    bulkhead.refused(2.0, begun=1.5)  # ninety-nine of the hundred are still there
    assert bulkhead.limit == 49
