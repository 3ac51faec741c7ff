from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from multimodel import AllTargetsFailedError, AsyncClient, Client
from multimodel.providers.barrier import Barrier
from multimodel.testing import FakeProvider, FaultyVendor


@pytest.fixture
def vendor():
    with FaultyVendor(answer="Yes.") as vendor:
        yield vendor


def policy(vendor: FaultyVendor, *chain: str) -> dict:
    house = {"profile": "openai", "base_url": vendor.openai_url, "api_key": "sk-1"}
    return {"providers": {"vendor": house}, "routes": {"chat": {"chain": [*chain]}}}


def outcomes(error: AllTargetsFailedError) -> set[str]:
    return {attempt.outcome for attempt in error.attempts}


def test_an_account_that_is_blocked_as_a_whole_opens_no_connection(vendor):
    barrier = Barrier(["vendor:a"], ["vendor"])
    with Client(policy(vendor, "vendor:a")) as client:
        client._core.accounts.barrier = barrier
        with pytest.raises(AllTargetsFailedError) as caught:
            client.complete("chat", "Hi")
    assert outcomes(caught.value) == {"connection.unsent"}
    assert barrier.stopped == len(caught.value.attempts) == 2
    assert vendor.connections.total == 0


def test_the_same_on_an_event_loop(vendor):
    barrier = Barrier(["vendor:a"], ["vendor"])

    async def ask() -> AllTargetsFailedError:
        async with AsyncClient(policy(vendor, "vendor:a")) as client:
            client._core.accounts.barrier = barrier
            with pytest.raises(AllTargetsFailedError) as caught:
                await client.complete("chat", "Hi")
            return caught.value

    error = asyncio.run(ask())
    assert outcomes(error) == {"connection.unsent"}
    assert barrier.stopped == len(error.attempts)
    assert vendor.connections.total == 0


def test_one_model_is_blocked_and_another_of_the_same_account_is_asked(vendor):
    barrier = Barrier(["vendor:a"], [])
    with Client(policy(vendor, "vendor:a", "vendor:b")) as client:
        client._core.accounts.barrier = barrier
        answer = client.complete("chat", "Hi")
    assert str(answer.target) == "vendor:b"
    assert [request.model for request in vendor.log] == ["b"]
    assert barrier.stopped == len(answer.report.attempts) - 1


def test_the_name_of_a_blocked_host_is_not_even_looked_up():
    barrier = Barrier(["vendor:a"], ["vendor"])
    house = {"profile": "openai", "base_url": "https://nowhere.invalid/v1", "api_key": "sk-1"}
    with Client({"providers": {"vendor": house}, "routes": {"chat": {"chain": ["vendor:a"]}}}) as client:
        client._core.accounts.barrier = barrier
        with pytest.raises(AllTargetsFailedError) as caught:
            client.complete("chat", "Hi")
    assert barrier.stopped == len(caught.value.attempts)


def test_a_proxy_on_the_way_to_a_blocked_account_is_not_connected_to(vendor):
    given = policy(vendor, "vendor:a")
    given["providers"]["vendor"]["proxy"] = f"http://127.0.0.1:{vendor.port}"
    with Client(given) as client:
        client._core.accounts.barrier = Barrier(["vendor:a"], ["vendor"])
        with pytest.raises(AllTargetsFailedError):
            client.complete("chat", "Hi")
    assert vendor.connections.total == 0


def test_litellm_is_blocked_without_being_imported():
    script = """
import sys
from multimodel import AllTargetsFailedError, Client
from multimodel.providers.barrier import Barrier
with Client({"routes": {"chat": {"chain": ["litellm:openai/gpt-5"]}}}) as client:
    client._core.accounts.barrier = Barrier(["litellm:openai/gpt-5"], ["litellm"])
    try:
        client.complete("chat", "Hi")
    except AllTargetsFailedError as error:
        print({attempt.outcome for attempt in error.attempts}, "litellm" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.stdout == "{'connection.unsent'} False\n", ran.stderr


def test_an_adapter_that_was_handed_in_is_blocked_like_any_other():
    fake = FakeProvider(["Yes."])
    barrier = Barrier(["fake:any"], ["fake"])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        client._core.accounts.barrier = barrier
        with pytest.raises(AllTargetsFailedError) as caught:
            client.complete("chat", "Hi")
    assert outcomes(caught.value) == {"connection.unsent"}
    assert barrier.stopped == len(caught.value.attempts)
    assert fake.attempts == []
