"""Programs that were written for a vendor's SDK say the same with ours, unchanged."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from dashscope.api_entities.http_request import close_shared_sync_session

from multimodel import Client
from multimodel.compat import dashscope_session, openai_client
from multimodel.testing import FaultyVendor, VendorRequest

MOVED = Path(__file__).parents[2] / "examples" / "moved"


def program(name: str) -> Any:
    return runpy.run_path(str(MOVED / f"{name}.py"))["main"]


@pytest.fixture
def vendor() -> Iterator[FaultyVendor]:
    with FaultyVendor() as running:
        yield running


@pytest.fixture
def client(vendor: FaultyVendor) -> Iterator[Client]:
    """Of a policy in which nobody is the vendor that the programs name."""
    policy = {
        "providers": {
            "house": {"profile": "openai", "base_url": vendor.openai_url, "api_key": "k", "operator": "house"}
        },
        "routes": {"chat": {"chain": ["house:our-model"]}, "vectors": {"chain": ["house:our-vectors"]}},
        "aliases": {"gpt-4o": "chat", "qwen-plus": "chat", "text-embedding-3-small": "vectors"},
    }
    with Client(policy) as made:
        yield made


@pytest.mark.parametrize("name", ["chat_with_tools", "streamed_structured_output", "embeddings_search"])
def test_a_program_for_the_openai_sdk_says_the_same(name: str, vendor: FaultyVendor, client: Client):
    main = program(name)
    with openai.OpenAI(base_url=vendor.openai_url, api_key="sk-test") as theirs:
        before = repr(main(lambda: theirs))
    models = {entry.model for entry in vendor.log}
    vendor.log.clear()
    with openai_client(client) as ours:
        assert repr(main(lambda: ours)) == before
    assert models.isdisjoint({entry.model for entry in vendor.log})


@pytest.mark.parametrize("name", ["qwen_stream", "qwen_tools"])
def test_a_program_for_the_dashscope_sdk_says_the_same(name: str, vendor: FaultyVendor, client: Client):
    main = program(name)
    before = main(api_key="sk-test", base_address=vendor.dashscope_url)
    close_shared_sync_session()
    assert {entry.wire for entry in vendor.log} == {"dashscope"}
    vendor.log.clear()
    with dashscope_session(client) as session:
        assert main(api_key="-", session=session) == before
    assert {entry.wire for entry in vendor.log} == {"openai"}


def test_the_tools_results_reach_the_model(vendor: FaultyVendor, client: Client):
    def answer(request: VendorRequest) -> Any:
        results = [message for message in request.messages if message["role"] == "tool"]
        return f"There are {results[-1]['content']}." if results else None

    vendor.answer = answer
    with openai_client(client) as ours:
        assert program("chat_with_tools")(lambda: ours) == "There are 4."
