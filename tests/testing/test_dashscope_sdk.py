"""The stand-in is fair: the official `dashscope` SDK, both generations of it, takes it for the vendor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import dashscope
import pytest
from dashscope.aigc.generation import AioGeneration
from dashscope.api_entities.aio_session import close_shared_aio_session
from dashscope.api_entities.http_request import close_shared_sync_session
from dashscope.v2 import errors

from multimodel.testing import FaultyVendor, Reply, faults
from multimodel.types import ToolCall

HI = [{"role": "user", "content": "Hi"}]
SEEN = [{"role": "user", "content": [{"text": "What is it?"}, {"image": "https://example.com/a.png"}]}]
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture(autouse=True)
def close_sessions() -> Iterator[None]:
    yield
    close_shared_sync_session()


def call(vendor: FaultyVendor, model: str = "qwen-plus", messages: list = HI, **options: Any) -> Any:
    return dashscope.Generation.call(
        model=model, messages=messages, api_key="sk-test", base_address=vendor.dashscope_url, **options
    )


def see(vendor: FaultyVendor, model: str = "qwen3-vl-plus", messages: list = SEEN, **options: Any) -> Any:
    return dashscope.MultiModalConversation.call(
        model=model, messages=messages, api_key="sk-test", base_address=vendor.dashscope_url, **options
    )


def test_a_whole_answer_as_text_and_as_message(vendor: FaultyVendor):
    vendor.answer = "Good day."
    text, message = call(vendor), call(vendor, result_format="message")
    assert (text.status_code, text.output.text, text.output.finish_reason) == (200, "Good day.", "stop")
    assert text.output.choices is None
    assert message.output.choices[0].message.content == "Good day."
    assert message.output.choices[0].finish_reason == "stop"
    assert (message.usage.input_tokens, message.usage.output_tokens, message.usage.total_tokens) == (1, 2, 3)
    assert message.request_id


def test_a_prompt_counts_as_a_message(vendor: FaultyVendor):
    answer = dashscope.Generation.call(model="m", prompt="Hello?", api_key="k", base_address=vendor.dashscope_url)
    assert answer.output.text == "You said: Hello?"


def test_a_stream_is_cumulative_until_told_otherwise(vendor: FaultyVendor):
    vendor.answer = "one two three"
    assert [part.output.text for part in call(vendor, stream=True)] == [
        "one ",
        "one two ",
        "one two three",
        "one two three",
    ]
    parts = list(call(vendor, stream=True, incremental_output=True, result_format="message"))
    assert [part.output.choices[0].message.content for part in parts] == ["one ", "two ", "three", ""]
    assert [part.output.choices[0].finish_reason for part in parts] == ["null", "null", "null", "stop"]
    assert [part.usage.output_tokens for part in parts] == [1, 2, 3, 3]


def test_a_family_whose_default_is_incremental(vendor: FaultyVendor):
    vendor.answer = "one two"
    assert [part.output.text for part in call(vendor, "qwen3-max", stream=True)] == ["one ", "two", ""]


def test_an_explicit_false_is_sent_as_true_and_merged_by_the_sdk(vendor: FaultyVendor):
    vendor.answer = "one two"
    parts = list(call(vendor, stream=True, incremental_output=False, result_format="message"))
    assert parts[-1].output.choices[0].message.content == "one two"
    assert vendor.log[0].options["incremental_output"] is True


def test_thinking_comes_first(vendor: FaultyVendor):
    vendor.answer = Reply("Yes.", reasoning="Well now.")
    parts = list(call(vendor, stream=True, incremental_output=True, result_format="message", enable_thinking=True))
    messages = [part.output.choices[0].message for part in parts]
    assert "".join(message.get("reasoning_content") or "" for message in messages) == "Well now."
    assert "".join(message.content for message in messages) == "Yes."


@pytest.mark.parametrize("incremental", [True, False])
def test_tool_calls_are_put_together(vendor: FaultyVendor, incremental: bool):
    calls = (
        ToolCall(id="a", name="one", arguments='{"x": 12345678}'),
        ToolCall(id="b", name="two", arguments='{"y": 2}'),
    )
    vendor.answer = Reply(tool_calls=calls)
    options = {"stream": True, "result_format": "message", "tools": [WEATHER]}
    found: dict[int, list[str]] = {}
    for part in call(vendor, **options, incremental_output=incremental):
        for piece in part.output.choices[0].message.get("tool_calls") or []:
            entry = found.setdefault(piece["index"], ["", ""])
            entry[0] = entry[0] or piece["function"].get("name", "")
            entry[1] = entry[1] + piece["function"]["arguments"] if incremental else piece["function"]["arguments"]
    assert part.output.choices[0].finish_reason == "tool_calls"
    assert found == {0: ["one", '{"x": 12345678}'], 1: ["two", '{"y": 2}']}


def test_a_whole_tool_call_and_its_round(vendor: FaultyVendor):
    first = call(vendor, tools=[WEATHER], result_format="message").output.choices[0].message
    assert json.loads(first.tool_calls[0]["function"]["arguments"]) == {"city": "text"}
    result = {"role": "tool", "content": "sunny", "tool_call_id": first.tool_calls[0]["id"]}
    second = call(vendor, messages=[*HI, first, result], tools=[WEATHER], result_format="message")
    assert second.output.choices[0].message.content == "You said: Hi"


def test_a_model_that_sees_answers_with_parts(vendor: FaultyVendor):
    answer = see(vendor)
    assert answer.output.choices[0].message.content == [{"text": "You said: What is it?"}]
    parts = [part.output.choices[0].message.content for part in see(vendor, stream=True, incremental_output=True)]
    assert "".join(item["text"] for content in parts for item in content) == "You said: What is it?"
    assert parts[-1] == []


def test_each_model_lives_on_one_path(vendor: FaultyVendor):
    for wrong in (call(vendor, "qwen3.8-max"), see(vendor, "qwen-plus")):
        assert (wrong.status_code, wrong.code) == (400, "InvalidParameter")
        assert "url error" in wrong.message
    (streamed,) = call(vendor, "qwen3.8-max", stream=True)
    assert (streamed.status_code, streamed.code) == (400, "InvalidParameter")
    assert vendor.log[-1].status == 200


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (faults.arrearage(), 400, "Arrearage"),
        (faults.status(401), 401, "InvalidApiKey"),
        (faults.status(429), 429, "Throttling.RateQuota"),
        (faults.refusal("content_filtered"), 400, "DataInspectionFailed"),
        (faults.status(500), 500, "InternalError"),
        (faults.status(503), 503, "ModelUnavailable"),
    ],
    ids=str,
)
def test_errors_have_their_code(vendor: FaultyVendor, fault: faults.Fault, status: int, code: str, stream: bool):
    vendor.fault = fault
    answer = call(vendor, stream=stream)
    (answer,) = answer if stream else (answer,)
    assert (answer.status_code, answer.code) == (status, code)
    assert answer.message
    assert answer.request_id


def test_a_wrong_key(vendor: FaultyVendor):
    vendor.keys = {"sk-right"}
    assert (call(vendor).status_code, call(vendor).code) == (401, "InvalidApiKey")


def test_an_error_inside_a_stream_ends_it(vendor: FaultyVendor):
    vendor.answer, vendor.fault = "one two three", faults.in_stream_error(after=2, kind="content_filtered")
    parts = list(call(vendor, stream=True))
    assert [part.status_code for part in parts] == [200, 200, 400]
    assert parts[-1].code == "DataInspectionFailed"


def test_a_body_that_is_framed_but_labelled_as_json_breaks_the_sdk(vendor: FaultyVendor):
    vendor.fault = faults.framed_refusal()
    with pytest.raises(ValueError, match="Expecting value"):
        call(vendor)


def test_the_sdk_sends_a_request_again_when_the_connection_drops(vendor: FaultyVendor):
    vendor.script([faults.close_before_headers()])
    assert call(vendor).status_code == 200
    assert [entry.status for entry in vendor.log] == [None, 200]


def test_asynchronous_tasks_are_not_for_chat(vendor: FaultyVendor):
    answer = call(vendor, headers={"X-DashScope-Async": "enable"})
    assert (answer.status_code, answer.code) == (403, "AccessDenied")


def test_embeddings(vendor: FaultyVendor):
    answer = dashscope.TextEmbedding.call(
        model="text-embedding-v4", input=["one", "two"], dimension=4, api_key="k", base_address=vendor.dashscope_url
    )
    assert [row["text_index"] for row in answer.output["embeddings"]] == [0, 1]
    assert len(answer.output["embeddings"][0]["embedding"]) == 4


def test_the_async_sdk(vendor: FaultyVendor):
    async def main() -> list[Any]:
        options = {"model": "qwen-plus", "messages": HI, "api_key": "k", "base_address": vendor.dashscope_url}
        whole = await AioGeneration.call(**options)
        parts = [part async for part in await AioGeneration.call(**options, stream=True)]
        vendor.script([faults.in_stream_error(after=1, kind="rate_limited"), faults.arrearage()])
        broken = [part async for part in await AioGeneration.call(**options, stream=True)]
        refused = await AioGeneration.call(**options)
        await close_shared_aio_session()
        return [whole.output.text, parts[-1].output.text, broken[-1].code, refused.code]

    assert asyncio.run(main()) == ["You said: Hi", "You said: Hi", "Throttling.RateQuota", "Arrearage"]


# --- the second generation


@pytest.fixture
def client(vendor: FaultyVendor) -> Iterator[Any]:
    made = dashscope.Client(api_key="sk-test", base_url=vendor.dashscope_url, max_retries=0)
    yield made
    made.close()


def test_v2_whole_and_streamed(vendor: FaultyVendor, client: Any):
    vendor.answer = "Good day."
    whole = client.chat.completions.create(model="qwen-plus", messages=HI)
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == ("Good day.", "stop")
    assert whole.usage.total_tokens == 3
    parts = list(client.chat.completions.create(model="qwen-plus", messages=HI, stream=True))
    assert "".join(part.choices[0].delta.content for part in parts) == "Good day."
    assert parts[-1].usage.total_tokens == 3
    assert vendor.log[-1].options["incremental_output"] is True


def test_v2_in_openai_protocol(vendor: FaultyVendor):
    client = dashscope.Client(api_key="k", base_url=vendor.compatible_url, protocol="openai", max_retries=0)
    answer = client.chat.completions.create(model="qwen-plus", messages=HI)
    client.close()
    assert answer.choices[0].message.content == "You said: Hi"
    assert vendor.log[-1].wire == "compatible"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.arrearage(), errors.PermissionDeniedError),
        (faults.status(401), errors.AuthenticationError),
        (faults.status(429), errors.RateLimitError),
        (faults.refusal("content_filtered"), errors.ContentFilterError),
    ],
    ids=str,
)
def test_v2_errors_have_their_class(vendor: FaultyVendor, client: Any, fault: faults.Fault, error: type[Exception]):
    vendor.fault = fault
    with pytest.raises(error):
        client.chat.completions.create(model="qwen-plus", messages=HI)


def test_v2_raises_an_error_inside_a_stream(vendor: FaultyVendor, client: Any):
    vendor.fault = faults.in_stream_error(after=1, kind="rate_limited")
    with pytest.raises(errors.RateLimitError):
        list(client.chat.completions.create(model="qwen-plus", messages=HI, stream=True))


def test_v2_tries_again_on_status(vendor: FaultyVendor):
    vendor.script([faults.status(429, headers={"retry-after-ms": "1"})])
    client = dashscope.Client(api_key="k", base_url=vendor.dashscope_url)
    answer = client.chat.completions.create(model="qwen-plus", messages=HI)
    client.close()
    assert answer.choices[0].message.content == "You said: Hi"
    assert [entry.status for entry in vendor.log] == [429, 200]


def test_v2_async(vendor: FaultyVendor):
    async def main() -> list[str]:
        client = dashscope.AsyncClient(api_key="k", base_url=vendor.dashscope_url)
        whole = await client.chat.completions.create(model="qwen-plus", messages=HI)
        stream = await client.chat.completions.create(model="qwen-plus", messages=HI, stream=True)
        text = "".join([part.choices[0].delta.content async for part in stream])
        close = getattr(client, "aclose", None) or client.close
        await close()
        return [whole.choices[0].message.content, text]

    assert asyncio.run(main()) == ["You said: Hi", "You said: Hi"]
