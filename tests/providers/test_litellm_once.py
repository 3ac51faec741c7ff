from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace

import aiohttp
import httpx
import httpx2
import pytest

from multimodel.errors import BadRequestError
from multimodel.providers.litellm_import import load
from multimodel.providers.litellm_once import Sending, sending
from multimodel.testing import FaultyVendor, faults
from multimodel.testing.answer import Answer, Script
from multimodel.testing.faults.base import pause

from .litellm_runs import attempt, both_colours, error_of, run, text_of

FAMILIES = pytest.mark.parametrize(
    "model", ["openai/m", "anthropic/m", "deepseek/m", "mistral/m", "azure/m", "cohere/m", "ollama_chat/m"]
)
whole_and_streamed = pytest.mark.parametrize("stream", [True, False])
ROLES = "Conversation roles must alternate user/assistant"


@pytest.fixture
def vendor() -> Iterator[FaultyVendor]:
    with FaultyVendor() as running:
        yield running


@pytest.fixture
def elsewhere() -> Iterator[FaultyVendor]:
    with FaultyVendor() as running:
        yield running


def connected(vendor: FaultyVendor) -> bool:
    return vendor.connections.total > 0 or bool(vendor.log)


@both_colours
@whole_and_streamed
@FAMILIES
def test_a_redirect_is_not_followed(vendor, elsewhere, colour, stream, model):
    vendor.fault = faults.redirect(f"{elsewhere.openai_url}/chat/completions")
    error = error_of(colour, vendor.openai_url, attempt(model=model, stream=stream))
    assert (error.kind, error.status) == ("invalid_response", 307)
    assert len(vendor.log) == 1
    assert not connected(elsewhere)


def test_a_session_of_aiohttp_follows_none_in_an_attempt(vendor, elsewhere):
    load()
    vendor.fault = faults.redirect(f"{elsewhere.openai_url}/chat/completions")

    async def main() -> int:
        sending.set(Sending())
        async with aiohttp.ClientSession() as session, session.post(f"{vendor.openai_url}/chat/completions") as answer:
            return answer.status

    assert asyncio.run(main()) == 307
    assert not connected(elsewhere)


@both_colours
@whole_and_streamed
@pytest.mark.parametrize("words", [ROLES, "Last message must have role `user`"])
def test_what_litellm_would_ask_again_in_other_words_is_one_request(vendor, colour, stream, words):
    vendor.fault = faults.status(400, message=words)
    error = error_of(colour, vendor.openai_url, attempt(stream=stream))
    assert isinstance(error, BadRequestError)
    assert error.detail == words
    assert len(vendor.log) == 1


@both_colours
@whole_and_streamed
@FAMILIES
def test_a_connection_that_broke_is_not_tried_again(vendor, colour, stream, model):
    vendor.fault = faults.reset_before_headers()
    error_of(colour, vendor.openai_url, attempt(model=model, stream=stream))
    assert len(vendor.log) == 1


@both_colours
def test_a_failure_does_not_bind_the_next_attempt(vendor, colour):
    vendor.script([faults.status(400, message=ROLES), None])
    error_of(colour, vendor.openai_url, attempt())
    vendor.answer = "It is."
    assert text_of(run(colour, vendor.openai_url, attempt())) == "It is."


@both_colours
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_requests_outside_an_attempt_follow_redirects_and_may_be_repeated(vendor, elsewhere, colour, library):
    load()
    path = "/chat/completions"
    body = {"model": "m", "messages": [{"role": "user", "content": "Is it?"}]}

    vendor.script([faults.status(400), faults.redirect(f"{elsewhere.openai_url}{path}")])

    async def main() -> list[int]:
        async with library.AsyncClient(follow_redirects=True) as client:
            return [(await client.post(f"{vendor.openai_url}{path}", json=body)).status_code for _ in range(2)]

    if colour == "asyncio":
        assert asyncio.run(main()) == [400, 200]
    else:
        with library.Client(follow_redirects=True) as client:
            assert [client.post(f"{vendor.openai_url}{path}", json=body).status_code for _ in range(2)] == [400, 200]
    assert len(elsewhere.log) == 1


@faults.fault
def late_redirect(answer: Answer, to: str) -> Script:
    yield from pause(0.6)
    yield replace(answer, status=307).head(0, [("location", to)])


def test_an_attempt_that_was_given_up_stays_bound(vendor, elsewhere):
    run("blocking", vendor.openai_url, attempt())  # what litellm does once a process is no part of the limit
    vendor.fault = late_redirect(f"{elsewhere.openai_url}/chat/completions")
    assert error_of("blocking", vendor.openai_url, attempt(first=0.3)).kind == "timeout.first"
    for thread in threading.enumerate():
        if thread.name == "multimodel-litellm":
            thread.join(5.0)
    assert len(vendor.log) == 2
    assert not connected(elsewhere)
