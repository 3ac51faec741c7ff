"""What was asked and answered is told only where the application says so."""

from __future__ import annotations

import json

import pytest

from multimodel import AllTargetsFailedError, Client, Message, StreamInterruptedError, TextPart
from multimodel.testing import FakeProvider, FaultyVendor, Reply, faults
from multimodel.types import ImagePart, ToolCall

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
POLICY = {"routes": {"chat": {"chain": ["fake:any"]}}}
CONTENT = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"}


def search(query: str) -> str:
    """Find pages."""
    return query


@pytest.mark.parametrize("value", [None, "", "false", "NO_CONTENT", "perhaps"])
def test_nothing_is_told_of_it_without_a_word(told, monkeypatch, value):
    if value is not None:
        monkeypatch.setenv(CAPTURE, value)
    with Client(POLICY, providers={"fake": FakeProvider(["The answer."])}) as client:
        client.complete("chat", "The question.", tools=[search])
    for word in ("The question.", "The answer.", "Find pages.", *CONTENT):
        assert word not in told.everything()


@pytest.mark.parametrize("value", ["true", "True", "SPAN_ONLY", "span_and_event"])
def test_it_stands_on_the_span_of_the_call_where_it_is_captured(told, monkeypatch, value):
    monkeypatch.setenv(CAPTURE, value)
    with Client(POLICY, providers={"fake": FakeProvider([Reply("The answer.", reasoning="Hm.")])}) as client:
        client.complete("chat", "The question.", tools=[search])
    call, attempt = told.spans
    assert json.loads(call.attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "The question."}]}
    ]
    assert json.loads(call.attributes["gen_ai.output.messages"]) == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "Hm."}, {"type": "text", "content": "The answer."}],
        }
    ]
    (tool,) = json.loads(call.attributes["gen_ai.tool.definitions"])
    assert (tool["type"], tool["name"], tool["description"]) == ("function", "search", "Find pages.")
    assert CONTENT.isdisjoint(attempt.attributes)


@pytest.mark.parametrize(("value", "in_spans"), [("EVENT_ONLY", False), ("span_and_event", True)])
def test_it_is_an_event_of_its_own_where_that_is_asked_for(told, monkeypatch, value, in_spans):
    monkeypatch.setenv(CAPTURE, value)
    with Client(POLICY, providers={"fake": FakeProvider(["The answer."])}) as client:
        client.complete("chat", "The question.")
    call, _attempt = told.spans
    (event,) = told.events
    assert event.log_record.event_name == "gen_ai.client.inference.operation.details"
    assert event.log_record.span_id == call.context.span_id
    (asked,) = event.log_record.attributes["gen_ai.input.messages"]
    assert asked["parts"][0]["content"] == "The question."
    assert ("gen_ai.input.messages" in call.attributes) == in_spans


def test_tools_results_and_media_have_the_form_of_the_conventions(told, monkeypatch):
    monkeypatch.setenv(CAPTURE, "true")
    call = ToolCall(id="call_1", name="search", arguments='{"query": "x"}')
    broken = ToolCall(id="call_2", name="search", arguments='{"que')
    messages = [
        Message(role="system", content="Be brief."),
        Message(
            role="user",
            content=(
                TextPart(text="See."),
                ImagePart(url="https://example.net/a.png"),
                ImagePart(data=b"secret bytes", media_type="image/png"),
            ),
        ),
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id="call_1", content="nothing"),
    ]
    fake = FakeProvider([Reply(tool_calls=(call, broken))])
    with Client(
        POLICY | {"routes": {"chat": {"chain": ["fake:any"], "on_invalid_output": "stop"}}}, providers={"fake": fake}
    ) as client:
        client.complete("chat", messages)
    (span, _attempt) = told.spans
    assert json.loads(span.attributes["gen_ai.input.messages"]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "See."},
                {"type": "uri", "uri": "https://example.net/a.png", "modality": "image"},
                {"type": "image", "modality": "image", "mime_type": "image/png"},
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "call_1", "name": "search", "arguments": {"query": "x"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call_1", "response": "nothing"}]},
    ]
    (answer,) = json.loads(span.attributes["gen_ai.output.messages"])
    assert [part["arguments"] for part in answer["parts"]] == [{"query": "x"}, '{"que']


def test_a_key_is_not_part_of_the_content(told, monkeypatch):
    monkeypatch.setenv(CAPTURE, "span_and_event")
    key, echo = "sk-canary-4711", "The key sk-canary-4711 is wrong."
    with FaultyVendor(fault=faults.status(401, message=echo)) as vendor:
        provider = {"profile": "openai", "base_url": vendor.openai_url, "api_key": key}
        policy = {"providers": {"first": provider}, "routes": {"chat": {"chain": ["first:m"]}}}
        with Client(policy) as client, pytest.raises(AllTargetsFailedError):
            client.complete("chat", "The question.")
    assert "The question." in told.everything()
    assert key not in told.everything()


def test_of_a_stream_that_broke_there_is_what_came(told, monkeypatch):
    monkeypatch.setenv(CAPTURE, "true")
    with FaultyVendor(answer="one two three four five", fault=faults.cut(after=2)) as vendor:
        provider = {"profile": "openai", "base_url": vendor.openai_url, "api_key": "sk-first"}
        policy = {"providers": {"first": provider}, "routes": {"chat": {"chain": ["first:m"]}}}
        with Client(policy) as client, client.stream("chat", "Count.") as stream:
            with pytest.raises(StreamInterruptedError) as broke:
                list(stream)
    (answer,) = json.loads(told.spans[0].attributes["gen_ai.output.messages"])
    assert answer["parts"] == [{"type": "text", "content": broke.value.partial}]
