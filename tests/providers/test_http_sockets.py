"""What this process lacks is not blamed on the vendor."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from multimodel import AllTargetsFailedError, AsyncClient, Client
from multimodel.testing import FaultyVendor


@contextmanager
def no_file_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(file.name) for file in Path("/proc/self/fd").iterdir()) + 8, hard)
    )
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def policy(vendor: FaultyVendor) -> dict[str, object]:
    return {
        "providers": {"only": {"profile": "openai", "base_url": vendor.openai_url, "api_key": "sk-one"}},
        "routes": {"chat": {"chain": ["only:m"]}},
    }


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_process_without_a_free_file_says_so_and_its_vendor_stays_healthy(colour: str):
    async def ask(client: Client | AsyncClient) -> str:
        answer = client.complete("chat", "Hi")
        return (await answer if asyncio.iscoroutine(answer) else answer).text

    async def scene() -> None:
        with FaultyVendor() as first, Client(policy(first)) as other:
            other.complete("chat", "Hi")  # modules that are read on first use; all its sockets are closed after this
        with FaultyVendor() as vendor:
            vendor.answer = "Yes."
            client = Client(policy(vendor)) if colour == "sync" else AsyncClient(policy(vendor))
            for _ in range(6):
                with no_file_left(), pytest.raises(AllTargetsFailedError) as failed:
                    await ask(client)
                assert [error.kind for error in failed.value.exceptions] == ["local_overload"]
            assert await ask(client) == "Yes."
            if isinstance(client, Client):
                client.close()
            else:
                await client.aclose()

    asyncio.run(scene())
