"""What our own encoders write is read back as it was meant, and what is written is read by our own decoders."""

from __future__ import annotations

import base64
import struct
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from multimodel.errors import (
    AllTargetsFailedError,
    AuthenticationError,
    CallError,
    ContentFilteredError,
    Kind,
    ModelNotFoundError,
    OverloadedError,
    PolicyDeniedError,
    QuotaExhaustedError,
    RateLimitError,
    error_for,
)
from multimodel.types import (
    AudioPart,
    Completion,
    FilePart,
    Finished,
    ImagePart,
    Message,
    NamedTool,
    ReasoningDelta,
    Report,
    Request,
    ResponseFormat,
    Switched,
    Target,
    TextDelta,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
    VideoPart,
)
from multimodel.wire import Dialect, codec_for
from multimodel.wire.inbound import Chat, Embed, Models, RefusedError
from multimodel.wire.inbound_dashscope import DashScopeChat, DashScopeInbound
from multimodel.wire.inbound_openai import OpenAIChat, OpenAIInbound

OPENAI, DASHSCOPE = OpenAIInbound(), DashScopeInbound()
TARGET = Target("fake", "m-1")
ID = "0a1b"

# --- requests

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
WORDS = TEXT.filter(bool)
URLS = st.sampled_from(["https://example.com/a.png", "data:image/png;base64,iVBORw0KGgo="])
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
IMAGES = st.builds(ImagePart, url=URLS)
FILES = st.builds(
    FilePart, data=st.binary(min_size=1, max_size=9), media_type=st.just("application/pdf"), name=st.just("a.pdf")
)
SOUNDS = st.builds(AudioPart, data=st.binary(min_size=1, max_size=9), media_type=st.just("audio/wav"))
FILMS = st.builds(VideoPart, url=URLS)


def users(media: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    seen = st.builds(lambda text, one: (TextPart(text=text), one), TEXT, media)
    return st.builds(Message, role=st.just("user"), content=TEXT | seen)


def conversation(turns: list[list[Any]]) -> list[Message]:
    """Messages as they are; texts are the results of the calls of one turn, which come before them."""
    said: list[Message] = []
    for number, turn in enumerate(turns):
        if isinstance(turn[0], Message):
            said += turn
            continue
        calls = [
            ToolCall(id=f"call_{number}_{index}", name="weather", arguments='{"x":1}') for index in range(len(turn))
        ]
        said.append(Message(role="assistant", content=turn[0], tool_calls=tuple(calls)))
        said += [
            Message(role="tool", content=text, tool_call_id=call.id) for call, text in zip(calls, turn, strict=True)
        ]
    return said


def requests(media: st.SearchStrategy[Any], most: float, *, seeds: int) -> st.SearchStrategy[Request]:
    turn = users(media) | st.builds(Message, role=st.sampled_from(["system", "assistant"]), content=WORDS)
    turns = st.lists(turn.map(lambda one: [one]) | st.lists(TEXT, min_size=1, max_size=3), max_size=4)
    return st.builds(
        lambda turns, last, **options: Request(messages=(*conversation(turns), last), **options),
        turns,
        users(media),
        temperature=st.none() | st.floats(0, most),
        top_p=st.none() | st.floats(0.1, 1),
        max_tokens=st.none() | st.integers(1, 999),
        stop=st.lists(WORDS, max_size=2).map(tuple),
        seed=st.none() | st.integers(seeds, 2**40),
        tools=st.just((Tool(name="weather", description="d", parameters=SCHEMA), Tool(name="other"))),
        tool_choice=st.sampled_from([None, "auto", "none", NamedTool(name="other")]),
        parallel_tool_calls=st.sampled_from([None, True, False]),
        reasoning_effort=st.sampled_from([None, "low", "medium", "high"]),
        response_format=st.sampled_from([None, ResponseFormat(type="json_object"), ResponseFormat(type="json_schema", name="n", json_schema=SCHEMA, strict=True)]),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(request=requests(IMAGES | FILES | SOUNDS, 2, seeds=-9), stream=st.booleans())
def test_a_request_in_openais_words_is_read_as_it_was_written(request: Request, stream: bool):
    sent = codec_for("openai_chat").encode(request, "chat", Dialect(), stream=stream, path=None)
    asked = OPENAI.decode("POST", sent.path, sent.headers, sent.body)
    assert asked == OpenAIChat(route="chat", request=request, stream=stream, usage=stream)


@settings(max_examples=150, deadline=None)
@given(
    request=requests(IMAGES | FILMS, 1.99, seeds=0), stream=st.booleans(), where=st.sampled_from(["text", "multimodal"])
)
def test_a_request_in_dashscopes_words_is_read_as_it_was_written(request: Request, stream: bool, where: str):
    if any(not isinstance(message.content, str) for message in request.messages):
        where = "multimodal"
    if isinstance(request.tool_choice, NamedTool):  # the vendor does not think with a forced tool
        request = request.model_copy(update={"reasoning_effort": None})
    dialect = Dialect(quirks={"json_needs": "any"})
    sent = codec_for("dashscope").encode(request, "chat", dialect, stream=stream, path=where)
    asked = DASHSCOPE.decode("POST", sent.path, sent.headers, sent.body)
    assert isinstance(asked, DashScopeChat)
    assert (asked.route, asked.stream, asked.parts, asked.plain) == ("chat", stream, where == "multimodal", False)
    assert asked.incremental == stream
    assert _flat(asked.request) == _flat(request)


def _flat(request: Request) -> Request:
    """On the path ``multimodal`` a text is a list of one part."""
    return request.model_copy(
        update={
            "messages": tuple(
                message.model_copy(update={"content": message.text})
                if not isinstance(message.content, str) and all(isinstance(part, TextPart) for part in message.content)
                else message
                for message in request.messages
            )
        }
    )


# --- answers

USAGES = st.none() | st.builds(
    Usage,
    input_tokens=st.integers(0, 99),
    output_tokens=st.integers(0, 99),
    total_tokens=st.integers(0, 99),
    cached_tokens=st.none() | st.integers(0, 9),
    reasoning_tokens=st.none() | st.integers(0, 9),
)
CONTENT = st.lists(st.builds(TextDelta, WORDS) | st.builds(ReasoningDelta, WORDS), max_size=6)
PIECES = st.lists(st.text("ab1{}", min_size=1, max_size=4), max_size=3)
TOOLS = st.lists(PIECES, max_size=2).map(
    lambda calls: [
        delta
        for index, pieces in enumerate(calls)
        for delta in (
            ToolCallDelta(index, f"call_{index}", f"tool_{index}", ""),
            *(ToolCallDelta(index, arguments=piece) for piece in pieces),
        )
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> list[Any]:
    said, calls = draw(CONTENT), draw(TOOLS)
    reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    return [*said, *calls, Finished(reason, draw(USAGES))]


def read(wire: str, data: bytes, kind: str) -> list[Any]:
    decoder = codec_for(wire).decoder(Dialect(), {"content-type": kind})
    return [*decoder.feed(data), *decoder.close()]


def heard(events: list[Any]) -> tuple[object, ...]:
    """What was said, however it is cut."""
    calls: dict[int, list[str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            call = calls.setdefault(event.index, ["", "", ""])
            call[0], call[1], call[2] = event.id or call[0], event.name or call[1], call[2] + event.arguments
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    thought = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    return text, thought, calls, events[-1]


@settings(max_examples=150, deadline=None)
@given(events=answers(), usage=st.booleans())
def test_a_stream_in_openais_words_is_read_as_it_was_written(events: list[Any], usage: bool):
    asked = OpenAIChat(route="chat", request=Request(messages=({"role": "user", "content": "Hi"},)), usage=usage)
    writer = OPENAI.writer(asked, TARGET, ID, 7)
    data = writer.begin() + b"".join(map(writer.event, events))
    last = replace(events[-1], model="m-1", request_id=f"chatcmpl-{ID}", usage=events[-1].usage if usage else None)
    assert read("openai_chat", data, "text/event-stream") == [*events[:-1], last]
    assert data.endswith(b"data: [DONE]\n\n")


@settings(max_examples=150, deadline=None)
@given(events=answers(), parts=st.booleans())
def test_an_incremental_stream_in_dashscopes_words_is_read_as_it_was_written(events: list[Any], parts: bool):
    writer = DASHSCOPE.writer(_native(parts=parts, incremental=True), TARGET, ID, 7)
    data = writer.begin() + b"".join(map(writer.event, events))
    last = replace(events[-1], request_id=ID)
    assert read("dashscope", data, "text/event-stream") == [*events[:-1], last]


@settings(max_examples=100, deadline=None)
@given(events=answers(), parts=st.booleans())
def test_the_last_frame_of_a_cumulative_stream_is_the_whole_answer(events: list[Any], parts: bool):
    writer = DASHSCOPE.writer(_native(parts=parts), TARGET, ID, 7)
    frames = [writer.event(event) for event in events]
    body = frames[-1].partition(b"data:")[2]
    assert heard(read("dashscope", body, "application/json")) == heard(
        [*events[:-1], replace(events[-1], request_id=ID)]
    )


@settings(max_examples=100, deadline=None)
@given(events=answers())
@pytest.mark.parametrize("wire", ["openai_chat", "dashscope"])
def test_a_whole_answer_is_read_as_it_was_written(wire: str, events: list[Any]):
    text, thought, calls, last = heard(events)
    answer: Completion[Any] = Completion(
        text=text,
        reasoning=thought,
        tool_calls=tuple(ToolCall(id=call[0], name=call[1], arguments=call[2]) for call in calls.values()),
        finish_reason=last.reason,
        usage=last.usage,
        target=TARGET,
        model="m-1",
        report=Report("chat"),
    )
    if wire == "dashscope":
        data, finished = DASHSCOPE.whole(_native(), answer, ID, 7), replace(last, request_id=ID)
    else:
        data = OPENAI.whole(_chat({}), answer, ID, 7)
        finished = replace(last, model="m-1", request_id=f"chatcmpl-{ID}")
    assert heard(read(wire, data, "application/json")) == heard([*events[:-1], finished])


def _native(**shape: bool) -> DashScopeChat:
    return DashScopeChat(route="chat", request=Request(messages=({"role": "user", "content": "Hi"},)), **shape)


# --- OpenAI's parameters


def _chat(body: dict[str, Any]) -> Any:
    full = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}], **body}
    return OPENAI.decode("POST", "/chat/completions", {}, to_json(full))


@pytest.mark.parametrize(
    "harmless",
    [
        {"user": "u"}, {"safety_identifier": "u"}, {"service_tier": "auto"}, {"store": False}, {"n": 1}, {"logprobs": False},
        {"frequency_penalty": 0.0}, {"presence_penalty": 0}, {"logit_bias": {}}, {"modalities": ["text"]}, {"verbosity": "medium"},
        {"prompt_cache_key": "k"}, {"prediction": {"type": "content", "content": "x"}}, {"audio": None}, {"n": None},
    ],
    ids=str,
)  # fmt: skip
def test_what_changes_nothing_is_left_out(harmless: dict[str, Any]):
    assert _chat(harmless) == _chat({})


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"n": 2}, "unsupported_parameter"),
        ({"store": True}, "unsupported_parameter"),
        ({"logprobs": True}, "unsupported_parameter"),
        ({"frequency_penalty": 0.5}, "unsupported_parameter"),
        ({"logit_bias": {"1": 2}}, "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "unsupported_parameter"),
        ({"audio": {"voice": "alloy"}}, "unsupported_parameter"),
        ({"functions": []}, "unsupported_parameter"),
        ({"web_search_options": {}}, "unsupported_parameter"),
        ({"top_k": 20}, "unknown_parameter"),
        ({"multimodel": {"deadline": 1}}, "unknown_parameter"),
    ],
    ids=str,
)
def test_what_a_route_cannot_promise_is_refused_by_name(asked: dict[str, Any], code: str):
    with pytest.raises(RefusedError) as caught:
        _chat(asked)
    status, body = OPENAI.error(caught.value, ID)
    error = from_json(body)["error"]
    assert (status, error["type"], error["code"]) == (400, "invalid_request_error", code)
    assert error["param"].partition(".")[0] == next(iter(asked))
    assert f"`{error['param']}`" in error["message"]


@pytest.mark.parametrize(
    ("said", "effort"),
    [
        ({"enable_thinking": False}, "none"),
        ({"enable_thinking": True}, "high"),
        ({"enable_thinking": True, "thinking_budget": 4096}, "low"),
        ({"enable_thinking": True, "thinking_budget": 9000}, "medium"),
        ({"thinking_budget": 100_000}, "high"),
        ({"reasoning_effort": "minimal"}, "minimal"),
        ({"reasoning_effort": "low", "enable_thinking": False}, "none"),
        ({}, None),
    ],
    ids=str,
)
def test_qwens_words_about_thinking_are_an_effort(said: dict[str, Any], effort: str | None):
    assert _chat(said).request.reasoning_effort == effort
    body = {"model": "m", "input": {"prompt": "Hi"}, "parameters": said}
    native = DASHSCOPE.decode("POST", "/services/aigc/text-generation/generation", {}, to_json(body))
    assert isinstance(native, DashScopeChat)
    assert native.request.reasoning_effort == effort


def test_options_of_a_call_stand_under_multimodel():
    own = {"extra": {"dashscope": {"top_k": 20}}, "only": ["dashscope"], "avoid": ["local"]}
    asked = _chat({"multimodel": own, "metadata": {"job": "7"}})
    assert asked.request.extra == {"dashscope": {"top_k": 20}}
    assert asked.options == {"only": ["dashscope"], "avoid": ["local"], "metadata": {"job": "7"}}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"[" * 5000])
def test_a_body_that_is_no_object_is_refused(body: bytes):
    for codec, path in (
        (OPENAI, "/chat/completions"),
        (OPENAI, "/embeddings"),
        (DASHSCOPE, "/services/aigc/text-generation/generation"),
    ):
        with pytest.raises(RefusedError):
            codec.decode("POST", path, {}, body)


@pytest.mark.parametrize("field", ["model", "messages"])
def test_what_is_missing_is_named(field: str):
    body = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
    del body[field]
    with pytest.raises(RefusedError) as caught:
        OPENAI.decode("POST", "/chat/completions", {}, to_json(body))
    assert caught.value.param == field


def test_a_request_that_is_not_valid_is_refused_without_its_value():
    with pytest.raises(RefusedError) as caught:
        _chat({"temperature": 12345})
    assert caught.value.param == "temperature"
    assert "12345" not in str(caught.value)


def test_embeddings_in_both_words():
    body = {"model": "vectors", "input": ["a", "b"], "dimensions": 4, "encoding_format": "base64"}
    asked = OPENAI.decode("POST", "/embeddings", {}, to_json(body))
    assert asked == Embed(route="vectors", inputs=("a", "b"), dimensions=4, packed=True)
    single = OPENAI.decode("POST", "/embeddings", {}, to_json({"model": "vectors", "input": "a"}))
    assert single == Embed(route="vectors", inputs=("a",))
    body = {"model": "vectors", "input": {"texts": ["a"]}, "parameters": {"dimension": 4, "text_type": "query"}}
    native = DASHSCOPE.decode("POST", "/services/embeddings/text-embedding/text-embedding", {}, to_json(body))
    assert native == Embed(
        route="vectors", inputs=("a",), dimensions=4, options={"extra": {"dashscope": {"text_type": "query"}}}
    )


@pytest.mark.parametrize("given", [[1, 2], [[1, 2]], None, 3])
def test_tokens_in_place_of_texts_are_refused(given: Any):
    with pytest.raises(RefusedError) as caught:
        OPENAI.decode("POST", "/embeddings", {}, to_json({"model": "vectors", "input": given}))
    assert caught.value.param == "input"


def test_vectors_are_packed_as_little_endian_floats():
    answer = SimpleNamespace(vectors=((0.5, -2.0),), usage=None, model="m")
    rows = from_json(OPENAI.embeddings(Embed(route="v", inputs=("a",), packed=True), answer, ID))["data"]
    assert struct.unpack("<2f", base64.b64decode(rows[0]["embedding"])) == (0.5, -2.0)


def test_models_are_listed_and_found():
    assert OPENAI.decode("GET", "/models", {}, b"") == Models()
    assert OPENAI.decode("GET", "/models/a/b", {}, b"") == Models(name="a/b")
    assert [row["id"] for row in from_json(OPENAI.models(Models(), ["chat", "gpt-4o"]))["data"]] == ["chat", "gpt-4o"]
    with pytest.raises(ModelNotFoundError):
        OPENAI.models(Models(name="other"), ["chat"])


@pytest.mark.parametrize("codec", [OPENAI, DASHSCOPE])
def test_another_path_is_served_to_nobody(codec: Any):
    with pytest.raises(ModelNotFoundError) as caught:
        codec.decode("POST", "/audio/speech", {}, b"{}")
    assert codec.error(caught.value, ID)[0] == 404


# --- DashScope's parameters


def test_options_of_the_vendor_alone_go_on_to_that_vendor():
    options = {"enable_search": True, "top_k": 3, "n": 1, "logprobs": False, "temperature": 1}
    body = {"model": "m", "input": {"prompt": "Hi"}, "parameters": options}
    asked = DASHSCOPE.decode("POST", "/services/aigc/text-generation/generation", {}, to_json(body))
    assert isinstance(asked, Chat)
    assert asked.request.extra == {"dashscope": {"enable_search": True, "top_k": 3}}
    assert asked.request.temperature == 1


@pytest.mark.parametrize("options", [{"n": 2}, {"logprobs": True}])
def test_more_than_one_answer_cannot_be_asked(options: dict[str, Any]):
    body = {"model": "m", "input": {"prompt": "Hi"}, "parameters": options}
    with pytest.raises(RefusedError):
        DASHSCOPE.decode("POST", "/services/aigc/text-generation/generation", {}, to_json(body))


def test_asynchronous_tasks_are_refused():
    with pytest.raises(CallError) as caught:
        DASHSCOPE.decode("POST", "/services/aigc/text-generation/generation", {"x-dashscope-async": "enable"}, b"{}")
    status, body = DASHSCOPE.error(caught.value, ID)
    assert (status, from_json(body)["code"]) == (403, "AccessDenied")


def test_an_answer_that_moderation_cut_is_an_error_in_dashscopes_words():
    writer = DASHSCOPE.writer(_native(incremental=True), TARGET, ID, 7)
    with pytest.raises(ContentFilteredError):
        writer.event(Finished("content_filter"))


# --- errors

STATUSES = {
    "authentication": (401, 401), "permission_denied": (403, 403), "policy_denied": (403, 403), "quota_exhausted": (429, 400),
    "rate_limited": (429, 429), "overloaded": (503, 503), "server_error": (500, 500), "timeout.first": (504, 504),
    "deadline_exceeded": (504, 504), "connection.unsent": (502, 500), "bad_request": (400, 400),
    "context_window_exceeded": (400, 400), "content_filtered": (400, 400), "model_not_found": (404, 404),
    "invalid_response": (502, 500), "output_invalid": (502, 500), "truncated_stream": (502, 500), "stream_interrupted": (502, 500),
    "local_overload": (503, 503),
}  # fmt: skip


def test_no_kind_of_error_is_forgotten():
    known = {kind.partition(".")[0] for kind in STATUSES}
    assert {kind.partition(".")[0] for kind in get_args(Kind)} == known | {"all_targets_failed"}


@pytest.mark.parametrize("kind", STATUSES)
def test_every_kind_of_error_has_its_status(kind: Any):
    error = error_for(kind, "words")
    assert (OPENAI.error(error, ID)[0], DASHSCOPE.error(error, ID)[0]) == STATUSES[kind]


KEPT = [
    "authentication", "permission_denied", "rate_limited", "overloaded", "server_error", "bad_request",
    "content_filtered", "model_not_found",
]  # fmt: skip


@pytest.mark.parametrize("kind", [*KEPT, "context_window_exceeded"])
def test_an_error_is_read_as_it_was_told_in_openais_words(kind: Any):
    status, body = OPENAI.error(error_for(kind, "words"), ID)
    assert codec_for("openai_chat").error(status, {}, body, Dialect()).kind == kind


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ([RateLimitError(), RateLimitError()], 429),
        ([RateLimitError(), OverloadedError()], 503),
        ([AuthenticationError()], 401),
        ([QuotaExhaustedError(), PolicyDeniedError()], 429),
        ([QuotaExhaustedError(), AuthenticationError()], 401),
        ([PolicyDeniedError()], 403),
    ],
    ids=str,
)
def test_a_chain_that_gave_no_answer_is_told_as_one_error(errors: list[CallError], status: int):
    assert OPENAI.error(AllTargetsFailedError("no target answered", errors), ID)[0] == status


def test_a_stream_says_who_goes_on_with_it():
    writer = OPENAI.writer(_chat({}), TARGET, ID, 7)
    first = from_json(writer.event(TextDelta("a"))[6:])
    assert writer.event(Switched(Target("other", "m-2"))) == b""
    assert (first["model"], from_json(writer.event(TextDelta("b"))[6:])["model"]) == ("m-1", "m-2")
