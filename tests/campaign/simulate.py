"""Random policies, vendors and callers over the shipped engine in virtual time; every law is checked on every call.

``python -m tests.campaign.simulate --calls 10000000 --seed 1`` prints one line of figures, and the first violations if
there are any. ``--processes`` shares the seeds among processes.

Each seed draws a world of its own: every constant of the policy, who shares a key or a host with whom, how vendors fail
and recover, and how calls are made. Seven worlds of eight are calm, with healthy vendors most of the time; in the eighth,
what is rare in life is common.
"""

from __future__ import annotations

import argparse
import sys
import time
from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from multiprocessing import get_context
from random import Random

from multimodel.drivers.simulated import Script
from multimodel.engine import BreakerSettings, CallSettings, HedgeSettings, RetrySettings, Start, TargetPlan
from multimodel.errors import Kind, error_for
from multimodel.testing.simulation import (
    BrownOut,
    Cuts,
    Failing,
    Flaky,
    Flap,
    Healthy,
    Quota,
    Silent,
    SlowRamp,
    Vendor,
    Violation,
)
from multimodel.testing.simulation.traffic import Traffic, Way
from multimodel.types import Finished, Target, TextDelta, ToolCallDelta

__all__ = ["swarm"]

KINDS: tuple[Kind, ...] = (
    "authentication", "permission_denied", "quota_exhausted", "rate_limited", "rate_limited", "overloaded",
    "server_error", "server_error", "timeout.connect", "timeout.pool", "connection.unsent", "connection.stale",
    "connection.maybe_sent", "connection.tls", "bad_request", "context_window_exceeded", "content_filtered",
    "model_not_found", "invalid_response", "truncated_stream", "output_invalid", "policy_denied", "local_overload",
)  # fmt: skip
HARMLESS: dict[Kind, float] = {
    "server_error": 4,
    "overloaded": 2,
    "connection.stale": 2,
    "invalid_response": 1,
    "bad_request": 1,
}


def swarm(
    seed: int, tell: Callable[[Violation], None] | None = None, *, stormy: bool | None = None
) -> tuple[Traffic, float]:
    """Draw a world; return it with the calls a second that arrive in it."""
    rng = Random(seed)
    stormy = seed % 8 == 0 if stormy is None else stormy
    plans = [_plan(rng, number, stormy=stormy) for number in range(rng.randint(1 if stormy else 2, 5))]
    ways = [_way(rng, plans, number, stormy=stormy) for number in range(rng.randint(1, 4))]
    vendors: dict[str, Vendor] = {plan.key: _Weather(rng, stormy=stormy) for plan in plans}
    impatient = rng.choice([0.0, 0.02, 0.2]) if stormy else 0.01
    traffic = Traffic(
        lambda chance: ways[int(chance.random() * len(ways))], vendors, seed, impatient=impatient, tell=tell
    )
    return traffic, rng.choice([0.5, 2.0, 5.0, 20.0] if stormy else [2.0, 5.0, 20.0])


def _plan(rng: Random, number: int, *, stormy: bool) -> TargetPlan:
    key, host = (number if rng.random() < 0.75 else rng.randrange(number + 1) for _ in range(2))
    return TargetPlan(
        Target(f"vendor{number}", rng.choice(["large", "small"])),
        key=f"target{number}",
        credential=f"key{key}",
        endpoint=f"host{host}",
        first_content=rng.choice([0.6, 2.0, 10.0, 20.0] if stormy else [2.0, 10.0]),
        idle=rng.choice([0.5, 15.0] if stormy else [15.0]),
        whole=rng.choice([1.0, 60.0] if stormy else [60.0]),
        stream=rng.random() < 0.8,
        retry=RetrySettings(
            rng.choice([1, 2, 2, 3]), rng.choice([0.0, 0.05, 0.1, 0.5]), rng.choice([0.0, 1.0, 3.0, 10.0])
        ),
        breaker=BreakerSettings(
            rng.choice([1, 2, 3, 5, 8, 1000]),
            rng.choice([rng.uniform(0.2, 1.0), 1.1]),
            rng.choice([5.0, 30.0, 60.0]),
            rng.choice([2.0, 10.0, 20.0, 60.0]),
        ),
        window=rng.choice([None, None, 8000, 32000]),
        prefill=rng.random() < 0.6,
        at_most=rng.choice([None, None, None, 1, 4] if stormy else [None, None, 40]),
    )


def _way(rng: Random, plans: list[TargetPlan], number: int, *, stormy: bool) -> Way:
    stream = rng.random() < 0.5
    settings = CallSettings(
        deadline=rng.choice([0.4, 0.8, 2.0, 8.0, 30.0, 120.0, 120.0] if stormy else [8.0, 30.0, 120.0]),
        max_attempts=rng.choice([1, 2, 4, 6, 6, 8]),
        mid_stream=rng.choice(["error", "restart", "continue"]) if stream else "unseen",
        on_content_filter=rng.choice(["stop", "next"]),
        hedge=HedgeSettings(rng.choice([None, 0.3, 1.0]), rng.choice([0.05, 0.3, 1.0])) if rng.random() < 0.4 else None,
        effects=rng.random() < 0.1,
    )
    chain = rng.sample(plans, rng.randint(1, len(plans)) if rng.random() < 0.3 else len(plans))
    return Way(f"route{number}", tuple(chain), settings, stream)


class _Weather:
    """Phases of a vendor's life, one after the other and from the beginning again."""

    def __init__(self, rng: Random, *, stormy: bool) -> None:
        usual = Healthy(rng.choice([0.05, 0.3, 0.9]), 0.5, rng.choice([0.1, 1.0]))
        self._phases: list[Vendor] = []
        lengths: list[float] = []
        for _ in range(6):
            self._phases.append(usual if rng.random() < 0.6 else Flaky(HARMLESS, 0.03, usual))
            lengths.append(rng.expovariate(1.0 / (20.0 if stormy else 800.0)))
            self._phases.append(_trouble(rng, usual))
            lengths.append(rng.expovariate(1.0 / 15.0))
        self._ends = list(accumulate(lengths))

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        phase = bisect(self._ends, now % self._ends[-1])
        return self._phases[min(phase, len(self._phases) - 1)](start, now, rng)


def _trouble(rng: Random, usual: Vendor) -> Vendor:
    odd = _Odd(usual)
    return rng.choice(
        [
            odd,
            odd,
            BrownOut(rng.uniform(0.1, 0.9), odd, usual),
            Failing(rng.choice(KINDS), rng.choice([0.0, 0.01, 0.4]), rng.choice([None, None, None, 1.0, 20.0])),
            Failing(rng.choice(["server_error", "connection.unsent", "overloaded"]), rng.choice([0.01, 0.7])),
            BrownOut(0.5, Failing("rate_limited", 0.01, rng.choice([1.0, 5.0, 20.0])), usual),
            BrownOut(0.5, Failing("context_window_exceeded"), usual),
            Silent(),
            BrownOut(0.5, Silent(), usual),
            Cuts(rng.randint(1, 3), rng.choice([0.3, 1.0]), usual),
            Flap(rng.uniform(0.5, 5.0), rng.uniform(0.5, 5.0), Failing("server_error"), usual),
            Quota(rng.randint(1, 60), rng.random() < 0.5, usual),
            SlowRamp(0.0, rng.uniform(10.0, 300.0), 0.1, rng.choice([2.0, 15.0])),
        ]
    )


class _Odd:
    """Everything that a vendor may do, each now and then."""

    def __init__(self, usual: Vendor) -> None:
        self._usual = usual

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        draw = rng.random()
        if draw < 0.3:
            return self._usual(start, now, rng)
        if draw < 0.35:
            return ((0.1, Finished("stop")),)  # an answer without content
        if draw < 0.4:
            return ()  # closed without a word
        if draw < 0.45:
            return ((1e9, TextDelta("never")),)
        error = self._error(start, rng)
        if draw < 0.75:
            return ((rng.choice([0.0, 0.02, 0.6]), error),)
        content = ToolCallDelta(0, "call", "f", "{") if draw < 0.82 else TextDelta("half ")
        return (rng.choice([0.05, 0.5]), content), (0.1, content), (rng.choice([0.1, 1.0, 30.0]), error)

    def _error(self, start: Start, rng: Random):
        if start.path is None and rng.random() < 0.03:
            return error_for("bad_request", status=400, path="other")
        return error_for(
            rng.choice(KINDS),
            status=rng.choice([None, 400, 500]),
            retry_after=rng.choice([None, None, 0.0, 0.5, 2.0, 5.0, 30.0, 86400.0]) if rng.random() < 0.3 else None,
            should_retry=rng.choice([None, None, None, False, True]),
            scope=rng.choice(["target", "credential", "credential_model", "endpoint"]) if rng.random() < 0.1 else None,
        )


# --- on the command line ---


def play(seeds: range, calls: int) -> tuple[int, float, int, list[str]]:
    """Play worlds; return calls, virtual seconds, how often a law was broken, and the first times."""
    played, seconds, broken = 0, 0.0, 0
    shown: list[str] = []
    for seed in seeds:
        traffic, rate = swarm(seed)
        traffic.run(calls, rate)
        played += traffic.tally.calls
        seconds += traffic.driver.clock.now
        broken += traffic.laws.broken.total()
        shown += [f"seed {seed}: {violation}" for violation in traffic.laws.violations[:2]]
    return played, seconds, broken, shown[:10]


def main() -> int:
    """Play as many worlds as it takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--each", type=int, default=2000, help="calls of one world")
    parser.add_argument("--seed", type=int, default=1, help="of the first world")
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    worlds = -(-asked.calls // asked.each)
    shares = [range(asked.seed + first, asked.seed + worlds, asked.processes) for first in range(asked.processes)]
    began = time.perf_counter()
    if asked.processes == 1:
        results = [play(shares[0], asked.each)]
    else:
        with get_context("spawn").Pool(asked.processes) as pool:
            results = pool.starmap(play, [(share, asked.each) for share in shares])
    took = time.perf_counter() - began
    calls, seconds, broken = (sum(result[at] for result in results) for at in range(3))
    for result in results:
        print(*result[3], sep="\n", end="\n" if result[3] else "")
    print(
        f"{calls} calls in {worlds} worlds, {seconds / 3600.0:.1f} virtual hours, {broken} violations, "
        f"{calls / took:.0f} calls/s in {asked.processes} process(es)"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
