"""The laws of the engine, on random policies, vendors and callers in virtual time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from multimodel.engine import CallSettings
from multimodel.testing.simulation import LAWS, BrownOut, Failing, Healthy, Outage
from multimodel.testing.simulation.traffic import Traffic, Way

from ..campaign.simulate import swarm
from .scripted import World, answers, fails, plan, silent

A, B = plan("a"), plan("b")
CALLS = 1_000_000


def test_a_million_calls_in_random_worlds_break_no_law():
    command = ["-m", "tests.campaign.simulate", "--calls", str(CALLS), "--processes", str(os.cpu_count() or 1)]
    done = subprocess.run(
        [sys.executable, *command], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    figures = re.search(r"^(\d+) calls in .* (\d+) violations", done.stdout, re.MULTILINE)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert figures is not None
    assert int(figures[1]) >= CALLS
    print(figures[0])


@pytest.mark.parametrize("seed", [0, 1, 3])
def test_the_same_seed_is_the_same_run(seed: int):
    def passed() -> list[str]:
        seen: list[str] = []
        traffic, rate = swarm(seed)
        watch = traffic.driver.watch
        assert watch is not None

        def log(trace, event, answer, now):
            seen.append(f"{now} {type(event).__name__} {type(answer).__name__} {getattr(answer, 'do', '')}")
            watch(trace, event, answer, now)

        traffic.driver.watch = log
        traffic.run(300, rate)
        return seen

    assert passed() == passed()


def test_a_law_that_does_not_hold_is_told_with_its_name_and_the_trace_of_the_call():
    from .planted import BUGS

    with BUGS["each target twice"]():
        traffic, rate = swarm(0)
        traffic.run(200, rate)
    told = str(traffic.laws.violations[0])
    assert traffic.laws.violations[0].law in LAWS
    assert "-> Start(" in told
    assert set(traffic.laws.broken) <= set(LAWS)


def steady(vendor, seed: int = 1) -> Traffic:
    """Whole answers over two targets, the first of which does as it is told."""
    way = Way("chat", (A, B), CallSettings(mid_stream="unseen"))
    return Traffic(lambda _chance: way, {"a": vendor, "b": Healthy()}, seed)


def test_a_target_that_fails_now_and_then_is_hardly_ever_left_alone():
    traffic = steady(BrownOut(0.04, Failing("server_error")))
    skipped = 0
    watch = traffic.driver.watch

    def count(trace, event, answer, now):
        nonlocal skipped
        if event is None:
            skipped += len(trace.call.skipped)
        watch(trace, event, answer, now)

    traffic.driver.watch = count
    tally = traffic.run(20_000, 5.0)
    assert tally.answered == tally.calls
    assert skipped < 0.001 * tally.calls


@pytest.mark.parametrize("kind", ["server_error", "connection.unsent", "timeout.first"])
def test_a_target_is_used_again_within_the_longest_pause_after_it_recovered(kind: str):
    for seed in range(4):
        end = 50.0 + 40.0 * (seed + 1)
        back: list[float] = []

        def healthy(start, now, rng, back=back):
            back.append(now)
            return Healthy()(start, now, rng)

        traffic = steady(Outage(50.0, end, Failing(kind), healthy), seed)
        traffic.run(1000, 4.0)
        assert next(now for now in back if now > 60.0) < end + 20.0 + 1.0
        assert traffic.laws.violations == []


def test_a_dead_target_costs_five_requests_and_probes():
    tally = steady(Failing("connection.unsent")).run(10_000, 100.0)
    assert tally.answered == 10_000
    assert tally.attempts["a"] <= 5 + 100 / 5 + 6  # ten calls may be under way when the breaker opens
    assert sorted(tally.added)[9_900] == 0.0


def test_clients_that_fail_at_the_same_instant_do_not_come_back_at_the_same_instant():
    again = Counter()
    for seed in range(1000):
        world = World(seed, a=fails("server_error", after=0.0), b=answers())
        world.call(A, B)
        again[int(world.sent[1][0] / 0.1)] += 1
    assert sum(again.values()) == 1000
    assert max(again) == 4
    assert max(again.values()) <= 2 * 1000 / 5


def test_a_wait_of_a_day_delays_no_call_that_has_another_target():
    traffic = steady(Failing("rate_limited", after=0.0, retry_after=86400.0))
    tally = traffic.run(2000, 5.0)
    assert tally.answered == 2000
    assert max(tally.added) == 0.0
    assert tally.attempts["a"] == 1


def test_at_least_half_of_the_time_is_left_when_the_first_of_two_targets_is_silent():
    rng = Random(1)
    for _ in range(200):
        deadline = rng.uniform(1.1, 60.0)
        end = World(a=silent(), b=answers()).call(A, B, deadline=deadline)
        assert end.report.attempts[1].started <= deadline / 2 + 1e-9
