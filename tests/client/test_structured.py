"""Answers of a type: asked for as each target can be asked, checked, and asked for once more when they do not fit."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import pytest
from pydantic import BaseModel, TypeAdapter, field_validator
from typing_extensions import TypedDict

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    BadRequestError,
    CallError,
    Client,
    Completion,
    ContentFilteredError,
    DeadlineExceededError,
    InvalidResponseError,
    PolicyDeniedError,
    ToolCall,
)
from multimodel.testing import FakeProvider, FaultyVendor, Reply, VendorRequest, faults

WIRES = ["openai", "dashscope"]
COLOURS = ["sync", "async"]
GOOD = '{"title": "Lock-in", "severity": 3}'
SECRET = "the words of the model"


class Risk(BaseModel):
    title: str
    severity: int


RISK = Risk(title="Lock-in", severity=3)
SCHEMA = Risk.model_json_schema()
AS_FORMAT = {"type": "json_schema", "json_schema": {"name": "risk", "schema": SCHEMA}}


@dataclass
class Place:
    """Two vendors on sockets, and one call in the colour of the test."""

    first: FaultyVendor
    second: FaultyVendor
    complete: Callable[..., Completion[Any]]


@contextmanager
def place(wire: str, colour: str = "sync", first: dict[str, Any] | None = None, **route: Any) -> Iterator[Place]:
    with FaultyVendor(answer=GOOD) as one, FaultyVendor(answer=GOOD) as two:
        url = {"openai": "openai_url", "dashscope": "dashscope_url"}[wire]
        providers = {
            name: {"profile": wire, "base_url": getattr(vendor, url), "api_key": f"sk-{name}"}
            for name, vendor in (("first", one), ("second", two))
        }
        providers["first"] |= first or {}
        policy = {
            "providers": providers,
            "routes": {"chat": {"chain": ["first:a", "second:b"], **route}},
        }
        if colour == "sync":
            with Client(policy) as client:
                yield Place(one, two, lambda *given, **options: client.complete("chat", *given, **options))
            return
        aclient = AsyncClient(policy)
        with asyncio.Runner() as runner:
            try:
                yield Place(one, two, lambda *given, **options: runner.run(aclient.complete("chat", *given, **options)))
            finally:
                runner.run(aclient.aclose())


def in_turn(*replies: str | Reply) -> Callable[[VendorRequest], str | Reply]:
    """Say one after the other, the last for ever."""
    left = list(replies)
    return lambda _request: left.pop(0) if len(left) > 1 else left[0]


def outcomes(answer: Completion[Any] | CallError) -> list[tuple[str, str, str]]:
    assert answer.report is not None
    return [(str(one.target), one.reason, one.outcome) for one in answer.report.attempts]


# --- what is asked for ---


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("colour", COLOURS)
def test_an_answer_is_a_value_of_the_type_that_was_asked_for(wire: str, colour: str):
    with place(wire, colour) as there:
        answer = there.complete("A risk?", response_model=Risk)
        assert answer.parsed == RISK
        (request,) = there.first.log
        asked = request.options["response_format"]
        assert asked["type"] == "json_schema"
        assert asked["json_schema"]["name"] == "Risk"
        assert asked["json_schema"]["schema"] == SCHEMA
        assert request.messages == [{"role": "user", "content": "A risk?"}]
        assert answer.report.notes == ()


class Row(TypedDict):
    title: str
    severity: int


@dataclass
class Plain:
    title: str


class Tree(BaseModel):
    name: str
    below: list[Tree] = []


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Row, GOOD, {"title": "Lock-in", "severity": 3}),
        (Plain, '{"title": "x"}', Plain("x")),
        (list[Risk], f'{{"value": [{GOOD}]}}', [RISK]),
        (list[Risk], f"[{GOOD}]", [RISK]),
        (int, '{"value": 7}', 7),
        (Literal["yes", "no"], '{"value": "no"}', "no"),
        (dict[str, int], '{"value": 7}', {"value": 7}),
        (TypeAdapter(Risk | None), '{"value": null}', None),
        (Tree, '{"name": "a", "below": [{"name": "b"}]}', Tree(name="a", below=[Tree(name="b")])),
    ],
)
def test_any_type_can_be_asked_for_and_its_schema_is_of_an_object(kind: Any, text: str, value: object):
    fake = FakeProvider([text])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        assert client.complete("chat", "Hi", response_model=kind).parsed == value
    asked = fake.attempts[0].request.response_format
    assert asked is not None
    assert asked.json_schema is not None
    assert asked.json_schema["type"] == "object"


def test_what_has_no_schema_is_refused_before_anything_is_sent():
    fake = FakeProvider([GOOD])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        for wrong in (object(), Callable[[], int]):
            with pytest.raises(BadRequestError, match="response_model"):
                client.complete("chat", "Hi", response_model=wrong)  # type: ignore[call-overload]
        with pytest.raises(BadRequestError, match="not both"):
            client.complete("chat", "Hi", response_model=Risk, response_format={"type": "json_object"})
        bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nothing"}}}
        with pytest.raises(BadRequestError, match="no JSON Schema"):
            client.complete("chat", "Hi", response_format=bad)
    assert fake.attempts == []


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize(
    ("lacks", "sent"), [(["json_schema"], {"type": "json_object"}), (["json_schema", "json_object"], None)]
)
def test_where_no_schema_is_taken_it_is_sent_in_words(wire: str, lacks: list[str], sent: object):
    fact = {"source": "test", "date": "2026-11-24"}
    url = {"openai": "/v1", "dashscope": "/api/v1"}[wire]
    profile = {
        "name": "plain",
        "title": "Plain",
        "protocols": {"it": {"wire": {"openai": "openai_chat"}.get(wire, wire), "path": url}},
        "protocol": "it",
        "models": {"a": {"lacks": lacks, "fact": fact}},
        "fact": fact,
    }
    for given in ({"response_model": Risk}, {"response_format": AS_FORMAT}):
        with place(wire, first={"profile": profile}) as there:
            answer = there.complete(
                [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "?"}], **given
            )
            (request,) = there.first.log
            assert request.options.get("response_format") == sent
            assert request.messages[0]["content"].startswith("Be brief.\n\n")
            assert '"severity"' in request.messages[0]["content"]
            assert str(answer.target) == "first:a"
            assert answer.report.skipped == ()
            assert any("in words" in note for note in answer.report.notes)
            assert answer.parsed in (RISK, RISK.model_dump())


@pytest.mark.parametrize("colour", COLOURS)
def test_a_target_that_refuses_the_schema_is_asked_once_more_in_words_and_remembered(colour: str):
    with place("openai", colour) as there:
        there.first.script([faults.status(400, message="This response_format type is unavailable now")])
        answer = there.complete("A risk?", response_model=Risk)
        assert outcomes(answer) == [("first:a", "first", "bad_request"), ("first:a", "reask", "ok")]
        assert answer.parsed == RISK
        again = there.complete("A risk?", response_model=Risk)
        assert len(again.report.attempts) == 1
        assert ["response_format" in one.options for one in there.first.log] == [True, False, False]


def test_a_refusal_of_something_else_is_the_callers_to_see():
    with place("openai") as there:
        there.first.script([faults.status(400, message="temperature is wrong")])
        with pytest.raises(BadRequestError):
            there.complete("A risk?", response_model=Risk)
        assert len(there.first.log) == 1


# --- what fits ---


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{GOOD}\n```",
        f"Here you are:\n```\n{GOOD}\n```\nAnything else?",
        f"\ufeff{GOOD}\n",
        f"Sure! {GOOD} That is all.",
    ],
)
def test_fences_and_words_around_one_value_are_forgiven(text: str):
    fake = FakeProvider([text])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        answer = client.complete("chat", "Hi", response_model=Risk)
    assert answer.parsed == RISK
    assert answer.text == text
    assert len(answer.report.attempts) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would rather not.",
        f"{GOOD} {GOOD}",
        f"```json\n{GOOD}\n```\n```json\n{GOOD}\n```",
        '{"title": "Lock-in", "seve',
        f'{{"before": 1, "inner": {GOOD}',
        '{"title": "x", "severity": NaN}',
        '{"title": "x"}',
    ],
)
def test_anything_else_is_asked_for_once_more(text: str):
    fake = FakeProvider([text, GOOD])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        answer = client.complete("chat", "Hi", response_model=Risk)
    assert answer.parsed == RISK
    assert answer.text == GOOD
    assert outcomes(answer) == [("fake:any", "first", "output_invalid"), ("fake:any", "reask", "ok")]


# --- what follows when it does not ---


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("colour", COLOURS)
def test_an_answer_that_does_not_fit_is_asked_for_once_more(wire: str, colour: str):
    with place(wire, colour) as there:
        there.first.answer = in_turn('{"title": "Lock-in", "severity": "high"}', GOOD)
        answer = there.complete("A risk?", response_model=Risk)
        assert answer.parsed == RISK
        assert answer.text == GOOD
        assert outcomes(answer) == [("first:a", "first", "output_invalid"), ("first:a", "reask", "ok")]
        assert [one.index for one in answer.report.attempts] == [1, 2]
        assert answer.report.notes == ("first:a: asked once more, its answer did not fit",)
        said = [message["content"] for message in there.first.log[1].messages]
        assert said[:2] == ["A risk?", '{"title": "Lock-in", "severity": "high"}']
        assert "`severity`: Input should be a valid integer" in said[2]
        assert there.second.log == []


@pytest.mark.parametrize("colour", COLOURS)
def test_a_second_misfit_means_the_next_target(colour: str):
    with place("openai", colour) as there:
        there.first.answer = "No."
        answer = there.complete("A risk?", response_model=Risk)
        assert str(answer.target) == "second:b"
        assert [reason for _, reason, _ in outcomes(answer)] == ["first", "reask", "fallback"]
        assert [message["role"] for message in there.second.log[0].messages] == ["user"]


def test_each_target_is_asked_once_more_and_all_are_told_of():
    with place("openai") as there:
        there.first.answer = there.second.answer = SECRET
        with pytest.raises(AllTargetsFailedError) as caught:
            there.complete("A risk?", response_model=Risk)
        assert [reason for _, reason, _ in outcomes(caught.value)] == ["first", "reask", "fallback", "reask"]
        assert [type(error) for error in caught.value.exceptions] == [InvalidResponseError] * 4
        assert {error.kind for error in caught.value.exceptions} == {"output_invalid"}
        assert [error.target for error in caught.value.exceptions] == ["first:a"] * 2 + ["second:b"] * 2
        assert SECRET not in str(caught.value) + repr(caught.value)
        assert pickle.loads(pickle.dumps(caught.value)).kind == "all_targets_failed"


def test_next_asks_nobody_twice():
    with place("openai", on_invalid_output="next") as there:
        there.first.answer = "No."
        answer = there.complete("A risk?", response_model=Risk)
        assert [reason for _, reason, _ in outcomes(answer)] == ["first", "fallback"]


@pytest.mark.parametrize("colour", COLOURS)
def test_stop_shows_the_misfit_itself(colour: str):
    with place("openai", colour, on_invalid_output="stop") as there:
        there.first.answer = f'{{"title": "{SECRET}", "severity": "{SECRET}"}}'
        with pytest.raises(InvalidResponseError) as caught:
            there.complete("A risk?", response_model=Risk)
        error = caught.value
        assert (error.kind, error.target) == ("output_invalid", "first:a")
        assert SECRET not in str(error)
        assert "int_parsing" in str(error)
        assert error.report is not None
        assert error.report.outcome == "output_invalid"
        assert there.second.log == []


def test_a_misfit_says_nothing_about_the_health_of_its_target():
    fake = FakeProvider(["No."])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        for _ in range(6):
            with pytest.raises(AllTargetsFailedError):
                client.complete("chat", "Hi", response_model=Risk)
        assert client.status().routes["chat"][0].state == "closed"


def test_one_call_counts_on_across_its_parts():
    with place("openai", max_attempts=2) as there:
        there.first.answer = "No."
        with pytest.raises(AllTargetsFailedError) as caught:
            there.complete("A risk?", response_model=Risk)
        assert len(caught.value.attempts) == 2
        assert caught.value.report is not None
        assert [(str(skip.target), skip.reason) for skip in caught.value.report.skipped] == [
            ("second:b", "max_attempts")
        ]


def test_the_deadline_holds_across_the_parts_of_a_call():
    with place("openai") as there:
        there.first.answer = "No."
        there.first.script([None, faults.stall(0)])
        with pytest.raises(DeadlineExceededError) as caught:
            there.complete("A risk?", response_model=Risk, deadline=0.9)
        assert caught.value.report is not None
        assert caught.value.report.duration < 1.2


def test_a_failure_of_the_second_request_is_treated_as_any_other():
    with place("openai", retry={"attempts": 1}) as there:
        there.first.answer = "No."
        there.first.script([None, faults.status(500)])
        answer = there.complete("A risk?", response_model=Risk)
        assert [one[2] for one in outcomes(answer)] == ["output_invalid", "server_error", "ok"]


def test_half_an_answer_cut_by_a_limit_is_a_misfit():
    fake = FakeProvider([Reply('{"title": "Lo', finish_reason="length")])
    policy = {"routes": {"chat": {"chain": ["fake:any"], "on_invalid_output": "stop"}}}
    with (
        Client(policy, providers={"fake": fake}) as client,
        pytest.raises(InvalidResponseError, match="a limit cut it"),
    ):
        client.complete("chat", "Hi", response_model=Risk)


@pytest.mark.parametrize(("policy", "asked"), [("stop", 1), ("next", 2)])
def test_an_answer_cut_by_moderation_is_not_asked_for_again(policy: str, asked: int):
    cut = Reply('{"title": "Lo', finish_reason="content_filter")
    fake = FakeProvider([cut, GOOD])
    chain = {"chain": ["fake:a", "fake:b"], "on_content_filter": policy}
    with Client({"routes": {"chat": chain}}, providers={"fake": fake}) as client:
        if policy == "stop":
            with pytest.raises(ContentFilteredError):
                client.complete("chat", "Hi", response_model=Risk)
        else:
            answer = client.complete("chat", "Hi", response_model=Risk)
            assert [reason for _, reason, _ in outcomes(answer)] == ["first", "fallback"]
    assert len(fake.attempts) == asked


def test_what_has_effects_is_not_asked_for_again():
    fake = FakeProvider(["No.", GOOD])
    with (
        Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client,
        pytest.raises(InvalidResponseError),
    ):
        client.complete("chat", "Hi", response_model=Risk, extra={"fake": {"store": True}})
    assert len(fake.attempts) == 1


def test_a_validator_of_the_application_may_use_the_client():
    fake = FakeProvider([GOOD, "yes"])
    client = Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake})

    class Judged(Risk):
        @field_validator("title")
        @classmethod
        def _asks(cls, title: str) -> str:
            return f"{title}: {client.complete('chat', 'Is it so?').text}"

    with client:
        answer = client.complete("chat", "Hi", response_model=Judged)
    assert answer.parsed is not None
    assert answer.parsed.title == "Lock-in: yes"


# --- JSON Schema without a type ---


def test_a_schema_in_openais_form_is_checked_as_well():
    with place("openai") as there:
        there.first.answer = in_turn('{"title": "x"}', GOOD)
        answer = there.complete("A risk?", response_format=AS_FORMAT)
        assert answer.parsed == {"title": "Lock-in", "severity": 3}
        assert [one[1] for one in outcomes(answer)] == ["first", "reask"]
        assert there.first.log[0].options["response_format"] == AS_FORMAT
        assert "'severity' is a required property" in there.first.log[1].messages[-1]["content"]


def test_without_jsonschema_it_is_only_read_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch):
    import sys

    from multimodel.types import schema

    monkeypatch.setitem(sys.modules, "jsonschema", None)
    schema._checked_by.cache_clear()
    fake = FakeProvider(['{"title": "x"}'])
    try:
        with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
            answer = client.complete("chat", "Hi", response_format=AS_FORMAT)
    finally:
        schema._checked_by.cache_clear()
    assert answer.parsed == {"title": "x"}
    assert answer.report.notes == ("`jsonschema` is not installed, so the answer was not checked against the schema",)


# --- tools ---


def search(query: str, limit: int = 3) -> str:
    """Look something up."""
    raise AssertionError("a tool is never executed")


def call(arguments: str, name: str = "search") -> Reply:
    return Reply(tool_calls=(ToolCall(id="c1", name=name, arguments=arguments),))


def test_an_answer_that_calls_tools_is_no_misfit():
    fake = FakeProvider([call('{"query": "x"}')])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        answer = client.complete("chat", "Hi", response_model=Risk, tools=[search])
    assert answer.parsed is None
    assert answer.tool_calls[0].parsed == {"query": "x"}
    assert len(answer.report.attempts) == 1


class Lookup(BaseModel):
    """Look something up."""

    query: str


@pytest.mark.parametrize(
    ("tool", "wrong", "told"),
    [
        (search, call('{"query": 1}'), "`query`: Input should be a valid string"),
        (search, call('{"query": "x", "limit": "many"}'), "`limit`: Input should be a valid integer"),
        (search, call('{"query": "x'), "the arguments of `search`"),
        (search, call('{"query": "x"}', "find"), "there is no tool `find`"),
        (Lookup, call("{}", "Lookup"), "`query`: Field required"),
        (
            {
                "type": "function",
                "function": {"name": "search", "parameters": {"type": "object", "required": ["query"]}},
            },
            call("{}"),
            "'query' is a required property",
        ),
    ],
)
def test_arguments_that_do_not_fit_their_tool_are_asked_for_once_more(tool: Any, wrong: Reply, told: str):
    good = call('{"query": "x"}', getattr(tool, "__name__", "search"))
    fake = FakeProvider([wrong, good])
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake}) as client:
        answer = client.complete("chat", "Hi", tools=[tool])
    assert answer.tool_calls == good.tool_calls
    assert [reason for _, reason, _ in outcomes(answer)] == ["first", "reask"]
    assert told in fake.attempts[1].request.messages[-1].text
    assert all(not message.tool_calls for message in fake.attempts[1].request.messages)


def test_a_choice_of_tool_that_a_vendor_cannot_be_asked_for_is_a_skip():
    with place("dashscope", first={"profile": "openai"}) as there:
        there.first.fault = faults.status(500)
        with pytest.raises(AllTargetsFailedError) as caught:
            there.complete("Hi", tools=[search], tool_choice="required")
        assert caught.value.report is not None
        (skip,) = caught.value.report.skipped
        assert (str(skip.target), skip.reason) == ("second:b", "capability")
        assert isinstance(caught.value.exceptions[-1], PolicyDeniedError)
        assert there.second.log == []


# --- streams ---


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_shows_the_value_while_it_comes_and_checks_it_at_the_end(wire: str):
    with FaultyVendor(answer='```json\n{"title": "Lock in for years", "severity": 3}\n```\nBye.') as vendor:
        url = vendor.openai_url if wire == "openai" else vendor.dashscope_url
        policy = {
            "providers": {"v": {"profile": wire, "base_url": url, "api_key": "sk"}},
            "routes": {"chat": {"chain": ["v:a"]}},
        }
        whole = {"title": "Lock in for years", "severity": 3}
        with Client(policy) as client, client.stream("chat", "A risk?", response_model=Risk) as stream:
            seen = list(stream.partials())
            assert stream.completion.parsed == Risk(**whole)
        assert seen[-1] == whole
        assert {"title": "Lock in "} in seen
        assert all(one != other for one, other in pairwise(seen))

        async def main() -> None:
            async with AsyncClient(policy) as client:
                async with client.stream("chat", "A risk?", response_model=list[Risk]) as stream:
                    assert [value async for value in stream.partials()] == []
                    with pytest.raises(InvalidResponseError):
                        _ = stream.completion
                async with client.stream("chat", "A risk?", response_model=Risk) as stream:
                    assert [value async for value in stream.partials()] == seen
                    assert stream.completion.parsed == Risk(**whole)

        asyncio.run(main())


@pytest.mark.parametrize("colour", COLOURS)
def test_a_stream_is_never_asked_for_again(colour: str):
    fake = FakeProvider([SECRET])
    policy = {"routes": {"chat": {"chain": ["fake:any"]}}}

    async def aio() -> InvalidResponseError:
        async with AsyncClient(policy, providers={"fake": fake}) as client:
            async with client.stream("chat", "Hi", response_model=Risk) as stream:
                assert "".join([text async for text in stream.text_deltas()]) == SECRET
                with pytest.raises(InvalidResponseError) as caught:
                    _ = stream.completion
                return caught.value

    if colour == "async":
        error = asyncio.run(aio())
    else:
        with Client(policy, providers={"fake": fake}) as client:
            with client.stream("chat", "Hi", response_model=Risk) as stream:
                assert "".join(stream.text_deltas()) == SECRET
                with pytest.raises(InvalidResponseError) as caught:
                    _ = stream.completion
                error = caught.value
    assert (error.kind, error.target) == ("output_invalid", "fake:any")
    assert SECRET not in str(error)
    assert error.report is not None
    assert len(fake.attempts) == 1


def test_values_begin_anew_where_the_answer_does():
    from multimodel import TextDelta, TruncatedStreamError

    fake = FakeProvider([[TextDelta('{"title": "Wrong'), TruncatedStreamError("cut")], GOOD])
    policy = {"routes": {"chat": {"chain": ["fake:a", "fake:b"], "mid_stream": "restart", "retry": {"attempts": 1}}}}
    with Client(policy, providers={"fake": fake}) as client:
        with client.stream("chat", "Hi", response_model=Risk) as stream:
            seen = list(stream.partials())
        assert stream.completion.parsed == RISK
    assert seen[0] == {"title": "Wrong"}
    assert seen[-1] == RISK.model_dump()


def test_reading_a_long_answer_while_it_comes_costs_a_small_multiple_of_it():
    from multimodel import Finished, TextDelta
    from multimodel.client.structured import Partials

    read: list[int] = []
    partials = Partials(lambda text: read.append(len(text)))
    for _ in range(20_000):
        list(partials.take(TextDelta("word ")))
    list(partials.take(Finished("stop")))
    assert read[-1] == 100_000
    assert sum(read) < 20 * 100_000


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_a_stream_that_is_refused_for_its_schema_asks_once_more_in_words(colour: str):
    refusal = faults.body(
        '{"error":{"message":"response_format json_schema is not supported","type":"invalid_request_error"}}',
        status=400,
    )

    async def streamed(given: dict[str, Any]) -> Any:
        async with AsyncClient(given) as client, client.stream("chat", "x", response_model=Risk) as stream:
            return [type(event).__name__ async for event in stream], stream.completion

    with FaultyVendor(answer='{"title": "x", "severity": 5}') as vendor:
        vendor.fault = lambda request: refusal if "json_schema" in str(request.options.get("response_format")) else None
        house = {"profile": "openai", "base_url": vendor.openai_url, "api_key": "k", "operator": "h"}
        given = {"providers": {"h": house}, "routes": {"chat": {"chain": ["h:m"]}}}
        if colour == "async":
            events, answer = asyncio.run(streamed(given))
        else:
            with Client(given) as client, client.stream("chat", "x", response_model=Risk) as stream:
                events, answer = [type(event).__name__ for event in stream], stream.completion
        assert set(events) == {"TextDelta", "Finished"}
        assert answer.parsed == Risk(title="x", severity=5)
        assert [one.outcome for one in answer.report.attempts] == ["bad_request", "ok"]
        assert len(vendor.log) == 2
