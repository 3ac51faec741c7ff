"""What is measured, as an application with OpenTelemetry gets it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from multimodel import AllTargetsFailedError, AsyncClient, Client
from multimodel.testing import FaultyVendor, faults

from .told import Told

CHAT = {"gen_ai.operation.name": "chat", "multimodel.route": "chat"}
FIRST = {**CHAT, "gen_ai.provider.name": "alibaba.dashscope", "gen_ai.request.model": "qwen-plus"}
SECOND = {**CHAT, "gen_ai.provider.name": "openai", "gen_ai.request.model": "our-model"}


@pytest.fixture
def vendors() -> Iterator[tuple[FaultyVendor, FaultyVendor]]:
    with FaultyVendor(answer="Yes.") as first, FaultyVendor(answer="No.") as second:
        yield first, second


@pytest.fixture
def policy(vendors) -> dict:
    return {
        "providers": {
            "dashscope": {"base_url": vendors[0].dashscope_url, "api_key": "sk-first"},
            "house": {"profile": "openai", "base_url": vendors[1].openai_url, "api_key": "sk-second"},
        },
        "routes": {
            "chat": {"chain": ["dashscope:qwen-plus", "house:our-model"], "retry": {"attempts": 1}},
            "vectors": {"chain": ["dashscope:text-embedding-v4"]},
        },
    }


def counts(told: Told, name: str) -> list[tuple[dict, int]]:
    return sorted(((dict(one.attributes), one.count) for one in told.measured()[name]), key=str)


def sums(told: Told, name: str) -> dict[str, int]:
    points = told.measured()[name]
    return {one.attributes.get("gen_ai.token.type", ""): getattr(one, "sum", None) or one.value for one in points}


def test_each_attempt_is_measured_and_each_call(told, vendors, policy):
    with Client(policy) as client:
        client.complete("chat", "Is it?")
        vendors[0].fault = faults.status(503)
        client.complete("chat", "Is it?")
    assert counts(told, "gen_ai.client.operation.duration") == sorted(
        [(FIRST, 1), ({**FIRST, "error.type": "overloaded"}, 1), (SECOND, 1)], key=str
    )
    assert counts(told, "multimodel.call.duration") == [(CHAT, 2)]


def test_tokens_are_measured_once_by_the_attempt_that_used_them(told, policy):
    with Client(policy) as client:
        usage = client.complete("chat", "Is it?").usage
    assert sums(told, "gen_ai.client.token.usage") == {"input": usage.input_tokens, "output": usage.output_tokens}


def test_a_call_that_failed_is_measured_as_such(told, vendors, policy):
    vendors[0].fault = vendors[1].fault = faults.status(500)
    with Client(policy) as client, pytest.raises(AllTargetsFailedError):
        client.complete("chat", "Is it?")
    assert counts(told, "multimodel.call.duration") == [({**CHAT, "error.type": "all_targets_failed"}, 1)]
    assert "gen_ai.client.token.usage" not in told.measured()


def test_embeddings_have_input_tokens_only(told, policy):
    with Client(policy) as client:
        usage = client.embed("vectors", ["a cat", "a dog"]).usage
    assert sums(told, "gen_ai.client.token.usage") == {"input": usage.input_tokens}
    (point,) = told.measured()["gen_ai.client.operation.duration"]
    assert point.attributes["gen_ai.operation.name"] == "embeddings"


def test_the_latest_names_replace_the_old_ones_where_the_application_says_so(told, policy, monkeypatch):
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http,gen_ai_latest_experimental")
    with Client(policy) as client:
        usage = client.complete("chat", "Is it?").usage
    measured = told.measured()
    assert set(measured) == {
        "multimodel.call.duration",
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
    }
    (point,) = measured["gen_ai.client.inference.usage.output_tokens"]
    assert point.value == usage.output_tokens
    assert dict(point.attributes) == {**FIRST, "gen_ai.token.modality": "unknown"}


def test_the_buckets_are_those_of_the_conventions(told, policy):
    with Client(policy) as client:
        client.complete("chat", "Is it?")
    measured = told.measured()
    assert measured["gen_ai.client.operation.duration"][0].explicit_bounds[:3] == (0.01, 0.02, 0.04)
    assert measured["gen_ai.client.token.usage"][0].explicit_bounds[:3] == (1, 4, 16)


def test_nothing_of_the_caller_is_among_the_labels(told, policy):
    async def main() -> None:
        async with AsyncClient(policy) as client:
            acme = client.using(tenant="acme-tenant", metadata={"team": "search-team"})
            await acme.complete("chat", "Is it the prompt?", metadata={"user": "someone"})

    asyncio.run(main())
    seen = told.everything()
    for word in ("acme-tenant", "search-team", "someone", "the prompt"):
        assert word not in seen
