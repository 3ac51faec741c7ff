"""Texts to vectors over real sockets, in both colours."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    BadRequestError,
    Client,
    ConfigurationError,
    DeadlineExceededError,
    Embeddings,
    RateLimitError,
)
from multimodel.config import load_policy
from multimodel.config.check import check_policy
from multimodel.providers.catalogue import profiles
from multimodel.testing import FakeProvider, FaultyVendor, VendorRequest, faults
from multimodel.testing.speech import vector
from multimodel.types import Attempt, Finished, TextDelta, Vectors

TEXTS = [f"text number {number}" for number in range(25)]
WIRES = {"openai": ("openai", "openai_url"), "dashscope": ("dashscope", "dashscope_url")}
MODEL = "text-embedding-v4"
"""Ten rows a request, by the catalogue of DashScope; OpenAI's does not know it."""

Embed = Callable[..., Embeddings]


@pytest.fixture(params=["sync", "async"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[*WIRES, "litellm"])
def wire(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def first() -> Iterator[FaultyVendor]:
    with FaultyVendor() as vendor:
        yield vendor


@pytest.fixture
def second() -> Iterator[FaultyVendor]:
    with FaultyVendor() as vendor:
        yield vendor


@contextmanager
def opened(colour: str, policy: dict[str, Any], **given: Any) -> Iterator[tuple[Any, Embed]]:
    """A client, and its ``embed`` as a plain function."""
    if colour == "sync":
        with Client(policy, **given) as client:
            yield client, client.embed
        return
    client = AsyncClient(policy, **given)
    with asyncio.Runner() as runner:
        try:
            yield client, lambda *args, **options: runner.run(client.embed(*args, **options))
        finally:
            runner.run(client.aclose())


def account(wire: str, vendor: FaultyVendor) -> dict[str, str]:
    if wire == "litellm":
        return {"profile": "litellm", "base_url": vendor.openai_url, "api_key": "sk-test"}
    profile, url = WIRES[wire]
    return {"profile": profile, "base_url": getattr(vendor, url), "api_key": "sk-test"}


def policy(wire: str, *vendors: FaultyVendor, model: str = MODEL, **route: Any) -> dict[str, Any]:
    names = ["a", "b", "c"][: len(vendors)]
    model = f"openai/{model}" if wire == "litellm" else model
    return {
        "providers": {name: account(wire, vendor) for name, vendor in zip(names, vendors, strict=True)},
        "routes": {"vectors": {"chain": [{"target": f"{name}:{model}", "weights_id": "w"} for name in names], **route}},
    }


def expected(texts: list[str], size: int = 8) -> list[Any]:
    return [pytest.approx(vector(text, size)) for text in texts]


def sizes(vendor: FaultyVendor) -> list[int]:
    """How many texts each request had."""
    return [len(texts_of(request)) for request in vendor.log]


def texts_of(request: VendorRequest) -> list[str]:
    body = request.body or {}
    return body["input"]["texts"] if request.wire == "dashscope" else body["input"]


# --- one answer -------------------------------------------------------------------------------------


def test_each_text_gets_its_vector_in_order(colour: str, wire: str, first: FaultyVendor):
    with opened(colour, policy(wire, first)) as (_, embed):
        answer = embed("vectors", TEXTS[:4])
    assert list(answer.vectors) == expected(TEXTS[:4])
    assert answer.dimensions == 8
    assert answer.model == MODEL
    assert str(answer.target) in (f"a:{MODEL}", f"a:openai/{MODEL}")
    assert answer.usage.input_tokens == answer.usage.total_tokens == 12
    assert answer.usage.output_tokens == 0
    assert [attempt.outcome for attempt in answer.report.attempts] == ["ok"]
    assert answer.report.attempts[0].first_content is not None


def test_one_text_gives_one_vector(colour: str, first: FaultyVendor):
    with opened(colour, policy("openai", first)) as (_, embed):
        answer = embed("vectors", "a cat")
    assert list(answer.vectors) == expected(["a cat"])
    assert math.hypot(*answer.vectors[0]) == pytest.approx(1, abs=1e-5)


def test_dimensions_reach_the_vendor(colour: str, first: FaultyVendor):
    for wire in WIRES:
        with opened(colour, policy(wire, first)) as (_, embed):
            assert list(embed("vectors", ["a", "b"], dimensions=3).vectors) == expected(["a", "b"], 3)


def test_the_vectors_do_not_fill_the_log(first: FaultyVendor):
    with Client(policy("openai", first)) as client:
        assert "vectors=" not in repr(client.embed("vectors", TEXTS))


def test_extra_options_reach_their_vendor_alone(first: FaultyVendor, second: FaultyVendor):
    first.fault = faults.status(503)
    routes = policy("dashscope", first, second, params={"extra": {"dashscope": {"text_type": "query"}}})
    with Client(routes) as client:
        answer = client.embed("vectors", "a", extra={"a": {"instruct": "find"}, "openai": {"user": "u"}})
    assert first.log[0].options == {"output_type": "dense", "text_type": "query", "instruct": "find"}
    assert second.log[0].options == {"output_type": "dense", "text_type": "query"}
    assert [(str(loss.target)[0], loss.what) for loss in answer.report.losses] == [
        ("a", "extra.openai"),
        ("b", "extra.a"),
        ("b", "extra.openai"),
    ]


def test_a_price_of_the_catalogue_is_the_cost(first: FaultyVendor):
    prices = [{"input": 2.0, "output": 0, "fact": FACT}]
    profile = house(first.openai_url, {"e": {"features": ["embeddings"], "prices": prices, "fact": FACT}})
    routes = {"v": {"chain": ["house:e"]}}
    with Client({"providers": {"house": {"profile": profile, "api_key": "sk-test"}}, "routes": routes}) as client:
        assert client.embed("v", ["one two", "three"]).usage.cost == pytest.approx(3 * 2.0 / 1e6)


FACT = {"source": "test", "date": "2026-11-24"}


def house(url: str, models: dict[str, Any]) -> dict[str, Any]:
    """A profile written out, as a policy may hold one."""
    return {
        "name": "house", "title": "House", "protocols": {"chat": {"wire": "openai_chat"}}, "protocol": "chat",
        "endpoints": {"default": {"url": url, "fact": FACT}}, "region": "default",
        "models": models, "fact": FACT,
    }  # fmt: skip


# --- before any socket --------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", [[], "", ["a", ""], None, 7, b"a", [7], {"a"}])
def test_inputs_that_are_none_are_refused_before_any_socket(colour: str, first: FaultyVendor, inputs: Any):
    with opened(colour, policy("openai", first)) as (_, embed), pytest.raises(BadRequestError, match="inputs"):
        embed("vectors", inputs)
    assert first.connections.total == 0


@pytest.mark.parametrize("options", [{"dimensions": 0}, {"deadline": 0}, {"extra": {"openai": 1}}, {"metadata": 1}])
def test_options_that_are_none_are_refused_before_any_socket(first: FaultyVendor, options: dict[str, Any]):
    with Client(policy("openai", first)) as client, pytest.raises(BadRequestError):
        client.embed("vectors", "a", **options)
    assert first.connections.total == 0


def test_an_unknown_route_and_a_closed_client_are_configuration_errors(first: FaultyVendor):
    with Client(policy("openai", first)) as client:
        with pytest.raises(ConfigurationError, match="vektors"):
            client.embed("vektors", "a")
        with pytest.raises(ConfigurationError, match="no target"):
            client.embed("vectors", "a", only=["elsewhere"])
    with pytest.raises(ConfigurationError, match="closed"):
        client.embed("vectors", "a")


# --- batches ------------------------------------------------------------------------------------------


def test_more_texts_than_the_vendor_takes_go_in_batches(colour: str, first: FaultyVendor):
    with opened(colour, policy("dashscope", first)) as (_, embed):
        answer = embed("vectors", TEXTS)
    assert sizes(first) == [10, 10, 5]
    assert list(answer.vectors) == expected(TEXTS)
    assert answer.usage.total_tokens == 75
    assert [(one.index, one.reason, one.outcome) for one in answer.report.attempts] == [
        (1, "first", "ok"), (2, "first", "ok"), (3, "first", "ok"),
    ]  # fmt: skip
    starts = [one.started for one in answer.report.attempts]
    assert starts == sorted(starts)
    assert answer.report.duration >= answer.report.attempts[-1].ended > starts[-1] > 0


def test_more_batches_than_a_call_may_have_attempts_all_go(first: FaultyVendor):
    with Client(policy("dashscope", first, max_attempts=2)) as client:
        assert len(client.embed("vectors", TEXTS * 4).vectors) == 100
    assert len(first.log) == 10


def test_a_batch_is_as_large_as_the_smallest_target_of_the_chain_takes(first: FaultyVendor, second: FaultyVendor):
    facts = {"features": ["embeddings"], "weights_id": "w", "fact": FACT}
    models = {"large": facts, "small": {**facts, "quirks": {"embed_rows": 12}}}
    shared = {"profile": house("https://llm.example.net", models), "api_key": "sk-test"}
    providers = {
        "a": {**shared, "base_url": first.openai_url},
        "b": {**shared, "base_url": second.openai_url},
    }
    with Client({"providers": providers, "routes": {"v": {"chain": ["a:large", "b:small"]}}}) as client:
        client.embed("v", TEXTS)
    assert sizes(first) == [12, 12, 1]


def test_the_target_that_answered_is_asked_first_for_the_rest(colour: str, first: FaultyVendor, second: FaultyVendor):
    first.fault = faults.status(503)
    with opened(colour, policy("dashscope", first, second, retry={"attempts": 1})) as (_, embed):
        answer = embed("vectors", TEXTS)
    assert list(answer.vectors) == expected(TEXTS)
    assert (sizes(first), sizes(second)) == ([10], [10, 10, 5])
    assert [str(one.target)[0] for one in answer.report.attempts] == ["a", "b", "b", "b"]


def test_the_rest_of_a_call_falls_back_where_the_first_part_did_not(
    colour: str, first: FaultyVendor, second: FaultyVendor
):
    first.script([None, faults.status(401)])
    with opened(colour, policy("dashscope", first, second)) as (_, embed):
        answer = embed("vectors", TEXTS)
    assert list(answer.vectors) == expected(TEXTS)
    assert [one.outcome for one in answer.report.attempts] == ["ok", "authentication", "ok", "ok"]
    assert answer.target.provider == "b"


def test_a_call_that_fails_in_the_middle_has_no_vectors(colour: str, first: FaultyVendor):
    first.script([None, faults.status(503)])
    with (
        opened(colour, policy("dashscope", first, retry={"attempts": 1})) as (_, embed),
        pytest.raises(AllTargetsFailedError) as caught,
    ):
        embed("vectors", TEXTS)
    assert [one.outcome for one in caught.value.report.attempts] == ["ok", "overloaded"]


# --- what goes wrong ----------------------------------------------------------------------------------


def test_equal_weights_take_over_after_a_refusal(colour: str, wire: str, first: FaultyVendor, second: FaultyVendor):
    first.fault = faults.status(503)
    with opened(colour, policy(wire, first, second, retry={"attempts": 1})) as (_, embed):
        answer = embed("vectors", ["a", "b"])
    assert list(answer.vectors) == expected(["a", "b"])
    assert answer.target.provider == "b"
    assert [one.outcome for one in answer.report.attempts] == ["overloaded", "ok"]
    assert len(first.log) == 1


def test_a_rate_limit_is_waited_for(colour: str, wire: str, first: FaultyVendor):
    first.script([faults.status(429, headers={"retry-after-ms": "50"})])
    with opened(colour, policy(wire, first)) as (_, embed):
        answer = embed("vectors", ["a", "b"])
    assert [one.outcome for one in answer.report.attempts] == ["rate_limited", "ok"]
    assert answer.report.attempts[1].started - answer.report.attempts[0].ended >= 0.05


def test_one_deadline_holds_for_all_batches(colour: str, first: FaultyVendor):
    first.fault = slow(0.4)
    began = time.monotonic()
    with opened(colour, policy("dashscope", first)) as (_, embed), pytest.raises(DeadlineExceededError) as caught:
        embed("vectors", TEXTS * 4, deadline=1.0)
    assert time.monotonic() - began < 1.5
    assert 1 <= len(caught.value.report.attempts) <= 3


def slow(seconds: float) -> Any:
    return faults.headers_then_silence(seconds)


def test_a_silent_vendor_is_given_up_by_the_limit_for_whole_bodies(
    colour: str, wire: str, first: FaultyVendor, second: FaultyVendor
):
    first.fault = faults.headers_then_silence()
    routes = policy(wire, first, second, timeouts={"whole": 0.3, "first_content": 30.0, "idle": 30.0})
    with opened(colour, routes) as (_, embed):
        answer = embed("vectors", "a")
    assert [one.outcome for one in answer.report.attempts] == ["timeout.whole", "ok"]


WRONG = {
    "openai": '{"data": [%s], "model": "m"}',
    "dashscope": '{"output": {"embeddings": [%s]}, "usage": {"total_tokens": 1}}',
}
ROWS = {
    "missing": [(0, [1, 2])],
    "doubled": [(0, [1, 2]), (0, [1, 2])],
    "one too many": [(0, [1, 2]), (1, [1, 2]), (2, [1, 2])],
    "a number that nobody asked for": [(0, [1, 2]), (7, [1, 2])],
    "of two lengths": [(0, [1, 2]), (1, [1, 2, 3])],
    "empty": [(0, []), (1, [])],
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("form", WRONG)
def test_wrong_vectors_are_never_returned(first: FaultyVendor, second: FaultyVendor, form: str, rows: str):
    first.fault = wrong(form, ROWS[rows])
    with Client(policy(form, first, second, retry={"attempts": 1})) as client:
        answer = client.embed("vectors", ["a", "b"])
    assert [one.outcome for one in answer.report.attempts] == ["invalid_response", "ok"]
    assert list(answer.vectors) == expected(["a", "b"])


def wrong(form: str, rows: list[tuple[int, list[float]]]) -> Any:
    key = "index" if form == "openai" else "text_index"
    return faults.body(WRONG[form] % ", ".join(f'{{"{key}": {at}, "embedding": {row}}}' for at, row in rows))


def test_rows_in_another_order_are_put_in_order(first: FaultyVendor):
    first.fault = wrong("openai", [(1, [1, 2]), (0, [3, 4])])
    with Client(policy("openai", first)) as client:
        assert client.embed("vectors", ["a", "b"]).vectors == ((3.0, 4.0), (1.0, 2.0))


def test_vectors_of_another_length_than_asked_are_wrong(first: FaultyVendor):
    first.fault = wrong("openai", [(0, [1, 2])])
    routes = policy("openai", first, retry={"attempts": 1})
    with Client(routes) as client, pytest.raises(AllTargetsFailedError) as caught:
        client.embed("vectors", "a", dimensions=3)
    assert {error.kind for error in caught.value.exceptions} == {"invalid_response"}


def test_a_later_batch_of_another_length_is_wrong(first: FaultyVendor, second: FaultyVendor):
    odd = [(at, [1.0, 2.0]) for at in range(10)]
    first.script([None, wrong("dashscope", odd)])
    with Client(policy("dashscope", first, second, retry={"attempts": 1})) as client:
        answer = client.embed("vectors", TEXTS[:20])
    assert list(answer.vectors) == expected(TEXTS[:20])


@pytest.mark.parametrize(
    "fault", [faults.cut(), faults.html(), faults.empty(), faults.malformed_event(), faults.reset()]
)
def test_a_broken_answer_is_replaced_unseen(
    colour: str, wire: str, first: FaultyVendor, second: FaultyVendor, fault: Any
):
    first.fault = fault
    with opened(colour, policy(wire, first, second, retry={"attempts": 1})) as (_, embed):
        answer = embed("vectors", ["a", "b"])
    assert list(answer.vectors) == expected(["a", "b"])
    assert [one.target.provider for one in answer.report.attempts] == ["a", "b"]


def test_a_refused_request_ends_the_call(colour: str, wire: str, first: FaultyVendor, second: FaultyVendor):
    first.fault = faults.status(400)
    with opened(colour, policy(wire, first, second)) as (_, embed), pytest.raises(BadRequestError):
        embed("vectors", "a")
    assert (len(first.log), len(second.log)) == (1, 0)


def test_a_cancelled_call_closes_its_connection(first: FaultyVendor):
    first.fault = faults.headers_then_silence()

    async def main() -> None:
        async with AsyncClient(policy("openai", first)) as client:
            task = asyncio.create_task(client.embed("vectors", "a"))
            await asyncio.to_thread(first.wait_until, lambda: len(first.log) == 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(first.wait_until, lambda: first.connections.open == 0)
            first.fault = None
            assert list((await client.embed("vectors", "a")).vectors) == expected(["a"])

    asyncio.run(main())


def test_a_slow_target_is_overtaken(colour: str, first: FaultyVendor, second: FaultyVendor):
    first.fault = faults.headers_then_silence()
    routes = policy("openai", first, second, hedge={"after": 0.1, "budget": 1.0})
    routes["providers"]["b"]["api_key"] = "sk-other"
    with opened(colour, routes) as (_, embed):
        answer = embed("vectors", ["a", "b"])
    assert list(answer.vectors) == expected(["a", "b"])
    assert answer.target.provider == "b"
    assert sorted(one.outcome for one in answer.report.attempts) == ["lost", "ok"]


# --- whose vectors ------------------------------------------------------------------------------------


def mixed(first: FaultyVendor, second: FaultyVendor, *chain: Any) -> dict[str, Any]:
    providers = {"a": account("dashscope", first), "b": account("openai", second)}
    return {
        "providers": providers,
        "routes": {"vectors": {"chain": list(chain) or [f"a:{MODEL}", "b:other"], "retry": {"attempts": 1}}},
    }


def test_other_weights_are_never_asked(colour: str, first: FaultyVendor, second: FaultyVendor):
    first.fault = faults.status(503)
    with opened(colour, mixed(first, second)) as (_, embed), pytest.raises(AllTargetsFailedError) as caught:
        embed("vectors", "a")
    (skip,) = caught.value.report.skipped
    assert (str(skip.target), skip.reason) == ("b:other", "weights")
    assert skip.detail == f"its vectors cannot be compared with those of a:{MODEL}"
    assert second.bytes_received == 0


def test_a_target_that_is_off_still_says_whose_vectors_they_are(colour: str, first: FaultyVendor, second: FaultyVendor):
    with opened(colour, mixed(first, second)) as (client, embed):
        client.off("alibaba", reason="licence")
        with pytest.raises(AllTargetsFailedError) as caught:
            embed("vectors", "a")
    assert [skip.reason for skip in caught.value.report.skipped] == ["off", "weights"]
    assert (first.bytes_received, second.bytes_received) == (0, 0)


def test_vectors_that_only_other_weights_could_give_are_stranded(first: FaultyVendor, second: FaultyVendor):
    with Client(mixed(first, second)) as client:
        assert client._core.switchboard.impact("alibaba").stranded == ("vectors",)
        assert [one.reason for one in client.explain("vectors").targets] == [None, "weights"]
        assert client.off("alibaba", reason="licence") == ("vectors",)


def test_a_target_that_is_switched_off_meanwhile_gets_no_further_batch(first: FaultyVendor):
    with Client(policy("dashscope", first)) as client:

        def off(request: VendorRequest) -> None:
            if request.index == 1:
                client.off("alibaba", reason="licence")

        first.fault = off
        with pytest.raises(AllTargetsFailedError) as caught:
            client.embed("vectors", TEXTS)
    assert [skip.reason for skip in caught.value.report.skipped] == ["off"]
    assert len(first.log) == 2


def test_a_call_may_ask_for_other_weights_by_name(first: FaultyVendor, second: FaultyVendor):
    with Client(mixed(first, second)) as client:
        assert client.embed("vectors", "a", only=["b"]).target.provider == "b"
        assert client.embed("vectors", "a", avoid=["a"]).target.provider == "b"


def test_a_model_of_one_name_at_two_endpoints_is_not_known_to_be_the_same(first: FaultyVendor, second: FaultyVendor):
    first.fault = faults.status(500)
    given = policy("openai", first, second)
    given["routes"]["vectors"]["chain"] = [f"a:{MODEL}", f"b:{MODEL}"]
    with Client(given) as client, pytest.raises(AllTargetsFailedError) as caught:
        client.embed("vectors", "x")
    assert [skip.reason for skip in caught.value.report.skipped] == ["weights"]


def test_a_policy_can_say_that_weights_are_equal(first: FaultyVendor, second: FaultyVendor):
    first.fault = faults.status(503)
    chain = [{"target": f"a:{MODEL}", "weights_id": "w"}, {"target": "b:other", "weights_id": "w"}]
    with Client(mixed(first, second, *chain)) as client:
        answer = client.embed("vectors", "a")
    assert (answer.target.provider, answer.report.skipped) == ("b", ())


def test_a_model_that_is_known_to_chat_is_skipped(first: FaultyVendor, second: FaultyVendor):
    with Client(mixed(first, second, "a:qwen-plus", "b:other")) as client:
        client.off("a", reason="drill")
        assert client.embed("vectors", "a").target.provider == "b"
        client.on("a")
        answer = client.embed("vectors", "a")
    (skip,) = answer.report.skipped
    assert (str(skip.target), skip.reason, skip.detail) == ("a:qwen-plus", "capability", "it has no embeddings")
    assert first.bytes_received == 0


def test_check_warns_of_a_route_that_mixes_weights():
    routes = {
        "mixed": {"chain": ["dashscope:text-embedding-v4", "openai:text-embedding-3-small"]},
        "chats": {"chain": ["dashscope:text-embedding-v4", "openai:gpt-4o"]},
        "said": {
            "chain": [
                {"target": "dashscope:text-embedding-v4", "weights_id": "w"},
                {"target": "openai:text-embedding-3-small", "weights_id": "w"},
            ]
        },
    }
    catalogue = profiles({})
    policy = load_policy({"routes": routes}, environ={}, profiles=catalogue)
    found = check_policy(policy, environ={}, profiles=catalogue, today=date(2026, 11, 24))
    assert [one.message for one in found if "weights" in one.message] == [
        "the targets of `mixed` have different weights: for vectors only those of the first are asked"
    ]


class Chatty:
    """An adapter of before there were embeddings."""

    def stream(self, attempt: Attempt) -> Iterator[Any]:
        yield TextDelta(attempt.request.messages[0].text)
        yield Finished("stop")


def test_an_adapter_that_knows_nothing_of_vectors_is_skipped(colour: str):
    given = {"old": Chatty(), "new": FakeProvider()}
    routes = {"v": {"chain": ["old:m", "new:m"]}}
    with opened(colour, {"routes": routes}, providers=given) as (_, embed):
        answer = embed("v", ["a cat"])
    assert list(answer.vectors) == expected(["a cat"])
    (skip,) = answer.report.skipped
    assert (skip.reason, skip.detail) == ("capability", "its adapter does not turn texts into vectors")


class OneColour:
    """An adapter that leaves the other colour out, and answers in an odd order."""

    embeds = True

    def stream(self, attempt: Attempt[Any]) -> Iterator[Any]:
        numbers = range(len(attempt.request.inputs))
        yield Vectors("stop", rows=tuple((number, (float(number),)) for number in reversed(numbers)))


def test_the_other_colour_of_an_adapter_is_derived(colour: str):
    with opened(colour, {"routes": {"v": {"chain": ["one:m"]}}}, providers={"one": OneColour()}) as (_, embed):
        answer = embed("v", ["a", "b", "c"])
    assert answer.vectors == ((0.0,), (1.0,), (2.0,))
    assert answer.usage is None
    assert answer.model == "m"


@pytest.mark.parametrize("said", [[TextDelta("a"), Finished("stop")], [Finished("stop")], []])
def test_words_are_no_vectors(said: list[Any]):
    fake = FakeProvider([said])
    with Client({"routes": {"v": {"chain": ["fake:m"]}}}, providers={"fake": fake}) as client:
        with pytest.raises(AllTargetsFailedError) as caught:
            client.embed("v", "a")
    assert {error.kind for error in caught.value.exceptions} <= {"invalid_response", "truncated_stream"}


def test_a_fake_embeds_by_the_texts_alone():
    fake = FakeProvider([RateLimitError(retry_after=0.0), "Hello."])
    with Client({"routes": {"v": {"chain": ["fake:m"]}}}, providers={"fake": fake}) as client:
        answer = client.embed("v", ["a", "b"], dimensions=5)
        assert client.embed("v", ["b"], dimensions=5).vectors == answer.vectors[1:]
    assert list(answer.vectors) == expected(["a", "b"], 5)
    assert [attempt.request.inputs for attempt in fake.attempts] == [("a", "b"), ("a", "b"), ("b",)]
