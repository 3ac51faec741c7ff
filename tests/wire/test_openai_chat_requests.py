from __future__ import annotations

import base64
from typing import Any

import pytest

from multimodel.errors import BadRequestError, PolicyDeniedError
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
from multimodel.wire import Dialect
from multimodel.wire.dashscope import DashScopeCodec
from multimodel.wire.openai_chat import OpenAIChatCodec
from multimodel.wire.requests import body_of, data_url

from .reading import encoded

ADD = Tool(name="add", description="Add.", parameters={"type": "object", "properties": {"a": {"type": "integer"}}})
PNG = b"\x89PNG\r\n"


def body(
    request: Request | None = None, *, stream: bool = True, dialect: dict[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    return encoded("openai_chat", request or Request(messages="Hi", **options), stream=stream, **(dialect or {}))


def messages(*given: Message | dict[str, Any], **dialect: Any) -> list[dict[str, Any]]:
    return body(Request(messages=given), dialect=dialect)["messages"]


def denied(match: str, request: Request | None = None, dialect: dict[str, Any] | None = None, **options: Any) -> None:
    with pytest.raises(PolicyDeniedError, match=match) as caught:
        body(request, dialect=dialect, **options)
    assert caught.value.kind == "policy_denied"


def test_a_stream_asks_for_its_usage():
    assert body() == {
        "model": "m-1",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_whole_answer_is_asked_for_without_the_words_of_a_stream():
    assert body(stream=False) == {"model": "m-1", "messages": [{"role": "user", "content": "Hi"}]}


def test_path_and_headers_say_what_is_sent_and_wanted():
    sent = OpenAIChatCodec().encode(Request(messages="Hi"), "m", Dialect(), stream=True, path=None)
    assert sent.path == "/chat/completions"
    assert sent.headers == {"content-type": "application/json", "accept": "text/event-stream"}
    sent = OpenAIChatCodec().encode(Request(messages="Hi"), "m", Dialect(), stream=False, path=None)
    assert sent.headers["accept"] == "application/json"


def test_options_keep_their_names_and_absent_ones_are_left_to_the_vendor():
    options = {"temperature": 0.0, "top_p": 0.5, "seed": 7, "max_tokens": 9, "stop": ["a", "b"]}
    assert {name: value for name, value in body(**options).items() if name in options} == options
    assert not options.keys() & body().keys()


def test_quirks_rename_max_tokens_and_leave_out_stream_options():
    sent = body(max_tokens=9, dialect={"quirks": {"max_tokens_field": "max_completion_tokens", "stream_usage": False}})
    assert sent["max_completion_tokens"] == 9
    assert not {"max_tokens", "stream_options"} & sent.keys()


def test_a_vendor_that_only_streams_is_asked_for_a_stream():
    assert body(stream=False, dialect={"quirks": {"stream_only": True}})["stream"] is True
    quirks = {"stream_only": "thinking", "reasoning": "enable_thinking"}
    assert "stream" not in body(stream=False, dialect={"quirks": quirks, "thinking": "hybrid"})
    assert (
        body(stream=False, reasoning_effort="low", dialect={"quirks": quirks, "thinking": "hybrid"})["stream"] is True
    )


@pytest.mark.parametrize(
    ("stream_only", "thinking", "effort", "stream"),
    [
        (True, None, None, True),
        (False, None, None, False),
        (None, "always", None, False),
        (False, "always", None, False),
        ("thinking", "always", None, True),
        ("thinking", "hybrid", "low", True),
        ("thinking", "hybrid", None, False),
        ("thinking", None, None, False),
        ("thinking", "none", None, False),
        ("Thinking", "always", None, False),
    ],
)
def test_a_whole_answer_is_streamed_only_where_the_vendor_wants_it(
    stream_only: object, thinking: str | None, effort: str | None, stream: bool
):
    dialect = Dialect(quirks={"reasoning": "enable_thinking", "stream_only": stream_only}, thinking=thinking)
    request = Request(messages="Hi", reasoning_effort=effort)
    for codec in (OpenAIChatCodec(), DashScopeCodec()):
        sent = codec.encode(request, "m", dialect, stream=False, path=None)
        assert sent.headers["accept"] == ("text/event-stream" if stream else "application/json")
        assert (b'"stream":true' in sent.body or b'"incremental_output":true' in sent.body) is stream
        sent = codec.encode(request, "m", dialect, stream=True, path=None)
        assert sent.headers["accept"] == "text/event-stream"


def test_an_option_that_the_vendor_does_not_know_is_refused_not_dropped():
    denied("`seed`", seed=1, dialect={"quirks": {"unsupported": ["seed"]}})
    denied("`seed`", seed=0, dialect={"quirks": {"unsupported": ["top_p", "tools", "seed"]}})
    denied("`stop`", stop=["x"], dialect={"quirks": {"unsupported": ["stop"]}})
    assert "seed" not in body(dialect={"quirks": {"unsupported": ["seed", "tools", "stop"]}})


# --- tools and formats ---


def test_tools_are_functions():
    sent = body(tools=[ADD, Tool(name="now", strict=True)], tool_choice="required", parallel_tool_calls=False)
    assert sent["tools"][0] == {
        "type": "function",
        "function": {"name": "add", "description": "Add.", "parameters": ADD.parameters},
    }
    assert sent["tools"][1]["function"]["strict"] is True
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", False)


def test_a_named_tool_is_forced_by_its_name():
    assert body(tools=[ADD], tool_choice={"name": "add"})["tool_choice"] == {
        "type": "function",
        "function": {"name": "add"},
    }


def test_options_about_tools_are_a_loss_without_tools():
    given = Request(messages="Hi", tool_choice="none", parallel_tool_calls=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body(given).keys()
    sent = OpenAIChatCodec().encode(given, "m", Dialect(), stream=True, path=None)
    assert sent.losses == (
        ("tool_choice", "it was not sent: there are no tools"),
        ("parallel_tool_calls", "it was not sent: there are no tools"),
    )
    assert not OpenAIChatCodec().encode(Request(messages="Hi"), "m", Dialect(), stream=True, path=None).losses


def test_a_tool_choice_that_the_vendor_lacks_is_refused():
    quirks = {"tool_choices": ["auto", "none"]}
    denied("required", tools=[ADD], tool_choice="required", dialect={"quirks": quirks})
    denied("named", tools=[ADD], tool_choice={"name": "add"}, dialect={"quirks": quirks})
    assert body(tools=[ADD], tool_choice="auto", dialect={"quirks": quirks})["tool_choice"] == "auto"


def test_response_formats_are_sent_and_text_is_not():
    schema = {"type": "object"}
    assert body(response_format={"type": "json_object"})["response_format"] == {"type": "json_object"}
    wanted = {"type": "json_schema", "name": "risk", "json_schema": schema}
    given = {"name": "risk", "schema": schema}
    assert body(response_format=wanted)["response_format"] == {"type": "json_schema", "json_schema": given}
    sent = body(response_format={**wanted, "strict": True})["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {**given, "strict": True}}
    assert "response_format" not in body(response_format={"type": "text"})


# --- messages ---


def test_a_conversation_with_tools_is_sent_as_it_was():
    call = ToolCall(id="c1", name="add", arguments='{"a": 1}')
    sent = messages(
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "1+1?", "name": "ada"},
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id="c1", content="2"),
    )
    assert sent == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1+1?", "name": "ada"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
    ]


def test_parts_of_text_alone_become_one_string():
    assert messages(Message(role="user", content=(TextPart(text="a"), TextPart(text="b"))))[0]["content"] == "ab"


def test_media_are_sent_by_reference_or_by_value():
    data = base64.b64encode(PNG).decode()
    parts = (
        TextPart(text="see"),
        ImagePart(url="https://example.com/a.png"),
        ImagePart(data=PNG),
        ImagePart(data=b"?", media_type="image/bmp"),
        AudioPart(data=b"abc", media_type="audio/mpeg"),
        AudioPart(url="data:audio/wav;base64,YWJj"),
        FilePart(data=b"abc", media_type="application/pdf", name="a.pdf"),
    )
    assert messages(Message(role="user", content=parts))[0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        {"type": "image_url", "image_url": {"url": "data:image/bmp;base64,Pw=="}},
        {"type": "input_audio", "input_audio": {"data": "YWJj", "format": "mp3"}},
        {"type": "input_audio", "input_audio": {"data": "YWJj", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,YWJj"}},
    ]


def test_a_medium_in_a_data_url_keeps_its_type_or_gets_the_usual_one():
    parts = (
        FilePart(url="data:text/csv;base64,YWJj"),
        FilePart(url="data:text/csv;charset=utf-8;base64,YWJj"),
        FilePart(url="data:;base64,YWJj"),
        FilePart(url="data:;base64,YWJj", media_type="text/plain"),
        AudioPart(url="data:;base64,YWJj"),
        AudioPart(url="data:audio/x-flac;base64,a,b"),
    )
    sent = messages(Message(role="user", content=parts))[0]["content"]
    files = [part["file"] for part in sent[:4]]
    assert [file["file_data"] for file in files] == [
        "data:text/csv;base64,YWJj",
        "data:text/csv;base64,YWJj",
        "data:application/pdf;base64,YWJj",
        "data:text/plain;base64,YWJj",
    ]
    assert {file["filename"] for file in files} == {"file"}
    assert [part["input_audio"] for part in sent[4:]] == [
        {"data": "YWJj", "format": "wav"},
        {"data": "a,b", "format": "flac"},
    ]


@pytest.mark.parametrize(
    ("part", "start"),
    [
        (AudioPart(data=b"\x89PNG"), "audio/wav"),
        (VideoPart(data=b"GIF8"), "video/mp4"),
        (FilePart(data=b"GIF8"), "application/pdf"),
        (ImagePart(data=b"x\x89PNG"), "image/png"),
        (ImagePart(data=b"GIF8", media_type="image/x"), "image/x"),
    ],
)
def test_the_type_that_is_not_given_is_the_usual_one(part: Any, start: str):
    assert data_url(part).startswith(f"data:{start};base64,")


@pytest.mark.parametrize(
    "url", ["data:audio/wav;base64", "data:audio/wav,YWJj", "x:audio/wav;base64,YWJj", "https://e.com/;base64,YWJj"]
)
def test_what_is_no_data_url_of_base64_is_refused(url: str):
    request = Request(messages=(Message(role="user", content=(AudioPart(url=url),)),))
    with pytest.raises(PolicyDeniedError) as caught:
        body(request)
    assert caught.value.message == "the vendor cannot be asked for a part of type `audio` by URL"


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFFxxxxWEBP", "image/webp"),
        (b"??", "image/png"),
    ],
)
def test_the_type_of_an_image_is_read_from_its_first_bytes(data: bytes, media_type: str):
    url = messages(Message(role="user", content=(ImagePart(data=data),)))[0]["content"][0]["image_url"]["url"]
    assert url.startswith(f"data:{media_type};base64,")


@pytest.mark.parametrize(
    ("part", "what"),
    [
        (VideoPart(url="https://example.com/a.mp4"), "type `video`"),
        (AudioPart(url="https://example.com/a.wav"), "type `audio` by URL"),
        (FilePart(url="https://example.com/a.pdf"), "type `file` by URL"),
        (FilePart(url="data:application/pdf,plain"), "type `file` by URL"),
    ],
)
def test_a_part_that_the_format_cannot_carry_is_refused_by_name(part: Any, what: str):
    denied(what, Request(messages=(Message(role="user", content=(part,)),)))


def test_media_outside_the_users_messages_are_refused():
    denied("role `system`", Request(messages=(Message(role="system", content=(ImagePart(data=PNG),)),)))


def test_a_vendor_that_takes_films_gets_them():
    sent = messages(Message(role="user", content=(VideoPart(url="https://e.com/a.mp4"),)), quirks={"video_url": True})
    assert sent[0]["content"] == [{"type": "video_url", "video_url": {"url": "https://e.com/a.mp4"}}]


def test_earlier_reasoning_is_sent_back_only_where_it_is_wanted():
    thought = ReasoningPart(text="Hm", origin="p:m-1")
    said = Message(role="assistant", content=(thought, TextPart(text="Hi"), thought))
    turns = Request(messages=(said, {"role": "assistant", "content": "plain"}, {"role": "user", "content": "?"}))
    for codec in (OpenAIChatCodec(), DashScopeCodec()):
        kept = codec.encode(turns, "m-1", Dialect(quirks={"preserve_thinking": True}), stream=True, path=None)
        assert kept.body.count(b'"reasoning_content":"HmHm"') == kept.body.count(b"reasoning_content") == 1
        assert kept.losses == ()
        left_out = codec.encode(turns, "m-1", Dialect(), stream=True, path=None)
        assert b"Hm" not in left_out.body
        assert left_out.losses == (("reasoning", "the vendor does not take back what was thought in earlier turns"),)


def test_a_message_with_reasoning_alone_is_an_empty_text():
    said = Message(role="assistant", content=(ReasoningPart(text="Hm"),))
    assert messages(said, {"role": "user", "content": "?"})[0] == {"role": "assistant", "content": ""}


def test_reasoning_beside_media_is_left_out():
    parts = (ReasoningPart(text="Hm"), TextPart(text="see"), ImagePart(url="https://e.com/a.png"))
    sent = messages(Message(role="user", content=parts))[0]["content"]
    assert [part["type"] for part in sent] == ["text", "image_url"]


def test_the_text_beside_tool_calls_is_kept():
    call = ToolCall(id="c1", name="add", arguments="{}")
    said = Message(role="assistant", content="Wait.", tool_calls=(call,))
    sent = messages(said, Message(role="tool", tool_call_id="c1", content="2"), quirks={"prefill_field": "prefix"})
    assert sent[0]["content"] == "Wait."
    assert "prefix" not in messages(said, quirks={"prefill_field": "prefix"})[-1]


def test_the_beginning_of_an_answer_is_marked_in_the_vendors_way():
    given = ({"role": "user", "content": "Count"}, {"role": "assistant", "content": "1, 2"})
    assert messages(*given)[-1] == {"role": "assistant", "content": "1, 2"}
    assert messages(*given, quirks={"prefill_field": "prefix"})[-1] == {
        "role": "assistant",
        "content": "1, 2",
        "prefix": True,
    }


def test_the_beginning_of_an_answer_goes_where_the_vendor_wants_it():
    begun = Request(messages=({"role": "user", "content": "Count"}, {"role": "assistant", "content": "1"}))
    dialect = Dialect({"prefill_path": "/beta/chat/completions"})
    codec = OpenAIChatCodec()
    assert codec.encode(begun, "m", dialect, stream=True, path=None).path == "/beta/chat/completions"
    assert codec.encode(Request(messages="Hi"), "m", dialect, stream=True, path=None).path == "/chat/completions"


# --- reasoning ---


def test_an_effort_is_sent_as_it_is_or_in_the_vendors_word_or_not_at_all():
    assert body(reasoning_effort="high")["reasoning_effort"] == "high"
    assert body(reasoning_effort="high", dialect={"quirks": {"efforts": {"high": "max"}}})["reasoning_effort"] == "max"
    assert body(reasoning_effort="none")["reasoning_effort"] == "none"
    assert "reasoning_effort" not in body(reasoning_effort="none", dialect={"quirks": {"efforts": {"none": None}}})
    assert "reasoning_effort" not in body()


def test_an_effort_is_refused_where_it_cannot_be_chosen():
    denied("reasoning_effort", reasoning_effort="low", dialect={"quirks": {"reasoning": "none"}})
    denied("reasoning_effort", reasoning_effort="low", dialect={"thinking": "none"})
    denied("none", reasoning_effort="none", dialect={"thinking": "always"})
    assert "reasoning_effort" not in body(reasoning_effort="none", dialect={"thinking": "none"})


@pytest.mark.parametrize(
    ("effort", "fields"),
    [
        (None, {"enable_thinking": False}),
        ("none", {"enable_thinking": False}),
        ("low", {"enable_thinking": True, "thinking_budget": 4096}),
        ("medium", {"enable_thinking": True, "thinking_budget": 16384}),
        ("high", {"enable_thinking": True}),
        ("xhigh", {"enable_thinking": True}),
    ],
)
def test_a_model_that_can_be_switched_is_always_told(effort: str | None, fields: dict[str, Any]):
    sent = body(reasoning_effort=effort, dialect={"quirks": {"reasoning": "enable_thinking"}, "thinking": "hybrid"})
    assert {name: sent[name] for name in ("enable_thinking", "thinking_budget") if name in sent} == fields
    assert "reasoning_effort" not in sent


def test_a_model_of_which_nothing_is_known_is_told_only_what_was_asked():
    quirks = {"reasoning": "enable_thinking"}
    assert "enable_thinking" not in body(dialect={"quirks": quirks})
    assert body(reasoning_effort="low", dialect={"quirks": quirks})["enable_thinking"] is True


@pytest.mark.parametrize(
    ("switch", "on", "off"),
    [
        ("thinking_type", {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}),
        (
            "chat_template",
            {"chat_template_kwargs": {"enable_thinking": True}},
            {"chat_template_kwargs": {"enable_thinking": False}},
        ),
        ("enable_thinking", {"enable_thinking": True, "reasoning_effort": "high"}, {"enable_thinking": False}),
    ],
)
def test_thinking_is_switched_in_the_vendors_way(switch: str, on: dict[str, Any], off: dict[str, Any]):
    dialect = {"quirks": {"thinking_switch": switch}, "thinking": "hybrid"}
    assert on.items() <= body(reasoning_effort="high", dialect=dialect).items()
    assert off.items() <= body(dialect=dialect).items()
    assert "reasoning_effort" not in body(dialect=dialect)


# --- vendor-only options ---


def test_extra_options_go_to_the_top_of_the_body_and_win():
    sent = body(temperature=0.1, dialect={"extra": {"top_k": 20, "temperature": 0.3}})
    assert (sent["top_k"], sent["temperature"]) == (20, 0.3)


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n"])
def test_extra_options_cannot_take_over_what_the_codec_relies_on(name: str):
    denied(f"`{name}`", dialect={"extra": {name: 1}})


def test_a_text_that_is_no_unicode_is_a_bad_request():
    with pytest.raises(BadRequestError) as caught:
        body(Request(messages="\ud800"))
    assert str(caught.value).splitlines() == [
        "the request cannot be written as JSON",
        "hint: nothing was sent; look for lone surrogates in the texts",
    ]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_a_number_that_json_lacks_is_null(value: float):
    assert body_of({"a": [value, 1.5]}) == b'{"a":[null,1.5]}'


def test_what_is_refused_is_named_in_a_sentence():
    with pytest.raises(PolicyDeniedError) as caught:
        body(tools=[ADD], tool_choice={"name": "add"}, dialect={"quirks": {"tool_choices": ["auto"]}})
    assert caught.value.message == "the vendor cannot be asked for `tool_choice: named`"
    with pytest.raises(PolicyDeniedError) as caught:
        body(dialect={"extra": {"n": 2}})
    assert caught.value.message == "the vendor cannot be asked for `n` among the extra options"
    with pytest.raises(PolicyDeniedError) as caught:
        messages(Message(role="assistant", content=(ImagePart(url="https://e.com/a.png"),)))
    assert caught.value.message == "the vendor cannot be asked for media in a message of role `assistant`"
    with pytest.raises(PolicyDeniedError) as caught:
        messages(Message(role="user", content=(VideoPart(url="https://e.com/a.mp4"),)))
    assert caught.value.message == "the vendor cannot be asked for a part of type `video`"
