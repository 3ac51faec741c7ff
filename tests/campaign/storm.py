"""Calls that are cancelled at random moments: what is left of them? And children of a fork that share a warm client.

``python -m tests.campaign.storm --cancellations 20000 --seed 1`` prints one line for each.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import astuple, dataclass, fields
from random import Random
from time import monotonic
from typing import Any, get_args

from multimodel import AsyncClient, Client, TextDelta
from multimodel.testing import FaultyVendor, VendorRequest, faults
from multimodel.testing.faults import Fault

from ..client.interrupted import How, Interrupted

MOMENTS = 9  # a call has about as many, so that some are not cancelled
SERVED_AFTER = 100
PATIENCE = 60.0
HOWS = [how for how in get_args(How) if how != "turn"]
FAULTS = [faults.reset_before_headers(), faults.cut(after=1), faults.status(503), faults.stall(after=1, seconds=0.02)]


@dataclass(slots=True)
class Storm:
    """What a storm did, and what was left of it.

    :ivar wrong: answers that are not those of their question, and cancelled calls that ended in another way.
    :ivar permits: attempts that the client believes under way.
    :ivar requests: requests whose connection is still open.
    :ivar sockets: connections still open after the client was closed.
    :ivar unserved: of 100 calls at once after the storm.
    :ivar complaints: of the event loop.
    """

    calls: int = 0
    cancelled: int = 0
    answered: int = 0
    wrong: int = 0
    tasks: int = 0
    permits: int = 0
    requests: int = 0
    sockets: int = 0
    unserved: int = 0
    complaints: int = 0
    seconds: float = 0.0

    @property
    def left(self) -> int:
        """What should not be."""
        return self.wrong + self.tasks + self.permits + self.requests + self.sockets + self.unserved + self.complaints


@dataclass(slots=True)
class Forks:
    """What the children of a fork and their parent did with one warm client.

    :ivar foreign: answers to the question of another process.
    :ivar failed: children that did not come to their end.
    :ivar lost: connections of the parent that it could not use any more.
    """

    children: int = 0
    calls: int = 0
    foreign: int = 0
    failed: int = 0
    lost: int = 0
    seconds: float = 0.0

    @property
    def left(self) -> int:
        """What should not be."""
        return self.foreign + self.failed + self.lost


def echo(request: VendorRequest) -> str:
    """Answer each question with its own words."""
    return f"{request.text}, you said"


def policy(*vendors: FaultyVendor) -> dict[str, Any]:
    """One route over vendors of two wires."""
    wires = [("openai", vendors[0].openai_url), ("dashscope", vendors[-1].dashscope_url)]
    providers = {
        name: {"profile": wire, "base_url": url, "api_key": "sk-test"}
        for name, (wire, url) in zip(("first", "second"), wires, strict=True)
    }
    return {
        "providers": providers,
        "routes": {
            "chat": {
                "chain": ["first:qwen-plus", "second:qwen-plus"],
                "deadline": PATIENCE,
                "timeouts": {"connect": 20, "first_content": 20, "idle": 20},  # a busy machine is no fault
                "mid_stream": "restart",
                "retry": {"attempts": 1},
            }
        },
    }


# --- cancellations ---


def storm(cancellations: int, seed: int, at_once: int = 200) -> Storm:
    """Make calls until so many have been cancelled."""

    def fault(request: VendorRequest) -> Fault | None:
        rng = Random(f"{seed} {request.text}")  # not the order of arrival decides
        return rng.choice(FAULTS) if rng.random() < 0.1 else None

    with ExitStack() as stack:
        first = stack.enter_context(FaultyVendor(answer=echo, fault=fault))
        second = stack.enter_context(FaultyVendor(answer=echo))
        first.pace = second.pace = 0.001  # so that events come one by one
        return asyncio.run(_storm((first, second), cancellations, Random(seed), at_once))


async def _storm(vendors: tuple[FaultyVendor, FaultyVendor], cancellations: int, rng: Random, at_once: int) -> Storm:
    found, begun = Storm(), monotonic()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: _complain(found))
    client = AsyncClient(policy(*vendors))

    async def work() -> None:
        while found.cancelled < cancellations:
            found.calls += 1
            question = f"Question {found.calls}"
            ask = rng.choice((_complete, _stream, _leave))
            call = Interrupted(ask(client, question), rng.randrange(MOMENTS), rng.choice(HOWS))
            task = await call.run()
            if call.times:
                found.cancelled += 1
                found.wrong += not (task.cancelled() or isinstance(task.exception(), TimeoutError))
            else:
                found.answered += 1
                found.wrong += not task.result()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())

    def pending() -> int:
        return sum(request.outcome == "pending" for vendor in vendors for request in vendor.log)

    await _until(lambda: len(asyncio.all_tasks()) == 1 and not pending())
    found.tasks = len(asyncio.all_tasks()) - 1
    found.permits = under_way(client)
    found.requests = pending()
    asked = [client.complete("chat", f"Afterwards {number}") for number in range(SERVED_AFTER)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for number, answer in enumerate(answers):
        found.unserved += getattr(answer, "text", None) != f"Afterwards {number}, you said"
    await client.aclose()
    await _until(lambda: not any(vendor.connections.open for vendor in vendors))
    found.sockets = sum(vendor.connections.open for vendor in vendors)
    found.seconds = monotonic() - begun
    return found


def under_way(client: AsyncClient | Client) -> int:
    """Attempts and waiting calls that the client counts."""
    return sum(one.flying + one.waiting for one in client._core.health._bulkheads.values())


async def _complete(client: AsyncClient, question: str) -> bool:
    return (await client.complete("chat", question)).text == f"{question}, you said"


async def _stream(client: AsyncClient, question: str) -> bool:
    async with client.stream("chat", question) as stream:
        async for _event in stream:
            pass
        return stream.completion.text == f"{question}, you said"


async def _leave(client: AsyncClient, question: str) -> bool:
    async with client.stream("chat", question) as stream:
        event = await anext(stream)
        return isinstance(event, TextDelta) and question.startswith(event.text.strip())


async def _until(condition: Callable[[], bool]) -> None:
    end = monotonic() + PATIENCE
    while not condition() and monotonic() < end:
        await asyncio.sleep(0.01)


def _complain(found: Storm) -> None:
    found.complaints += 1


# --- forks ---


def forks(children: int, calls: int) -> Forks:
    """Let children of a fork make ``calls`` calls each with their parent's client, while the parent goes on."""
    found, begun = Forks(children), monotonic()
    with FaultyVendor(answer=echo) as vendor, Client(policy(vendor)) as client:
        client.complete("chat", "Parent, warm")
        pipes = []
        for child in range(children):
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                _child(client, f"Child {child}", calls, writing)
            os.close(writing)
            pipes.append((pid, reading))
        found.foreign = ask_own(client, "Parent", calls)
        for pid, reading in pipes:
            with os.fdopen(reading) as pipe:
                said = pipe.read()
            os.waitpid(pid, 0)
            found.failed += not said.isdecimal()
            found.foreign += int(said) if said.isdecimal() else 0
        found.foreign += ask_own(client, "Parent again", 1)
        found.calls = len(vendor.log)
        found.lost = len({request.connection for request in vendor.log if request.text.startswith("Parent")}) - 1
    found.seconds = monotonic() - begun
    return found


def _child(client: Client, name: str, calls: int, writing: int) -> None:
    """Ask, write the number of foreign answers, and end without any of the parent's clean-up."""
    signal.alarm(int(PATIENCE) + calls)  # one that hangs is killed
    try:
        os.write(writing, str(ask_own(client, name, calls)).encode())
    finally:
        os._exit(0)


def ask_own(client: Client, name: str, calls: int) -> int:
    """Ask ``calls`` questions; return how many answers were not to them."""
    questions = (f"{name}, question {number}" for number in range(calls))
    return sum(client.complete("chat", question).text != f"{question}, you said" for question in questions)


# --- both ---


def line(found: Storm | Forks) -> str:
    """Return the figures on one line."""
    named = zip((field.name for field in fields(found)), astuple(found), strict=True)
    return ", ".join(f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}" for name, value in named)


def main() -> int:
    """Run both; 1 when something was left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cancellations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--children", type=int, default=4)
    parser.add_argument("--calls-of-a-child", type=int, default=1000)
    given = parser.parse_args()
    warnings.simplefilter("error", ResourceWarning)
    forked = forks(given.children, given.calls_of_a_child)
    print(f"forks: {line(forked)}")
    stormed = storm(given.cancellations, given.seed)
    print(f"storm: {line(stormed)}")
    return 1 if forked.left or stormed.left else 0


if __name__ == "__main__":
    sys.exit(main())
