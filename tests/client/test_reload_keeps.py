"""A policy that changes while its client is in use: what stays as it was, and what is let go."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    Client,
    ConfigurationError,
    Finished,
    StreamInterruptedError,
    TextDelta,
)
from multimodel.testing import FakeProvider, FaultyVendor, faults

from ..campaign.reloads import line, reloads
from .changing import look_twice, text
from .test_processes import end_of, forking, in_a_child


@pytest.fixture
def vendors() -> Iterator[tuple[FaultyVendor, FaultyVendor]]:
    with FaultyVendor(answer="from the first") as first, FaultyVendor(answer="from the second") as second:
        yield first, second


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "multimodel.yaml"


# --- what a call keeps ---


def test_a_call_keeps_the_policy_that_it_began_with(vendors, file):
    vendors[0].fault = faults.cut(after=3)
    file.write_text(text(vendors, more=", mid_stream: restart"))
    with Client(file) as client:
        with client.stream("chat", "Hi") as stream:
            assert isinstance(next(stream), TextDelta)
            file.write_text(text(vendors, "first:m"))
            client.reload()
            list(stream)
        assert stream.completion.text == "from the second"
        assert stream.completion.report.policy != client.status().policy_hash
        assert list(client.status().routes["chat"])[-1].target.provider == "first"


def test_what_was_switched_off_meanwhile_is_off_for_calls_under_way(vendors, file):
    vendors[0].fault = faults.cut(after=3)
    file.write_text(text(vendors, more=", mid_stream: restart"))
    with Client(file) as client:
        with client.stream("chat", "Hi") as stream:
            next(stream)
            file.write_text(text(vendors, top="off: [{provider: second, reason: licence}]"))
            client.reload()
            with pytest.raises(StreamInterruptedError) as caught:
                list(stream)
        assert [(str(skip.target), skip.reason) for skip in caught.value.report.skipped] == [("second:m", "off")]
        assert not vendors[1].log


def test_a_call_that_began_while_something_was_off_does_not_ask_it(vendors, file):
    file.write_text(text(vendors, top="off: [{provider: first}]"))
    with Client(file) as client:
        held = client._core.current()
        file.write_text(text(vendors, "second:m"))
        client.reload()
        (first, _) = held.chain("chat")
        assert client._core.obstacle(first, frozenset()) == ("off", "provider first")


def test_a_stream_is_not_broken_when_its_vendor_leaves_and_leaves_no_connection(vendors, file, colour):
    vendors[0].pace = 0.02
    file.write_text(text(vendors))
    client = colour.open(file)
    colour.ask(client)

    def leave() -> None:
        file.write_text(text(vendors, "second:m").replace("  first:", "  other:"))
        client.reload()

    if isinstance(client, Client):
        with client.stream("chat", "Hi") as stream:
            next(stream)
            leave()
            list(stream)
        answer = stream.completion
    else:
        answer = colour._loop.run(_streamed(client, leave))
    assert answer.text == "from the first"
    assert vendors[0].wait_until(lambda: vendors[0].connections.open == 0)


async def _streamed(client: AsyncClient, leave: Any) -> Any:
    async with client.stream("chat", "Hi") as stream:
        await anext(stream)
        leave()
        async for _ in stream:
            pass
    await asyncio.sleep(0)
    return stream.completion


# --- what is kept ---


def test_connections_of_an_account_that_stays_as_it_was_are_kept(vendors, file, colour):
    file.write_text(text(vendors, "first:m"))
    client = colour.open(file)
    for number in range(5):
        assert colour.ask(client).text == "from the first"
        file.write_text(text(vendors, f"first:m, second:m-{number}"))
        client.reload()
    assert vendors[0].connections.total == 1


def test_no_connection_to_a_vendor_that_has_left_stays_open(vendors, file, colour):
    file.write_text(text(vendors, "first:m"))
    client = colour.open(file)
    colour.ask(client)
    file.write_text(text(vendors, "second:m").replace("  first:", "  other:"))
    client.reload()
    colour.ask(client)
    assert vendors[0].wait_until(lambda: vendors[0].connections.open == 0)


def test_another_key_gets_connections_of_its_own(vendors, file, colour):
    file.write_text(text(vendors, "first:m"))
    client = colour.open(file)
    colour.ask(client)
    file.write_text(text(vendors, "first:m", keys="sk-new"))
    client.reload()
    colour.ask(client)
    assert [request.headers["authorization"] for request in vendors[0].log] == ["Bearer sk-1", "Bearer sk-new"]
    assert vendors[0].wait_until(lambda: vendors[0].connections == (1, 2, 0))


def test_an_open_breaker_stays_open(vendors, file, colour):
    vendors[0].fault = faults.status(401)
    file.write_text(text(vendors))
    client = colour.open(file)
    colour.ask(client)
    file.write_text(text(vendors, more=", deadline: 50s"))
    client.reload()
    answer = colour.ask(client)
    assert [(str(skip.target), skip.reason) for skip in answer.report.skipped] == [("first:m", "breaker")]
    assert vendors[0].requests == 1


def test_what_was_spent_today_stays_spent(file, colour):
    budget = "routes:\n  chat: {chain: [fake:any], budget: {per_day: %s USD}}\n"
    file.write_text(budget % 1)
    client = colour.open(file, providers={"fake": FakeProvider()})
    day = client._core.budget("chat", client.policy.routes["chat"].budget)._spending
    day.spent = 250_000_000
    file.write_text(budget % 2)
    client.reload()
    (status,) = client.status().budgets
    assert (status.per_day, status.spent, status.left) == (2.0, 0.25, 1.75)


def test_switches_of_the_switch_file_stay(vendors, file, colour):
    file.write_text(text(vendors))
    client = colour.open(file)
    client.off("first", reason="drill")
    file.write_text(text(vendors, more=", deadline: 50s"))
    client.reload()
    assert colour.ask(client).text == "from the second"
    client.on("first")
    assert colour.ask(client).text == "from the first"


def test_switches_kept_in_memory_stay(colour):
    client = colour.open({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()})
    client.off("fake", reason="drill")
    client.reload()
    assert [entry.name for entry in client.status().off] == ["fake"]


def test_a_switch_in_the_policy_holds_from_the_next_call_on_and_ends_with_it(vendors, file, colour):
    file.write_text(text(vendors))
    client = colour.open(file)
    for top, answer in (("off: [{provider: first}]", "from the second"), ("", "from the first")):
        file.write_text(text(vendors, top=top))
        look_twice(client)
        assert colour.ask(client).text == answer


def test_a_policy_that_would_lift_a_switch_by_another_switch_file_is_refused(vendors, file):
    file.write_text(text(vendors))
    with Client(file) as client:
        client.off("first", reason="drill")
        file.write_text(text(vendors, top="switch_file: other.json"))
        with pytest.raises(ConfigurationError, match=r"other\.json, where provider `first` is not off"):
            client.reload()
        assert client.complete("chat", "Hi").text == "from the second"
        shutil.copy(file.with_name("multimodel.off.json"), file.with_name("other.json"))
        client.reload()
        assert client.complete("chat", "Hi").text == "from the second"
        client.on("first")
        assert client.complete("chat", "Hi").text == "from the first"


class Plugin:
    """An adapter that knows no better than to be closed."""

    built: ClassVar[list[Plugin]] = []

    def __init__(self, setup: Any) -> None:
        self.key = setup.key.reveal()
        self.closed = 0
        self.built.append(self)

    def close(self) -> None:
        self.closed += 1

    def stream(self, _attempt: object) -> Iterator[object]:
        yield TextDelta(self.key)
        yield Finished("stop")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(Plugin, "built", [])
    monkeypatch.setattr("multimodel.providers.registry.missing", lambda _name: None)
    monkeypatch.setattr("multimodel.providers.registry.adapter", lambda _name: Plugin)
    fact = {"source": "a test", "date": "2026-11-24"}
    profile = {"name": "plug", "title": "P", "operator": "p", "adapter": "plug", "fact": fact}
    return {
        "providers": {"plug": {"profile": profile, "api_key": "sk-1"}},
        "routes": {"chat": {"chain": ["plug:m"]}},
    }


def test_an_adapter_is_kept_while_its_account_is_as_it_was(plugin):
    with Client(plugin) as client:
        for _ in range(3):
            assert client.complete("chat", "Hi").text == "sk-1"
            client.reload()
        assert [one.closed for one in Plugin.built] == [0]
    assert [one.closed for one in Plugin.built] == [1]


def test_an_adapter_of_an_account_that_changed_is_closed_once_no_call_has_it(plugin):
    with Client(plugin) as client:
        with client.stream("chat", "Hi") as stream:
            next(stream)
            plugin["providers"]["plug"]["api_key"] = "sk-2"
            client.reload()
            assert client.complete("chat", "Hi").text == "sk-2"
            assert [one.closed for one in Plugin.built] == [0, 0]
            list(stream)
        del stream
        client.complete("chat", "Hi")
        assert [one.closed for one in Plugin.built] == [1, 0]
    assert [one.closed for one in Plugin.built] == [1, 1]


def test_an_adapter_that_somebody_still_holds_is_closed_with_the_client(plugin):
    with Client(plugin) as client:
        stream = client.stream("chat", "Hi")
        next(stream)
        plugin["providers"]["plug"]["api_key"] = "sk-2"
        client.reload()
    assert [one.closed for one in Plugin.built] == [1]
    stream.close()


def test_an_adapter_that_was_handed_in_stays_the_applications(file):
    fake = FakeProvider()
    fake.close = lambda: closed.append(1)  # type: ignore[attr-defined]
    closed: list[int] = []
    file.write_text("routes:\n  chat: {chain: [fake:any]}\n")
    with Client(file, providers={"fake": fake, "other": FakeProvider(["Other."])}) as client:
        client.complete("chat", "Hi")
        file.write_text("routes:\n  chat: {chain: [other:any]}\n")
        client.reload()
        assert client.complete("chat", "Hi").text == "Other."
        file.write_text("routes:\n  chat: {chain: [fake:any]}\n")
        client.reload()
        assert closed == []
        assert client.complete("chat", "Hi").text == "Hello."
    assert closed == [1]


# --- views, vectors, shadows ---


def test_a_view_follows_its_client(vendors, file, colour):
    file.write_text(text(vendors, "first:m"))
    client = colour.open(file)
    acme = client.using(tenant="acme", credentials={"first": "sk-acme", "second": "sk-acme-2"})
    assert colour.ask(acme).text == "from the first"
    file.write_text(text(vendors, "second:m"))
    acme.reload()
    assert colour.ask(acme).text == "from the second"
    assert colour.ask(client).text == "from the second"
    assert acme.status().policy_hash == client.status().policy_hash
    assert vendors[1].log[0].headers["authorization"] == "Bearer sk-acme-2"


def test_what_a_views_key_did_wrong_is_remembered(vendors, file, colour):
    vendors[0].fault = lambda request: (
        faults.status(401) if request.headers["authorization"] == "Bearer sk-bad" else None
    )
    file.write_text(text(vendors))
    client = colour.open(file)
    acme = client.using(credentials={"first": "sk-bad", "second": "sk-good"})
    colour.ask(acme)
    file.write_text(text(vendors, more=", deadline: 50s"))
    client.reload()
    assert [skip.reason for skip in colour.ask(acme).report.skipped] == ["breaker"]
    assert colour.ask(client).text == "from the first"


def test_a_view_that_is_not_used_keeps_no_vendor_that_has_left(vendors, file, colour):
    file.write_text(text(vendors, "first:m"))
    client = colour.open(file)
    acme = client.using(credentials={"first": "sk-acme"})
    colour.ask(acme)
    file.write_text(text(vendors, "second:m").replace("  first:", "  other:"))
    client.reload()
    colour.ask(client)
    assert vendors[0].wait_until(lambda: vendors[0].connections.open == 0)
    with pytest.raises(AllTargetsFailedError, match="skipped"):
        colour.ask(acme)


def test_vectors_come_from_the_policy_in_force(vendors, file, colour):
    file.write_text(text(vendors, "first:m"))
    client = colour.open(file)

    def embed() -> Any:
        answer = client.embed("chat", ["a", "b"])
        return answer if isinstance(client, Client) else colour._loop.run(answer)

    assert str(embed().target) == "first:m"
    file.write_text(text(vendors, "second:m"))
    look_twice(client)
    assert str(embed().target) == "second:m"
    assert embed().report.policy == client.status().policy_hash


def test_a_shadow_that_has_left_gets_no_more_copies_and_keeps_no_connection(vendors, file, colour):
    file.write_text(text(vendors, "first:m", more=", shadow: {target: second:m, share: 100%}"))
    client = colour.open(file)
    colour.ask(client)
    assert vendors[1].wait_until(lambda: vendors[1].requests == 1)
    file.write_text(text(vendors, "first:m").replace("  second:", "  other:"))
    client.reload()
    for _ in range(3):
        colour.ask(client)
    assert vendors[1].wait_until(lambda: vendors[1].connections.open == 0)
    assert vendors[1].requests == 1


# --- threads, loops, processes ---


def test_the_connections_of_each_event_loop_are_let_go(vendors, file):
    file.write_text(text(vendors, "first:m"))
    client = AsyncClient(file)
    warm, left, answered = threading.Barrier(3), threading.Event(), threading.Barrier(2)

    async def work() -> None:
        await client.complete("chat", "Hi")
        await asyncio.to_thread(warm.wait)
        await asyncio.to_thread(left.wait)
        await client.complete("chat", "Hi")
        await asyncio.to_thread(answered.wait)  # the first that leaves closes the client for both
        await client.aclose()

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    warm.wait()
    assert vendors[0].connections.open == 2
    file.write_text(text(vendors, "second:m").replace("  first:", "  other:"))
    client.reload()
    assert vendors[0].wait_until(lambda: vendors[0].connections.open == 0)
    left.set()
    for thread in threads:
        thread.join()


def test_a_client_may_be_closed_right_after_a_reload(vendors, file):
    async def work() -> None:
        client = AsyncClient(file)
        await client.complete("chat", "Hi")
        file.write_text(text(vendors, "second:m"))
        client.reload()
        await client.aclose()

    file.write_text(text(vendors, "first:m"))
    asyncio.run(work())
    assert vendors[0].wait_until(lambda: vendors[0].connections.open == 0)


@forking
def test_a_child_of_a_fork_reloads_by_itself(vendors, file):
    file.write_text(text(vendors, "first:m"))
    with Client(file) as client:
        client.complete("chat", "Hi")
        held, go = threading.Event(), threading.Event()

        def hold() -> None:  # another thread is in the middle of a reload when the process forks
            with client._core.reloading._busy:
                held.set()
                go.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()

        def work() -> bool:
            file.write_text(text(vendors, "second:m"))
            look_twice(client)
            return client.complete("chat", "Hi").text == "from the second"

        child = in_a_child(work)
        assert end_of(child) == 0
        go.set()
        thread.join()
        look_twice(client)
        assert client.complete("chat", "Hi").text == "from the second"


@forking
def test_a_child_takes_the_policy_that_another_thread_was_loading_when_the_process_forked(vendors, file, monkeypatch):
    file.write_text(text(vendors, "first:m"))
    with Client(file) as client:
        source = client._core.reloading._source
        load = source.load
        loading, go = threading.Event(), threading.Event()

        def slowly() -> Any:
            if threading.current_thread() is thread:
                loading.set()
                go.wait()
            return load()

        monkeypatch.setattr(source, "load", slowly)
        thread = threading.Thread(target=look_twice, args=(client,))
        file.write_text(text(vendors, "second:m"))
        thread.start()
        loading.wait()

        def work() -> bool:
            look_twice(client)
            return client.complete("chat", "Hi").text == "from the second"

        child = in_a_child(work)
        assert end_of(child) == 0
        go.set()
        thread.join()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal")
def test_a_signal_may_reload_in_the_middle_of_a_reload(vendors, file, monkeypatch):
    file.write_text(text(vendors, "first:m"))
    with Client(file) as client:
        source = client._core.reloading._source
        load = source.load
        before = signal.signal(signal.SIGHUP, lambda *_: client.reload())

        def interrupted() -> Any:
            found = load()
            monkeypatch.setattr(source, "load", load)
            file.write_text(text(vendors, "second:m"))
            os.kill(os.getpid(), signal.SIGHUP)
            return found

        monkeypatch.setattr(source, "load", interrupted)
        client.reload()
        signal.signal(signal.SIGHUP, before)
        assert client.complete("chat", "Hi").text == "from the second"


def test_one_thread_loads_and_the_others_go_on(vendors, file):
    file.write_text(text(vendors, "first:m"))
    with Client(file) as client, client._core.reloading._busy:
        file.write_text(text(vendors, "second:m"))
        client._core.reloading._look_at = 0.0
        answers: list[str] = []
        thread = threading.Thread(target=lambda: answers.append(client.complete("chat", "Hi").text))
        thread.start()
        thread.join(10)
        assert answers == ["from the first"]


def test_nothing_is_lost_or_doubled_while_the_policy_changes_all_the_time():
    found = reloads(640)
    print(f"\n{line(found)}")
    assert found.reloads >= 10
    assert found.wrong == 0
