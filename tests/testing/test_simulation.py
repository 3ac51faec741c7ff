from __future__ import annotations

import pytest

from multimodel.errors import ConfigurationError, error_for
from multimodel.testing import Simulation
from multimodel.testing.simulation import (
    BrownOut,
    Cuts,
    Flaky,
    Flap,
    Healthy,
    Outage,
    Quota,
    RevokedKey,
    Silent,
    SlowRamp,
    Then,
)

FIRST, SECOND = "dashscope:qwen-plus", "deepseek:deepseek-chat"
POLICY = {"routes": {"chat": {"chain": [FIRST, SECOND]}}}


def play(vendor, calls: int = 2000, rate: float = 5.0, **how):
    return Simulation(POLICY, {"dashscope": vendor}, seed=3).run(calls, rate, **how)


def test_healthy_vendors_answer_every_call_at_once():
    result = play(Healthy())
    assert (result.calls, result.answered, result.failed) == (2000, 2000, {})
    assert result.attempts == {FIRST: 2000}
    assert (result.added_p50, result.added_p99) == (0.0, 0.0)
    assert result.violations == ()


def test_an_outage_opens_the_breaker_and_the_target_is_used_again_after_it():
    result = play(Outage(60.0, 120.0))
    assert result.answered == 2000
    states = [state for _, state in result.timeline[FIRST]]
    assert states[:2] == ["closed", "open"]
    assert states[-1] == "closed"
    assert all(60.0 < at < 145.0 for at, state in result.timeline[FIRST] if state == "open")
    assert result.violations == ()


def test_a_revoked_key_costs_a_handful_of_requests():
    result = play(RevokedKey())
    assert result.answered == 2000
    assert result.attempts[FIRST] < 12


def test_a_quota_is_kept_and_the_rest_goes_elsewhere():
    result = play(Quota(60))
    assert result.answered == 2000
    assert {"gated"} <= {state for _, state in result.timeline[FIRST]}
    assert result.attempts[SECOND] > 1000


def test_a_silent_vendor_delays_the_first_calls_only():
    result = play(Silent(), rate=0.2)
    assert result.answered == 2000
    assert result.added_p50 < 0.1
    assert max(at for at, _ in result.timeline[FIRST][:2]) < 100.0


@pytest.mark.parametrize(
    "vendor",
    [
        BrownOut(0.3),
        Flap(20.0, 10.0),
        SlowRamp(10.0, 200.0, most=20.0),
        Flaky({"server_error": 3, "truncated_stream": 1, "timeout.first": 1}, 0.3),
        Then(Silent(), 60.0, Healthy()),
        Quota(30, hint=False),
    ],
    ids=lambda vendor: type(vendor).__name__,
)
def test_every_call_is_answered_while_one_vendor_is_healthy(vendor):
    result = play(vendor)
    assert result.answered == 2000
    assert result.violations == ()


def test_a_cut_stream_is_the_callers_to_see_and_a_cut_whole_answer_is_not():
    assert play(Cuts(share=0.2), streamed=0.0).answered == 2000
    result = play(Cuts(share=0.2), streamed=1.0)
    assert set(result.failed) == {"stream_interrupted"}


def test_callers_may_be_impatient():
    result = play(Healthy(first_content=1.0), impatient=0.5, patience=1.0)
    assert 900 < result.cancelled < 1100
    assert result.answered + result.cancelled == 2000
    assert result.violations == ()


def test_a_vendor_is_any_function_of_start_instant_and_chance():
    def picky(start, now, rng):
        return ((0.1, error_for("overloaded")),) if rng.random() < 0.5 else Healthy()(start, now, rng)

    assert play(picky).answered == 2000


def test_the_same_seed_gives_the_same_result_and_each_run_begins_anew():
    simulation = Simulation(POLICY, {FIRST: Quota(20)}, seed=7)
    first, second = simulation.run(500, 2.0), simulation.run(500, 2.0)
    assert (first.attempts, first.timeline, first.seconds) == (second.attempts, second.timeline, second.seconds)
    other = Simulation(POLICY, {FIRST: Quota(20)}, seed=8).run(500, 2.0)
    assert other.seconds != first.seconds


def test_no_key_and_no_catalogue_entry_is_needed():
    policy = {
        "providers": {
            "house": {"profile": "openai", "base_url": "https://llm.example.net/v1", "api_key": "${UNSET_KEY}"}
        },
        "routes": {"chat": {"chain": ["house:m", "mine:m", "local:weights"]}},
    }
    result = Simulation(policy, {"house": Silent(), "mine": RevokedKey()}).run(50)
    assert result.answered == 50
    assert result.attempts["local:weights"] > 40


def test_what_is_switched_off_is_not_asked():
    result = Simulation({**POLICY, "off": [{"operator": "alibaba"}]}).run(100)
    assert result.attempts == {SECOND: 100}
    assert result.answered == 100


def test_a_route_is_chosen_by_name_or_alias():
    policy = {"routes": {"a": {"chain": [FIRST]}, "b": {"chain": [SECOND]}}, "aliases": {"gpt": "b"}}
    assert Simulation(policy, route="gpt").run(10).attempts == {SECOND: 10}
    with pytest.raises(ConfigurationError, match="more than one route"):
        Simulation(policy)
    with pytest.raises(ConfigurationError, match="unknown route `c`"):
        Simulation(policy, route="c")


def test_a_vendor_that_is_not_in_the_chain_is_a_mistake():
    with pytest.raises(ConfigurationError, match="did you mean `dashscope`"):
        Simulation(POLICY, {"dashscop": Silent()})


def test_the_result_is_a_small_table():
    text = str(play(Outage(60.0, 120.0)))
    assert "2000 answered" in text
    assert "open@6" in text
    assert len(text.splitlines()) == 4
