"""The callers of a campaign: threads and tasks that ask in every way, and write down what they got."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from multimodel import AsyncClient, Client, Report, Restarted, Switched, TextDelta
from multimodel.testing import FaultyVendor

WIRES = ("openai", "compatible", "dashscope")
WAYS = ("complete", "stream", "whole", "restart", "continue")
"""``whole`` is a complete answer in one body; a stream may begin anew (``restart``) or go on elsewhere (``continue``)."""
STREAMS = ("stream", "restart", "continue")
AT_ONCE = {"sync": 16, "async": 32}
PATIENCE = 180.0
"""Seconds for all calls of one client: longer than the deadline of a call."""


@dataclass(slots=True)
class Outcome:
    """One call, as its caller saw it: ``text`` is what was shown and not taken back."""

    number: int
    stream: bool
    text: str = ""
    restarts: int = 0
    switches: int = 0
    said: str | None = None
    report: Report | None = None
    error: BaseException | None = None

    def show(self, event: object) -> None:
        """Take an event of a stream."""
        if isinstance(event, Restarted):
            self.text = ""
            self.restarts += 1
        elif isinstance(event, Switched):
            self.switches += 1
        elif isinstance(event, TextDelta):
            self.text += event.text


def policy(vendors: dict[str, FaultyVendor], wire: str) -> dict[str, Any]:
    """Three vendors on one wire, and a route for each way of asking."""

    def provider(name: str, vendor: FaultyVendor) -> dict[str, Any]:
        kind = {
            "openai": {"profile": "openai", "base_url": vendor.openai_url},
            "compatible": {"profile": "dashscope", "protocol": "compatible", "base_url": vendor.compatible_url},
            "dashscope": {"profile": "dashscope", "base_url": vendor.dashscope_url},
        }
        return {**kind[wire], "api_key": f"sk-{name}"}

    chain = [f"{name}:qwen-plus" for name in vendors]
    limits = {"timeouts": {"connect": 20, "first_content": 30, "idle": 30}}  # a busy machine is no fault
    return {
        "providers": {name: provider(name, vendor) for name, vendor in vendors.items()},
        "routes": {
            "complete": {"chain": chain, **limits},
            "stream": {"chain": chain, **limits, "mid_stream": "error"},
            "whole": {"chain": chain, **limits, "transfer": "whole"},
            "restart": {"chain": chain, **limits, "mid_stream": "restart"},
            "continue": {"chain": chain, **limits, "mid_stream": "continue"},
        },
    }


def ask(client: Client, number: int) -> Outcome:
    """Make one call, on this thread."""
    way = WAYS[number % len(WAYS)]
    outcome = Outcome(number, stream=way in STREAMS)
    try:
        if outcome.stream:
            with client.stream(way, f"Call {number}") as stream:
                for event in stream:
                    outcome.show(event)
                outcome.said, outcome.report = stream.completion.text, stream.report
        else:
            answer = client.complete(way, f"Call {number}")
            outcome.text = outcome.said = answer.text
            outcome.report = answer.report
    except Exception as error:  # noqa: BLE001  # whatever it is, it is an entry
        outcome.error, outcome.report = error, getattr(error, "report", None)
    return outcome


async def aask(client: AsyncClient, number: int) -> Outcome:
    """Make one call, on this loop."""
    way = WAYS[number % len(WAYS)]
    outcome = Outcome(number, stream=way in STREAMS)
    try:
        if outcome.stream:
            async with client.stream(way, f"Call {number}") as stream:
                async for event in stream:
                    outcome.show(event)
                outcome.said, outcome.report = stream.completion.text, stream.report
        else:
            answer = await client.complete(way, f"Call {number}")
            outcome.text = outcome.said = answer.text
            outcome.report = answer.report
    except Exception as error:  # noqa: BLE001  # whatever it is, it is an entry
        outcome.error, outcome.report = error, getattr(error, "report", None)
    return outcome


def shift(given: dict[str, Any], numbers: Iterable[int], take: Callable[[Outcome], None]) -> None:
    """Make calls on several threads with one client."""
    waiting = iter(numbers)
    lock = threading.Lock()

    def following() -> int | None:
        with lock:
            return next(waiting, None)

    with Client(given) as client:

        def work() -> None:
            for number in iter(following, None):
                take(ask(client, number))

        workers = [threading.Thread(target=work, daemon=True) for _ in range(AT_ONCE["sync"])]
        end = time.monotonic() + PATIENCE
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(max(0.0, end - time.monotonic()))


def ashift(given: dict[str, Any], numbers: Iterable[int], take: Callable[[Outcome], None]) -> None:
    """Make calls as several tasks with one client."""
    waiting = iter(numbers)

    async def main() -> None:
        async with AsyncClient(given) as client:

            async def work() -> None:
                for number in waiting:
                    take(await aask(client, number))

            workers = [asyncio.create_task(work()) for _ in range(AT_ONCE["async"])]
            _, hanging = await asyncio.wait(workers, timeout=PATIENCE)
            for worker in hanging:
                worker.cancel()

    asyncio.run(main())
