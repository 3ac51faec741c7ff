"""A second attempt elsewhere while the first is slow: who wins, who is broken off, and what it may cost."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from multimodel import AllTargetsFailedError, AsyncClient, BadRequestError, Client, ToolCall
from multimodel.testing import FaultyVendor, Reply, faults

NOW = {"after": 0.1, "budget": 1.0}


@faults.fault
def late(answer, seconds, then=None):
    """The answer, or what ``then`` does instead, after some seconds."""
    yield seconds
    yield from (then or faults.split(size=10_000)).play(answer)


@pytest.fixture
def vendors():
    with FaultyVendor(answer="from the first") as first, FaultyVendor(answer="from the second") as second:
        yield first, second


@pytest.fixture(params=["openai", "dashscope"])
def wire(request) -> str:
    return request.param


def policy(vendors, wire: str = "openai", **settings) -> dict:
    return {
        "providers": {
            name: {
                "profile": wire,
                "base_url": vendor.openai_url if wire == "openai" else vendor.dashscope_url,
                "api_key": f"sk-{name}",
            }
            for name, vendor in zip(("first", "second"), vendors, strict=True)
        },
        "routes": {"chat": {"chain": ["first:qwen-plus", "second:qwen-plus"], "hedge": NOW, **settings}},
    }


def outcomes(report) -> list[tuple[str, str, str]]:
    return [(one.target.provider, one.reason, one.outcome) for one in report.attempts]


def complete(given: dict):
    with Client(given) as client:
        return client.complete("chat", "Hi")


def acomplete(given: dict):
    async def main():
        async with AsyncClient(given) as client:
            answer = await client.complete("chat", "Hi")
            assert len(asyncio.all_tasks()) == 1
            return answer

    return asyncio.run(main())


def stream(given: dict):
    with Client(given) as client, client.stream("chat", "Hi") as answer:
        text = "".join(answer.text_deltas())
        assert text == answer.completion.text
        return answer.completion


def astream(given: dict):
    async def main():
        async with AsyncClient(given) as client, client.stream("chat", "Hi") as answer:
            text = "".join([piece async for piece in answer.text_deltas()])
            assert text == answer.completion.text
            return answer.completion

    return asyncio.run(main())


WAYS = {"complete": complete, "acomplete": acomplete, "stream": stream, "astream": astream}


@pytest.fixture(params=WAYS)
def ask(request):
    return WAYS[request.param]


def test_a_silent_target_is_overtaken_and_its_connection_is_closed(vendors, wire, ask):
    vendors[0].fault = faults.headers_then_silence()
    answer = ask(policy(vendors, wire))
    assert answer.text == "from the second"
    assert outcomes(answer.report) == [("first", "first", "lost"), ("second", "hedge", "ok")]
    assert answer.report.wasted == (answer.report.attempts[0],)
    first = vendors[0].log[0]
    assert vendors[0].wait_until(lambda: first.client_closed is not None)
    assert first.client_closed - first.at < 0.1 + 1.0
    assert not [thread for thread in threading.enumerate() if thread.name == "multimodel-hedge"]


def test_the_loser_is_closed_before_the_second_piece_of_the_winner(vendors):
    vendors[0].fault = faults.headers_then_silence()
    vendors[1].pace = 0.05
    with Client(policy(vendors)) as client, client.stream("chat", "Hi") as answer:
        next(answer)
        assert vendors[0].wait_until(lambda: vendors[0].log[0].client_closed is not None)
        assert len(vendors[1].log) == 1
        assert answer.report.attempts[0].outcome == "lost"


def test_a_fast_target_is_not_hedged(vendors, wire, ask):
    answer = ask(policy(vendors, wire, hedge={"after": 5.0, "budget": 1.0}))
    assert outcomes(answer.report) == [("first", "first", "ok")]
    assert not vendors[1].log


def test_a_slow_target_that_still_comes_first_wins(vendors, ask):
    vendors[0].fault = late(0.3)
    vendors[1].fault = faults.headers_then_silence()
    answer = ask(policy(vendors))
    assert answer.text == "from the first"
    assert outcomes(answer.report) == [("first", "first", "ok"), ("second", "hedge", "lost")]


def test_when_the_first_fails_the_second_goes_on_and_is_not_asked_again(vendors, ask):
    vendors[0].fault = late(0.2, faults.reset_before_headers())
    vendors[1].fault = late(0.4)
    answer = ask(policy(vendors))
    assert answer.text == "from the second"
    assert outcomes(answer.report) == [("first", "first", "connection.maybe_sent"), ("second", "hedge", "ok")]
    assert len(vendors[0].log) == len(vendors[1].log) == 1


@pytest.mark.parametrize("winner", [0, 1])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_who_lost_to_an_answer_that_does_not_fit_is_asked_still(vendors, winner, colour):
    loser = vendors[1 - winner]
    vendors[winner].answer, loser.answer = "no number", "7"
    vendors[0].script([faults.headers_then_silence() if winner else late(0.3), None])
    vendors[1].script([None if winner else faults.headers_then_silence(), None])
    given = policy(vendors, on_invalid_output="next")
    if colour == "sync":
        with Client(given) as client:
            answer = client.complete("chat", "Hi", response_model=int)
    else:

        async def main():
            async with AsyncClient(given) as client:
                return await client.complete("chat", "Hi", response_model=int)

        answer = asyncio.run(main())
    assert answer.parsed == 7
    assert sorted(one[2] for one in outcomes(answer.report)) == ["lost", "ok", "output_invalid"]


def test_when_both_fail_each_is_reported_once_and_neither_is_repeated(vendors, ask):
    for vendor in vendors:
        vendor.fault = late(0.3, faults.status(500))
    with pytest.raises(AllTargetsFailedError, match="no target of route `chat` answered: attempts: 2") as caught:
        ask(policy(vendors))
    assert outcomes(caught.value.report) == [("first", "first", "server_error"), ("second", "hedge", "server_error")]


def test_an_error_that_is_the_callers_to_see_ends_both(vendors, ask):
    vendors[0].fault = late(0.3, faults.status(400))
    vendors[1].fault = faults.headers_then_silence()
    with pytest.raises(BadRequestError) as caught:
        ask(policy(vendors))
    assert outcomes(caught.value.report) == [("first", "first", "bad_request"), ("second", "hedge", "lost")]


def test_the_budget_has_no_reserve(vendors):
    vendors[0].fault = late(0.15)
    with Client(policy(vendors, hedge={"after": 0.05, "budget": 0.25})) as client:
        hedged = [len(client.complete("chat", "Hi").report.attempts) == 2 for _ in range(12)]
    assert [number for number, it_was in enumerate(hedged, 1) if it_was] == [4, 8, 12]


def test_the_same_credential_or_endpoint_is_no_second_target(vendors):
    given = policy(vendors, timeouts={"first_content": 0.4}, retry={"attempts": 1})
    given["providers"]["second"] = dict(given["providers"]["first"])
    vendors[0].script([faults.headers_then_silence()])
    with Client(given) as client:
        answer = client.complete("chat", "Hi")
    assert [attempt.reason for attempt in answer.report.attempts] == ["first", "fallback"]


def test_what_the_vendor_carries_out_is_never_asked_twice_at_once(vendors):
    vendors[0].fault = late(0.3)
    with Client(policy(vendors)) as client:
        answer = client.complete("chat", "Hi", extra={"openai": {"store": True}})
    assert outcomes(answer.report) == [("first", "first", "ok")]


def test_tool_calls_are_those_of_the_winner_alone(vendors):
    call = ToolCall(id="call_2", name="weather", arguments='{"city": "Lima"}')
    vendors[0].answer = Reply(tool_calls=(ToolCall(id="call_1", name="weather", arguments='{"city": "Oslo"}'),))
    vendors[0].fault = late(5.0)
    vendors[1].answer = Reply(tool_calls=(call,))
    answer = complete(policy(vendors))
    assert [one.arguments for one in answer.tool_calls] == [call.arguments]


def test_leaving_early_closes_both(vendors):
    for vendor in vendors:
        vendor.fault = faults.headers_then_silence()

    async def main() -> None:
        async with AsyncClient(policy(vendors)) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.4):
                    await client.complete("chat", "Hi")
            assert len(asyncio.all_tasks()) == 1

    begun = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begun < 3.0
    for vendor in vendors:
        assert vendor.wait_until(lambda vendor=vendor: vendor.connections.open == 0)


def test_a_loser_that_is_still_connecting_is_not_waited_for(vendors, ask):
    vendors[0].fault = faults.unanswered()
    begun = time.monotonic()
    answer = ask(policy(vendors, timeouts={"connect": 5.0}))
    assert time.monotonic() - begun < 1.5
    assert outcomes(answer.report) == [("first", "first", "lost"), ("second", "hedge", "ok")]
