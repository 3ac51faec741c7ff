"""Code written for the `openai` SDK goes on: a real client of it, answered by a policy over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any, Never

import openai
import pytest
from pydantic import BaseModel

from multimodel import AsyncClient, Client, ConfigurationError, InvalidResponseError
from multimodel.compat import async_openai_client, openai_client
from multimodel.compat.serving import HTTPCall, aserve, serve
from multimodel.testing import FakeProvider, FaultyVendor, Reply, faults
from multimodel.types import Embeddings, Report, Target, ToolCall
from multimodel.wire.inbound import Embed
from multimodel.wire.inbound_dashscope import DashScopeInbound
from multimodel.wire.inbound_openai import OpenAIInbound

HI: list[Any] = [{"role": "user", "content": "Hi"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
def qwen() -> Iterator[FaultyVendor]:
    with FaultyVendor() as vendor:
        yield vendor


@pytest.fixture
def house() -> Iterator[FaultyVendor]:
    with FaultyVendor() as vendor:
        yield vendor


def policy(qwen: FaultyVendor, house: FaultyVendor | None = None, **route: Any) -> dict[str, Any]:
    providers = {"dashscope": {"base_url": qwen.dashscope_url, "api_key": "sk-qwen"}}
    chain = ["dashscope:qwen-plus"]
    if house is not None:
        providers["house"] = {
            "profile": "openai",
            "base_url": house.openai_url,
            "api_key": "sk-house",
            "operator": "house",
        }
        chain.append("house:our-model")
    once = {"retry": {"attempts": 1}, **route}
    return {
        "version": 1,
        "providers": providers,
        "routes": {"chat": {"chain": chain, **once}},
        "aliases": {"gpt-4o": "chat", "qwen-plus": "chat"},
    }


@pytest.fixture
def client(qwen: FaultyVendor) -> Iterator[openai.OpenAI]:
    with Client(policy(qwen)) as made, openai_client(made) as sdk:
        yield sdk


def fake(*replies: Any, **route: Any) -> openai.OpenAI:
    known = {"routes": {"chat": {"chain": ["fake:any"], "retry": {"attempts": 1}, **route}}}
    return openai_client(Client(known, providers={"fake": FakeProvider(replies)}))


# --- answers


def test_a_whole_answer_says_who_gave_it(qwen: FaultyVendor, client: openai.OpenAI):
    qwen.answer = "Good day to you."
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HI, max_tokens=9, user="u-1")
    answer = raw.parse()
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Good day to you.", "stop")
    assert (answer.model, answer.object) == ("qwen-plus", "chat.completion")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (1, 4, 5)
    assert raw.headers["x-multimodel-target"] == "dashscope:qwen-plus"
    assert (raw.headers["x-multimodel-route"], raw.headers["x-multimodel-attempts"]) == ("chat", "1")
    assert answer._request_id == qwen.log[0].request_id
    assert qwen.log[0].wire == "dashscope"


def test_a_dead_vendor_is_left_unseen(qwen: FaultyVendor, house: FaultyVendor):
    qwen.fault, house.answer = faults.status(503), "Here."
    with Client(policy(qwen, house)) as made:
        sdk = openai_client(made)
        raw = sdk.chat.completions.with_raw_response.create(model="qwen-plus", messages=HI)
        assert (raw.parse().model, raw.headers["x-multimodel-attempts"]) == ("our-model", "2")
        stream = sdk.chat.completions.create(model="qwen-plus", messages=HI, stream=True)
        assert {chunk.model for chunk in stream} == {"our-model"}
        assert stream.response.headers["x-multimodel-target"] == "house:our-model"


def test_a_stream_with_usage(qwen: FaultyVendor, client: openai.OpenAI):
    qwen.answer = "Good day to you."
    chunks = list(
        client.chat.completions.create(model="chat", messages=HI, stream=True, stream_options={"include_usage": True})
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Good day to you."
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 5
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_without_usage_and_its_headers(client: openai.OpenAI):
    stream = client.chat.completions.create(model="chat", messages=HI, stream=True)
    assert stream.response.headers["x-multimodel-target"] == "dashscope:qwen-plus"
    assert stream.response.headers["x-multimodel-attempts"] == "1"
    assert all(chunk.choices for chunk in stream)


def test_tool_calls_keep_their_ids_over_a_round(qwen: FaultyVendor, client: openai.OpenAI):
    first = client.chat.completions.create(model="chat", messages=HI, tools=[WEATHER]).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "text"}
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    second = client.chat.completions.create(model="chat", messages=[*HI, first.message, result], tools=[WEATHER])
    assert second.choices[0].message.content == "You said: Hi"
    sent = qwen.log[-1].messages
    assert (sent[1]["tool_calls"][0]["id"], sent[2]["tool_call_id"]) == (call.id, call.id)


def test_streamed_tool_calls_are_put_together_by_the_sdk(qwen: FaultyVendor, client: openai.OpenAI):
    qwen.answer = Reply(
        tool_calls=(
            ToolCall(id="a", name="one", arguments='{"x": 12345678}'),
            ToolCall(id="b", name="two", arguments='{"y": 2}'),
        )
    )
    with client.chat.completions.stream(model="chat", messages=HI, tools=[WEATHER]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls] == [
        ("a", "one", {"x": 12345678}),
        ("b", "two", {"y": 2}),
    ]


class Risk(BaseModel):
    title: str
    severity: int


def test_structured_output_is_parsed_whole_and_streamed(house: FaultyVendor):
    known = {
        "providers": {"house": {"profile": "openai", "base_url": house.openai_url, "api_key": "k"}},
        "routes": {"chat": {"chain": ["house:our-model"]}},
    }
    with Client(known) as made:
        sdk = openai_client(made)
        answer = sdk.chat.completions.parse(model="chat", messages=HI, response_format=Risk)
        assert answer.choices[0].message.parsed == Risk(title="text", severity=1)
        with sdk.chat.completions.stream(model="chat", messages=HI, response_format=Risk) as stream:
            assert stream.get_final_completion().choices[0].message.parsed == Risk(title="text", severity=1)
    assert house.log[0].options["response_format"]["json_schema"]["strict"] is True


def test_thinking_is_shown_as_others_show_it():
    sdk = fake(Reply("Yes.", reasoning="Well now."))
    assert sdk.chat.completions.create(model="chat", messages=HI).choices[0].message.reasoning_content == "Well now."
    chunks = sdk.chat.completions.create(model="chat", messages=HI, stream=True)
    thought = [getattr(chunk.choices[0].delta, "reasoning_content", None) for chunk in chunks]
    assert "".join(piece for piece in thought if piece) == "Well now."


def test_routes_and_aliases_are_the_models(client: openai.OpenAI):
    assert [model.id for model in client.models.list()] == ["chat", "gpt-4o", "qwen-plus"]
    assert client.models.retrieve("gpt-4o").id == "gpt-4o"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


# --- errors


def test_an_unknown_model_is_the_vendors_own_error(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-5", messages=HI)
    assert caught.value.code == "model_not_found"
    assert "`chat`, `gpt-4o`" in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (faults.status(400), openai.BadRequestError, None),
        (faults.refusal("context_window_exceeded"), openai.BadRequestError, "context_length_exceeded"),
        (faults.refusal("content_filtered"), openai.BadRequestError, "content_filter"),
        (faults.status(401), openai.AuthenticationError, "invalid_api_key"),
        (faults.status(403), openai.PermissionDeniedError, "permission_denied"),
        (faults.status(404), openai.NotFoundError, "model_not_found"),
        (faults.status(429), openai.RateLimitError, "rate_limit_exceeded"),
        (faults.arrearage(), openai.RateLimitError, "insufficient_quota"),
        (faults.status(500), openai.InternalServerError, "server_error"),
        (faults.status(503), openai.InternalServerError, "overloaded"),
        (faults.reset_before_headers(), openai.InternalServerError, "connection_failed"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_have_the_sdks_class(
    qwen: FaultyVendor,
    client: openai.OpenAI,
    fault: faults.Fault,
    error: type[openai.APIStatusError],
    code: str | None,
    stream: bool,
):
    qwen.fault = fault
    with pytest.raises(error) as caught:
        client.chat.completions.create(model="chat", messages=HI, stream=stream)
    assert caught.value.code == code
    assert caught.value.request_id
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_the_sdk_sends_nothing_again_even_when_told_to(qwen: FaultyVendor):
    qwen.fault = faults.status(429, headers={"retry-after": "7"})
    with Client(policy(qwen)) as made:
        sdk = openai_client(made, max_retries=3)
        with pytest.raises(openai.RateLimitError) as caught:
            sdk.chat.completions.create(model="chat", messages=HI)
    assert caught.value.response.headers["retry-after"] == "7"
    assert len(qwen.log) == 1


def test_a_vendor_that_is_switched_off_gets_no_byte(qwen: FaultyVendor, client: openai.OpenAI):
    with Client({**policy(qwen), "off": [{"operator": "alibaba", "reason": "licence"}]}) as made:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            openai_client(made).chat.completions.create(model="chat", messages=HI)
    assert (caught.value.code, qwen.bytes_received) == ("policy_denied", 0)


def test_the_sdks_time_out_is_the_deadline_of_a_whole_answer(qwen: FaultyVendor, client: openai.OpenAI):
    qwen.fault = faults.silent()
    began = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(model="chat", messages=HI, timeout=0.7)
    assert 0.5 < time.monotonic() - began < 2


def test_a_stream_may_take_longer_than_the_sdks_time_out(qwen: FaultyVendor, client: openai.OpenAI):
    qwen.answer, qwen.pace = "one two three four five", 0.1
    chunks = client.chat.completions.create(model="chat", messages=HI, stream=True, timeout=0.3)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == qwen.answer


def test_the_routes_own_deadline_is_a_504(qwen: FaultyVendor):
    qwen.fault = faults.silent()
    with Client(policy(qwen, deadline="700ms")) as made:
        with pytest.raises(openai.InternalServerError) as caught:
            openai_client(made).chat.completions.create(model="chat", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (504, "deadline_exceeded")


def test_a_stream_that_breaks_after_its_first_content_ends_with_an_error(qwen: FaultyVendor, client: openai.OpenAI):
    qwen.answer, qwen.fault = "one two three", faults.in_stream_error(after=2)
    said: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model="chat", messages=HI, stream=True):
            said.append(chunk.choices[0].delta.content or "")
    assert ("".join(said), caught.value.code) == ("one two ", "stream_interrupted")


def test_a_route_that_begins_anew_does_not_here_and_asks_nobody_else(qwen: FaultyVendor, house: FaultyVendor):
    qwen.answer, qwen.fault = "one two three", faults.in_stream_error(after=2)
    with Client(policy(qwen, house, mid_stream="restart")) as made:
        with pytest.raises(openai.APIError) as caught:
            list(openai_client(made).chat.completions.create(model="chat", messages=HI, stream=True))
    assert (caught.value.code, house.requests) == ("stream_interrupted", 0)


def test_an_answer_that_another_target_goes_on_with_is_one_text(qwen: FaultyVendor, house: FaultyVendor):
    qwen.answer, house.answer, house.fault = "two three", "one two three", faults.in_stream_error(after=2)
    given = policy(qwen, house, mid_stream="continue")
    given["routes"]["chat"]["chain"].reverse()
    with Client(given) as made:
        chunks = list(openai_client(made).chat.completions.create(model="chat", messages=HI, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two three"
    assert [chunk.model for chunk in chunks][0 :: len(chunks) - 1] == ["our-model", "qwen-plus"]


# --- closing


def test_closing_a_stream_closes_the_vendors_connection(qwen: FaultyVendor, client: openai.OpenAI):
    qwen.answer, qwen.pace = "word " * 200, 0.05
    with client.chat.completions.create(model="chat", messages=HI, stream=True) as stream:
        next(iter(stream))
    assert qwen.wait_until(lambda: qwen.log[0].outcome == "client_closed", seconds=1)


def test_closing_a_stream_that_was_not_begun_closes_it_too(qwen: FaultyVendor, client: openai.OpenAI):
    qwen.answer, qwen.pace = "word " * 200, 0.05
    client.chat.completions.create(model="chat", messages=HI, stream=True).close()
    assert qwen.wait_until(lambda: qwen.log[0].outcome == "client_closed", seconds=1)


# --- event loops


def test_the_async_client_is_the_twin(qwen: FaultyVendor):
    async def main() -> None:
        async with AsyncClient(policy(qwen)) as made, async_openai_client(made) as sdk:
            whole = await sdk.chat.completions.create(model="gpt-4o", messages=HI)
            assert (whole.choices[0].message.content, whole.model) == ("You said: Hi", "qwen-plus")
            stream = await sdk.chat.completions.create(model="chat", messages=HI, stream=True)
            assert stream.response.headers["x-multimodel-target"] == "dashscope:qwen-plus"
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "You said: Hi"
            assert [model.id async for model in sdk.models.list()] == ["chat", "gpt-4o", "qwen-plus"]
            qwen.script([faults.status(429), faults.in_stream_error(after=1), faults.silent()])
            with pytest.raises(openai.RateLimitError):
                await sdk.chat.completions.create(model="chat", messages=HI, stream=True)

    asyncio.run(main())


def test_an_async_stream_that_breaks_ends_with_an_error(qwen: FaultyVendor):
    async def main() -> None:
        async with AsyncClient(policy(qwen)) as made, async_openai_client(made) as sdk:
            qwen.script([faults.in_stream_error(after=1)])
            with pytest.raises(openai.APIError):
                async for _ in await sdk.chat.completions.create(model="chat", messages=HI, stream=True):
                    pass

    asyncio.run(main())


def test_cancelling_a_task_and_closing_a_stream_close_the_vendors_connection(qwen: FaultyVendor):
    async def main() -> None:
        qwen.answer, qwen.pace = "word " * 200, 0.05
        async with AsyncClient(policy(qwen)) as made, async_openai_client(made) as sdk:
            stream = await sdk.chat.completions.create(model="chat", messages=HI, stream=True)
            await anext(aiter(stream))
            await stream.close()
            task = asyncio.create_task(sdk.chat.completions.create(model="chat", messages=HI))
            await asyncio.to_thread(qwen.wait_until, lambda: len(qwen.log) == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            closed = lambda: [entry.outcome for entry in qwen.log] == ["client_closed"] * 2
            assert await asyncio.to_thread(qwen.wait_until, closed, seconds=1)

    asyncio.run(main())


def test_an_async_time_out_is_the_deadline(qwen: FaultyVendor):
    async def main() -> None:
        qwen.fault = faults.silent()
        async with AsyncClient(policy(qwen)) as made, async_openai_client(made) as sdk:
            with pytest.raises(openai.APITimeoutError):
                await sdk.chat.completions.create(model="chat", messages=HI, timeout=0.6)

    asyncio.run(main())


# --- what is needed


def test_the_wrong_colour_of_client_is_refused():
    known = {"routes": {"chat": {"chain": ["fake:any"]}}}
    with pytest.raises(ConfigurationError, match="needs a `Client`"):
        openai_client(AsyncClient(known, providers={"fake": FakeProvider()}))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="needs an `AsyncClient`"):
        async_openai_client(Client(known, providers={"fake": FakeProvider()}))  # type: ignore[arg-type]


def test_a_missing_sdk_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ConfigurationError, match="pip install openai"):
        openai_client(Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()}))


def test_closing_the_sdks_client_leaves_ours_open():
    made = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider(["Yes."])})
    openai_client(made).close()
    assert made.complete("chat", "Hi").text == "Yes."


def test_a_tenants_view_of_a_client_serves_too(qwen: FaultyVendor):
    with Client(policy(qwen)) as made:
        view = made.using(tenant="acme", credentials={"dashscope": "sk-acme"})
        openai_client(view).chat.completions.create(model="chat", messages=HI)
    assert qwen.log[0].headers["authorization"] == "Bearer sk-acme"


def test_a_target_can_be_chosen_and_one_that_is_not_there_is_a_bad_request(qwen: FaultyVendor, house: FaultyVendor):
    with Client(policy(qwen, house)) as made:
        sdk = openai_client(made)
        chosen: dict[str, Any] = {"multimodel": {"only": ["house"]}}
        assert sdk.chat.completions.create(model="chat", messages=HI, extra_body=chosen).model == "our-model"
        with pytest.raises(openai.BadRequestError) as caught:
            sdk.chat.completions.create(model="chat", messages=HI, extra_body={"multimodel": {"only": ["nobody"]}})
    assert (caught.value.code, qwen.requests) == ("configuration", 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"multimodel": {"only": 5}},
        {"multimodel": {"only": [5]}},
        {"multimodel": {"avoid": {"house": 1}}},
        {"tools": 5},
    ],
)
def test_what_is_of_the_wrong_kind_is_a_bad_request(qwen: FaultyVendor, client: openai.OpenAI, wrong: dict[str, Any]):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="chat", messages=HI, extra_body=wrong)
    assert qwen.requests == 0


class Broken:
    """A client with a defect in it."""

    def __init__(self, policy: object) -> None:
        self.policy = policy

    def complete(self, *_: object, **__: object) -> Never:
        raise KeyError("a secret")

    stream = complete


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("codec", [OpenAIInbound(), DashScopeInbound()])
def test_a_defect_is_a_500_in_the_protocols_words_and_a_log_event(
    caplog: pytest.LogCaptureFixture, codec: Any, colour: str
):
    body: dict[str, Any] = {"model": "chat", "messages": HI}
    path = "/chat/completions"
    if isinstance(codec, DashScopeInbound):
        path, body = "/services/aigc/text-generation/generation", {"model": "chat", "input": {"messages": HI}}
    broken: Any = Broken(
        Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()}).policy
    )
    call = HTTPCall("POST", path, {}, json.dumps(body).encode())
    answer: Any = serve(broken, codec, call) if colour == "sync" else asyncio.run(aserve(broken, codec, call))
    assert (answer.status, answer.headers["x-multimodel-route"]) == (500, "chat")
    assert b"secret" not in answer.body
    assert b"KeyError" not in answer.body
    assert [record.message for record in caplog.records] == ["multimodel.compat"]
    assert "secret" not in caplog.text


def test_a_number_that_packed_vectors_have_no_room_for_is_an_error():
    vectors = Embeddings(vectors=((1e39,),), model="m", usage=None, target=Target("fake", "m"), report=Report("e"))
    with pytest.raises(InvalidResponseError):
        OpenAIInbound().embeddings(Embed(route="e", inputs=("a",), packed=True), vectors, "1")
