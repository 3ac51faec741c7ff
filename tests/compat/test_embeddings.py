"""Vectors through drop-in clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import dashscope
import openai
import pytest

from multimodel import AsyncClient, Client
from multimodel.compat import async_openai_client, dashscope_session, openai_client
from multimodel.testing import FakeProvider, FaultyVendor, faults
from multimodel.types import Vectors

WORDS = ["a cat", "a dog", "a car"]


@pytest.fixture
def vendor() -> Iterator[FaultyVendor]:
    with FaultyVendor() as running:
        yield running


def policy(vendor: FaultyVendor) -> dict[str, Any]:
    return {
        "providers": {
            "house": {"profile": "openai", "base_url": vendor.openai_url, "api_key": "k", "operator": "house"}
        },
        "routes": {"vectors": {"chain": ["house:our-vectors"], "retry": {"attempts": 1}}},
        "aliases": {"text-embedding-3-small": "vectors", "text-embedding-v4": "vectors"},
    }


def test_both_packings_give_the_same_vectors(vendor: FaultyVendor):
    with Client(policy(vendor)) as made:
        sdk = openai_client(made)
        packed = sdk.embeddings.create(model="text-embedding-3-small", input=WORDS, dimensions=5)
        plain = sdk.embeddings.create(model="vectors", input=WORDS, dimensions=5, encoding_format="float")
        own = made.embed("vectors", WORDS, dimensions=5)
    assert [row.index for row in packed.data] == [0, 1, 2]
    assert packed.model == "our-vectors"
    assert [tuple(row.embedding) for row in plain.data] == list(own.vectors)
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding)
    assert packed.usage.total_tokens == 6


def test_one_text_gives_one_vector_and_none_is_a_bad_request(vendor: FaultyVendor):
    with Client(policy(vendor)) as made:
        sdk = openai_client(made)
        assert len(sdk.embeddings.create(model="vectors", input="a cat").data) == 1
        with pytest.raises(openai.BadRequestError):
            sdk.embeddings.create(model="vectors", input=[])
        with pytest.raises(openai.BadRequestError):
            sdk.embeddings.create(model="vectors", input=[1, 2])
        with pytest.raises(openai.NotFoundError):
            sdk.embeddings.create(model="other", input="a cat")
        vendor.fault = faults.status(429)
        with pytest.raises(openai.RateLimitError):
            sdk.embeddings.create(model="vectors", input="a cat")


def test_the_vendors_own_sdk_and_the_async_twin(vendor: FaultyVendor):
    with Client(policy(vendor)) as made, dashscope_session(made) as over:
        own = made.embed("vectors", WORDS, dimensions=4).vectors
        answer = dashscope.TextEmbedding.call(
            model="text-embedding-v4", input=WORDS, dimension=4, api_key="-", session=over
        )
        assert [tuple(row["embedding"]) for row in answer.output["embeddings"]] == list(own)
        assert [row["text_index"] for row in answer.output["embeddings"]] == [0, 1, 2]
        assert answer.usage["total_tokens"] == 6

    async def main() -> list[list[float]]:
        async with AsyncClient(policy(vendor)) as made, async_openai_client(made) as sdk:
            found = await sdk.embeddings.create(model="vectors", input=WORDS, dimensions=4)
            return [row.embedding for row in found.data]

    assert asyncio.run(main()) == [pytest.approx(vector) for vector in own]


def test_tokens_that_are_not_known_are_not_made_up():
    known = {"routes": {"vectors": {"chain": ["fake:any"]}}}
    fake = FakeProvider([[Vectors("stop", rows=((0, (0.5, 1.0)),))]])
    answer = openai_client(Client(known, providers={"fake": fake})).embeddings.create(model="vectors", input="a cat")
    assert (answer.data[0].embedding, answer.usage) == ([0.5, 1.0], None)
