"""A primary that refuses, is silent or is slow, in a loop of calls, beside litellm's Router, in turns of one run."""

from __future__ import annotations

import asyncio
import socket
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from callers import KEY, MESSAGES, quiet_litellm
from turns import Worker, serve
from vendor import SLOW, TEXT, Vendor

CALLS = 10_000
DETECTION = 10  # calls
LIMIT = 0.5  # seconds for the first content, or for litellm for the answer
TURN_CALLS, TURN_SECONDS = 500, 3.0
PATIENCE = 14.0  # seconds for a peer's calls in one row; multimodel makes all of its calls
HOW = {
    "dead": "refuses connections",
    "silent": "accepts and never answers",
    "slow": f"answers after {SLOW} s",
}


@dataclass(slots=True)
class Row:
    """What one contender did with one primary. Times are seconds."""

    worker: Worker
    faulty: list[float] = field(default_factory=list)
    healthy: list[float] = field(default_factory=list)
    answered: int = 0
    connects: int = 0
    spent: float = 0.0

    def turn(self) -> None:
        seen = self.worker.run("calls", min(TURN_CALLS, CALLS - len(self.faulty)), TURN_SECONDS)
        self.faulty += seen["faulty"]
        self.healthy += seen["healthy"]
        self.answered += seen["answered"]
        self.connects += seen["connects"]
        self.spent += sum(seen["faulty"]) + sum(seen["healthy"])

    def added(self) -> tuple[float, float]:
        """What a call takes longer than a healthy one of the same turns, at the median and at p99, in ms."""
        late, usual = (_cuts(times[DETECTION:]) for times in (self.faulty, self.healthy))
        return 1e3 * (late[49] - usual[49]), 1e3 * (late[98] - usual[98])


def main() -> None:
    print(f"Limit for all: {LIMIT} s. `+p50` and `+p99`: what is added to a healthy call of the same turns, after the")
    print(
        f"first {DETECTION} calls. A peer makes as many of the {CALLS:,} calls as it can in {PATIENCE:g} s. `attempts on it`"
    )
    print("are counted by the vendor, or at the socket where nobody listens\n")
    names = list(CONTENDERS)
    with Vendor("ok", *(["silent", "slow"] * len(names))) as vendor:
        second = vendor.ports[0]
        refusing = _closed_port()
        for how, meaning in HOW.items():
            before = vendor.requests()
            ports = [0 if how == "dead" else 1 + 2 * place + (how == "slow") for place in range(len(names))]
            urls = [refusing if port == 0 else vendor.ports[port].url for port in ports]
            with ExitStack() as stack:
                rows = {
                    name: Row(stack.enter_context(Worker(__file__, name, url, second.url)))
                    for name, url in zip(names, urls, strict=True)
                }
                _take_turns(rows)
            after = vendor.requests()
            print(
                f"| {how}: {meaning} | calls | answered | attempts on it | first ms | median ms | +p50 ms | +p99 ms |"
            )
            print("|---|---|---|---|---|---|---|---|")
            for (name, row), port in zip(rows.items(), ports, strict=True):
                attempts = row.connects if port == 0 else after[port] - before[port]
                middle, most = (f"{value:,.2f}" for value in row.added()) if len(row.faulty) > 2 * DETECTION else "--"
                print(
                    f"| {name} | {len(row.faulty):,} | {100 * row.answered / len(row.faulty):.2f} % | {attempts:,} "
                    f"| {1e3 * row.faulty[0]:,.0f} | {1e3 * statistics.median(row.faulty):,.2f} | {middle} | {most} |"
                )
            print(flush=True)


def _take_turns(rows: dict[str, Row]) -> None:
    waiting = dict(rows)
    while waiting:
        for name, row in list(waiting.items()):
            row.turn()
            if len(row.faulty) >= CALLS or (name != "multimodel" and row.spent >= PATIENCE):
                del waiting[name]


def _closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


def _cuts(times: list[float]) -> list[float]:
    return statistics.quantiles(times, n=100)


# --- what a worker does ---

Ask = Callable[[str], str]


def multimodel(first: str, second: str) -> Ask:
    """All as it comes but the limit."""
    from multimodel import Client

    client = Client(
        {
            "providers": {
                "first": {"profile": "openai", "base_url": first, "api_key": f"{KEY}-1"},
                "second": {"profile": "openai", "base_url": second, "api_key": f"{KEY}-2"},
            },
            "routes": {
                "faulty": {"chain": ["first:fixed", "second:fixed"], "timeouts": {"first_content": LIMIT}},
                "healthy": {"chain": ["second:fixed"], "timeouts": {"first_content": LIMIT}},
            },
        }
    )
    return lambda route: client.complete(route, MESSAGES).text


def router(first: str, second: str, **settings: Any) -> Ask:
    """litellm's Router: the second vendor is the first one's fallback."""
    litellm = quiet_litellm()
    sites = {"faulty": first, "healthy": second}
    models = [
        {"model_name": name, "litellm_params": {"model": "openai/fixed", "api_base": url, "api_key": KEY}}
        for name, url in sites.items()
    ]
    made = litellm.Router(model_list=models, fallbacks=[{"faulty": ["healthy"]}], timeout=LIMIT, **settings)
    return lambda route: str(made.completion(model=route, messages=MESSAGES).choices[0].message.content)


def tuned(first: str, second: str) -> Ask:
    """With the settings that its documentation has for this."""
    return router(first, second, num_retries=0, allowed_fails=0, cooldown_time=60)


CONTENDERS: dict[str, Callable[[str, str], Ask]] = {
    "multimodel": multimodel,
    "litellm.Router, defaults": router,
    "litellm.Router, `num_retries=0, allowed_fails=0, cooldown_time=60`": tuned,
}


def work(name: str, first: str, second: str) -> None:
    ask = CONTENDERS[name](first, second)
    for _ in range(20):
        ask("healthy")
    connects = 0
    port = int(first.rpartition(":")[2].partition("/")[0])

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal connects
        connects += event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][1] == port

    sys.addaudithook(watch)  # nobody counts at a port where nobody listens

    def perform(_: asyncio.Runner, __: str, arguments: list[Any]) -> dict[str, Any]:
        calls, seconds = arguments
        before, end = connects, time.perf_counter() + seconds
        times: dict[str, list[float]] = {"faulty": [], "healthy": []}
        answered = 0
        for _ in range(calls):
            for route, taken in times.items():
                begun = time.perf_counter()
                try:
                    answered += ask(route) == TEXT and route == "faulty"
                except Exception as error:  # noqa: BLE001  # a call that was not answered is a figure
                    print(f"{name}, {route}: {type(error).__name__}", file=sys.stderr)
                taken.append(time.perf_counter() - begun)
            if time.perf_counter() > end:
                break
        return {**times, "answered": answered, "connects": connects - before}

    serve(perform)


if __name__ == "__main__":
    if sys.argv[1:]:
        work(*sys.argv[1:])
    else:
        main()
