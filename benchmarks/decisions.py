"""What the engine itself costs: decisions of a healthy call, with each driver, over a vendor that answers at once.

``python benchmarks/decisions.py`` prints CPU time a call: the engine alone, with its blocking and its asyncio driver, the
whole client around them (request, report, completion), and calls a second of the simulation on one core.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from random import Random
from time import process_time

from multimodel import AsyncClient, Client, Finished, Target, TextDelta
from multimodel.drivers.aio import AsyncioDriver
from multimodel.drivers.blocking import BlockingDriver
from multimodel.engine import Call, CallSettings, Ended, First, Health, TargetPlan, run
from multimodel.testing import Simulation

CALLS, TURNS = 5000, 7
POLICY = {"routes": {"chat": {"chain": ["at-once:m", "never:m"]}}}
PLANS = [TargetPlan(Target(name, "m"), name, name, name) for name in ("a", "b")]
SETTINGS = CallSettings(mid_stream="unseen")


class AtOnce:
    """A vendor that answers at once: the adapter and the drivers' port."""

    def stream(self, *_: object) -> Iterator[object]:
        yield TextDelta("Yes.")
        yield Finished("stop")

    async def astream(self, *_: object) -> AsyncIterator[object]:
        yield TextDelta("Yes.")
        yield Finished("stop")

    open, aopen = stream, astream


def main() -> None:
    """Measure and print."""
    health, rng, lock, port = Health(Random(1)), Random(2), threading.Lock(), AtOnce()
    loop = asyncio.Runner()

    def call():
        return run(Call("chat", SETTINGS, 0.0, stream=False), PLANS, health, rng)

    def alone() -> None:
        steps = call()
        next(steps)
        steps.send(First(0.1, 1))
        try:
            steps.send(Ended(0.2, 1))
        except StopIteration:
            return

    def blocking() -> None:
        for _ in BlockingDriver(call(), port, lock).events():  # type: ignore[arg-type]  # it is port enough
            pass

    async def many(one: Callable[[], object]) -> None:
        for _ in range(CALLS):
            await one()  # type: ignore[misc]  # a coroutine function

    async def driven() -> None:
        async for _ in AsyncioDriver(call(), port, lock).events():  # type: ignore[arg-type]
            pass

    given = {"at-once": port, "never": port}
    client, aclient = Client(POLICY, providers=given), AsyncClient(POLICY, providers=given)  # type: ignore[arg-type]
    rows = {
        "the engine alone": lambda: [alone() for _ in range(CALLS)],
        "with the blocking driver": lambda: [blocking() for _ in range(CALLS)],
        "with the asyncio driver": lambda: loop.run(many(driven)),
        "`Client.complete`": lambda: [client.complete("chat", "Is it?") for _ in range(CALLS)],
        "`AsyncClient.complete`": lambda: loop.run(many(lambda: aclient.complete("chat", "Is it?"))),
    }
    took = {name: [] for name in rows}
    for _ in range(TURNS):
        for name, row in rows.items():
            begun = process_time()
            row()
            took[name].append((process_time() - begun) / CALLS * 1e6)
    print(f"CPU of one call over a vendor that answers at once, {CALLS:,} calls a turn\n")
    print("| | µs a call, least | median |\n|---|---|---|")
    for name, times in took.items():
        print(f"| {name} | {min(times):.1f} | {sorted(times)[TURNS // 2]:.1f} |")
    replay, rates = Simulation(simulated(), seed=1), []
    gc.freeze()  # the clients above are not searched for garbage again and again
    for _ in range(5 * TURNS):
        begun = process_time()
        replay.run(CALLS, 5.0)
        rates.append(CALLS / (process_time() - begun))
    rates.sort()
    print(
        f"\nSimulated calls a second on one core, every law checked: {rates[-1]:,.0f} (median {rates[len(rates) // 2]:,.0f})"
    )


def simulated() -> dict[str, object]:
    """The same route over vendors that the simulation plays."""
    house = {"profile": "openai", "base_url": "http://127.0.0.1:9", "api_key": "none"}
    providers = {"at-once": house, "never": {**house, "base_url": "http://127.0.0.1:8"}}
    return {"providers": providers, **POLICY}


if __name__ == "__main__":
    main()
