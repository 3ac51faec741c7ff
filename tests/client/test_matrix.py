"""The same application code over each kind of vendor, four ways: ``pytest -s`` prints the table."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from multimodel import AsyncClient, Client, Completion, TextDelta
from multimodel.testing import FaultyVendor

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

SAYS = "Three risks: price, licence, outage."
QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def policy():
    from offline import WEIGHTS, weights

    with FaultyVendor() as vendor:
        vendor.answer = SAYS
        yield {
            "providers": {
                "native": {"profile": "dashscope", "base_url": vendor.dashscope_url, "api_key": "sk-test"},
                "compatible": {
                    "profile": "dashscope",
                    "protocol": "compatible",
                    "base_url": vendor.compatible_url,
                    "api_key": "sk-test",
                },
                "house": {"profile": "openai", "base_url": vendor.openai_url, "api_key": "sk-test"},
                "litellm": {"base_url": vendor.openai_url, "api_key": "sk-test"},
                "local": {"archive": str(weights())},
            },
            "routes": {
                "dashscope-native": {"chain": ["native:qwen-plus"]},
                "dashscope-compatible": {"chain": ["compatible:qwen-plus"]},
                "openai-shaped": {"chain": ["house:our-model"]},
                "litellm": {"chain": ["litellm:openai/gpt-4o-mini"]},
                "local-weights": {"chain": [f"local:{WEIGHTS}"]},
            },
        }


ROUTES = ["dashscope-native", "dashscope-compatible", "openai-shaped", "litellm", "local-weights"]
OPTIONS = {"max_tokens": 16, "temperature": 0, "seed": 1}


def blocking(policy, route: str) -> Completion:
    with Client(policy) as client:
        return client.complete(route, QUESTION, **OPTIONS)


def blocking_stream(policy, route: str) -> Completion:
    with Client(policy) as client, client.stream(route, QUESTION, **OPTIONS) as stream:
        spelled = "".join(event.text for event in stream if isinstance(event, TextDelta))
        assert spelled == stream.completion.text
        return stream.completion


def aio(policy, route: str) -> Completion:
    async def main() -> Completion:
        async with AsyncClient(policy) as client:
            return await client.complete(route, QUESTION, **OPTIONS)

    return asyncio.run(main())


def aio_stream(policy, route: str) -> Completion:
    async def main() -> Completion:
        async with AsyncClient(policy) as client, client.stream(route, QUESTION, **OPTIONS) as stream:
            spelled = "".join([event.text async for event in stream if isinstance(event, TextDelta)])
            assert spelled == stream.completion.text
            return stream.completion

    return asyncio.run(main())


WAYS = {"complete": blocking, "stream": blocking_stream, "async complete": aio, "async stream": aio_stream}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("route", ROUTES)
def test_the_same_code_is_answered_by_every_kind_of_vendor(policy, route: str, way: str):
    answer = WAYS[way](policy, route)
    usage = answer.usage
    print(
        f"\n| {route} | {way} | {answer.text[:44]!r} "
        f"| {usage.input_tokens}+{usage.output_tokens}={usage.total_tokens} | {answer.finish_reason} |"
    )
    if route == "local-weights":
        assert "Paris" in answer.text
        assert answer.usage.cost == 0.0
    else:
        assert answer.text == SAYS
    assert answer.finish_reason in ("stop", "length")
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0
    assert len(answer.report.attempts) == 1
