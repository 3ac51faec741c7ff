"""The stand-in is fair: the official `openai` SDK takes it for the vendor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest
from pydantic import BaseModel

from multimodel.testing import FaultyVendor, Reply, faults
from multimodel.types import ToolCall

HI = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(params=["openai_url", "compatible_url"])
def client(vendor: FaultyVendor, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=getattr(vendor, request.param), api_key="sk-test", max_retries=0, timeout=2) as made:
        yield made


def test_a_whole_answer(vendor: FaultyVendor, client: openai.OpenAI):
    vendor.answer = "Good day to you."
    answer = client.chat.completions.create(model="m", messages=HI)
    assert answer.choices[0].message.content == "Good day to you."
    assert (answer.choices[0].finish_reason, answer.model, answer.object) == ("stop", "m", "chat.completion")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (1, 4, 5)
    assert answer._request_id


def test_a_stream_with_usage(vendor: FaultyVendor, client: openai.OpenAI):
    vendor.answer = "Good day to you."
    chunks = list(
        client.chat.completions.create(model="m", messages=HI, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Good day to you."
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 5
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-2].choices[0].finish_reason == "stop"


def test_a_stream_without_usage(vendor: FaultyVendor, client: openai.OpenAI):
    chunks = list(client.chat.completions.create(model="m", messages=HI, stream=True))
    assert all(chunk.choices for chunk in chunks)


def test_tool_calls_whole_and_streamed(vendor: FaultyVendor, client: openai.OpenAI):
    call = client.chat.completions.create(model="m", messages=HI, tools=[WEATHER]).choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "text"})
    with client.chat.completions.stream(model="m", messages=HI, tools=[WEATHER]) as stream:
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls"
    assert json.loads(final.message.tool_calls[0].function.arguments) == {"city": "text"}


def test_two_tool_calls_are_put_together(vendor: FaultyVendor, client: openai.OpenAI):
    calls = (
        ToolCall(id="a", name="one", arguments='{"x": 12345678}'),
        ToolCall(id="b", name="two", arguments='{"y": 2}'),
    )
    vendor.answer = Reply("Wait.", tool_calls=calls)
    with client.chat.completions.stream(model="m", messages=HI) as stream:
        found = stream.get_final_completion().choices[0].message
    assert found.content == "Wait."
    assert {call.function.name: json.loads(call.function.arguments) for call in found.tool_calls} == {
        "one": {"x": 12345678},
        "two": {"y": 2},
    }


def test_a_round_of_tools(vendor: FaultyVendor, client: openai.OpenAI):
    first = client.chat.completions.create(model="m", messages=HI, tools=[WEATHER]).choices[0].message
    result = {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "sunny"}
    second = client.chat.completions.create(model="m", messages=[*HI, first, result], tools=[WEATHER])
    assert second.choices[0].message.content == "You said: Hi"


def test_structured_output_is_parsed(vendor: FaultyVendor, client: openai.OpenAI):
    class Risk(BaseModel):
        title: str
        severity: int

    answer = client.chat.completions.parse(model="m", messages=HI, response_format=Risk)
    assert answer.choices[0].message.parsed == Risk(title="text", severity=1)


def test_reasoning_comes_before_the_text(vendor: FaultyVendor, client: openai.OpenAI):
    vendor.answer = Reply("Yes.", reasoning="Well now.")
    chunks = list(client.chat.completions.create(model="m", messages=HI, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    thought = [getattr(delta, "reasoning_content", None) for delta in deltas]
    assert "".join(piece for piece in thought if piece) == "Well now."
    assert [index for index, piece in enumerate(thought) if piece] == [1, 2]


def test_models_and_embeddings(vendor: FaultyVendor, client: openai.OpenAI):
    vendor.models = ["first", "second"]
    assert [model.id for model in client.models.list()] == ["first", "second"]
    answer = client.embeddings.create(model="e", input=["one", "two"], dimensions=5)
    again = client.embeddings.create(model="e", input="one", dimensions=5, encoding_format="float")
    assert [row.index for row in answer.data] == [0, 1]
    assert answer.data[0].embedding == pytest.approx(again.data[0].embedding)
    assert sum(value * value for value in answer.data[1].embedding) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.status(400), openai.BadRequestError),
        (faults.status(401), openai.AuthenticationError),
        (faults.status(403), openai.PermissionDeniedError),
        (faults.status(404), openai.NotFoundError),
        (faults.status(429), openai.RateLimitError),
        (faults.status(500), openai.InternalServerError),
        (faults.status(503), openai.InternalServerError),
        (faults.refusal("context_window_exceeded"), openai.BadRequestError),
        (faults.reset_before_headers(), openai.APIConnectionError),
        (faults.close_before_headers(), openai.APIConnectionError),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_have_their_class(
    vendor: FaultyVendor, client: openai.OpenAI, fault: faults.Fault, error: type[Exception], stream: bool
):
    vendor.fault = fault
    with pytest.raises(error) as caught:
        client.chat.completions.create(model="m", messages=HI, stream=stream)
    if isinstance(caught.value, openai.APIStatusError):
        assert caught.value.request_id
        assert caught.value.body["message"]


def test_codes_are_those_of_the_vendor(vendor: FaultyVendor):
    vendor.fault = faults.arrearage()
    codes = []
    for url in (vendor.openai_url, vendor.compatible_url):
        with (
            openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client,
            pytest.raises(openai.APIError) as caught,
        ):
            client.chat.completions.create(model="m", messages=HI)
        codes.append((type(caught.value), caught.value.code))
    assert codes == [(openai.RateLimitError, "insufficient_quota"), (openai.BadRequestError, "Arrearage")]


def test_an_error_inside_a_stream_is_raised(vendor: FaultyVendor, client: openai.OpenAI):
    vendor.fault = faults.in_stream_error(after=2)
    stream = client.chat.completions.create(model="m", messages=HI, stream=True)
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert not isinstance(caught.value, openai.APIStatusError)


def test_the_sdk_waits_as_told_and_tries_again(vendor: FaultyVendor):
    vendor.script([faults.status(429, headers={"retry-after-ms": "1"})])
    with openai.OpenAI(base_url=vendor.openai_url, api_key="k", max_retries=1) as client:
        assert client.chat.completions.create(model="m", messages=HI).choices[0].message.content == "You said: Hi"
    assert [entry.status for entry in vendor.log] == [429, 200]


def test_the_async_sdk(vendor: FaultyVendor):
    async def main() -> tuple[str | None, str, bool]:
        async with openai.AsyncOpenAI(base_url=vendor.openai_url, api_key="sk-test", max_retries=0) as client:
            whole = await client.chat.completions.create(model="m", messages=HI)
            text = ""
            async for chunk in await client.chat.completions.create(model="m", messages=HI, stream=True):
                text += chunk.choices[0].delta.content or ""
            vendor.fault = faults.status(429)
            try:
                await client.chat.completions.create(model="m", messages=HI)
            except openai.RateLimitError:
                return whole.choices[0].message.content, text, True
        return "", "", False

    assert asyncio.run(main()) == ("You said: Hi", "You said: Hi", True)
    assert vendor.log[0].headers["authorization"] == "Bearer sk-test"
    assert vendor.connections.total == 1
