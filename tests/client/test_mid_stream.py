"""What becomes of a broken stream can be said for one call."""

from __future__ import annotations

import pytest

from multimodel import BadRequestError, Client, Restarted, ServerError, StreamInterruptedError, TextDelta
from multimodel.testing import FakeProvider


def client(mid_stream: str) -> Client:
    route = {"chain": ["one:a", "two:b"], "retry": {"attempts": 1}, "mid_stream": mid_stream}
    one = FakeProvider([[TextDelta("broken "), ServerError()]])
    return Client({"routes": {"chat": route}}, providers={"one": one, "two": FakeProvider(["whole"])})


def test_a_call_can_ask_for_a_new_beginning():
    with client("error").stream("chat", "Hi", mid_stream="restart") as stream:
        events = list(stream)
    assert any(isinstance(event, Restarted) for event in events)
    assert stream.completion.text == "whole"
    assert str(stream.target) == "two:b"


def test_a_call_can_refuse_a_new_beginning_and_then_nobody_else_is_asked():
    with client("restart").stream("chat", "Hi", mid_stream="error") as stream, pytest.raises(StreamInterruptedError):
        list(stream)
    assert [str(attempt.target) for attempt in stream.report.attempts] == ["one:a"]


def test_another_word_is_a_bad_request():
    with pytest.raises(BadRequestError, match="`mid_stream` is"):
        client("error").stream("chat", "Hi", mid_stream="again")  # type: ignore[typeddict-item]
