"""A policy that changes all the time while calls are made: is one lost or doubled, and what is left of vendors that went?

``python -m tests.campaign.reloads --calls 20000`` prints one line.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import astuple, dataclass, fields
from itertools import count
from pathlib import Path
from time import monotonic

from multimodel import AsyncClient, Client, Completion
from multimodel.testing import FaultyVendor, VendorRequest

THREADS, TASKS, VERSIONS = 16, 16, 30
EVERY = 0.01
IDLE = 20.0  # seconds after which a connection is not used again


@dataclass(slots=True)
class Reloads:
    """What became of the calls, and of the connections.

    :ivar lost: calls without an answer.
    :ivar doubled: questions that a vendor got more than once.
    :ivar foreign: answers to another question.
    :ivar mixed: answers of another target than the version has that the report names.
    :ivar sockets: connections to vendors that the last policy does not have.
    :ivar crowd: connections to the vendor that stayed, ever, more than calls can have been under way.
    """

    calls: int = 0
    reloads: int = 0
    versions: int = 0
    lost: int = 0
    doubled: int = 0
    foreign: int = 0
    mixed: int = 0
    sockets: int = 0
    crowd: int = 0
    seconds: float = 0.0

    @property
    def wrong(self) -> int:
        """What should not be."""
        return self.lost + self.doubled + self.foreign + self.mixed + self.sockets + self.crowd


class Vendors:
    """One that stays, and two that come and go. They count what they are asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.house, self.here, self.there = (FaultyVendor(answer=self._answer) for _ in range(3))

    def _answer(self, request: VendorRequest) -> str:
        self.asked[request.text] += 1
        return f"{request.text}, you said"

    def policy(self, number: int) -> str:
        """Write a version of the policy: one guest goes first, or the other, or none does; it gets another key meanwhile."""
        guest = (None, self.here, self.there)[_guest(number)]
        lines = ["providers:", f'  house: {{profile: openai, base_url: "{self.house.openai_url}", api_key: sk-house}}']
        if guest is not None:
            key = f"sk-guest-{number // 2}"
            lines.append(f'  guest: {{profile: openai, base_url: "{guest.openai_url}", api_key: {key}}}')
        chain = [f"house:m-{number}"] if guest is None else [f"guest:m-{number}", f"house:m-{number}"]
        lines += [
            "routes:",
            f"  chat: {{chain: {chain}, deadline: 60s, timeouts: {{connect: 20s, first_content: 20s}}}}",
        ]
        return "\n".join(lines)


def reloads(calls: int) -> Reloads:
    """Make calls from threads and from an event loop, and load another version every ten milliseconds."""
    found = Reloads(calls=calls)
    begun = monotonic()
    with ExitStack() as stack:
        vendors = Vendors()
        for vendor in (vendors.house, vendors.here, vendors.there):
            vendor.words = 4
            stack.enter_context(vendor)
        file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "multimodel.yaml"
        file.write_text(vendors.policy(0))
        client = stack.enter_context(Client(file))
        names: dict[str, int] = {client.status().policy_hash: 0}
        over = threading.Event()

        def change(asynchronous: AsyncClient) -> None:
            due = monotonic()
            for number in count(1):
                due += EVERY
                if over.wait(max(0.0, due - monotonic())):
                    break
                beside = file.with_suffix(".new")
                beside.write_text(vendors.policy(number % VERSIONS))
                beside.replace(file)
                changed = (client, asynchronous)[number % 2]
                changed.reload()
                names[changed.status().policy_hash] = number % VERSIONS
                found.reloads += 1

        view = client.using(tenant="acme", credentials={"house": "sk-acme"})
        answers: list[tuple[str, Completion]] = []

        def ask(name: int) -> None:
            for number in range(calls // 2 // THREADS):
                question = f"thread {name}, question {number}"
                if number % 3 == 1:
                    with client.stream("chat", question) as stream:
                        list(stream)
                    answers.append((question, stream.completion))
                else:
                    answers.append((question, (view if number % 3 else client).complete("chat", question)))

        async def ask_on_a_loop() -> None:
            async def task(name: int) -> None:
                for number in range(calls // 2 // TASKS):
                    question = f"task {name}, question {number}"
                    answers.append((question, await asynchronous.complete("chat", question)))

            async with AsyncClient(file) as asynchronous:
                changing = threading.Thread(target=change, args=(asynchronous,))
                changing.start()
                with ThreadPoolExecutor(THREADS) as pool:
                    asking = [pool.submit(ask, name) for name in range(THREADS)]
                    await asyncio.gather(
                        *map(task, range(TASKS)), *map(asyncio.wrap_future, asking), return_exceptions=True
                    )
                over.set()
                await asyncio.to_thread(changing.join)
                file.write_text(vendors.policy(0))
                client.reload()
                asynchronous.reload()
                await asyncio.to_thread(_settled, vendors)
                found.sockets = _open(vendors)

        asyncio.run(ask_on_a_loop())
        at_once = (THREADS + TASKS) * (1 + (monotonic() - begun) // IDLE)
        found.crowd = max(0, vendors.house.connections.total - int(at_once))
    found.lost = calls - len(answers)
    found.doubled = sum(times - 1 for times in vendors.asked.values())
    found.foreign = sum(answer.text != f"{question}, you said" for question, answer in answers)
    found.mixed = sum(not _is_of_one_version(answer, names) for _, answer in answers)
    found.versions = len({answer.report.policy for _, answer in answers})
    found.seconds = monotonic() - begun
    return found


def _is_of_one_version(answer: Completion, names: dict[str, int]) -> bool:
    number = names.get(answer.report.policy)
    first = (
        "guest" if number is not None and _guest(number) and not answer.report.skipped else "house"
    )  # a view has no key
    return number is not None and str(answer.target) == f"{first}:m-{number}" and len(answer.report.attempts) == 1


def _guest(number: int) -> int:
    return number // 4 % 3


def _open(vendors: Vendors) -> int:
    return vendors.here.connections.open + vendors.there.connections.open


def _settled(vendors: Vendors) -> None:
    """Give the vendors' threads the time to see what was closed."""
    for vendor in (vendors.here, vendors.there):
        vendor.wait_until(lambda vendor=vendor: vendor.connections.open == 0)


def line(found: Reloads) -> str:
    """Write all that was found on one line."""
    return ", ".join(f"{one.name} {value:g}" for one, value in zip(fields(found), astuple(found), strict=True))


def main() -> int:
    """Run it as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    found = reloads(parser.parse_args().calls)
    print(line(found))
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
