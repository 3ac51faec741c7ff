"""The checker is checked: each broken engine is caught, and by a law that says what is wrong."""

from __future__ import annotations

from contextlib import nullcontext

from multimodel.testing.simulation.violations import Violation

from ..campaign.simulate import swarm
from .planted import BUGS, Bug

SEEDS = range(100)
CALLS = 200


class BrokenLawError(Exception):
    pass


def broken_law(bug: Bug | None, seed: int) -> Violation | None:
    """Play one world; return the first violation."""
    found: list[Violation] = []

    def tell(violation: Violation) -> None:
        found.append(violation)
        raise BrokenLawError

    with nullcontext() if bug is None else bug():
        traffic, rate = swarm(seed, tell, stormy=True)
        try:
            traffic.run(CALLS, rate)
        except BrokenLawError:
            return found[0]
    return None


def test_the_shipped_engine_breaks_no_law_on_the_seeds_of_the_planted_bugs():
    assert [str(found) for seed in SEEDS if (found := broken_law(None, seed)) is not None] == []


def test_every_planted_bug_is_caught_within_a_hundred_seeds():
    caught = {}
    for name, bug in BUGS.items():
        for seed in SEEDS:
            found = broken_law(bug, seed)
            if found is not None:
                caught[name] = found
                print(f"{name:<50} {found.law:<12} seed {seed}")
                break
    print(f"caught {len(caught)}/{len(BUGS)}")
    assert [name for name in BUGS if name not in caught] == []
    assert len(BUGS) >= 30
