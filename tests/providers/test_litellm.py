from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

import pytest

from multimodel.errors import (
    BadRequestError,
    ConfigurationError,
    ContentFilteredError,
    PolicyDeniedError,
    ServerError,
    TruncatedStreamError,
)
from multimodel.providers import litellm_import
from multimodel.testing import FaultyVendor, Reply, faults
from multimodel.types import FinishReason, ReasoningDelta, Request, ToolCall, ToolCallDelta, Usage

from .litellm_runs import attempt, both_colours, end_of, error_of, provider_at, run, text_of

TOOL = {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}}


@pytest.fixture
def vendor() -> Iterator[FaultyVendor]:
    with FaultyVendor(keys=["sk-test"]) as running:
        yield running


# --- the import ---------------------------------------------------------------------------------------

FIRST_USE = """
import logging, os, sys
from multimodel.providers.litellm import LiteLLMProvider
from multimodel.providers.litellm_import import load
assert "litellm" not in sys.modules
before, opened = dict(os.environ), []
sys.addaudithook(lambda event, args: opened.append(event) if event == "socket.connect" else None)
load()
print(sorted(name for name in os.environ if os.environ[name] != before.get(name)))
print(opened)
for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
    logging.getLogger(name).warning("to nobody")
"""


def test_the_first_use_is_quiet_opens_no_socket_and_sets_two_variables_only():
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LITELLM")}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", FIRST_USE],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
        env=environ,
    )
    assert ran.stdout.splitlines() == ["['LITELLM_LOCAL_MODEL_COST_MAP', 'LITELLM_MODE']", "[]"]
    assert ran.stderr == ""


def test_a_missing_extra_is_a_configuration_error_with_the_command(monkeypatch):
    monkeypatch.setattr(litellm_import, "_ready", None)
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(ConfigurationError) as caught:
        next(provider_at("http://127.0.0.1:9").stream(attempt()))
    assert caught.value.hint == "pip install 'multimodel[litellm]'"


# --- what is sent -------------------------------------------------------------------------------------


@both_colours
def test_options_of_the_call_reach_the_vendor(vendor, colour):
    request = Request(messages="Is it?", temperature=0.5, max_tokens=7, stop=("END",), tools=(TOOL,))
    run(colour, vendor.openai_url, attempt(request))
    sent = vendor.log[0]
    assert sent.model == "gpt-4o-mini"
    assert sent.text == "Is it?"
    assert sent.options["temperature"] == 0.5
    assert sent.options["max_tokens"] == 7
    assert sent.options["stop"] == ["END"]
    assert sent.options["tools"][0]["function"]["name"] == "add"
    assert sent.options["stream_options"] == {"include_usage": True}


def test_extra_options_and_those_of_the_provider_are_handed_on(vendor):
    request = Request(messages="Is it?", extra={"litellm": {"user": "u1"}, "dashscope": {"enable_search": True}})
    run("blocking", vendor.openai_url, attempt(request), extra_headers={"x-tenant": "acme"})
    assert vendor.log[0].options["user"] == "u1"
    assert "enable_search" not in vendor.log[0].options
    assert vendor.log[0].headers["x-tenant"] == "acme"


@both_colours
def test_nothing_among_the_extra_options_can_add_a_target_or_a_retry(vendor, colour):
    vendor.fault = faults.status(500)
    extra = {"fallbacks": ["openai/other"], "num_retries": 3, "max_retries": 3, "drop_params": True}
    error = error_of(colour, vendor.openai_url, attempt(Request(messages="Is it?", extra={"litellm": extra})))
    assert isinstance(error, ServerError)
    assert [request.model for request in vendor.log] == ["gpt-4o-mini"]


@both_colours
@pytest.mark.parametrize("model", ["no-such-vendor", "anthropic/claude-sonnet-4-6"])
def test_what_litellm_cannot_say_is_denied_and_nothing_is_sent(vendor, colour, model):
    error = error_of(colour, vendor.openai_url, attempt(Request(messages="Is it?", seed=1), model=model))
    assert isinstance(error, PolicyDeniedError)
    assert vendor.log == []


# --- the answer ---------------------------------------------------------------------------------------


@both_colours
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_is_text_and_one_end_with_its_usage(vendor, colour, stream):
    vendor.answer = Reply("It is sunny.", usage=Usage(input_tokens=4, output_tokens=3, total_tokens=7))
    events = run(colour, vendor.openai_url, attempt(stream=stream))
    assert text_of(events) == "It is sunny."
    end = end_of(events)
    assert end.reason == "stop"
    assert end.usage is not None
    assert (end.usage.input_tokens, end.usage.output_tokens, end.usage.total_tokens) == (4, 3, 7)
    assert end.usage.cost is None
    assert end.model == "gpt-4o-mini"
    assert end.request_id


@both_colours
@pytest.mark.parametrize("stream", [True, False])
def test_reasoning_and_tool_calls_are_told_apart(vendor, colour, stream):
    calls = (ToolCall(id="call_1", name="add", arguments='{"a": 1}'), ToolCall(id="call_2", name="add", arguments="{}"))
    vendor.answer = Reply(reasoning="Let me add.", tool_calls=calls)
    events = run(colour, vendor.openai_url, attempt(Request(messages="Add.", tools=(TOOL,)), stream=stream))
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "Let me add."
    pieces = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(piece.index, piece.id, piece.name) for piece in pieces if piece.id] == [
        (0, "call_1", "add"),
        (1, "call_2", "add"),
    ]
    assert "".join(piece.arguments for piece in pieces if piece.index == 0) == '{"a": 1}'
    assert end_of(events).reason == "tool_calls"


@both_colours
@pytest.mark.parametrize("stream", [True, False])
def test_tokens_that_litellm_counted_itself_are_not_passed_on(vendor, colour, stream):
    vendor.fault = faults.usage_missing()
    assert end_of(run(colour, vendor.openai_url, attempt(stream=stream))).usage is None


@both_colours
@pytest.mark.parametrize(
    "fault",
    [
        faults.cut(after=2),
        faults.cut(after=2, clean=True),
        faults.reset(after=2),
        faults.no_terminal(),
        faults.empty(),
        faults.html(),
    ],
    ids=str,
)
def test_a_stream_without_a_finish_reason_is_never_a_success(vendor, colour, fault):
    vendor.answer = "one two three four"
    vendor.fault = fault
    assert isinstance(error_of(colour, vendor.openai_url, attempt()), TruncatedStreamError)
    assert len(vendor.log) == 1


@both_colours
def test_a_stream_may_end_without_done_and_go_on_after_its_end(vendor, colour):
    vendor.answer = "It is."
    vendor.script([faults.no_done(), faults.text_after_terminal(), faults.second_terminal()])
    for _ in range(3):
        events = run(colour, vendor.openai_url, attempt())
        assert text_of(events) == "It is."
        assert end_of(events).reason == "stop"


@both_colours
@pytest.mark.parametrize("stream", [True, False])
def test_a_vendor_that_breaks_off_is_not_a_stop(vendor, colour, stream):
    reason = cast("FinishReason", "insufficient_system_resource")
    vendor.answer = Reply("It is", finish_reason=reason)
    assert isinstance(error_of(colour, vendor.openai_url, attempt(stream=stream)), ServerError)


@both_colours
def test_a_filtered_answer_is_an_error_only_when_nothing_came(vendor, colour):
    vendor.answer = Reply("It", finish_reason="content_filter")
    assert end_of(run(colour, vendor.openai_url, attempt())).reason == "content_filter"
    vendor.answer = Reply("", finish_reason="content_filter")
    assert isinstance(error_of(colour, vendor.openai_url, attempt()), ContentFilteredError)


# --- connections --------------------------------------------------------------------------------------


@both_colours
def test_closing_the_iterator_closes_the_connection_at_once(vendor, colour):
    vendor.answer = "one two three"
    vendor.fault = faults.stall(after=3)
    provider = provider_at(vendor.openai_url)

    def gone() -> bool:
        return vendor.wait_until(lambda: vendor.connections.open == 0)

    async def main() -> None:
        events = provider.astream(attempt())
        await anext(events)
        await events.aclose()
        assert await asyncio.to_thread(gone)
        await provider.aclose()

    if colour == "asyncio":
        asyncio.run(main())
        return
    events = provider.stream(attempt())
    next(events)
    events.close()
    assert gone()
    provider.close()


def test_cancelling_before_the_first_content_closes_the_connection(vendor):
    vendor.fault = faults.silent()
    provider = provider_at(vendor.openai_url)

    async def main() -> None:
        task = asyncio.create_task(anext(provider.astream(attempt())))
        assert await asyncio.to_thread(vendor.wait_until, lambda: len(vendor.log) == 1, seconds=10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(vendor.wait_until, lambda: vendor.connections.open == 0)
        await provider.aclose()

    asyncio.run(main())


def test_the_last_provider_to_close_closes_the_connections_that_litellm_keeps(vendor):
    async def main() -> None:
        one, other = provider_at(vendor.openai_url), provider_at(vendor.openai_url)
        for provider in (one, other):
            [event async for event in provider.astream(attempt())]
        await one.aclose()
        assert vendor.connections.open == 1
        await other.aclose()
        assert await asyncio.to_thread(vendor.wait_until, lambda: vendor.connections.open == 0)

    asyncio.run(main())


def test_one_provider_serves_threads_at_once(vendor):
    from concurrent.futures import ThreadPoolExecutor

    vendor.answer = lambda request: request.text
    provider = provider_at(vendor.openai_url)
    words = [f"word{number}" for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda word: text_of(provider.stream(attempt(Request(messages=word)))), words)
    assert list(answers) == words
    provider.close()


def test_a_request_that_is_no_json_is_refused_before_litellm_sees_it(vendor):
    request = Request(messages=[{"role": "user", "content": "\ud800"}])
    assert isinstance(error_of("blocking", vendor.openai_url, attempt(request)), BadRequestError)
    assert vendor.log == []
