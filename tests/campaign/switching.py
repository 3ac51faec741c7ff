"""A vendor is switched off, and on again, under a fleet of eight processes; and whoever writes the switch is killed.

``python -m tests.campaign.switching --seconds 4 --kills 200`` prints one line for each figure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from multimodel import AsyncClient, Client
from multimodel.governance.switches import Switches
from multimodel.testing import FaultyVendor

WAYS = ("sync", "async", "streaming", "async streaming", "embedding", "hedging", "shadow", "local")
WORDS = " ".join(f"word-{number}" for number in range(30))
PAUSE = 0.01
ENDS_WITHIN = 30.0


# --- one process of the fleet --------------------------------------------------------------------------------------


def work(way: str, policy: str) -> None:
    """Call until standard input ends, then print what became of it."""
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    made: dict[str, Any] = {"way": way, "calls": 0, "lost": []}

    def count(said: object, expected: object) -> None:
        made["calls"] += 1
        if said != expected:
            made["lost"].append(str(said)[:3000])
        if made["calls"] == 1:
            print("warm", flush=True)

    if way.startswith("async"):
        asyncio.run(_awork(way, policy, stop, count))
    else:
        _work(way, policy, stop, count)
    print(json.dumps(made), flush=True)


def _work(way: str, policy: str, stop: threading.Event, count: Callable[[object, object], None]) -> None:
    with Client(policy) as client:
        while not stop.wait(PAUSE):
            try:
                match way:
                    case "embedding":
                        count(len(client.embed("vectors", ["a", "b"]).vectors), 2)
                    case "streaming":
                        with client.stream("chat", "Hi") as stream:
                            for _ in stream:
                                pass
                        count(stream.completion.text, WORDS)
                    case "local":
                        count(bool(client.complete("local", "Hi", max_tokens=4).text), True)
                    case _:
                        route = {"sync": "chat"}.get(way, way)
                        count(client.complete(route, "Hi").text, WORDS)
            except Exception as error:  # noqa: BLE001  # whatever it is, the call is lost
                count(f"{error!s} {getattr(error, 'report', None)}", None)


async def _awork(way: str, policy: str, stop: threading.Event, count: Callable[[object, object], None]) -> None:
    async def one(client: AsyncClient) -> None:
        while not stop.is_set():
            await asyncio.sleep(PAUSE * 4)
            try:
                if way == "async":
                    count((await client.complete("chat", "Hi")).text, WORDS)
                    continue
                async with client.stream("chat", "Hi") as stream:
                    async for _ in stream:
                        pass
                count(stream.completion.text, WORDS)
            except Exception as error:  # noqa: BLE001  # whatever it is, the call is lost
                count(f"{error!s} {getattr(error, 'report', None)}", None)

    async with AsyncClient(policy) as client:
        await asyncio.gather(*(one(client) for _ in range(4)))


# --- the fleet -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Fleet:
    """What a fleet did while a vendor was switched off, on, and cut off.

    :ivar lost: calls without their answer, and why.
    :ivar last: seconds from the switch until the last byte to the vendor came.
    :ivar after: bytes that came later than a second after the switch, until the vendor was switched on.
    :ivar back: seconds from ``on`` until the vendor was asked again.
    :ivar under_way: answers under way when the vendor was cut off.
    :ivar cut: seconds from the cut until none was under way.
    """

    calls: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    requests: int = 0
    last: float = 0.0
    after: int = 0
    back: float = 0.0
    under_way: int = 0
    cut: float = 0.0

    def __str__(self) -> str:
        ways = ", ".join(f"{way} {calls}" for way, calls in self.calls.items())
        return (
            f"fleet: {sum(self.calls.values())} calls ({ways}), lost {len(self.lost)}; the vendor had {self.requests} "
            f"requests, the last byte {self.last * 1000:.1f} ms after the switch, {self.after} later than a second; asked again "
            f"{self.back * 1000:.0f} ms after `on`; cut off: {self.under_way} answers under way ended within "
            f"{self.cut:.2f} s"
        )


class Received:
    """How many bytes a vendor has received, noted every millisecond."""

    def __init__(self, vendor: FaultyVendor) -> None:
        self._vendor = vendor
        self._notes = [(time.monotonic(), vendor.bytes_received)]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._note, daemon=True)
        self._thread.start()

    def _note(self) -> None:
        while not self._ended.wait(0.001):
            received = self._vendor.bytes_received
            if received != self._notes[-1][1]:
                self._notes.append((time.monotonic(), received))

    @property
    def last(self) -> float:
        """When the last byte came, so far."""
        return self._notes[-1][0]

    def later_than(self, instant: float) -> int:
        """End, and say how many bytes came later than an instant."""
        self._ended.set()
        self._thread.join()
        return self._vendor.bytes_received - max(
            (received for at, received in self._notes if at <= instant), default=self._notes[0][1]
        )


def policy(folder: Path, vendor: FaultyVendor, other: FaultyVendor, weights: Path, model: str) -> Path:
    """Write the policy: Alibaba first everywhere, and as the shadow."""
    file = folder / "multimodel.yaml"
    patient = "timeouts: {connect: 20s, first_content: 30s, idle: 30s}, mid_stream: restart"
    chain = "[dashscope:qwen-plus, other:m]"
    same = "weights_id: same"
    vectors = f"[{{target: dashscope:text-embedding-v4, {same}}}, {{target: other:text-embedding-3-small, {same}}}]"
    file.write_text(
        "providers:\n"
        f"  dashscope: {{base_url: '{vendor.dashscope_url}', api_key: sk-1}}\n"
        f"  other: {{profile: openai, base_url: '{other.openai_url}', api_key: sk-2, operator: other}}\n"
        f"  local: {{archive: '{weights}', threads: 1}}\n"
        "routes:\n"
        f"  chat: {{chain: {chain}, {patient}}}\n"
        f"  hedging: {{chain: {chain}, {patient}, hedge: {{after: 5ms, budget: 100%}}}}\n"
        f"  shadow: {{chain: [other:m], {patient}, shadow: {{target: dashscope:qwen-plus, share: 100%}}}}\n"
        f"  vectors: {{chain: {vectors}, {patient}}}\n"
        f"  local: {{chain: [dashscope:qwen-plus, local:{model}], {patient}}}\n",
        encoding="utf-8",
    )
    return file


def multimodel(*args: str) -> None:
    """Run the command line, as an operator does."""
    subprocess.run([sys.executable, "-m", "multimodel", *args], check=True, capture_output=True, timeout=60)


def written(file: Path) -> float:
    """When a file was written, on the clock of the vendors' logs."""
    return time.monotonic() - (time.time() - file.stat().st_mtime)


def fleet(seconds: float, weights: Path, model: str) -> Fleet:
    """Let eight processes call, and switch under them."""
    found = Fleet()
    with FaultyVendor(answer=WORDS) as vendor, FaultyVendor(answer=WORDS) as other, tempfile.TemporaryDirectory() as at:
        vendor.words = other.words = 5
        file = policy(Path(at), vendor, other, weights, model)
        switch = file.with_name("multimodel.off.json")
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.campaign.switching", "--work", way, "--policy", str(file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for way in WAYS
        ]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "warm\n"
        time.sleep(seconds)

        came = Received(vendor)
        multimodel("--config", str(file), "off", "alibaba", "--reason", "licence", "--yes")
        off = written(switch)
        time.sleep(1.0 + seconds)
        found.last, found.after = came.last - off, came.later_than(off + 1.0)
        multimodel("--config", str(file), "on", "alibaba")
        on, before = written(switch), vendor.requests
        vendor.wait_until(lambda: vendor.requests > before, seconds=ENDS_WITHIN)
        found.back = vendor.log[before].at - on
        time.sleep(seconds)

        vendor.pace = 2.0  # six events: whoever is not cut off needs twelve seconds
        time.sleep(1.0)
        multimodel("--config", str(file), "off", "alibaba", "--reason", "licence", "--yes", "--cut")
        off = written(switch)
        found.under_way = sum(request.ended is None or request.ended > off for request in vendor.log)
        vendor.wait_until(lambda: all(request.ended is not None for request in vendor.log), seconds=ENDS_WITHIN)
        found.cut = max(0.0, *(request.ended or 0.0 for request in vendor.log)) - off
        found.requests = vendor.requests

        for process in started:
            said, _ = process.communicate("", timeout=ENDS_WITHIN)
            told = json.loads(said.splitlines()[-1])
            found.calls[told["way"]] = told["calls"]
            found.lost += told["lost"]
    return found


# --- writers that are killed ---------------------------------------------------------------------------------------


def switch_on_and_off(file: str) -> None:
    """Switch until killed."""
    with Client(file) as client:
        print("warm", flush=True)
        for number in range(1_000_000):
            try:
                client.off("alibaba", reason=f"drill {number} " * 20)
                client.on("alibaba")
            except Exception as error:  # another writer was between the two
                if "is not switched off" not in str(error):
                    raise


@dataclass(slots=True)
class Kills:
    """What writers left behind that were killed at random moments."""

    kills: int = 0
    writes: int = 0
    unfinished: int = 0
    states: dict[str, int] = field(default_factory=dict)
    wrong: int = 0

    def __str__(self) -> str:
        return (
            f"killed: {self.kills} writers in {self.writes} writes; states {self.states}, others {self.wrong}; "
            f"the chain of the audit log holds over {self.unfinished} unfinished lines"
        )


def kills(count: int, seed: int) -> Kills:
    """Kill two writers at a time at random moments; look at what is there after each time."""
    found, chance = Kills(), Random(seed)
    with tempfile.TemporaryDirectory() as at:
        file = Path(at) / "multimodel.yaml"
        file.write_text("routes: {chat: {chain: [dashscope:qwen-plus, openai:gpt-5]}}\n", encoding="utf-8")
        switch = file.with_name("multimodel.off.json")
        while found.kills < count:
            writers = [
                subprocess.Popen(
                    [sys.executable, "-m", "tests.campaign.switching", "--write", str(file)],
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for _ in range(2)
            ]
            for writer in writers:
                assert writer.stdout is not None
                writer.stdout.readline()
            for writer in writers:
                time.sleep(chance.random() * 0.05)
                os.kill(writer.pid, signal.SIGKILL)
                writer.communicate()
                found.kills += 1
                off = [entry["operator"] for entry in json.loads(switch.read_bytes())["off"]]
                state = ", ".join(off) or "nothing"
                found.states[state] = found.states.get(state, 0) + 1
                found.wrong += off not in ([], ["alibaba"])
        verified = Switches([], switch, lambda: datetime.now(UTC)).audit.verify()
        found.writes, found.unfinished = verified.entries, len(verified.unfinished)
    return found


def main() -> None:
    """Run both, and print a line for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0, help="between two switches")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", choices=WAYS)
    parser.add_argument("--policy")
    parser.add_argument("--write")
    args = parser.parse_args()
    if args.work:
        work(args.work, args.policy)
    elif args.write:
        switch_on_and_off(args.write)
    else:
        sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
        from offline import WEIGHTS, weights

        told = fleet(args.seconds, weights(), WEIGHTS)
        print(told, *told.lost[:5], sep="\n")
        ended = kills(args.kills, args.seed)
        print(ended)
        sys.exit(1 if told.lost or told.after or ended.wrong else 0)


if __name__ == "__main__":
    main()
