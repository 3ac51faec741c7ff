"""What a call and a streamed chunk cost, beside raw httpx2, the openai SDK and litellm, in turns of one run."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from callers import CALLERS, Caller
from turns import Worker, serve
from vendor import EVENTS_TOGETHER, TEXT, Vendor, words

BASE = "raw httpx2"
WHOLE_ONLY = ("raw httpx2, streamed", "multimodel, `transfer: whole`")
CALLS = 150
AT_ONCE = 500
CONCURRENCY = 50
STREAMS = 2000


def main() -> None:
    print("Noise only adds, so the least of the turns is compared; the median is for honesty\n")
    with Vendor("ok") as vendor:
        url = vendor.ports[0].url
        with ExitStack() as stack:
            workers = {name: stack.enter_context(Worker(__file__, name, url)) for name in CALLERS}
            for worker in workers.values():  # connections, caches, the first lazy import
                worker.run("whole", 20)
                worker.run("at_once", 2 * CONCURRENCY, CONCURRENCY)
            print(f"CPU of one whole answer, {CALLS} calls a turn\n")
            for title, task in (("sync", "whole"), ("async", "awhole")):
                _table(title, "µs a call", CALLS, _turns(workers, 5, (task, CALLS)))
            streaming = {name: worker for name, worker in workers.items() if name not in WHOLE_ONLY}
            print("CPU of one streamed chunk, the slope between a short and a long stream\n")
            for how, turns, short, long in (("burst", 5, 200, 2200), ("paced", 3, 100, 600)):
                for title, task in (("sync", "stream"), ("async", "astream")):
                    ends = [(task, f"{how}-{count}", count) for count in (short, long)]
                    _table(f"{title}, {_HOW[how]}", "µs a chunk", long - short, _turns(streaming, turns, *ends))
            print(f"Wall time of whole answers, {CONCURRENCY} at a time, {AT_ONCE} calls a turn\n")
            figures = _turns(workers, 3, ("at_once", AT_ONCE, CONCURRENCY), what="wall")
            _table("async", "µs a call", AT_ONCE, figures)
            for name, turns_of_it in figures.items():
                print(f"- {name}: {AT_ONCE / min(cost for (cost,) in turns_of_it):,.0f} calls/s")
        print(f"\n{STREAMS} streams of {EVENTS_TOGETHER} chunks, all open at the same time, in a fresh process\n")
        print("| async | MB grown at the peak | streams | CPU s |\n|---|---|---|---|")
        for name in CALLERS:
            if name not in (*WHOLE_ONLY, "litellm.Router"):  # which sends as litellm.completion does
                with Worker(__file__, name, url) as worker:
                    seen = worker.run("together", STREAMS)
                ends = ", ".join(f"{count} {end}" for end, count in seen["result"].items())
                print(f"| {name} | {seen['memory'] / 1e6:.0f} | {ends} | {seen['cpu']:.1f} |", flush=True)


_HOW = {"burst": "as fast as the socket takes them", "paced": "one a millisecond"}

Turns = dict[str, list[tuple[float, ...]]]
"""By caller, for each turn: what each task of the turn cost, in seconds."""


def _turns(workers: dict[str, Worker], turns: int, *tasks: tuple[Any, ...], what: str = "cpu") -> Turns:
    figures: Turns = {name: [] for name in workers}
    for _ in range(turns):  # A B C A B C …, so that the machine's mood hits all alike
        for name, worker in workers.items():
            figures[name].append(tuple(float(worker.run(*task)[what]) for task in tasks))
    return figures


def _table(title: str, unit: str, count: int, figures: Turns) -> None:
    least = {name: _slope([min(costs) for costs in zip(*turns, strict=True)], count) for name, turns in figures.items()}
    print(f"| {title} | {unit}, least | median | of {BASE} |\n|---|---|---|---|")
    for name, turns in figures.items():
        median = statistics.median(_slope(costs, count) for costs in turns)
        print(f"| {name} | {least[name]:,.1f} | {median:,.1f} | {least[name] / least[BASE]:.2f} |")
    print(flush=True)


def _slope(costs: Sequence[float], count: int) -> float:
    """Microseconds of each of ``count``: the whole cost, or what the long one costs over the short one."""
    return 1e6 * (costs[-1] - sum(costs[:-1])) / count


# --- what a worker does ---


def whole(caller: Caller, calls: int) -> None:
    for _ in range(calls):
        assert caller.whole() == TEXT


async def awhole(caller: Caller, calls: int) -> None:
    for _ in range(calls):
        assert await caller.awhole() == TEXT


def stream(caller: Caller, model: str, events: int) -> None:
    assert "".join(caller.stream(model)) == words(events)


async def astream(caller: Caller, model: str, events: int) -> None:
    assert "".join([text async for text in caller.astream(model)]) == words(events)


async def at_once(caller: Caller, calls: int, concurrency: int) -> None:
    await asyncio.gather(*(awhole(caller, calls // concurrency) for _ in range(concurrency)))


async def together(caller: Caller, streams: int) -> dict[str, int]:
    """Read so many streams that are all open at the same time; return how they ended."""

    async def one() -> str:
        try:
            said = "".join([text async for text in caller.astream(f"together-{streams}")])
        except Exception as error:  # noqa: BLE001  # a stream that broke is a figure
            return type(error).__name__
        return "exact" if said == words(EVENTS_TOGETHER) else "wrong"

    return Counter(await asyncio.gather(*(one() for _ in range(streams))))


TASKS: dict[str, Callable[..., Any]] = {
    task.__name__: task for task in (whole, awhole, stream, astream, at_once, together)
}


def work(name: str, url: str) -> None:
    caller = CALLERS[name](url)

    def perform(runner: asyncio.Runner, task: str, arguments: list[Any]) -> dict[str, Any]:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak
        memory, wall, cpu = _memory("VmRSS"), time.perf_counter(), time.process_time()
        result = TASKS[task](caller, *arguments)
        if asyncio.iscoroutine(result):
            result = runner.run(result)
        return {
            "cpu": time.process_time() - cpu,
            "wall": time.perf_counter() - wall,
            "memory": _memory("VmHWM") - memory,
            "result": result,
        }

    serve(perform)


def _memory(name: str) -> int:
    """Bytes of this process: ``VmRSS`` now, ``VmHWM`` at the most."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    if sys.argv[1:]:
        work(*sys.argv[1:])
    else:
        main()
