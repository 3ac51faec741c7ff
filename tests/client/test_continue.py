"""`mid_stream: continue`: the next target goes on with a broken stream, from exactly what the caller has seen."""

from __future__ import annotations

import asyncio

import pytest

from multimodel import AsyncClient, Client, Segment, StreamInterruptedError, Switched, Target, TextDelta
from multimodel.testing import FaultyVendor, Reply, VendorRequest, faults
from multimodel.types import ToolCall

WHOLE = "One may say that two vendors are better than one."
MODELS = {"deepseek": "deepseek-flash", "mistral": "mistral-large-4", "dashscope": "qwen-plus"}


def going_on(request: VendorRequest) -> str:
    """What a vendor says that honours the beginning of an answer."""
    last = request.messages[-1]
    begun = last["content"] if last["role"] == "assistant" else ""
    begun = begun if isinstance(begun, str) else begun[0]["text"]
    assert WHOLE.startswith(begun)
    return WHOLE[len(begun) :]


@pytest.fixture
def vendors():
    with (
        FaultyVendor(answer=WHOLE) as first,
        FaultyVendor(answer=going_on) as second,
        FaultyVendor(answer=going_on) as third,
    ):
        yield first, second, third


@pytest.fixture(params=MODELS)
def wire(request) -> str:
    return request.param


def policy(vendors, wire: str, **settings) -> dict:
    names = ("first", "second", "third")
    return {
        "providers": {
            name: {
                "profile": wire,
                "base_url": vendor.dashscope_url if wire == "dashscope" else vendor.openai_url,
                "api_key": f"sk-{name}",
            }
            for name, vendor in zip(names, vendors, strict=True)
        },
        "routes": {
            "chat": {
                "chain": [f"{name}:{MODELS[wire]}" for name in names],
                "mid_stream": "continue",
                "timeouts": {"idle": 0.4},
                **settings,
            }
        },
    }


def stream(given: dict, **options) -> tuple[list, object]:
    with Client(given) as client, client.stream("chat", "Why? In JSON.", **options) as answer:
        return list(answer), answer.completion


def astream(given: dict, **options) -> tuple[list, object]:
    async def main():
        async with AsyncClient(given) as client, client.stream("chat", "Why? In JSON.", **options) as answer:
            return [event async for event in answer], answer.completion

    return asyncio.run(main())


@pytest.fixture(params=[stream, astream], ids=["blocking", "asyncio"])
def ask(request):
    return request.param


def spelled(events: list) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("fault", [faults.cut(after=5), faults.reset(after=5), faults.stall(after=5)], ids=str)
def test_the_next_target_goes_on_from_what_the_caller_has_seen(vendors, wire, ask, fault):
    vendors[0].fault = fault
    events, whole = ask(policy(vendors, wire))
    assert spelled(events) == whole.text == WHOLE
    switched = [event for event in events if isinstance(event, Switched)]
    assert [event.target.provider for event in switched] == ["second"]
    begun = vendors[1].log[0].messages[-1]
    assert begun["role"] == "assistant"
    assert begun.get("partial") or begun.get("prefix")
    one, two = whole.segments
    assert (one.target.provider, one.start, two.target.provider, two.end) == ("first", 0, "second", len(WHOLE))
    assert one.end == two.start == len(WHOLE) - len(going_on(vendors[1].log[0]))
    assert whole.target.provider == "second"


def test_an_answer_that_does_not_break_has_no_segments(vendors, wire, ask):
    _, whole = ask(policy(vendors, wire))
    assert whole.text == WHOLE
    assert whole.segments == ()


def test_two_breaks_make_three_segments(vendors, wire, ask):
    vendors[0].fault = faults.cut(after=4)
    vendors[1].fault = faults.cut(after=4)
    events, whole = ask(policy(vendors, wire))
    assert spelled(events) == whole.text == WHOLE
    assert [segment.target.provider for segment in whole.segments] == ["first", "second", "third"]
    assert "".join(WHOLE[segment.start : segment.end] for segment in whole.segments) == WHOLE


def test_what_the_next_target_says_again_is_dropped(vendors, wire, ask):
    vendors[0].fault = faults.cut(after=6)
    vendors[1].answer = WHOLE
    events, whole = ask(policy(vendors, wire))
    assert spelled(events) == whole.text == WHOLE


def test_a_refused_beginning_is_never_the_error_that_is_shown(vendors, wire, ask):
    vendors[0].fault = faults.cut(after=5)
    vendors[1].fault = vendors[2].fault = faults.status(400)
    with pytest.raises(StreamInterruptedError) as caught:
        ask(policy(vendors, wire))
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.kind == "truncated_stream"
    assert WHOLE.startswith(caught.value.partial)
    assert caught.value.partial
    assert [one.outcome for one in caught.value.report.attempts] == ["truncated_stream", "bad_request", "bad_request"]


def test_after_a_refused_beginning_the_next_one_is_asked(vendors, wire, ask):
    vendors[0].fault = faults.cut(after=5)
    vendors[1].fault = faults.status(400)
    events, whole = ask(policy(vendors, wire))
    assert spelled(events) == whole.text == WHOLE
    assert [event.target.provider for event in events if isinstance(event, Switched)] == ["third"]


def test_a_target_that_is_not_known_to_go_on_is_skipped(vendors, ask):
    vendors[0].fault = faults.cut(after=5)
    given = policy(vendors, "dashscope")
    given["routes"]["chat"]["chain"][1] = "second:qwen-unheard-of"
    events, whole = ask(given)
    assert spelled(events) == WHOLE
    assert [(skip.target.provider, skip.reason) for skip in whole.report.skipped] == [("second", "prefill")]


def test_tool_calls_are_never_gone_on_with(vendors, wire, ask):
    vendors[0].answer = Reply(
        "Let me see. ", tool_calls=(ToolCall(id="c", name="f", arguments='{"city": "A town with a long name"}'),)
    )
    vendors[0].fault = faults.cut(after=6)
    with pytest.raises(StreamInterruptedError):
        ask(policy(vendors, wire), tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])
    assert not vendors[1].log


@pytest.mark.parametrize("options", [{"response_format": {"type": "json_object"}}, {"reasoning_effort": "high"}])
def test_json_and_thinking_are_never_gone_on_with(vendors, ask, options):
    vendors[0].fault = faults.cut(after=5)
    with pytest.raises(StreamInterruptedError):
        ask(policy(vendors, "dashscope"), **options)
    assert not vendors[1].log


def test_a_whole_answer_begins_anew_unseen(vendors, wire):
    vendors[0].fault = faults.cut(after=5)
    with Client(policy(vendors, wire)) as client:
        answer = client.complete("chat", "Why?")
    assert answer.text == WHOLE
    assert vendors[1].log[0].messages[-1]["role"] == "user"


def test_a_segment_says_who_and_where():
    target = Target("p", "m")
    assert Segment(target, 0, 4) == Segment(target, 0, 4)
