"""A vendor is cut off while attempts on it are under way: on real sockets, from another client of the same policy."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from multimodel import Client, PolicyDeniedError, Restarted, StreamInterruptedError
from multimodel.providers import litellm
from multimodel.providers.http_limits import Wire
from multimodel.testing import FakeProvider, FaultyVendor, faults
from multimodel.types import Finished, TextDelta

ADAPTERS = ["http", "litellm"]
WAITS = {"silent": faults.silent(), "stalled": faults.stall(after=2)}


@pytest.fixture
def vendors() -> Iterator[tuple[FaultyVendor, FaultyVendor]]:
    with FaultyVendor(answer="from the first") as first, FaultyVendor(answer="from the second") as second:
        yield first, second


def policy(folder: Path, vendors: tuple[FaultyVendor, FaultyVendor], adapter: str) -> Path:
    first, second = vendors
    profile, model = ("openai", "m") if adapter == "http" else ("litellm", "openai/m")
    file = folder / "multimodel.yaml"
    file.write_text(
        "providers:\n"
        f"  one: {{profile: {profile}, base_url: '{first.openai_url}', api_key: sk-1, operator: one}}\n"
        f"  two: {{profile: openai, base_url: '{second.openai_url}', api_key: sk-2, operator: two}}\n"
        f"routes: {{chat: {{chain: ['one:{model}', 'two:m'], mid_stream: restart}}}}\n",
        encoding="utf-8",
    )
    return file


def cut_once_asked(file: Path, vendor: FaultyVendor) -> Future[float]:
    """Cut the first vendor off once it has been asked; the result is when that was."""
    cut_at: Future[float] = Future()

    def cut() -> None:
        vendor.wait_until(lambda: vendor.requests == 1, seconds=30.0)  # the first use of litellm imports it
        with Client(file) as operator:
            operator.off("one", reason="licence", cut=True)
        cut_at.set_result(time.monotonic())

    threading.Thread(target=cut).start()
    return cut_at


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_call_that_waits_for_a_vendor_that_is_cut_off_is_answered_by_the_next(
    colour, vendors, tmp_path, adapter, wait
):
    first, second = vendors
    first.fault = WAITS[wait]
    file = policy(tmp_path, vendors, adapter)
    client = colour.open(file)
    cut_at = cut_once_asked(file, first)
    answer = colour.ask(client)
    assert time.monotonic() - cut_at.result() < 5.0, "the limits of the attempt would have been ten seconds and fifteen"
    assert answer.text == "from the second"
    assert [attempt.outcome for attempt in answer.report.attempts] == ["policy_denied.cut", "ok"]
    assert second.requests == 1
    if adapter == "http":  # a blocking call of litellm ends by its own limit
        assert first.wait_until(lambda: first.log[0].client_closed is not None)


def test_who_is_cut_off_before_its_connection_stands_gets_not_one_byte(colour, vendors, tmp_path, monkeypatch):
    first, _ = vendors
    file = policy(tmp_path, vendors, "http")
    file.write_text(file.read_text(encoding="utf-8").replace("127.0.0.1", "localhost", 1), encoding="utf-8")
    look_up = socket.getaddrinfo

    def slowly(host, *args, **options):
        if host in ("localhost", b"localhost"):
            with Client(file) as operator:
                operator.off("one", reason="licence", cut=True)
            time.sleep(0.7)
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    answer = colour.ask(colour.open(file))
    assert answer.text == "from the second"
    assert first.bytes_received == 0


def test_who_is_cut_off_while_litellm_is_imported_gets_not_one_byte(colour, vendors, tmp_path, monkeypatch):
    first, _ = vendors
    file = policy(tmp_path, vendors, "litellm")
    load = litellm.load

    def slowly():
        with Client(file) as operator:
            operator.off("one", reason="licence", cut=True)
        time.sleep(0.7)
        return load()

    async def aslowly():
        return slowly()

    monkeypatch.setattr(litellm, "load", slowly)
    monkeypatch.setattr(litellm, "loaded", aslowly)
    answer = colour.ask(colour.open(file))
    assert answer.text == "from the second"
    assert not first.wait_until(lambda: first.bytes_received > 0, seconds=1.0)


def test_an_answer_that_is_whole_is_kept_though_its_vendor_is_cut_off_meanwhile(colour, vendors, tmp_path, monkeypatch):
    first, second = vendors
    first.fault = faults.split(size=10_000)
    wait = Wire.wait

    def cut_then_wait(wire, seconds):  # the first such wait is for what may follow the end of the answer
        client.off("one", reason="licence", cut=True)
        time.sleep(0.5)
        wait(wire, seconds)

    monkeypatch.setattr(Wire, "wait", cut_then_wait)
    client = colour.open(policy(tmp_path, vendors, "http"))
    assert colour.ask(client).text == "from the first"
    assert second.requests == 0


def test_a_stream_of_a_vendor_that_is_cut_off_begins_anew_at_the_next(colour, vendors, tmp_path):
    first, _ = vendors
    first.fault = faults.stall(after=2)
    file = policy(tmp_path, vendors, "http")
    client = colour.open(file)
    cut_at = cut_once_asked(file, first)
    whole = colour.stream(client)
    cut_at.result()
    assert (whole.text, str(whole.target)) == ("from the second", "two:m")


def test_without_cut_what_is_under_way_finishes(vendors, tmp_path):
    first, _ = vendors
    first.pace = 0.5
    with Client(policy(tmp_path, vendors, "http")) as client, client.stream("chat", "Hi") as stream:
        events = [next(stream)]
        client.off("one", reason="licence")
        events += stream
    assert not any(isinstance(event, Restarted) for event in events)
    assert stream.completion.text == "from the first"


def test_a_stream_that_may_not_begin_anew_says_why_it_broke(vendors, tmp_path):
    first, _ = vendors
    first.fault = faults.stall(after=2)
    with (
        Client(policy(tmp_path, vendors, "http")) as client,
        client.stream("chat", "Hi", mid_stream="error") as stream,
    ):
        next(stream)
        client.off("one", reason="licence", cut=True)
        with pytest.raises(StreamInterruptedError, match="cut off: operator one") as caught:
            list(stream)
    assert isinstance(caught.value.__cause__, PolicyDeniedError)
    assert client.status().routes["chat"][0].state == "off"


def test_a_cut_says_nothing_about_the_health_of_the_vendor(vendors, tmp_path):
    first, _ = vendors
    with Client(policy(tmp_path, vendors, "http")) as client:
        for _ in range(6):
            first.faults.append(faults.stall(after=2))
            with client.stream("chat", "Hi") as stream:
                next(stream)
                client.off("one", reason="drill", cut=True)
                list(stream)
            client.on("one")
        assert client.status().routes["chat"][0].state == "closed"


def test_an_adapter_of_ones_own_is_told_by_its_attempt():
    def goes_on(attempt):
        yield TextDelta("a")
        for _ in range(200):
            threading.Event().wait(0.05)
            attempt.check()
        yield Finished("stop")

    class Own:
        def stream(self, attempt):
            return goes_on(attempt)

    policy = {"routes": {"chat": {"chain": ["own:a", "fake:b"]}}}
    with Client(policy, providers={"own": Own(), "fake": FakeProvider(["b"])}) as client:
        threading.Timer(0.3, lambda: client.off("own", reason="drill", cut=True)).start()
        answer = client.complete("chat", "Hi")
    assert (answer.text, str(answer.target)) == ("b", "fake:b")
