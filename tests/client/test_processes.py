"""One client in many places: children of a fork, threads, event loops. Each gets the answers to its own questions."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from multimodel import AsyncClient, CallError, Client
from multimodel.testing import FaultyVendor, faults

from ..campaign.storm import ask_own, echo, forks, line, policy, under_way

PATIENCE = 60  # seconds until a child that hangs is killed
forking = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # that is the point


@pytest.fixture
def vendor() -> Iterator[FaultyVendor]:
    with FaultyVendor(answer=echo) as vendor:
        yield vendor


def in_a_child(work: Callable[[], object]) -> int:
    """Fork, and run ``work`` in the child; return its pid. The child ends with 0 if ``work`` returned something true."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(PATIENCE)
        status = 1
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    return pid


def end_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def ask_own_async(client: AsyncClient, name: str, calls: int) -> int:
    questions = [f"{name}, question {number}" for number in range(calls)]
    answers = await asyncio.gather(*(client.complete("chat", question) for question in questions))
    return sum(answer.text != f"{question}, you said" for answer, question in zip(answers, questions, strict=True))


# --- forks ---


@forking
def test_children_share_a_warm_client_and_get_their_own_answers_only():
    found = forks(children=4, calls=250)
    print(f"\n{line(found)}")
    assert found.calls == 5 * 250 + 2
    assert found.left == 0, line(found)


@forking
def test_a_child_can_be_forked_while_threads_are_calling(vendor):
    stop = threading.Event()

    def call_on(name: str) -> int:
        foreign = 0
        while not stop.is_set():
            foreign += ask_own(client, name, 1)
        return foreign

    with Client(policy(vendor)) as client, ThreadPoolExecutor(8) as pool:
        threads = [pool.submit(call_on, f"Thread {number}") for number in range(8)]
        vendor.wait_until(lambda: len(vendor.log) > 20)
        children = [in_a_child(lambda name=f"Child {n}": ask_own(client, name, 25) == 0) for n in range(8)]
        ends = [end_of(pid) for pid in children]
        stop.set()
        assert [thread.result() for thread in threads] == [0] * 8
    assert ends == [0] * 8


@forking
def test_a_child_can_be_forked_while_a_thread_prepares_a_long_conversation(vendor):
    stop, children = threading.Event(), 60
    usual = sys.getswitchinterval()
    long = [{"role": role, "content": "word " * 200} for _ in range(1000) for role in ("user", "assistant")]

    with Client(policy(vendor)) as client, ThreadPoolExecutor(1) as pool:

        def call_on() -> None:
            while not stop.is_set():
                client.complete("chat", [*long, {"role": "user", "content": "Go on"}])

        client.complete("chat", "Warm")
        thread = pool.submit(call_on)
        vendor.wait_until(lambda: len(vendor.log) > 2)
        sys.setswitchinterval(1e-5)  # each fork finds the thread somewhere else
        try:
            ends = [end_of(in_a_child(lambda: ask_own(client, "Child", 1) == 0)) for _ in range(children)]
        finally:
            sys.setswitchinterval(usual)
            stop.set()
        thread.result()
    assert ends == [0] * children


@forking
def test_a_child_forked_inside_the_clients_lock_is_not_locked_out(vendor):
    with Client(policy(vendor)) as client:
        client.complete("chat", "Warm")
        with client._core.lock:
            pid = in_a_child(lambda: ask_own(client, "Child", 3) == 0)
        assert end_of(pid) == 0


@forking
def test_a_stream_that_a_child_inherits_and_leaves_goes_on_in_the_parent(vendor):
    vendor.answer = " ".join(map(str, range(50)))
    vendor.pace = 0.002
    with Client(policy(vendor)) as client, client.stream("chat", "Count") as stream:
        next(stream)

        def leave() -> bool:
            stream.close()
            client.close()
            return True

        assert end_of(in_a_child(leave)) == 0
        list(stream)
        assert stream.completion.text == vendor.answer
        connections = {request.connection for request in vendor.log}
        client.complete("chat", "Again")
        assert {request.connection for request in vendor.log} == connections


@forking
def test_what_a_child_learns_of_a_vendor_stays_with_the_child(vendor):
    vendor.fault = lambda request: faults.status(401) if request.text.startswith("Child") else None
    with Client(policy(vendor)) as client:

        def is_refused() -> bool:
            with pytest.raises(CallError):
                client.complete("chat", "Child", only=["first"])
            return client.status().routes["chat"][0].state == "open"

        client.complete("chat", "Parent")
        assert end_of(in_a_child(is_refused)) == 0
        assert client.status().routes["chat"][0].state == "closed"
        assert ask_own(client, "Parent", 3) == 0


@forking
def test_children_of_an_event_loop_s_client_use_loops_of_their_own(vendor):
    client = AsyncClient(policy(vendor))
    with asyncio.Runner() as runner:
        runner.run(ask_own_async(client, "Parent", 1))
        children = [
            in_a_child(lambda name=f"Child {n}": asyncio.run(ask_own_async(client, name, 50)) == 0) for n in range(2)
        ]
        assert runner.run(ask_own_async(client, "Parent again", 1)) == 0
        assert [end_of(pid) for pid in children] == [0, 0]
        assert runner.run(ask_own_async(client, "Parent at last", 1)) == 0
        assert len({request.connection for request in vendor.log if request.text.startswith("Parent")}) == 1
        runner.run(client.aclose())


# --- threads ---


def test_sixteen_threads_get_their_own_answers_only(vendor):
    with Client(policy(vendor)) as client, ThreadPoolExecutor(16) as pool:
        foreign = list(pool.map(lambda number: ask_own(client, f"Thread {number}", 50), range(16)))
        assert foreign == [0] * 16
        assert under_way(client) == 0
    assert len(vendor.log) == 16 * 50
    assert vendor.connections.total <= 16


def test_a_stream_can_be_begun_in_one_thread_and_ended_in_another(vendor):
    with Client(policy(vendor)) as client, ThreadPoolExecutor(1) as pool:
        stream = client.stream("chat", "Hand over")
        next(stream)
        pool.submit(list, stream).result()
        assert stream.completion.text == "Hand over, you said"
        other = client.stream("chat", "Give up")
        next(other)
        pool.submit(other.close).result()
        assert under_way(client) == 0


# --- event loops ---


def test_two_loops_in_two_threads_get_their_own_answers_only(vendor):
    client = AsyncClient(policy(vendor))

    async def main(name: str) -> int:
        foreign = sum([await ask_own_async(client, f"{name} {turn}", 20) for turn in range(5)])
        await client._core.accounts["first"].reach().aclose()
        return foreign

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda name: asyncio.run(main(name)), ["Loop 1", "Loop 2"])) == [0, 0]
    assert under_way(client) == 0
    vendor.wait_until(lambda: vendor.connections.open == 0)
    assert vendor.connections.open == 0


def test_cancelling_in_one_loop_leaves_the_other_alone(vendor):
    vendor.pace = 0.002
    client = AsyncClient(policy(vendor))

    async def cancel_all() -> int:
        for turn in range(10):
            tasks = [asyncio.create_task(client.complete("chat", f"Never {turn} {number}")) for number in range(10)]
            await asyncio.sleep(0.005)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await client._core.accounts["first"].reach().aclose()
        return 0

    async def ask() -> int:
        foreign = sum([await ask_own_async(client, f"Loop {turn}", 10) for turn in range(10)])
        await client._core.accounts["first"].reach().aclose()
        return foreign

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda work: asyncio.run(work()), [cancel_all, ask])) == [0, 0]
    assert under_way(client) == 0


def test_what_one_loop_learns_of_a_vendor_holds_in_the_other(vendor):
    with FaultyVendor(answer=echo) as second:
        vendor.fault = faults.status(401)
        client = AsyncClient(policy(vendor, second))

        async def main() -> list[str]:
            answer = await client.complete("chat", "Hi")
            await client._core.accounts["second"].reach().aclose()
            await client._core.accounts["first"].reach().aclose()
            return [skip.reason for skip in answer.report.skipped]

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(asyncio.run, main()).result() == []
            assert asyncio.run(main()) == ["breaker"]
        assert len(vendor.log) == 1


def test_a_blocking_client_in_threads_beside_an_event_loop(vendor):
    async def main() -> list[int]:
        async with AsyncClient(policy(vendor)) as client:
            with Client(policy(vendor)) as blocking:
                threads = [asyncio.to_thread(ask_own, blocking, f"Thread {number}", 20) for number in range(4)]
                return await asyncio.gather(ask_own_async(client, "Loop", 40), *threads)

    assert asyncio.run(main()) == [0] * 5
