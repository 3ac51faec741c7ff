"""The same outage twice: in virtual time by ``multimodel simulate``, and for real, over sockets.

``python -m tests.campaign.rehearsal --seed 1`` prints both side by side, for each kind of outage. It fails when the
share of answered calls differs by more than 2 points, or half of the answers of a phase come more than 20 % earlier or
later. Both see the same policy, rate and medians, but chance is drawn anew; what is simulated is the mean of 10 seeds. On a
busy machine what is real comes late: how late its calls began is printed as well.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from itertools import pairwise
from math import ceil
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

from multimodel import AsyncClient, CallError, Report
from multimodel.cli import main
from multimodel.rehearsal.scenario import SPREAD
from multimodel.testing import Answer, FaultyVendor, Script, VendorRequest, faults
from multimodel.testing.answer import END, chunk
from multimodel.testing.faults import Fault, fault
from multimodel.types import Target

FIRST, SECOND = "dashscope:qwen-plus", "house:our-model"
LATENCY = {"dashscope": (0.15, 0.6), "house": (0.25, 0.9)}
"""Seconds to the first content, and to the end: medians."""
RATE, EDGES = 40.0, (0.0, 4.0, 10.5, 17.0)
"""Calls a second, and the instants in seconds: the start, the outage, its end, the end."""
PHASES = ("before", "during", "after")
KINDS: dict[str, Fault] = {
    "503": faults.refusal("overloaded"),
    "refused": faults.refuse(),
    "silent": faults.silent(),
    "everybody": faults.refusal("overloaded"),
}
SHARE, P50, FEW = 0.02, 0.2, 0.1
RUNS = 10
POLICY = """
providers:
  dashscope: {{base_url: "{dashscope}", api_key: sk-rehearsal}}
  house: {{profile: openai, base_url: "{house}", api_key: sk-rehearsal, operator: house}}
routes:
  chat:
    chain: [dashscope:qwen-plus, house:our-model]
    timeouts: {{first_content: 1s}}
    breaker: {{open_at_most: 3s}}
"""


@dataclass
class Column:
    """What one of the two saw, by phase.

    :ivar by_first: the share of the calls that the first target answered.
    """

    calls: list[float]
    answered: list[float]
    by_first: list[float]
    p50: list[float | None]
    p95: list[float | None]
    sent: float
    noticed: float | None
    used_again: float | None
    late: float = 0.0

    @property
    def share(self) -> float:
        """The share of answered calls, as if calls came evenly."""
        return (
            sum(share * (end - start) for share, (start, end) in zip(self.answered, pairwise(EDGES), strict=True))
            / EDGES[-1]
        )


def simulated(policy: Path, kind: str) -> Column:
    """Ask the command line, some times, and return the mean of what it tells."""
    columns = [simulated_once(policy, kind, seed) for seed in range(1, RUNS + 1)]

    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    def phases(name: str) -> list[Any]:
        return [mean(getattr(column, name)[phase] for column in columns) for phase in range(len(PHASES))]

    lists = (phases(name) for name in ("calls", "answered", "by_first", "p50", "p95"))
    numbers = (mean(getattr(column, name) for column in columns) for name in ("sent", "noticed", "used_again"))
    return Column(*lists, *numbers)  # type: ignore[arg-type]  # requests are never unknown


def simulated_once(policy: Path, kind: str, seed: int) -> Column:
    """Ask the command line."""
    _, start, end, over = EDGES
    command = ["simulate", str(policy), "--json", "--seed", str(seed), "--rate", f"{RATE:g}/s", "--for", f"{over:g}s"]
    for name, (first, total) in LATENCY.items():
        command += ["--latency", f"{name}:{first}/{total}"]
    for name in ("alibaba", "house") if kind == "everybody" else ("alibaba",):
        fault = "503" if kind == "everybody" else kind
        command += ["--outage", f"{name}:{start:g}s+{end - start:g}s:{fault}"]
    printed = StringIO()
    with redirect_stdout(printed):
        assert main(command) == 0
    told = json.loads(printed.getvalue())
    figures, outage = [phase["figures"] for phase in told["phases"]], told["outages"][0]
    return Column(
        [one["calls"] for one in figures],
        [sum(one["answered"].values()) / one["calls"] for one in figures],
        [one["answered"].get(FIRST, 0) / one["calls"] for one in figures],
        [one["p50"] for one in figures],
        [one["p95"] for one in figures],
        outage["attempts"].get(FIRST, 0),
        outage["noticed"].get(FIRST),
        outage["used_again"].get(FIRST),
    )


@fault
def paced(answer: Answer, first: float, total: float) -> Script:
    """Send the headers, the first content after ``first`` seconds, the end after ``total``."""
    frames = [chunk(frame) for frame in answer.frames()]
    yield answer.head()
    yield first
    yield b"".join(frames[:2])  # OpenAI's first event has no content
    yield total - first
    yield b"".join(frames[2:])
    yield END


class Pace:
    """Answers as fast as the medians say."""

    def __init__(self, vendor: str, seed: int) -> None:
        self._first, self._total = LATENCY[vendor]
        self._rng = Random(f"{seed} {vendor}")

    def __call__(self, _request: VendorRequest) -> Fault:
        factor = self._rng.lognormvariate(0.0, SPREAD)
        return paced(self._first * factor, self._total * factor)


async def real(policy: Path, vendors: Sequence[FaultyVendor], kind: str, seed: int) -> Column:
    """Make the calls, and take vendors away for a while."""
    chance, began = Random(f"{seed} {kind} callers"), monotonic()
    _, start, end, over = EDGES
    seen: list[tuple[float, Report, Target | None]] = []
    late: list[float] = []

    async def call(client: AsyncClient) -> None:
        at = monotonic() - began
        try:
            answer = await client.complete("chat", "Say five words or so.")
        except CallError as error:
            if error.report is None:
                raise
            seen.append((at, error.report, None))
        else:
            seen.append((at, answer.report, answer.target))

    async def outage() -> None:
        await asyncio.sleep(start - (monotonic() - began))
        out = vendors if kind == "everybody" else vendors[:1]
        usual = [vendor.fault for vendor in out]
        for vendor in out:
            vendor.fault = KINDS[kind]
        await asyncio.sleep(end - (monotonic() - began))
        for vendor, pace in zip(out, usual, strict=True):
            vendor.fault = pace

    async with AsyncClient(policy) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(outage())
        due = chance.expovariate(RATE)
        while due < over:
            await asyncio.sleep(max(0.0, began + due - monotonic()))
            late.append(monotonic() - began - due)
            tasks.create_task(call(client))
            due += chance.expovariate(RATE)
    return replace(told(seen), late=quantile(late, 0.95) or 0.0)


def told(seen: Sequence[tuple[float, Report, Target | None]]) -> Column:
    """Count what was seen: when each call began, its report, and who answered."""
    _, start, end, _ = EDGES
    phases = [[one for one in seen if begins <= one[0] < ends] for begins, ends in pairwise(EDGES)]
    taken = [[report.duration for _, report, target in phase if target is not None] for phase in phases]
    first = [(at, one) for at, report, _ in seen for one in report.attempts if str(one.target) == FIRST]
    noticed = [
        at - start for at, report, _ in seen if at >= start and any(skip.reason == "breaker" for skip in report.skipped)
    ]
    again = [
        at + one.first_content - end for at, one in first if at + one.started >= end and one.first_content is not None
    ]
    return Column(
        [len(phase) for phase in phases],
        [len(times) / len(phase) for times, phase in zip(taken, phases, strict=True)],
        [sum(str(target) == FIRST for _, _, target in phase) / len(phase) for phase in phases],
        [quantile(times, 0.5) for times in taken],
        [quantile(times, 0.95) for times in taken],
        sum(start <= at + one.started < end for at, one in first),
        min(noticed, default=None),
        min(again, default=None),
    )


def quantile(values: list[float], share: float) -> float | None:
    return sorted(values)[ceil(share * len(values)) - 1] if values else None


def compare(kind: str, left: Column, right: Column) -> bool:
    """Print both, and say whether they agree."""
    print(f"{kind:<26}{'simulated':>12}{'real':>12}")
    agree = True

    def line(name: str, one: object, other: object, *, fits: bool = True) -> None:
        nonlocal agree
        agree &= fits
        print(f"  {name:<24}{one:>12}{other:>12}{'' if fits else '   differs'}", flush=True)

    line("answered", f"{left.share:.2%}", f"{right.share:.2%}", fits=abs(left.share - right.share) <= SHARE)
    for phase, name in enumerate(PHASES):
        line(f"{name}: calls", f"{left.calls[phase]:.0f}", f"{right.calls[phase]:.0f}")
        line(f"{name}: answered", f"{left.answered[phase]:.2%}", f"{right.answered[phase]:.2%}")
        line(f"{name}: by the first", f"{left.by_first[phase]:.2%}", f"{right.by_first[phase]:.2%}")
        one, other = left.p50[phase], right.p50[phase]
        few = right.answered[phase] < FEW  # the median of a handful says nothing
        fits = few or (one is not None and other is not None and abs(one / other - 1.0) <= P50)
        line(f"{name}: p50", seconds(one), seconds(other), fits=fits)
        line(f"{name}: p95", seconds(left.p95[phase]), seconds(right.p95[phase]))
    line("requests into the outage", f"{left.sent:.1f}", f"{right.sent:.0f}")
    line("late by (p95)", seconds(0.0), seconds(right.late))
    line("noticed after", seconds(left.noticed), seconds(right.noticed))
    line("used again after", seconds(left.used_again), seconds(right.used_again))
    return agree


def seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} s"


def compare_all() -> int:
    """Rehearse each kind of outage, and live through it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    asked: Any = parser.parse_args()
    agree = True
    for kind in asked.kinds:
        with tempfile.TemporaryDirectory() as folder, FaultyVendor() as dashscope, FaultyVendor() as house:
            policy = Path(folder, "multimodel.yaml")
            policy.write_text(
                POLICY.format(dashscope=dashscope.dashscope_url, house=house.openai_url), encoding="utf-8"
            )
            dashscope.fault, house.fault = Pace("dashscope", asked.seed), Pace("house", asked.seed)
            dashscope.answer = house.answer = "Five words are quite enough."
            rehearsed = simulated(policy, kind)
            agree &= compare(kind, rehearsed, asyncio.run(real(policy, (dashscope, house), kind, asked.seed)))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(compare_all())
