"""Sixteen failures of a vendor on real sockets, after the public catalogue of Failover Bench: ``pytest -s`` prints the table.

One faulty vendor, then a healthy one. Each verdict joins what the caller got with what the vendors saw:

- ``pass``: what the catalogue asks for.
- ``safe``: a stream that nothing could rescue ended in a clear error, and what it had shown is true.
- anything else is the assertion that failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise, product
from traceback import extract_tb
from typing import Any

import pytest

from multimodel import ContentFilteredError, ContextWindowExceededError
from multimodel.testing import Fault, VendorRequest, faults

from .two_vendors import COLOURS, MODES, SECOND_MODEL, WIRES, Verdict, World, world

MODELS = {"openai": "our-model", "dashscope": "qwen-max"}
"""As far as anybody knows, their windows are smaller than that of ``SECOND_MODEL``."""
LARGE = {"openai": "gpt-4.1", "dashscope": SECOND_MODEL}
"""Their windows are not."""


def s01(world: World) -> Verdict:
    world.first.script([faults.status(429, headers={"Retry-After": "2"})])
    seen = world.ask()
    seen.answered("first")
    assert seen.asked == ["first", "first"]
    assert seen.requests[1][1].at - seen.requests[0][1].at >= 2.0
    assert seen.within(1.5) <= 2
    return "pass"


def s02(world: World) -> Verdict:
    world.first.fault = faults.status(429)
    return limited_for_good(world)


def s02_with_a_hint(world: World) -> Verdict:
    world.first.fault = faults.status(429, headers={"Retry-After": "1"})
    found = limited_for_good(world)
    world.ask().answered("second")
    times = [request.at for request in world.first.log]
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))
    return found


def limited_for_good(world: World) -> Verdict:
    seen = world.ask()
    seen.answered("second")
    assert seen.within(3.0) <= 4
    assert len(seen.requests) <= 6
    return "pass"


def s03(world: World) -> Verdict:
    world.first.script([faults.status(500)])
    seen = world.ask()
    seen.answered("first")
    assert seen.asked == ["first", "first"]
    return "pass"


def s04(world: World) -> Verdict:
    world.first.fault = faults.status(503)
    seen = world.ask()
    seen.answered("second")
    assert len(seen.requests) <= 6
    return "pass"


def s05(world: World) -> Verdict:
    world.first.script([faults.reset_before_headers()])
    world.ask().answered()
    return "pass"


def s06(world: World) -> Verdict:
    world.first.fault = faults.silent()
    return silent_for_good(world)


def s07(world: World) -> Verdict:
    world.first.fault = faults.headers_then_silence(30.0)
    return silent_for_good(world)


def silent_for_good(world: World) -> Verdict:
    """The limit of the first target is 2 s; without it the catalogue's 10 s would hold."""
    seen = world.ask()
    seen.answered("second")
    assert seen.asked == ["first", "second"]
    assert seen.ended - seen.begun < 8.0
    return "pass"


def s08(world: World) -> Verdict:
    world.first.fault = faults.cut(after=world.events(40))
    return world.ask().rescued()


def s08_ended_properly(world: World) -> Verdict:
    world.first.fault = faults.cut(after=world.events(40), clean=True)
    return world.ask().rescued()


def s09(world: World) -> Verdict:
    """The idle limit of the first target is 1.5 s; without it 15 s would hold."""
    world.first.fault = faults.stall(after=world.events(20))
    seen = world.ask()
    assert seen.ended - seen.begun < 7.0
    return seen.rescued()


def s10(world: World) -> Verdict:
    world.first.fault = faults.malformed_event(at=world.events(20))
    return world.ask().rescued()


def s11(world: World) -> Verdict:
    """What would hold an answer back that is over is the idle limit of 15 s."""
    world.first.fault = faults.no_done()
    seen = world.ask()
    seen.answered("first")
    assert seen.asked == ["first"]
    assert seen.completion is not None
    assert seen.completion.usage is not None
    assert seen.completion.usage.output_tokens == 60
    assert seen.ended - seen.begun < 5.0
    return "pass"


def s12(world: World) -> Verdict:
    world.first.fault = faults.refusal("context_window_exceeded")
    seen = world.ask()
    seen.answered("second")
    assert seen.asked == ["first", "second"]
    return "pass"


def s12_no_larger_window(world: World) -> Verdict:
    world.first.fault = faults.refusal("context_window_exceeded")
    seen = world.ask()
    assert seen.asked == ["first"]
    causes = getattr(seen.error, "exceptions", (seen.error,))
    assert isinstance(causes[0], ContextWindowExceededError)
    return "pass"


def s13(world: World) -> Verdict:
    world.first.fault = faults.refusal("content_filtered")
    seen = world.ask()
    assert isinstance(seen.error, ContentFilteredError)
    assert seen.asked == ["first"]
    return "pass"


def s13_next(world: World) -> Verdict:
    world.first.fault = faults.refusal("content_filtered")
    seen = world.ask()
    seen.answered("second")
    assert seen.asked == ["first", "second"]
    return "pass"


def s14(world: World) -> Verdict:
    def no_prefill(request: VendorRequest) -> Fault | None:
        return faults.status(400) if request.messages[-1]["role"] == "assistant" else None

    world.first.fault, world.second.fault = faults.cut(after=world.events(40)), no_prefill
    return world.ask().rescued()


def s15(world: World) -> Verdict:
    world.first.fault = faults.status(503)
    begun = time.monotonic()
    while time.monotonic() - begun < 1.0:
        world.ask().answered("second")
        time.sleep(0.05)  # the callers' own pace
    assert len(world.first.log) <= 6
    world.first.fault = None
    recovered = time.monotonic()
    while world.ask().answered() != "first":
        assert time.monotonic() - recovered < 30.0
        time.sleep(0.1)
    return "pass"


def s16(world: World) -> Verdict:
    world.first.fault = faults.status(503)
    seen = world.ask()
    seen.answered("second")
    answer = seen.completion
    assert answer is not None
    assert answer.usage is not None
    assert str(answer.target) == f"second:{answer.model}" == f"second:{seen.requests[-1][1].model}"
    assert answer.usage.output_tokens == 60
    assert [one.usage for one in seen.report.attempts] == [*[None] * (len(seen.requests) - 1), answer.usage]
    return "pass"


@dataclass(frozen=True)
class Scenario:
    """``limits`` are the first target's alone, so that a busy machine cannot silence the second."""

    play: Callable[[World], Verdict]
    limits: dict[str, float] = field(default_factory=dict)
    route: dict[str, Any] = field(default_factory=dict)
    large: bool = False

    @property
    def number(self) -> str:
        return self.play.__name__[:3].upper()


SCENARIOS = [
    Scenario(s15),  # the longest first
    Scenario(s01),
    Scenario(s02),
    Scenario(s02_with_a_hint),
    Scenario(s03),
    Scenario(s04),
    Scenario(s05),
    Scenario(s06, limits={"first_content": 2.0}),
    Scenario(s07, limits={"first_content": 2.0}),
    Scenario(s08),
    Scenario(s08_ended_properly),
    Scenario(s09, limits={"idle": 1.5}),
    Scenario(s10),
    Scenario(s11),
    Scenario(s12),
    Scenario(s12_no_larger_window, large=True),
    Scenario(s13),
    Scenario(s13_next, route={"on_content_filter": "next"}),
    Scenario(s14),
    Scenario(s16),
]
NUMBERS = [f"S{number:02}" for number in range(1, 17)]


def expected(number: str, mode: str) -> Verdict:
    hopeless = {"error": ("S08", "S09", "S10", "S14"), "continue": ("S14",)}
    return "safe" if number in hopeless.get(mode, ()) else "pass"


def verdict(scenario: Scenario, mode: str, wire: str, colour: str) -> str:
    """Play one scenario, then make a healthy call with the same client."""
    model = (LARGE if scenario.large else MODELS)[wire]
    first_target = {"target": f"first:{model}", "timeouts": scenario.limits}
    with world(wire, mode, colour, first_target, scenario.route) as both:
        try:
            found = scenario.play(both)
            both.heal()
            both.ask().answered()
        except AssertionError as failed:
            where = extract_tb(failed.__traceback__)[-1]
            return f"{scenario.play.__name__}: {where.name}: `{where.line}` {failed}"
        return found


@pytest.fixture(scope="module")
def table() -> dict[tuple[str, ...], str]:
    """All verdicts; of several scenarios with one number, the worst. They mostly wait, so they are played side by side."""
    columns = list(product(MODES, WIRES, COLOURS))
    jobs = [(scenario, column) for scenario in SCENARIOS for column in columns]
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda job: verdict(job[0], *job[1]), jobs))
    verdicts: dict[tuple[str, ...], str] = {}
    for (scenario, column), one in zip(jobs, found, strict=True):
        cell = (scenario.number, *column)
        verdicts[cell] = max(verdicts.get(cell, "pass"), one, key=lambda text: (text not in ("pass", "safe"), text))
    print("\n| | " + " | ".join(" ".join(column) for column in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for number in NUMBERS:
        shown = [verdicts[number, *column] for column in columns]
        print(f"| {number} | " + " | ".join(one if one in ("pass", "safe") else "FAIL" for one in shown) + " |")
    return verdicts


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("mode", MODES)
def test_each_of_the_sixteen_failures_has_its_verdict(table, mode: str, wire: str, colour: str):
    found = {number: table[number, mode, wire, colour] for number in NUMBERS}
    assert found == {number: expected(number, mode) for number in NUMBERS}
