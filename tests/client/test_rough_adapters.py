"""Adapters that answer nothing, break, hang or fail at the wrong moment, alone and side by side."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import warnings

import pytest

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    BadRequestError,
    Client,
    Finished,
    Message,
    ReasoningDelta,
    Restarted,
    ServerError,
    StreamInterruptedError,
    Switched,
    TextDelta,
    TextPart,
)
from multimodel.client.request import build_request, continued
from multimodel.testing import FakeProvider

HEDGED = {"hedge": {"after": 0.05, "budget": 1.0}}


def policy(*names: str, **settings) -> dict:
    return {"routes": {"chat": {"chain": [f"{name}:m" for name in names], "retry": {"attempts": 1}, **settings}}}


class Adapter:
    """Waits, then yields or raises; in both colours."""

    def __init__(self, *events, after: float = 0.0, at_close: Exception | None = None) -> None:
        self.events, self.after, self.at_close = events, after, at_close
        self.taken = 0
        self.asked = 0

    def _next(self, event):
        if isinstance(event, BaseException):
            raise event
        self.taken += 1
        return event

    def _closed(self) -> None:
        if self.at_close is not None:
            raise self.at_close

    def stream(self, attempt):
        self.asked += 1
        try:
            until = time.monotonic() + self.after
            while time.monotonic() < until and not (attempt.given_up and attempt.given_up()):
                time.sleep(0.005)
            for event in self.events:
                yield self._next(event)
        finally:
            self._closed()

    async def astream(self, _attempt):
        self.asked += 1
        try:
            await asyncio.sleep(self.after)
            for event in self.events:
                yield self._next(event)
        finally:
            self._closed()


def complete(given: dict, **adapters):
    with Client(given, providers=adapters) as client:
        return client.complete("chat", "Hi")


def acomplete(given: dict, **adapters):
    async def main():
        async with AsyncClient(given, providers=adapters) as client:
            return await client.complete("chat", "Hi")

    return asyncio.run(main())


@pytest.fixture(params=[complete, acomplete], ids=["blocking", "asyncio"])
def ask(request):
    return request.param


WHOLE = (TextDelta("Yes."), Finished("stop"))


@pytest.mark.parametrize("settings", [{}, HEDGED], ids=["alone", "hedged"])
def test_an_empty_answer_does_not_keep_what_a_broken_one_said(ask, settings):
    broken = Adapter(TextDelta("not for you"), ServerError("x"))
    answer = ask(policy("a", "b", **settings), a=broken, b=Adapter(Finished("stop")))
    assert (answer.text, answer.target.provider) == ("", "b")


@pytest.mark.parametrize(("mode", "told"), [("restart", Restarted), ("continue", Switched)])
def test_a_stream_that_ends_with_an_empty_answer_says_so(mode, told):
    given = policy("a", "b", mid_stream=mode)
    given["providers"] = {"b": {"profile": "dashscope", "api_key": "k", "region": "singapore", "workspace": "w"}}
    given["routes"]["chat"]["chain"][1] = "b:qwen-plus"
    adapters = {"a": Adapter(TextDelta("half"), ServerError("x")), "b": Adapter(Finished("stop"))}
    with Client(given, providers=adapters) as client, client.stream("chat", "Hi") as stream:
        events = list(stream)
    assert [type(event) for event in events] == [TextDelta, told, Finished]
    assert stream.completion.text == ("" if mode == "restart" else "half")


def test_what_the_second_attempt_is_refused_is_no_reason_to_break_the_first_one_off(ask):
    slow, refused = Adapter(*WHOLE, after=0.3), Adapter(BadRequestError("no"))
    assert ask(policy("a", "b", **HEDGED), a=slow, b=refused).target.provider == "a"


def test_a_loser_that_breaks_while_it_is_broken_off_costs_no_answer(ask):
    loser = Adapter(*WHOLE, after=5.0, at_close=KeyError("a bug"))
    assert ask(policy("a", "b", **HEDGED), a=loser, b=Adapter(*WHOLE)).target.provider == "b"


def test_an_adapter_that_was_cancelled_from_within_ends_the_call():
    async def main() -> None:
        adapter = Adapter(asyncio.CancelledError(), after=0.1)
        async with AsyncClient(policy("a", "b", **HEDGED), providers={"a": adapter, "b": Adapter(after=9.0)}) as client:
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(client.complete("chat", "Hi"), 5.0)

    asyncio.run(main())


def test_a_race_reads_ahead_of_its_reader_only_a_little():
    many = Adapter(*[TextDelta("x")] * 10_000, Finished("stop"))
    with Client(policy("a", "b", **HEDGED), providers={"a": many, "b": Adapter(*WHOLE)}) as client:
        with client.stream("chat", "Hi") as stream:
            next(stream)
            time.sleep(0.1)
            assert many.taken < 100


def test_without_threads_a_race_is_local_overload_and_the_next_target_answers(monkeypatch):
    start = threading.Thread.start

    def none_left(thread):
        if thread.name == "multimodel-hedge":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", none_left)
    answer = complete(policy("a", "b", **HEDGED), a=Adapter(*WHOLE), b=Adapter(*WHOLE))
    assert answer.target.provider == "b"  # the last target needs no thread: nobody could join it
    assert [(skip.target.provider, skip.reason) for skip in answer.report.skipped] == [("a", "local_overload")]


def test_an_asyncio_adapter_that_loses_on_a_thread_is_cancelled():
    class Slow:
        closed = threading.Event()

        async def astream(self, _attempt):
            try:
                await asyncio.sleep(30.0)
                yield TextDelta("late")
            finally:
                self.closed.set()

    answer = complete(policy("a", "b", **HEDGED), a=Slow(), b=Adapter(*WHOLE))
    assert answer.target.provider == "b"
    assert Slow.closed.wait(2.0)


def test_a_lost_attempt_is_no_failure_in_the_log(caplog):
    caplog.set_level(logging.DEBUG, "multimodel")
    complete(policy("a", "b", **HEDGED), a=Adapter(*WHOLE, after=5.0), b=Adapter(*WHOLE))
    assert not caplog.records


def test_a_stream_that_is_finalised_inside_a_step_of_the_engine_blocks_nothing():
    client = Client(policy("a"), providers={"a": FakeProvider(["one two three"])})
    stream = client.stream("chat", "Hi")
    next(stream)

    def as_the_garbage_collector_might() -> None:
        with client._core.lock:
            stream.close()

    thread = threading.Thread(target=as_the_garbage_collector_might, daemon=True)
    thread.start()
    thread.join(5.0)
    assert not thread.is_alive()


def test_one_adapter_that_cannot_be_closed_keeps_no_other_open():
    class Closed(FakeProvider):
        closed = 0

        def close(self) -> None:
            type(self).closed += 1
            raise RuntimeError("no")

    client = Client(policy("a", "b"), providers={"a": Closed(), "b": Closed()})
    client.complete("chat", "Hi")
    with pytest.raises(RuntimeError):
        client.close()
    assert Closed.closed == 2


def test_an_error_has_the_attempts_of_its_call():
    with pytest.raises(AllTargetsFailedError) as caught:
        complete(policy("a"), a=Adapter(ServerError("x")))
    assert [attempt.outcome for attempt in caught.value.attempts] == ["server_error"]
    assert ServerError("x").attempts == ()


def test_a_dropped_stream_is_closed_even_where_its_warning_is_recorded():
    adapter = Adapter(TextDelta("one"), TextDelta("two"), Finished("stop"), at_close=None)
    closed = threading.Event()
    adapter._closed = closed.set
    client = Client(policy("a"), providers={"a": adapter})
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        next(client.stream("chat", "Hi"))
        gc.collect()
        assert closed.is_set()
    assert [one.category for one in seen] == [ResourceWarning]


# --- what the policy adds to a request


@pytest.mark.parametrize("settings", [HEDGED, {"retry": {"attempts": 2}}], ids=["hedge", "retry"])
def test_effects_of_the_routes_own_options_count(settings):
    first, second = Adapter(ServerError("x"), after=0.2), Adapter(*WHOLE)
    given = policy("a", "b", params={"extra": {"a": {"store": True}}}, **settings) if "hedge" in settings else None
    given = given or {"routes": {"chat": {"chain": ["a:m", "b:m"], "params": {"extra": {"a": {"store": True}}}}}}
    with Client(given, providers={"a": first, "b": second}) as client, pytest.raises(AllTargetsFailedError):
        client.complete("chat", "Hi")
    assert (first.asked, second.asked) == (1, 0)


def test_an_answer_with_the_routes_own_thinking_is_not_gone_on_with():
    given = policy("a", "b", mid_stream="continue", params={"reasoning_effort": "high"})
    broken, second = Adapter(TextDelta("half"), ServerError("x")), Adapter(*WHOLE)
    with Client(given, providers={"a": broken, "b": second}) as client, client.stream("chat", "Hi") as stream:
        with pytest.raises(StreamInterruptedError):
            list(stream)
    assert second.asked == 0


# --- shadows


def shadowed(**adapters) -> Client:
    return Client(policy("a", shadow={"target": "b:m", "share": 1.0}), providers=adapters)


@pytest.mark.parametrize("words", [{"avoid": ["a"]}, {"only": ["a"]}])
def test_a_shadow_gets_nothing_that_the_call_keeps_from_it(words):
    shadow = Adapter(*WHOLE)
    given = policy("a", "c", shadow={"target": "b:m", "share": 1.0})
    with Client(given, providers={"a": Adapter(*WHOLE), "b": shadow, "c": Adapter(*WHOLE)}) as client:
        client.complete("chat", "Hi", **({"avoid": ["a"]} if "avoid" in words else words))
    assert (shadow.asked == 0) == ("only" in words)


def test_a_stream_that_is_never_read_sends_no_copy():
    shadow = Adapter(*WHOLE)
    with shadowed(a=Adapter(*WHOLE), b=shadow) as client, client.stream("chat", "Hi"):
        pass
    assert shadow.asked == 0


def test_closing_the_client_breaks_its_shadows_off():
    shadow = Adapter(*WHOLE, after=30.0)
    with shadowed(a=Adapter(*WHOLE), b=shadow) as client:
        client.complete("chat", "Hi")
    until = time.monotonic() + 5.0
    while any(thread.name == "multimodel-shadow" for thread in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name == "multimodel-shadow"]


# --- the beginning of an answer that another goes on with


def test_a_beginning_in_parts_is_gone_on_with_in_parts():
    begun = Message(role="assistant", content=(TextPart(text="One"),))
    request = build_request([{"role": "user", "content": "Count."}, begun], {})
    (_, last) = continued(request, " two").messages
    assert last.content == (TextPart(text="One"), TextPart(text=" two"))


def test_thinking_between_does_not_end_the_search_for_a_repetition():
    given = policy("a", "b", mid_stream="continue")
    given["providers"] = {"b": {"profile": "dashscope", "api_key": "k", "region": "singapore", "workspace": "w"}}
    given["routes"]["chat"]["chain"][1] = "b:qwen-plus"
    adapters = {
        "a": Adapter(TextDelta("One swallow does not make"), ServerError("x")),
        "b": Adapter(TextDelta("does not"), ReasoningDelta("hm"), TextDelta(" make a summer"), Finished("stop")),
    }
    with Client(given, providers=adapters) as client, client.stream("chat", "Hi") as stream:
        assert "".join(stream.text_deltas()) == "One swallow does not make a summer"


def test_what_the_second_attempt_was_refused_is_told_when_the_first_one_fails_too(ask):
    slow, refused, third = Adapter(ServerError("x"), after=0.3), Adapter(BadRequestError("no")), Adapter(*WHOLE)
    with pytest.raises(BadRequestError) as caught:
        ask(policy("a", "b", "c", **HEDGED), a=slow, b=refused, c=third)
    assert third.asked == 0
    assert [attempt.outcome for attempt in caught.value.attempts] == ["server_error", "bad_request"]
