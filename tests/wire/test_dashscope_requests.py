from __future__ import annotations

from typing import Any

import pytest

from multimodel.errors import PolicyDeniedError
from multimodel.types import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    Request,
    TextPart,
    Tool,
    ToolCall,
    VideoPart,
)
from multimodel.wire import Dialect, WireRequest
from multimodel.wire.dashscope import DashScopeCodec

from .reading import encoded

ADD = Tool(name="add", strict=True)
IMAGE = Message(role="user", content=(TextPart(text="What is it?"), ImagePart(url="https://example.com/a.png")))


def send(
    request: Request | None = None,
    *,
    stream: bool = True,
    path: str | None = None,
    dialect: Dialect | None = None,
    **options: Any,
) -> WireRequest:
    given = request or Request(messages="Hi", **options)
    return DashScopeCodec().encode(given, "qwen-plus", dialect or Dialect(), stream=stream, path=path)


def parameters(*, stream: bool = True, dialect: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = encoded(
        "dashscope", Request(**{"messages": "Hi", **options}), stream=stream, **(dialect or {})
    )["parameters"]
    return found


def messages(*given: Any, path: str | None = None, **dialect: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = encoded("dashscope", Request(messages=given), path=path, **dialect)["input"][
        "messages"
    ]
    return found


def denied(match: str, **given: Any) -> None:
    with pytest.raises(PolicyDeniedError, match=match):
        parameters(**given)


def test_a_stream_is_asked_for_by_its_header_and_always_incremental():
    sent = send()
    assert sent.headers["x-dashscope-sse"] == "enable"
    assert sent.headers["accept"] == "text/event-stream"
    assert parameters() == {"result_format": "message", "incremental_output": True}


def test_a_whole_answer_is_asked_for_without_them():
    assert "x-dashscope-sse" not in send(stream=False).headers
    assert parameters(stream=False) == {"result_format": "message"}


def test_the_body_has_model_input_and_parameters():
    assert (
        send(stream=False).body
        == b'{"model":"qwen-plus","input":{"messages":[{"role":"user","content":"Hi"}]},"parameters":{"result_format":"message"}}'
    )


def test_options_stand_under_parameters():
    sent = parameters(temperature=0.5, top_p=0.8, seed=1, max_tokens=9, stop=["x"], stream=False)
    assert sent == {
        "result_format": "message",
        "temperature": 0.5,
        "top_p": 0.8,
        "seed": 1,
        "max_tokens": 9,
        "stop": ["x"],
    }


def test_a_quirk_renames_max_tokens():
    assert (
        parameters(max_tokens=9, dialect={"quirks": {"max_tokens_field": "max_completion_tokens"}})[
            "max_completion_tokens"
        ]
        == 9
    )


def test_a_temperature_of_two_is_lowered_which_is_a_loss():
    assert parameters(temperature=2)["temperature"] == 1.99
    assert send(temperature=2).losses == (("temperature", "it was lowered to 1.99: the vendor wants less than 2"),)
    for temperature in (0, 1.5, 1.99):
        assert send(temperature=temperature).losses == ()
        assert parameters(temperature=temperature)["temperature"] == temperature


def test_an_option_that_the_model_does_not_know_is_refused_not_dropped():
    denied("`top_p`", top_p=0.5, dialect={"quirks": {"unsupported": ["top_p"]}})
    assert "seed" not in parameters(dialect={"quirks": {"unsupported": ["seed"]}})


# --- the two paths ---


@pytest.mark.parametrize(
    ("quirk", "override", "request_", "path"),
    [
        (None, None, Request(messages="Hi"), "text-generation"),
        (None, None, Request(messages=(IMAGE,)), "multimodal-generation"),
        ("text", None, Request(messages="Hi"), "text-generation"),
        ("multimodal", None, Request(messages="Hi"), "multimodal-generation"),
        ("multimodal", "text", Request(messages="Hi"), "text-generation"),
        ("text", "multimodal", Request(messages=(IMAGE,)), "multimodal-generation"),
    ],
)
def test_the_path_is_the_override_then_the_catalogues_then_by_content(
    quirk: str | None, override: str | None, request_: Request, path: str
):
    sent = send(request_, path=override, dialect=Dialect(quirks={"native_path": quirk}))
    assert sent.path == f"/services/aigc/{path}/generation"


def test_on_the_text_path_content_is_a_string():
    parts = Message(role="user", content=(TextPart(text="a"), TextPart(text="b")))
    assert messages({"role": "developer", "content": "Be brief."}, parts) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "ab"},
    ]


def test_on_the_multimodal_path_content_is_always_a_list_by_modality():
    parts = (
        TextPart(text="a"),
        ImagePart(data=b"\x89PNG"),
        AudioPart(url="https://e.com/a.wav"),
        VideoPart(url="oss://b/a.mp4"),
    )
    sent = messages({"role": "system", "content": "Be brief."}, Message(role="user", content=parts), path="multimodal")
    assert sent == [
        {"role": "system", "content": [{"text": "Be brief."}]},
        {
            "role": "user",
            "content": [
                {"text": "a"},
                {"image": "data:image/png;base64,iVBORw=="},
                {"audio": "https://e.com/a.wav"},
                {"video": "oss://b/a.mp4"},
            ],
        },
    ]


def test_an_upload_of_the_vendor_is_announced():
    part = Message(role="user", content=(VideoPart(url="oss://bucket/a.mp4"),))
    assert send(Request(messages=(part,))).headers["x-dashscope-ossresourceresolve"] == "enable"
    assert "x-dashscope-ossresourceresolve" not in send(Request(messages=(IMAGE,))).headers
    both = Message(
        role="user", content=(TextPart(text="oss://no"), ImagePart(data=b"x"), AudioPart(url="oss://b/a.wav"))
    )
    turns = (Message(role="user", content="oss://no"), IMAGE, both)
    assert send(Request(messages=turns)).headers["x-dashscope-ossresourceresolve"] == "enable"
    assert "x-dashscope-ossresourceresolve" not in send(Request(messages=turns[:2])).headers


def test_reasoning_is_no_medium_and_no_part_of_the_content():
    said = Message(role="assistant", content=(ReasoningPart(text="Hm"), TextPart(text="Hi")))
    turns = (said, {"role": "user", "content": "?"})
    assert send(Request(messages=turns)).path.endswith("/text-generation/generation")
    assert messages(*turns, path="multimodal")[0]["content"] == [{"text": "Hi"}]


def test_media_on_the_text_path_are_refused():
    text = {"quirks": {"native_path": "text"}}
    denied(
        r"^the vendor cannot be asked for media on the path `text` \(code capability\)$",
        messages=(IMAGE,),
        dialect=text,
    )


def test_a_file_or_a_medium_too_large_is_refused():
    denied("type `file`", messages=(Message(role="user", content=(FilePart(data=b"x"),)),))
    denied("10 MiB", messages=(Message(role="user", content=(ImagePart(data=b"x" * 8 * 2**20),)),))
    start, most = "data:image/png;base64,", 10 * 2**20
    for url in (start.ljust(most, "A"), "https://e.com/".ljust(most + 1, "A")):
        assert messages(Message(role="user", content=(ImagePart(url=url),)))[0]["content"] == [{"image": url}]
    with pytest.raises(
        PolicyDeniedError,
        match=r"^the vendor cannot be asked for a medium of more than 10 MiB by value \(code capability\)$",
    ):
        messages(Message(role="user", content=(ImagePart(url=start.ljust(most + 1, "A")),)))


# --- tools and turns ---


def test_a_conversation_with_tools_is_sent_as_it_was():
    call = ToolCall(id="c1", name="add", arguments='{"a": 1}')
    turns = (
        {"role": "user", "content": "?"},
        Message(role="assistant", tool_calls=(call, call.model_copy(update={"id": "c2"}))),
        Message(role="tool", tool_call_id="c1", content="2"),
    )
    function = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    calls = [{**function, "index": 0}, {**function, "id": "c2", "index": 1}]
    assert messages(*turns)[1:] == [
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
    ]
    sent = messages(*turns, path="multimodal")
    assert [each["content"] for each in sent] == [[{"text": "?"}], "", "2"]


def test_turns_with_tools_have_a_string_for_content_on_both_paths():
    call = ToolCall(id="c1", name="add")
    said = Message(role="assistant", content=(TextPart(text="Let "), TextPart(text="me")), tool_calls=(call,))
    for path in ("text", "multimodal"):
        assert messages(said, Message(role="tool", tool_call_id="c1"), path=path)[0]["content"] == "Let me"
    picture = Message(role="tool", tool_call_id="c1", content=(ImagePart(url="https://e.com/a.png"),))
    turns = ({"role": "user", "content": "?"}, said, picture)
    denied(r"^the vendor cannot be asked for media in a message of role `tool` \(code capability\)$", messages=turns)


def test_options_about_tools_are_a_loss_without_tools():
    given = {"tool_choice": "auto", "parallel_tool_calls": False}
    assert not given.keys() & parameters(**given).keys()
    assert send(**given).losses == (
        ("tool_choice", "it was not sent: there are no tools"),
        ("parallel_tool_calls", "it was not sent: there are no tools"),
    )


def test_tools_stand_under_parameters_without_strict():
    sent = parameters(tools=[ADD], tool_choice="auto", parallel_tool_calls=True)
    assert sent["tools"] == [
        {"type": "function", "function": {"name": "add", "description": "", "parameters": ADD.parameters}}
    ]
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("auto", True)
    assert parameters(tools=[ADD], tool_choice={"name": "add"})["tool_choice"] == {
        "type": "function",
        "function": {"name": "add"},
    }


def test_a_forced_choice_of_any_tool_is_refused_unless_the_catalogue_says_it_works():
    denied("required", tools=[ADD], tool_choice="required")
    quirks = {"tool_choices": ["required"]}
    assert parameters(tools=[ADD], tool_choice="required", dialect={"quirks": quirks})["tool_choice"] == "required"


def test_a_tool_called_search_is_refused():
    denied("`search`", tools=[Tool(name="search")])


def test_a_negative_seed_is_refused():
    denied(r"^the vendor cannot be asked for a negative `seed` \(code capability\)$", seed=-1)
    assert parameters(seed=0)["seed"] == 0


def test_the_beginning_of_an_answer_is_partial():
    given = ({"role": "user", "content": "Count"}, {"role": "assistant", "content": "1, 2"})
    assert messages(*given)[-1] == {"role": "assistant", "content": "1, 2", "partial": True}


def test_earlier_reasoning_goes_back_only_where_the_catalogue_says_so():
    said = Message(role="assistant", content=(ReasoningPart(text="Hm", origin="dashscope:m-1"), TextPart(text="Hi")))
    turns = (said, {"role": "user", "content": "?"})
    assert messages(*turns)[0] == {"role": "assistant", "content": "Hi"}
    assert messages(*turns, quirks={"preserve_thinking": True})[0]["reasoning_content"] == "Hm"
    assert parameters(dialect={"quirks": {"preserve_thinking": True}})["preserve_thinking"] is True
    assert parameters(dialect={"quirks": {"preserve_thinking": False}})["preserve_thinking"] is False


def test_names_of_speakers_are_a_loss():
    sent = send(Request(messages=({"role": "user", "content": "Hi", "name": "ada"},)))
    assert b"ada" not in sent.body
    assert sent.losses == (("name", "the names of speakers were not sent"),)
    one_of_two = ({"role": "user", "content": "Hi", "name": "ada"}, {"role": "user", "content": "Ho"})
    assert send(Request(messages=one_of_two)).losses == sent.losses
    assert send().losses == ()


# --- thinking ---


@pytest.mark.parametrize(
    ("thinking", "effort", "fields"),
    [
        ("hybrid", None, {"enable_thinking": False}),
        ("hybrid", "none", {"enable_thinking": False}),
        ("hybrid", "low", {"enable_thinking": True, "thinking_budget": 4096}),
        ("hybrid", "xhigh", {"enable_thinking": True}),
        ("always", None, {}),
        ("always", "medium", {"thinking_budget": 16384}),
        ("none", None, {}),
        ("none", "none", {}),
        (None, None, {}),
        (None, "low", {"enable_thinking": True, "thinking_budget": 4096}),
    ],
)
def test_thinking_is_told_by_family(thinking: str | None, effort: str | None, fields: dict[str, Any]):
    assert parameters(reasoning_effort=effort, stream=False, dialect={"thinking": thinking}) == {
        "result_format": "message",
        **fields,
    }


@pytest.mark.parametrize(
    ("effort", "word"),
    [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "xhigh"), ("xhigh", "xhigh")],
)
def test_a_model_with_efforts_gets_its_own_words_and_no_budget(effort: str, word: str):
    sent = parameters(reasoning_effort=effort, dialect={"thinking": "hybrid", "quirks": {"reasoning": "effort"}})
    assert (sent["enable_thinking"], sent["reasoning_effort"]) == (True, word)
    assert "thinking_budget" not in sent


def test_what_the_caller_spells_out_stands_alone():
    sent = parameters(reasoning_effort="low", dialect={"thinking": "hybrid", "extra": {"thinking_budget": 100}})
    assert sent["thinking_budget"] == 100
    sent = parameters(reasoning_effort="low", dialect={"thinking": "hybrid", "extra": {"reasoning_effort": "xhigh"}})
    assert "thinking_budget" not in sent


def test_thinking_may_be_on_by_the_catalogue():
    assert parameters(dialect={"thinking": "hybrid", "quirks": {"thinking_default": True}})["enable_thinking"] is True


def test_budgets_come_from_the_catalogue():
    quirks = {"budgets": {"high": 65536, "low": None}}
    assert (
        parameters(reasoning_effort="high", dialect={"thinking": "hybrid", "quirks": quirks})["thinking_budget"]
        == 65536
    )
    assert "thinking_budget" not in parameters(reasoning_effort="low", dialect={"thinking": "hybrid", "quirks": quirks})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"response_format": {"type": "json_object"}}, "JSON"),
        ({"tools": [ADD], "tool_choice": {"name": "add"}}, "tool"),
        ({"messages": ({"role": "user", "content": "json"}, {"role": "assistant", "content": "{"})}, "beginning"),
    ],
)
def test_thinking_that_would_be_refused_is_switched_off_which_is_a_loss(options: dict[str, Any], why: str):
    request = Request(**{"messages": "as json", "reasoning_effort": "high", **options})
    sent = send(request, dialect=Dialect(thinking="hybrid"))
    assert b'"enable_thinking":false' in sent.body
    assert any(what == "reasoning_effort" and why in detail for what, detail in sent.losses)


def test_a_model_that_always_thinks_refuses_what_does_not_go_with_it():
    denied("forced tool", tools=[ADD], tool_choice={"name": "add"}, dialect={"thinking": "always"})
    denied("none", reasoning_effort="none", dialect={"thinking": "always"})
    assert "response_format" in parameters(response_format={"type": "json_object"}, dialect={"thinking": "always"})


def test_a_quirk_lets_a_model_think_about_json():
    request = {"messages": "json", "response_format": {"type": "json_object"}, "reasoning_effort": "high"}
    assert (
        parameters(**request, dialect={"thinking": "hybrid", "quirks": {"json_needs": "any"}})["enable_thinking"]
        is True
    )


# --- JSON and extras ---


def test_a_json_object_without_the_word_json_is_noted():
    note = "the vendor refuses `json_object` unless a system or user message has the word `json` in it"
    wanted = {"type": "json_object"}
    assert send(response_format=wanted).notes == (note,)
    assert send(Request(messages="As JSON, please", response_format=wanted)).notes == ()
    for role in ("system", "developer", "user"):
        turns = ({"role": role, "content": "as Json"}, {"role": "user", "content": "Hi"})
        assert send(Request(messages=turns, response_format=wanted)).notes == ()
    turns = (
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "json?"},
        {"role": "user", "content": "Yes"},
    )
    assert send(Request(messages=turns, response_format=wanted)).notes == (note,)
    schema = {"type": "json_schema", "json_schema": {}}
    assert send(response_format=schema).notes == ()


def test_a_schema_is_sent_as_it_is():
    sent = parameters(response_format={"type": "json_schema", "json_schema": {"type": "object"}})
    assert sent["response_format"]["json_schema"]["schema"] == {"type": "object"}


def test_extra_options_go_under_parameters():
    assert parameters(dialect={"extra": {"enable_search": True}})["enable_search"] is True


@pytest.mark.parametrize("name", ["result_format", "incremental_output", "n", "stream"])
def test_extra_options_cannot_take_over_what_the_codec_relies_on(name: str):
    denied(f"`{name}`", dialect={"extra": {name: 1}})
