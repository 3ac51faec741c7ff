"""Traffic that is split, copies that only listen, places that are limited, and requests that do more than ask."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from multimodel import AllTargetsFailedError, AsyncClient, Client, DeadlineExceededError, LocalOverloadError
from multimodel.testing import FakeProvider, FaultyVendor, faults


@pytest.fixture
def vendors():
    with FaultyVendor(answer="from the first") as first, FaultyVendor(answer="from the second") as second:
        yield first, second


def policy(vendors, **settings) -> dict:
    return {
        "providers": {
            name: {"profile": "openai", "base_url": vendor.openai_url, "api_key": f"sk-{name}"}
            for name, vendor in zip(("first", "second"), vendors, strict=True)
        },
        "routes": {"chat": {"chain": ["first:m", "second:m"], "retry": {"attempts": 1}, **settings}},
    }


# --- traffic ---


def split(client: Client, calls: int, **options) -> Counter[str]:
    return Counter(client.complete("chat", "Hi", **options).target.provider for _ in range(calls))


def fakes(**settings) -> Client:
    given = {"routes": {"chat": {"chain": ["a:m", "b:m", "c:m"], **settings}}}
    return Client(given, providers={name: FakeProvider(["Hi."] * 2000) for name in "abc"})


def test_a_draw_decides_who_is_asked_first():
    with fakes(traffic={"a:m": 90, "b:m": 10}) as client:
        seen = split(client, 1000)
    assert 50 < seen["b"] < 160
    assert seen["a"] == 1000 - seen["b"]


def test_a_target_without_weight_is_the_fallback_only():
    with fakes(traffic={"b:m": 1}) as client:
        assert split(client, 20) == {"b": 20}
        assert split(client, 5, avoid="b") == {"a": 5}


def test_the_rest_of_the_chain_keeps_its_order(vendors):
    vendors[1].fault = faults.status(500)
    with Client(policy(vendors, traffic={"second:m": 1})) as client:
        answer = client.complete("chat", "Hi")
    assert [attempt.target.provider for attempt in answer.report.attempts] == ["second", "first"]


# --- shadow ---


def shadowed(vendors, share: float = 1.0) -> dict:
    given = policy(vendors, shadow={"target": "second:m", "share": share})
    given["routes"]["chat"]["chain"] = ["first:m"]
    return given


def test_a_shadow_gets_a_copy_and_its_answer_is_seen_by_nobody(vendors, caplog):
    caplog.set_level(logging.INFO, "multimodel")
    with Client(shadowed(vendors)) as client:
        answer = client.complete("chat", "Are you there?", metadata={"tenant": "acme"})
        assert vendors[1].wait_until(lambda: bool(vendors[1].log) and vendors[1].log[0].outcome == "answered")
        until = time.monotonic() + 5.0
        while (
            not (told := [r for r in caplog.records if r.message == "multimodel.shadow"]) and time.monotonic() < until
        ):
            threading.Event().wait(0.01)
    assert answer.text == "from the first"
    assert len(answer.report.attempts) == 1
    assert vendors[1].log[0].text == "Are you there?"
    assert (told[0].target, told[0].outcome, told[0].metadata) == ("second:m", "ok", {"tenant": "acme"})
    assert told[0].output_tokens


@pytest.mark.parametrize("fault", [faults.refuse(), faults.silent(), faults.status(500), faults.cut(after=1)], ids=str)
def test_a_shadow_that_fails_or_hangs_changes_nothing(vendors, fault):
    vendors[1].fault = fault
    with Client(shadowed(vendors)) as client:
        for _ in range(60):
            begun = time.monotonic()
            answer = client.complete("chat", "Hi")
            assert answer.text == "from the first"
            assert [attempt.outcome for attempt in answer.report.attempts] == ["ok"]
            assert not answer.report.skipped
            assert time.monotonic() - begun < 2.0


def test_a_failing_shadow_does_not_open_the_breaker_of_the_target_that_answers(vendors):
    given = policy(vendors, shadow={"target": "second:m", "share": 1.0})
    vendors[1].fault = faults.status(500)
    with Client(given) as client:
        for count in range(1, 9):
            client.complete("chat", "Hi")
            assert vendors[1].wait_until(lambda count=count: len(vendors[1].log) >= min(count, 5))
        assert {one.state for one in client.status().routes["chat"]} == {"closed"}


def test_a_shadow_gets_its_share(vendors):
    with Client(shadowed(vendors, share=0.0)) as client:
        split(client, 20)
    assert not vendors[1].log


def test_a_shadow_that_is_switched_off_gets_nothing(vendors):
    with Client(shadowed(vendors)) as client:
        client.off("second", reason="drill")
        assert split(client, 5) == {"first": 5}
    assert not vendors[1].log


def test_an_async_client_has_shadows_too(vendors):
    async def main() -> None:
        async with AsyncClient(shadowed(vendors)) as client:
            await client.complete("chat", "Hi")
            assert await asyncio.to_thread(vendors[1].wait_until, lambda: len(vendors[1].log) == 1)

    asyncio.run(main())


# --- places ---


def test_a_full_target_is_passed_by(vendors):
    vendors[0].fault = faults.headers_then_silence(0.5)
    given = policy(vendors, concurrency=2)
    given["routes"]["chat"]["chain"][1] = {"target": "second:m", "concurrency": 100}
    with Client(given) as client, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.complete("chat", "Hi"), range(8)))
    by = Counter(answer.target.provider for answer in answers)
    assert by == {"first": 2, "second": 6}
    passed = [answer.report.skipped for answer in answers if answer.target.provider == "second"]
    assert {skip.reason for skips in passed for skip in skips} == {"bulkhead"}


def test_when_nobody_else_is_left_a_call_waits_for_a_place(vendors):
    vendors[0].pace = 0.02
    given = policy(vendors, concurrency=1)
    given["routes"]["chat"]["chain"] = ["first:m"]
    with Client(given) as client, ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: client.complete("chat", "Hi"), range(4)))
    assert {answer.text for answer in answers} == {"from the first"}
    requests = sorted(vendors[0].log, key=lambda request: request.at)
    assert all(one.ended <= two.at for one, two in pairwise(requests))


def test_the_wait_for_a_place_is_a_tenth_of_the_deadline(vendors):
    vendors[0].fault = faults.silent()
    given = policy(vendors, concurrency=1, deadline=4.0)
    given["routes"]["chat"]["chain"] = ["first:m"]
    with Client(given) as client:

        def occupy() -> None:
            with pytest.raises(DeadlineExceededError):
                client.complete("chat", "Hi")

        other = threading.Thread(target=occupy, daemon=True)
        other.start()
        assert vendors[0].wait_until(lambda: vendors[0].connections.open == 1)
        begun = time.monotonic()
        with pytest.raises(AllTargetsFailedError) as caught:
            client.complete("chat", "Hi")
        assert 0.35 < time.monotonic() - begun < 2.0
        assert isinstance(caught.value.exceptions[0], LocalOverloadError)
        assert not caught.value.report.attempts
        other.join()


def test_refusals_for_too_many_requests_lower_the_number_under_way(vendors):
    """Eight at once are refused; later, without any wait asked for, fewer are sent at once."""
    vendors[0].fault = faults.status(429, headers={"Retry-After": "0"})
    given = policy(vendors)
    with Client(given) as client, ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: client.complete("chat", "Hi"), range(8)))
        vendors[0].fault = faults.headers_then_silence(0.4)
        before = len(vendors[0].log)
        answers = list(threads.map(lambda _: client.complete("chat", "Hi"), range(8)))
    under_way = len(vendors[0].log) - before
    assert 1 <= under_way < 8
    assert Counter(answer.target.provider for answer in answers)["first"] == under_way


# --- effects ---


@pytest.mark.parametrize("fault", [faults.reset_before_headers(), faults.status(500), faults.cut(after=2)], ids=str)
def test_what_may_have_been_carried_out_is_not_sent_again(vendors, fault):
    vendors[0].fault = fault
    with Client(policy(vendors, retry={"attempts": 2})) as client, pytest.raises(AllTargetsFailedError) as caught:
        client.complete("chat", "Hi", extra={"openai": {"store": True}})
    assert len(caught.value.report.attempts) == 1
    assert not vendors[1].log
    assert "it may have been carried out" in caught.value.report.notes[0]


@pytest.mark.parametrize("fault", [faults.refuse(), faults.status(503), faults.status(429)], ids=str)
def test_what_was_certainly_not_carried_out_is_sent_elsewhere(vendors, fault):
    vendors[0].fault = fault
    with Client(policy(vendors)) as client:
        assert client.complete("chat", "Hi", extra={"openai": {"store": True}}).text == "from the second"
