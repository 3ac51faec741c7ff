from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from multimodel.errors import CallError, OverloadedError, RateLimitError, TruncatedStreamError
from multimodel.providers.base import Provider
from multimodel.testing import FakeProvider, Reply
from multimodel.types import (
    AnswerEvent,
    Attempt,
    Finished,
    Limits,
    ReasoningDelta,
    Request,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)


def attempt(text: str = "Hi there", model: str = "any") -> Attempt:
    limits = Limits(1.0, 1.0, 1.0, 1.0, 1.0)
    return Attempt(Request(messages=({"role": "user", "content": text},)), model, True, limits, lambda: 0.0)  # type: ignore[arg-type]


def blocking(fake: FakeProvider, given: Attempt) -> list[AnswerEvent]:
    return list(fake.stream(given))


def aio(fake: FakeProvider, given: Attempt) -> list[AnswerEvent]:
    async def main() -> list[AnswerEvent]:
        return [event async for event in fake.astream(given)]

    return asyncio.run(main())


colours = pytest.mark.parametrize("play", [blocking, aio])
Play = Callable[[FakeProvider, Attempt], list[AnswerEvent]]


def test_it_is_a_provider_of_both_colours():
    provider: Provider = FakeProvider()
    assert callable(provider.stream)
    assert callable(provider.astream)


@colours
def test_a_text_comes_word_by_word_and_then_finishes(play: Play):
    assert play(FakeProvider(["one two"]), attempt()) == [
        TextDelta("one "),
        TextDelta("two"),
        Finished("stop", Usage(input_tokens=2, output_tokens=2, total_tokens=4), "any", "fake-0"),
    ]


@colours
def test_a_reply_has_all_that_an_answer_can_have(play: Play):
    usage = Usage(input_tokens=1, output_tokens=1, total_tokens=2)
    reply = Reply("Yes.", reasoning="Hmm.", tool_calls=(ToolCall(id="1", name="f"),), usage=usage)
    assert play(FakeProvider([reply]), attempt()) == [
        ReasoningDelta("Hmm."),
        TextDelta("Yes."),
        ToolCallDelta(0, "1", "f", "{}"),
        Finished("tool_calls", usage, "any", "fake-0"),
    ]


@colours
def test_an_error_is_raised_anew_each_time(play: Play):
    error = RateLimitError("wait", retry_after=2.0)
    fake = FakeProvider([error])
    caught = []
    for _ in range(2):
        with pytest.raises(RateLimitError) as raised:
            play(fake, attempt())
        caught.append(raised.value)
    assert caught[0] is not caught[1]
    assert error not in caught
    assert [one.retry_after for one in caught] == [2.0, 2.0]


@colours
def test_an_answer_may_break_in_the_middle(play: Play):
    fake = FakeProvider([[TextDelta("Half"), TruncatedStreamError()], "Whole."])
    with pytest.raises(TruncatedStreamError):
        play(fake, attempt())
    assert play(fake, attempt())[0] == TextDelta("Whole.")


def test_events_are_played_up_to_the_error():
    events = FakeProvider([[TextDelta("Half"), TruncatedStreamError()]]).stream(attempt())
    assert next(events) == TextDelta("Half")
    with pytest.raises(TruncatedStreamError):
        next(events)


@colours
def test_the_last_reply_is_repeated(play: Play):
    fake = FakeProvider([OverloadedError(), "Back."])
    with pytest.raises(OverloadedError):
        play(fake, attempt())
    assert [play(fake, attempt())[0] for _ in range(3)] == [TextDelta("Back.")] * 3


@colours
def test_a_function_sees_the_attempt(play: Play):
    fake = FakeProvider([lambda given: f"{given.model}:{given.request.messages[0].text}"])
    assert play(fake, attempt("Why?", "m"))[0] == TextDelta("m:Why?")


def test_a_function_may_answer_with_an_error():
    fake = FakeProvider([lambda given: OverloadedError(given.model)])
    with pytest.raises(CallError, match="any"):
        list(fake.stream(attempt()))


def test_attempts_and_closes_are_recorded():
    fake = FakeProvider()
    first = attempt()
    list(fake.stream(first))
    fake.close()
    asyncio.run(fake.aclose())
    assert fake.attempts == [first]
    assert fake.closed == 2


def test_threads_share_it():
    fake = FakeProvider([lambda given: given.request.messages[0].text])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: next(iter(fake.stream(attempt(str(number))))), range(200)))
    assert answers == [TextDelta(str(number)) for number in range(200)]
    assert len(fake.attempts) == 200


def test_one_text_may_stand_alone_and_none_is_a_mistake():
    assert blocking(FakeProvider("Hello."), attempt())[0] == TextDelta("Hello.")
    with pytest.raises(ValueError, match="at least one reply"):
        FakeProvider([])
