from __future__ import annotations

import asyncio
from typing import Any

import pytest

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    BadRequestError,
    Client,
    ContextWindowExceededError,
    Loss,
    Message,
    PolicyDeniedError,
    ReasoningPart,
    TextPart,
    ToolCall,
)
from multimodel.client.needs import fewest_tokens
from multimodel.testing import FakeProvider, FaultyVendor, Reply
from multimodel.types import Finished, TextDelta

FACT = {"source": "test", "date": "2026-11-24"}


def profile(name: str, model: str, *, operator: str = "acme", **facts: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "operator": operator,
        "protocols": {"chat": {"wire": "openai_chat"}},
        "protocol": "chat",
        "quirks": facts.pop("quirks", {}),
        "models": {model: {**facts, "fact": FACT}},
        "fact": FACT,
    }


def client_of(
    *targets: str, fakes: dict[str, FakeProvider], profiles: dict[str, Any] | None = None, **route: Any
) -> Client:
    providers = {
        name: {"profile": one, "base_url": "http://127.0.0.1:9/v1", "api_key": "k"}
        for name, one in (profiles or {}).items()
    }
    return Client({"providers": providers, "routes": {"chat": {"chain": list(targets), **route}}}, providers=fakes)


def thought(origin: str | None, **sealed: Any) -> list[Any]:
    said = Message(role="assistant", content=(ReasoningPart(text="Hm", origin=origin, **sealed), TextPart(text="Yes.")))
    return [{"role": "user", "content": "Is it?"}, said, {"role": "user", "content": "Sure?"}]


def given(fake: FakeProvider) -> list[ReasoningPart]:
    content = fake.attempts[-1].request.messages[1].content
    return [part for part in content if isinstance(part, ReasoningPart)]


# --- thinking -------------------------------------------------------------------------------------------


def test_the_message_of_an_answer_carries_its_thinking_and_where_it_is_from():
    client = client_of("fake:m-1", fakes={"fake": FakeProvider([Reply("Yes.", reasoning="Hm")])})
    answer = client.complete("chat", "Is it?")
    assert answer.message.content == (ReasoningPart(text="Hm", origin="fake:m-1"), TextPart(text="Yes."))
    assert answer.message.text == "Yes."


def test_an_answer_without_thinking_is_a_message_of_plain_text():
    client = client_of("fake:m-1", fakes={"fake": FakeProvider(["Yes."])})
    assert client.complete("chat", "Is it?").message.content == "Yes."


@pytest.mark.parametrize("streamed", [False, True])
def test_signatures_arrive_with_the_message_and_nowhere_in_the_text(streamed: bool):
    signed = ReasoningPart(text="Hm", signature="sig")
    events = [TextDelta("Yes."), Finished("stop", sealed=(signed,))]
    client = client_of("fake:m-1", fakes={"fake": FakeProvider([events])})
    if streamed:
        with client.stream("chat", "Is it?") as stream:
            assert "".join(stream.text_deltas()) == "Yes."
        answer = stream.completion
    else:
        answer = client.complete("chat", "Is it?")
    assert answer.sealed == (signed.model_copy(update={"origin": "fake:m-1"}),)
    assert answer.message.content == (*answer.sealed, TextPart(text="Yes."))


@pytest.mark.parametrize(
    ("origin", "kept"),
    [
        ("first:qwen3.7-plus", True),
        ("first:qwen3.8-max", True),
        ("twin:qwen3.8-max", True),
        ("first:gpt-6", False),
        ("other:qwen3.7-plus", False),
        ("unheard-of:qwen3.7-plus", False),
        (None, True),
    ],
)
def test_thinking_goes_back_to_its_vendor_and_family_of_models_alone(origin: str | None, kept: bool):
    acme, other = profile("acme", "qwen3.7-plus"), profile("rival", "qwen3.7-plus", operator="rival")
    fake = FakeProvider(["Yes."])
    client = client_of(
        "first:qwen3.7-plus",
        "twin:qwen3.7-plus",
        "other:qwen3.7-plus",
        fakes={"first": fake},
        profiles={"first": acme, "twin": acme, "other": other},
    )
    answer = client.complete("chat", thought(origin))
    assert bool(given(fake)) is kept
    assert [loss.what for loss in answer.report.losses] == ["reasoning"] * (not kept)


def test_a_signature_without_an_origin_is_left_out_and_its_text_stays():
    fake = FakeProvider(["Yes."])
    client = client_of("fake:m-1", fakes={"fake": fake})
    answer = client.complete("chat", thought(None, signature="sig"))
    assert given(fake) == [ReasoningPart(text="Hm")]
    assert [loss.what for loss in answer.report.losses] == ["signature"]


# --- losses ---------------------------------------------------------------------------------------------


def test_a_loss_names_the_target_the_thing_and_what_became_of_it():
    fake = FakeProvider(["Yes."])
    client = client_of("fake:m-1", fakes={"fake": fake})
    answer = client.complete("chat", "Is it?", extra={"elsewhere": {"top_k": 1}})
    assert answer.report.losses == (Loss(answer.target, "extra.elsewhere", "options of another vendor were not sent"),)
    assert answer.report.notes == ()


def test_each_target_that_was_asked_has_its_own_losses_and_one_that_was_not_has_none():
    failing = FakeProvider([PolicyDeniedError("no")])
    asked = FakeProvider(["Yes."])
    client = client_of("first:m", "second:m", fakes={"first": failing, "second": asked})
    answer = client.complete("chat", thought("gone:m"))
    assert [str(loss.target) for loss in answer.report.losses] == ["second:m"]


# --- calls of tools -------------------------------------------------------------------------------------

CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "a", "function": {"name": "add", "arguments": "{}"}}],
}


@pytest.mark.parametrize(
    ("turns", "place"),
    [
        ([{"role": "user", "content": "?"}, {"role": "tool", "tool_call_id": "a", "content": "2"}], "messages.1"),
        ([{"role": "user", "content": "?"}, CALL, {"role": "user", "content": "Well?"}], "messages.1"),
        ([{"role": "user", "content": "?"}, CALL], "messages.1"),
    ],
)
def test_a_call_without_its_result_and_a_result_without_its_call_are_refused_early(turns: list[Any], place: str):
    fake = FakeProvider(["Yes."])
    with pytest.raises(BadRequestError, match=place):
        client_of("fake:m", fakes={"fake": fake}).complete("chat", turns)
    assert fake.attempts == []


def test_a_target_that_takes_unpaired_tool_turns_is_asked_in_the_place_of_one_that_does_not():
    strict, loose = FakeProvider(["No."]), FakeProvider(["Yes."])
    client = client_of(
        "strict:m",
        "loose:m",
        fakes={"strict": strict, "loose": loose},
        profiles={"loose": profile("loose", "m", quirks={"unpaired_tools": True})},
    )
    answer = client.complete("chat", [{"role": "user", "content": "?"}, CALL, {"role": "user", "content": "Well?"}])
    assert answer.target.provider == "loose"
    assert [skip.reason for skip in answer.report.skipped] == ["history"]


@pytest.mark.parametrize("identity", ["a", ""])
def test_the_id_of_a_new_call_is_none_that_the_conversation_has(identity: str):
    call = ToolCall(id=identity, name="add", arguments="{}")
    client = client_of("fake:m", fakes={"fake": FakeProvider([Reply(tool_calls=(call,))])})
    turns = [{"role": "user", "content": "?"}, CALL, {"role": "tool", "tool_call_id": "a", "content": "2"}]
    (made,) = client.complete("chat", turns).tool_calls
    assert made.id not in ("a", "")


# --- room -----------------------------------------------------------------------------------------------


def test_a_prompt_that_is_certain_not_to_fit_skips_the_target():
    small, large = FakeProvider(["No."]), FakeProvider(["Yes."])
    client = client_of(
        "small:m",
        "large:m",
        fakes={"small": small, "large": large},
        profiles={"small": profile("small", "m", window=100, max_output=50)},
    )
    answer = client.complete("chat", "word " * 101)
    assert answer.target.provider == "large"
    assert [(skip.reason, skip.detail) for skip in answer.report.skipped] == [
        ("window", "a prompt of at least 101 tokens does not fit into 100")
    ]
    assert client.complete("chat", "word " * 100).target.provider == "small"


def test_a_prompt_that_fits_nowhere_is_the_error_that_says_so():
    profiles = {"small": profile("small", "m", max_input=3)}
    client = client_of("small:m", fakes={"small": FakeProvider(["No."])}, profiles=profiles)
    with pytest.raises(AllTargetsFailedError) as caught:
        client.complete("chat", "one two three four")
    assert isinstance(caught.value.exceptions[0], ContextWindowExceededError)


def test_a_longer_answer_than_the_model_gives_skips_it_with_the_reason():
    profiles = {"small": profile("small", "m", max_output=50)}
    client = client_of(
        "small:m", "large:m", fakes={n: FakeProvider(["Yes."]) for n in ("small", "large")}, profiles=profiles
    )
    answer = client.complete("chat", "Hi", max_tokens=51)
    assert [(skip.reason, skip.detail) for skip in answer.report.skipped] == [
        ("capability", "max_output 50 is less than 51")
    ]
    assert client.complete("chat", "Hi", max_tokens=50).target.provider == "small"


@pytest.mark.parametrize(
    ("text", "at_least"), [("", 0), ("one two", 2), ("敏捷的棕色狐狸跳过", 2), ("It is 狐狸狐狸.", 4), ("a" * 500, 1)]
)
def test_the_estimate_is_from_below(text: str, at_least: int):
    assert fewest_tokens(text) == at_least <= max(len(text), 0)


def test_explain_tells_room_what_is_lacking_and_what_is_not_known():
    facts = {
        "window": 1000,
        "max_output": 50,
        "modalities": ["text", "image"],
        "features": ["tools"],
        "lacks": ["seed"],
    }
    client = client_of(
        "small:m",
        "other:m",
        fakes={"other": FakeProvider(["Yes."])},
        profiles={"small": profile("small", "m", **facts)},
    )

    def told(*needs: str) -> list[tuple[str | None, str]]:
        return [(one.reason, one.detail) for one in client.explain("chat", needs=needs).targets]

    assert told("tools", "vision") == [(None, ""), (None, "not known: tools, vision")]
    assert told("seed")[0] == ("capability", "it has no seed")
    assert told("video")[0] == ("capability", "it has no video")
    assert told("prefill")[0] == (None, "not known: prefill")
    assert told("input=1001")[0] == ("window", "a prompt of at least 1001 tokens does not fit into 1000")
    assert told("output=51")[0] == ("capability", "max_output 50 is less than 51")
    assert told("input=1000", "output=50")[0] == (None, "")


# --- over a socket --------------------------------------------------------------------------------------


def test_plain_thinking_comes_home_over_a_socket_and_stays_away_from_another_vendor():
    quirks = {"preserve_thinking": "tools", "thinking_switch": "thinking_type", "tool_turns": "all"}
    thinker = profile("thinker", "t-1", quirks=quirks, thinking="hybrid")
    call = ToolCall(id="call_1", name="add", arguments="{}")
    with FaultyVendor() as first, FaultyVendor() as second:
        policy = {
            "providers": {
                "thinker": {"profile": thinker, "base_url": first.openai_url, "api_key": "k"},
                "other": {"profile": "openai", "base_url": second.openai_url, "api_key": "k"},
            },
            "routes": {"chat": {"chain": ["thinker:t-1", "other:m"]}},
        }
        first.answer = Reply(reasoning="I need a sum.", tool_calls=(call,))

        async def main() -> list[Any]:
            async with AsyncClient(policy) as client:
                options: dict[str, Any] = {"tools": [{"name": "add"}], "reasoning_effort": "high"}
                asked = await client.complete("chat", "What is 1 + 1?", only=["thinker"], **options)
                result = {"role": "tool", "tool_call_id": "call_1", "content": "2"}
                turns = [{"role": "user", "content": "What is 1 + 1?"}, asked.message, result]
                return [await client.complete("chat", turns, only=[one], **options) for one in ("thinker", "other")]

        home, away = asyncio.run(main())
        assert first.log[-1].messages[1]["reasoning_content"] == "I need a sum."
        assert home.report.losses == ()
        assert "reasoning_content" not in second.log[-1].messages[1]
        assert [loss.what for loss in away.report.losses] == ["reasoning"]
