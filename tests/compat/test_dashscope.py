"""Code written for the `dashscope` SDK, either generation of it, goes on without DashScope."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import dashscope
import pytest
import requests
from dashscope.aigc.generation import AioGeneration
from dashscope.aigc.multimodal_conversation import AioMultiModalConversation
from dashscope.v2 import errors

from multimodel import AsyncClient, Client, ConfigurationError
from multimodel.compat import async_dashscope_client, dashscope_async_session, dashscope_client, dashscope_session
from multimodel.testing import FakeProvider, FaultyVendor, Reply, faults
from multimodel.types import ToolCall

HI = [{"role": "user", "content": "Hi"}]
SEEN = [{"role": "user", "content": [{"text": "What is it?"}, {"image": "https://example.com/a.png"}]}]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture
def house() -> Iterator[FaultyVendor]:
    with FaultyVendor() as vendor:
        yield vendor


def policy(house: FaultyVendor) -> dict[str, Any]:
    """Where Qwen was asked for, somebody else is now."""
    return {
        "providers": {
            "house": {"profile": "openai", "base_url": house.openai_url, "api_key": "k", "operator": "house"}
        },
        "routes": {"chat": {"chain": ["house:our-model"], "retry": {"attempts": 1}}},
        "aliases": {"qwen-plus": "chat", "qwen3-max": "chat", "qwen3-vl-plus": "chat"},
    }


@pytest.fixture
def session(house: FaultyVendor) -> Iterator[requests.Session]:
    with Client(policy(house)) as made, dashscope_session(made) as over:
        yield over


def call(session: requests.Session, model: str = "qwen-plus", messages: list = HI, **options: Any) -> Any:
    return dashscope.Generation.call(model=model, messages=messages, api_key="-", session=session, **options)


def see(session: requests.Session, messages: list = SEEN, **options: Any) -> Any:
    return dashscope.MultiModalConversation.call(
        model="qwen3-vl-plus", messages=messages, api_key="-", session=session, **options
    )


# --- the first generation


def test_a_whole_answer_as_text_and_as_message(house: FaultyVendor, session: requests.Session):
    house.answer = "Good day."
    text, message = call(session), call(session, result_format="message")
    assert (text.status_code, text.output.text, text.output.finish_reason) == (200, "Good day.", "stop")
    assert text.output.choices is None
    assert message.output.choices[0].message.content == "Good day."
    assert message.output.choices[0].finish_reason == "stop"
    assert (message.usage.input_tokens, message.usage.output_tokens, message.usage.total_tokens) == (1, 2, 3)
    assert message.request_id
    assert {entry.wire for entry in house.log} == {"openai"}


def test_the_headers_say_who_answered(session: requests.Session):
    headers = call(session).headers
    assert (headers["x-multimodel-target"], headers["x-multimodel-attempts"]) == ("house:our-model", "1")


def test_a_prompt_counts_as_a_message(session: requests.Session):
    answer = dashscope.Generation.call(model="qwen-plus", prompt="Hello?", api_key="-", session=session)
    assert answer.output.text == "You said: Hello?"


def test_a_stream_is_cumulative_until_told_otherwise(house: FaultyVendor, session: requests.Session):
    house.answer = "one two three"
    said = [part.output.text for part in call(session, stream=True)]
    assert said == ["one ", "one two ", "one two three", "one two three"]
    parts = list(call(session, stream=True, incremental_output=True, result_format="message"))
    assert "".join(part.output.choices[0].message.content for part in parts) == "one two three"
    assert [part.output.choices[0].finish_reason for part in parts] == ["null", "null", "null", "stop"]
    assert parts[-1].usage.total_tokens == 4
    assert [part.output.text for part in call(session, "qwen3-max", stream=True)] == ["one ", "two ", "three", ""]


def test_an_explicit_false_is_merged_by_the_sdk(house: FaultyVendor, session: requests.Session):
    house.answer = "one two"
    parts = list(call(session, stream=True, incremental_output=False, result_format="message"))
    assert parts[-1].output.choices[0].message.content == "one two"


def test_thinking_comes_first(house: FaultyVendor, session: requests.Session):
    house.answer = Reply("Yes.", reasoning="Well now.")
    parts = list(call(session, stream=True, incremental_output=True, result_format="message", enable_thinking=True))
    messages = [part.output.choices[0].message for part in parts]
    assert "".join(message.get("reasoning_content") or "" for message in messages) == "Well now."
    assert "".join(message.content for message in messages) == "Yes."
    assert house.log[0].options["reasoning_effort"] == "high"


@pytest.mark.parametrize("incremental", [True, False, None])
def test_streamed_tool_calls_are_put_together(house: FaultyVendor, session: requests.Session, incremental: bool | None):
    house.answer = Reply(
        tool_calls=(
            ToolCall(id="a", name="one", arguments='{"x": 12345678}'),
            ToolCall(id="b", name="two", arguments='{"y": 2}'),
        )
    )
    asked = {} if incremental is None else {"incremental_output": incremental}
    found: dict[int, list[str]] = {}
    for part in call(session, stream=True, result_format="message", tools=[WEATHER], **asked):
        for piece in part.output.choices[0].message.get("tool_calls") or []:
            entry = found.setdefault(piece["index"], ["", "", ""])
            entry[0], entry[1] = entry[0] or piece["id"], entry[1] or piece["function"].get("name", "")
            arguments = piece["function"]["arguments"]
            entry[2] = entry[2] + arguments if incremental else arguments
    assert part.output.choices[0].finish_reason == "tool_calls"
    assert found == {0: ["a", "one", '{"x": 12345678}'], 1: ["b", "two", '{"y": 2}']}


def test_a_round_of_tools_keeps_its_ids(house: FaultyVendor, session: requests.Session):
    first = call(session, tools=[WEATHER], result_format="message").output.choices[0].message
    assert json.loads(first.tool_calls[0]["function"]["arguments"]) == {"city": "text"}
    result = {"role": "tool", "content": "sunny", "tool_call_id": first.tool_calls[0]["id"]}
    second = call(session, messages=[*HI, first, result], tools=[WEATHER], result_format="message")
    assert second.output.choices[0].message.content == "You said: Hi"
    assert house.log[-1].messages[2]["tool_call_id"] == first.tool_calls[0]["id"]


def test_a_model_that_sees_answers_with_parts(house: FaultyVendor, session: requests.Session):
    answer = see(session)
    assert answer.output.choices[0].message.content == [{"text": "You said: What is it?"}]
    parts = [part.output.choices[0].message.content for part in see(session, stream=True, incremental_output=True)]
    assert "".join(item["text"] for content in parts for item in content) == "You said: What is it?"
    assert house.log[0].messages[0]["content"][1]["image_url"]["url"] == "https://example.com/a.png"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (faults.refusal("quota_exhausted"), 400, "Arrearage"),
        (faults.status(401), 401, "InvalidApiKey"),
        (faults.status(404), 404, "ModelNotFound"),
        (faults.status(429), 429, "Throttling.RateQuota"),
        (faults.status(500), 500, "InternalError"),
        (faults.status(503), 503, "ModelUnavailable"),
    ],
    ids=str,
)
def test_errors_have_the_vendors_code(
    house: FaultyVendor, session: requests.Session, fault: faults.Fault, status: int, code: str, stream: bool
):
    house.fault = fault
    answer = call(session, stream=stream)
    (answer,) = answer if stream else (answer,)
    assert (answer.status_code, answer.code) == (status, code)
    assert answer.message
    assert answer.request_id


def test_an_error_inside_a_stream_ends_it(house: FaultyVendor, session: requests.Session):
    house.answer, house.fault = "one two three", faults.in_stream_error(after=3)
    parts = list(call(session, stream=True))
    assert [part.status_code for part in parts] == [200, 200, 500]
    assert parts[-1].code == "InternalError"


def test_an_unknown_model_is_the_vendors_own_error(session: requests.Session):
    answer = call(session, "qwen-unknown")
    assert (answer.status_code, answer.code) == (404, "ModelNotFound")


def test_asynchronous_tasks_are_refused(session: requests.Session):
    answer = call(session, headers={"X-DashScope-Async": "enable"})
    assert (answer.status_code, answer.code) == (403, "AccessDenied")


def test_the_sdks_time_out_is_the_deadline(house: FaultyVendor, session: requests.Session):
    house.fault = faults.silent()
    with pytest.raises(requests.ReadTimeout):
        call(session, request_timeout=0.7)


def test_giving_a_stream_up_closes_the_vendors_connection(house: FaultyVendor, session: requests.Session):
    house.answer, house.pace = "word " * 200, 0.05
    stream = call(session, stream=True)
    next(stream)
    stream.close()
    assert house.wait_until(lambda: house.log[0].outcome == "client_closed", seconds=1)


def test_the_first_generation_on_an_event_loop(house: FaultyVendor):
    async def main() -> None:
        async with AsyncClient(policy(house)) as made, dashscope_async_session(made) as over:
            asked = {"model": "qwen-plus", "messages": HI, "api_key": "-", "session": over}
            whole = await AioGeneration.call(**asked)
            assert (whole.output.text, whole.status_code) == ("You said: Hi", 200)
            parts = [part async for part in await AioGeneration.call(**asked, stream=True)]
            assert parts[-1].output.text == "You said: Hi"
            house.script([faults.in_stream_error(after=1, kind="server_error"), faults.status(429)])
            broken = [part async for part in await AioGeneration.call(**asked, stream=True)]
            assert (broken[-1].status_code, broken[-1].code) == (500, "InternalError")
            refused = await AioGeneration.call(**asked)
            assert (refused.status_code, refused.code) == (429, "Throttling.RateQuota")
            seen = await AioMultiModalConversation.call(model="qwen3-vl-plus", messages=SEEN, api_key="-", session=over)
            assert seen.output.choices[0].message.content == [{"text": "You said: What is it?"}]

    asyncio.run(main())


def test_many_calls_at_once_on_an_event_loop(house: FaultyVendor):
    async def main() -> list[str]:
        async with AsyncClient(policy(house)) as made, dashscope_async_session(made) as over:
            return await asyncio.gather(*(_ask(over, number) for number in range(30)))

    async def _ask(over: Any, number: int) -> str:
        messages = [{"role": "user", "content": f"Number {number}"}]
        answer = await AioGeneration.call(model="qwen-plus", messages=messages, api_key="-", session=over)
        return answer.output.text

    assert asyncio.run(main()) == [f"You said: Number {number}" for number in range(30)]


def test_giving_an_async_stream_up_closes_the_vendors_connection(house: FaultyVendor):
    async def main() -> None:
        house.answer, house.pace = "word " * 200, 0.05
        async with AsyncClient(policy(house)) as made, dashscope_async_session(made) as over:
            stream = await AioGeneration.call(model="qwen-plus", messages=HI, api_key="-", session=over, stream=True)
            await anext(stream)
            await stream.aclose()
            task = asyncio.create_task(AioGeneration.call(model="qwen-plus", messages=HI, api_key="-", session=over))
            await asyncio.to_thread(house.wait_until, lambda: len(house.log) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            closed = lambda: [entry.outcome for entry in house.log] == ["client_closed"] * 2
            assert await asyncio.to_thread(house.wait_until, closed, seconds=1)

    asyncio.run(main())


def test_a_long_answer_waits_for_its_slow_reader(house: FaultyVendor):
    async def main() -> str:
        house.answer = "word " * 3000
        async with AsyncClient(policy(house)) as made, dashscope_async_session(made) as over:
            asked = {"model": "qwen-plus", "messages": HI, "api_key": "-", "session": over, "incremental_output": True}
            parts = await AioGeneration.call(**asked, stream=True)
            said = []
            async for part in parts:
                await asyncio.sleep(0)
                said.append(part.output.text)
            return "".join(said)

    assert asyncio.run(main()) == "word " * 3000


# --- the second generation


def test_v2_whole_streamed_and_refused(house: FaultyVendor):
    house.answer = "Good day."
    with Client(policy(house)) as made:
        sdk = dashscope_client(made)
        whole = sdk.chat.completions.create(model="qwen-plus", messages=HI)
        assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("Good day.", "stop")
        assert whole.usage.total_tokens == 3
        parts = list(sdk.chat.completions.create(model="qwen-plus", messages=HI, stream=True))
        assert "".join(part.choices[0].delta.content for part in parts) == "Good day."
        assert parts[-1].usage.total_tokens == 3
        house.script([faults.status(429), faults.in_stream_error(after=1), faults.silent()])
        with pytest.raises(errors.RateLimitError):
            sdk.chat.completions.create(model="qwen-plus", messages=HI)
        with pytest.raises(errors.DashScopeError):
            list(sdk.chat.completions.create(model="qwen-plus", messages=HI, stream=True))
        with pytest.raises(errors.APITimeoutError):
            sdk.chat.completions.create(model="qwen-plus", messages=HI, timeout=0.6)
        sdk.close()


def test_v2_sends_nothing_again_even_when_told_to(house: FaultyVendor):
    house.fault = faults.status(429)
    with Client(policy(house)) as made:
        sdk = dashscope_client(made, max_retries=2)
        with pytest.raises(errors.RateLimitError):
            sdk.chat.completions.create(model="qwen-plus", messages=HI)
    assert len(house.log) == 1


def test_v2_on_an_event_loop(house: FaultyVendor):
    async def main() -> tuple[str, str]:
        async with AsyncClient(policy(house)) as made:
            sdk = async_dashscope_client(made)
            whole = await sdk.chat.completions.create(model="qwen-plus", messages=HI)
            stream = await sdk.chat.completions.create(model="qwen-plus", messages=HI, stream=True)
            return whole.choices[0].message.content, "".join([part.choices[0].delta.content async for part in stream])

    assert asyncio.run(main()) == ("You said: Hi", "You said: Hi")


# --- what is needed


@pytest.mark.parametrize("name", ["requests", "aiohttp", "dashscope"])
def test_a_missing_package_is_named_with_the_line_that_installs_it(name: str, monkeypatch: pytest.MonkeyPatch):
    import sys

    known = {"routes": {"chat": {"chain": ["fake:any"]}}}
    monkeypatch.setitem(sys.modules, name, None)
    made: dict[str, Any] = {
        "requests": dashscope_session,
        "aiohttp": dashscope_async_session,
        "dashscope": dashscope_client,
    }
    client = (AsyncClient if name == "aiohttp" else Client)(known, providers={"fake": FakeProvider()})
    with pytest.raises(ConfigurationError, match=f"pip install {name}"):
        made[name](client)
