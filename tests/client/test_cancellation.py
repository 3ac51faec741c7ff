"""Calls that are given up: at every moment at which they wait, by thousands, by Ctrl-C, by leaving, by the deadline."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from multimodel import AsyncClient, CallError, Client, Restarted, TextDelta
from multimodel.client import aio
from multimodel.client.running import Running
from multimodel.testing import Answer, Fault, FaultyVendor, Script, VendorRequest, faults
from multimodel.testing.answer import chunk
from multimodel.testing.faults.base import fault

from ..campaign.storm import line, storm, under_way
from .interrupted import How, Interrupted, TurningLoop

FIRST, SECOND = "one two three", "eins zwei drei"
AT_ONCE = 1.0  # seconds within which a vendor sees that nobody listens any more
PATIENCE = 20.0  # for a machine that is busy; what is measured is taken from the vendor's own clock


@dataclass(frozen=True)
class Scene:
    """What happens to the call.

    :ivar faults: of the first vendor, one a request.
    :ivar before: the fault of a call before, which opens the breaker.
    :ivar text: the answer of a call that is not interrupted.
    :ivar side_by_side: attempts under way at one time, at most.
    """

    faults: list[Fault | None] = field(default_factory=list)
    route: dict[str, Any] = field(default_factory=dict)
    text: str = FIRST
    before: Fault | None = None
    side_by_side: int = 1
    host: str = "127.0.0.1"


SCENES = {
    "healthy": Scene(),
    "looked up": Scene(host="localhost"),
    "whole": Scene(route={"transfer": "whole"}),
    "retry": Scene([faults.status(429, headers={"retry-after-ms": "5"})], {"retry": {"attempts": 2}}),
    "fallback": Scene([faults.status(503)], text=SECOND),
    "probe": Scene(before=faults.status(503), route={"breaker": {"failures": 1, "open_at_most": 0.01}}),
    "restart": Scene([faults.cut(after=2)], {"mid_stream": "restart"}, text=SECOND),
    "hedge": Scene([faults.silent()], {"hedge": {"after": 0.02, "budget": 1.0}}, text=SECOND, side_by_side=2),
}


async def complete(client: AsyncClient, prompt: str) -> str:
    return (await client.complete("chat", prompt)).text


async def stream(client: AsyncClient, prompt: str) -> str:
    said: list[str] = []
    async with client.stream("chat", prompt) as answer:
        async for event in answer:
            await asyncio.sleep(0)  # who reads waits for other things, too
            if isinstance(event, Restarted):
                said.clear()
            elif isinstance(event, TextDelta):
                said.append(event.text)
    return "".join(said)


async def leave(client: AsyncClient, prompt: str) -> str:
    async with client.stream("chat", prompt) as answer:
        await anext(answer)
    return FIRST


VERBS: dict[str, Callable[[AsyncClient, str], Coroutine[Any, Any, str]]] = {
    "complete": complete,
    "stream": stream,
    "leave": leave,
}
CASES = [
    *((name, "complete") for name in SCENES),
    *((name, "stream") for name in ("healthy", "retry", "fallback", "probe", "restart", "hedge")),
    ("healthy", "leave"),
]
WAYS = [
    *(("openai", how) for how in ("waiting", "twice", "turn")),
    *(("dashscope", how) for how in ("waking", "timeout", "turn")),
]
_numbers = count()


@pytest.fixture(scope="module")
def vendors():
    with FaultyVendor(answer=FIRST) as first, FaultyVendor(answer=SECOND) as second:
        yield first, second


@pytest.fixture
def calls(monkeypatch) -> list[Running]:
    """The calls that were begun. A pool has one connection only: a call that keeps it shows at the next."""
    begun: list[Running] = []

    class Watched(Running):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            begun.append(self)

    monkeypatch.setattr(aio, "Running", Watched)
    monkeypatch.setattr("multimodel.providers.http_limits._CONNECTIONS", 1)
    return begun


def policy(vendors, wire: str, scene: Scene = SCENES["healthy"]) -> dict[str, Any]:
    def provider(vendor: FaultyVendor) -> dict[str, Any]:
        url = vendor.openai_url if wire == "openai" else vendor.dashscope_url
        return {"profile": wire, "base_url": url.replace("127.0.0.1", scene.host), "api_key": f"sk-{vendor.port}"}

    return {
        "providers": {"first": provider(vendors[0]), "second": provider(vendors[1])},
        "routes": {"chat": {"chain": ["first:qwen-plus", "second:qwen-plus"], "retry": {"attempts": 1}, **scene.route}},
    }


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.0005)


def health(client: AsyncClient) -> str:
    return client.status().routes["chat"][0].state


async def interrupt(vendors, calls: list[Running], scene: Scene, wire: str, verb: str, how: How, at: int) -> bool:
    """Interrupt one call at the moment ``at``; say whether it had that many."""
    client = AsyncClient(policy(vendors, wire, scene))
    if scene.before is not None:
        vendors[0].script([scene.before])
        await client.complete("chat", "Hi")
        await until(lambda: health(client) == "half_open")
    vendors[0].script(scene.faults)
    calls.clear()
    prompt = f"Question {next(_numbers)}"
    begun = Interrupted(VERBS[verb](client, prompt), at, how)
    vendors[0].pace = vendors[1].pace = 0.001  # so that its events come one by one
    task = await begun.run()
    vendors[0].pace = vendors[1].pace = 0.0
    vendors[0].script([])
    if how == "twice":  # its cleaning up was not to wait for what it broke off
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert under_way(client) == 0
    if not begun.times:
        assert task.result() == scene.text
        await client.aclose()
        return False

    if how == "timeout":
        assert isinstance(task.exception(), TimeoutError)
        assert task.cancelling() == 0
    else:
        assert task.cancelled()
        assert task.cancelling() == begun.times
    await until(lambda: all(request.outcome != "pending" for request in seen(vendors, prompt)))
    await until(lambda: health(client) != "gated")
    assert health(client) in ("closed", "half_open")
    answer = await client.complete("chat", "Next", only=["first"], deadline=PATIENCE)
    assert (answer.text, len(answer.report.attempts), answer.report.skipped) == (FIRST, 1, ())
    await until(lambda: all(vendor.connections.open <= 1 for vendor in vendors))
    requests = seen(vendors, prompt)
    assert all(request.client_closed - begun.when < AT_ONCE for request in requests if request.client_closed)
    if calls[:-1]:  # it was begun, and so was the next
        check_record(calls[0], len(requests), scene.side_by_side)
    await client.aclose()
    await until(lambda: all(vendor.connections.open == 0 for vendor in vendors))
    return True


def seen(vendors, prompt: str) -> list[VendorRequest]:
    return [request for vendor in vendors for request in vendor.log if request.text == prompt]


def check_record(call: Running, requests: int, side_by_side: int) -> None:
    """The engine has ended, and has one record for each request; only those that were under way were cancelled."""
    assert call.steps.gi_frame is None
    records = call.call.attempts
    assert sorted(record.index for record in records) == list(range(1, len(records) + 1))
    assert "cancelled" not in [record.outcome for record in records[:-side_by_side]]
    assert requests <= len(records) <= requests + side_by_side  # one may have been cancelled before it was sent


@pytest.mark.parametrize(("wire", "how"), WAYS)
@pytest.mark.parametrize(("name", "verb"), CASES)
def test_a_call_cancelled_at_any_moment_leaves_nothing_behind(
    vendors, calls, name: str, verb: str, wire: str, how: How
):
    points = 0
    for vendor in vendors:
        vendor.log.clear()
    complaints: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=TurningLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        while runner.run(interrupt(vendors, calls, SCENES[name], wire, verb, how, points + 1)):
            points += 1
    gc.collect()  # a socket that was forgotten would say so
    assert points
    assert complaints == []
    print(f"\n{name}, {verb}, {wire}, {how}: {points} moments")


def test_a_storm_of_cancellations_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr("multimodel.providers.http_limits._CONNECTIONS", 200)  # none can be spared
    found = storm(1000, seed=20261124, at_once=200)
    gc.collect()
    print(f"\n{line(found)}")
    assert found.cancelled >= 1000
    assert found.answered > 0
    assert found.left == 0, line(found)


# --- on the caller's thread ---


CHILD = """
import json, signal, sys
from multimodel import Client

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored in the background
with Client(json.loads(sys.argv[1])) as client:
    for verb in sys.stdin:
        try:
            if verb == "complete\\n":
                print(client.complete("chat", "Hi").text, flush=True)
            else:
                with client.stream("chat", "Hi") as stream:
                    print("".join(stream.text_deltas()), flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
"""


@pytest.fixture(scope="module")
def child(vendors) -> Iterator[subprocess.Popen[str]]:
    """A process that makes a call for each line it is sent, and says how it ended."""
    given = policy(vendors, "openai", Scene(route={"timeouts": {"connect": 60, "first_content": 60, "idle": 60}}))
    command = [sys.executable, "-c", CHILD, json.dumps(given)]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        watchdog = Timer(3 * PATIENCE, process.kill)
        watchdog.start()
        yield process
        watchdog.cancel()
        process.kill()


def say(child: subprocess.Popen[str], verb: str) -> None:
    child.stdin.write(f"{verb}\n")
    child.stdin.flush()


def connecting(port: int) -> int:
    """How many sockets of this machine wait for an answer to their SYN at ``port`` of 127.0.0.1 (Linux)."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(row[2] == f"0100007F:{port:04X}" and row[3] == "02" for row in rows)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)


@pytest.mark.parametrize("verb", ["complete", "stream"])
@pytest.mark.parametrize("phase", ["connecting", "headers", "mid-stream"])
def test_ctrl_c_gives_the_call_up_and_the_client_goes_on(vendors, child, phase: str, verb: str):
    first, _ = vendors
    first.log.clear()
    first.fault = {"connecting": faults.unanswered(), "headers": faults.silent(), "mid-stream": faults.stall(after=2)}[
        phase
    ]
    waiting = connecting(first.port)
    say(child, verb)
    if phase == "connecting":
        wait_for(lambda: connecting(first.port) > waiting)
    else:
        wait_for(lambda: first.log and (phase == "headers" or first.log[0].bytes_sent))
    interrupted = time.monotonic()
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == "interrupted\n"
    if phase == "connecting":
        wait_for(lambda: connecting(first.port) == waiting)
        assert time.monotonic() - interrupted < AT_ONCE
    else:
        wait_for(lambda: first.log[0].client_closed)
        assert first.log[0].client_closed - interrupted < AT_ONCE
    first.fault = None
    say(child, "complete")
    assert child.stdout.readline() == f"{FIRST}\n"


def leave_the_block(client: Client) -> None:
    with client.stream("chat", "Hi") as stream:
        next(stream)


def break_the_loop(client: Client) -> None:
    with client.stream("chat", "Hi") as stream:
        for _event in stream:
            break


def raise_inside(client: Client) -> None:
    with pytest.raises(KeyError), client.stream("chat", "Hi") as stream:
        next(stream)
        raise KeyError


def close(client: Client) -> None:
    stream = client.stream("chat", "Hi")
    next(stream)
    stream.close()


def forget_in_a_cycle(client: Client) -> None:
    stream = client.stream("chat", "Hi")
    next(stream)
    stream.myself = stream
    with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
        del stream
        gc.collect()


def forget_while_it_is_read(client: Client) -> None:
    events = (event for event in client.stream("chat", "Hi"))
    next(events)
    with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
        del events


@pytest.mark.parametrize(
    "give_up",
    [leave_the_block, break_the_loop, raise_inside, close, forget_in_a_cycle, forget_while_it_is_read],
    ids=lambda function: function.__name__,
)
def test_the_vendor_sees_at_once_that_a_stream_was_given_up(vendors, give_up: Callable[[Client], None]):
    first, _ = vendors
    first.log.clear()
    first.script([faults.stall(after=2)])
    with Client(policy(vendors, "openai")) as client:
        give_up(client)
        given_up = time.monotonic()
        wait_for(lambda: first.log[0].client_closed)
        assert first.log[0].client_closed - given_up < AT_ONCE
        assert under_way(client) == 0
        assert client.complete("chat", "Hi").text == FIRST


@fault
def drip(answer: Answer) -> Script:
    """Send the headers, then the body one byte a second."""
    yield answer.head()
    for byte in b"".join(answer.frames()):
        yield chunk(bytes((byte,)))
        yield 1.0


def blocking_complete(given: dict[str, Any]) -> float:
    with Client(given) as client:
        begun = time.monotonic()
        with pytest.raises(CallError):
            client.complete("chat", "Hi", deadline=DEADLINE)
        return time.monotonic() - begun


def blocking_stream(given: dict[str, Any]) -> float:
    with Client(given) as client:
        begun = time.monotonic()
        with client.stream("chat", "Hi", deadline=DEADLINE) as stream, pytest.raises(CallError):
            list(stream)
        return time.monotonic() - begun


def async_complete(given: dict[str, Any]) -> float:
    async def main() -> float:
        async with AsyncClient(given) as client:
            begun = time.monotonic()
            with pytest.raises(CallError):
                await client.complete("chat", "Hi", deadline=DEADLINE)
            return time.monotonic() - begun

    return asyncio.run(main())


def asleep(_given: dict[str, Any]) -> float:
    """How late this machine is by itself."""
    begun = time.monotonic()
    time.sleep(DEADLINE)
    return time.monotonic() - begun


DEADLINE = 0.5
GRACE = 0.25


@pytest.mark.parametrize(
    "fault",
    [faults.unanswered(), faults.silent(), faults.slow_headers(), drip(), faults.stall(after=2)],
    ids=lambda fault: fault.name,
)
def test_a_call_ends_at_its_deadline_whatever_the_vendor_does(fault: Fault):
    with FaultyVendor(fault=fault) as vendor:
        given = policy((vendor, vendor), "openai")
        given["routes"]["chat"]["chain"] = ["first:qwen-plus"]
        with ThreadPoolExecutor() as pool:
            ways = (asleep, blocking_complete, blocking_stream, async_complete)
            late, *took = (one.result() for one in [pool.submit(way, given) for way in ways])
    assert all(DEADLINE - 0.01 < one < late + GRACE for one in took), (late, took)
