from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel.errors import PolicyDeniedError
from multimodel.types import (
    FilePart,
    Finished,
    ImagePart,
    Message,
    ReasoningPart,
    Request,
    TextPart,
    ToolCall,
)
from multimodel.wire import Dialect, codec_for
from multimodel.wire.history import fitted, tool_ids, unpaired
from multimodel.wire.sealed import Sealed, given_back

MISTRAL = {"min": 9, "max": 9, "also": ""}
USER = Message(role="user", content="Hi")


def asks(*ids: str) -> Message:
    return Message(role="assistant", tool_calls=tuple(ToolCall(id=one, name="add") for one in ids))


def result(identity: str) -> Message:
    return Message(role="tool", content="2", tool_call_id=identity)


def fit(*messages: Message, **quirks: Any) -> tuple[tuple[Message, ...], list[tuple[str, str]]]:
    losses: list[tuple[str, str]] = []
    return fitted(messages, Dialect(quirks), losses), losses


# --- calls and results ----------------------------------------------------------------------------------


def test_a_conversation_without_quirks_is_handed_on_as_it_is():
    turns = (USER, asks("a", "b"), result("b"), result("a"), USER)
    assert fit(*turns) == (turns, [])


@pytest.mark.parametrize(
    ("turns", "place"),
    [
        ((USER, result("a")), "messages.1"),
        ((USER, asks("a"), USER), "messages.1"),
        ((USER, asks("a", "b"), result("a"), USER), "messages.1"),
        ((USER, asks("a"), result("a"), result("a")), "messages.3"),
        ((USER, asks("a"), result("a"), USER, result("a")), "messages.4"),
        ((USER, asks("a")), "messages.1"),
        ((asks("a"), asks("b"), result("a")), "messages.0"),
    ],
)
def test_the_first_message_that_has_no_partner_is_named(turns: tuple[Message, ...], place: str):
    found = unpaired(turns)
    assert found is not None
    assert found.startswith(f"`{place}`")


def test_results_may_come_in_any_order():
    assert unpaired((USER, asks("a", "b"), result("b"), result("a"), USER)) is None


def test_an_id_of_another_vendor_is_replaced_in_the_call_and_in_its_result():
    turns, losses = fit(USER, asks("call_1", "abcDEF123"), result("abcDEF123"), result("call_1"), tool_ids=MISTRAL)
    first, kept = (call.id for call in turns[1].tool_calls)
    assert kept == "abcDEF123"
    assert len(first) == 9
    assert first.isalnum()
    assert [turns[2].tool_call_id, turns[3].tool_call_id] == [kept, first]
    assert losses == []


def test_an_id_that_is_only_too_long_is_replaced():
    turns, _ = fit(USER, asks("x" * 41, "call-1"), result("call-1"), result("x" * 41), tool_ids={"max": 40})
    assert [len(call.id) for call in turns[1].tool_calls] == [24, 6]


def test_an_id_that_comes_again_in_a_later_turn_is_made_another():
    turns, _ = fit(USER, asks("0"), result("0"), asks("0"), result("0"), USER)
    assert [turns[1].tool_calls[0].id, turns[2].tool_call_id] == ["0", "0"]
    assert turns[3].tool_calls[0].id == turns[4].tool_call_id != "0"


def test_two_calls_of_one_turn_with_the_same_id_get_one_result_each():
    turns, _ = fit(USER, asks("0", "0"), result("0"), result("0"))
    ids = [call.id for call in turns[1].tool_calls]
    assert len(set(ids)) == 2
    assert [turns[2].tool_call_id, turns[3].tool_call_id] == ids


def test_calls_of_one_id_get_names_in_linear_time():
    given = (USER, *(turn for _ in range(3000) for turn in (asks("0"), result("0"))))
    begun = time.process_time()
    for rule in ({}, MISTRAL):
        turns, _ = fit(*given, tool_ids=rule)
        assert len(tool_ids(turns)) == 3000
    assert time.process_time() - begun < 1


IDS = st.text(st.sampled_from("ab_9-é"), min_size=1, max_size=12)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    turns = [USER]
    for ids in draw(st.lists(st.lists(IDS, min_size=1, max_size=3, unique=True), max_size=5)):
        turns += [asks(*ids), *map(result, draw(st.permutations(ids)))]
    return tuple(turns)


@given(conversations(), st.sampled_from([{}, MISTRAL, {"max": 40}, {"max": 10, "also": "_-"}]))
def test_ids_fit_are_unique_and_stay_with_their_results(turns: tuple[Message, ...], rule: dict[str, Any]):
    found, losses = fit(*turns, tool_ids=rule)
    ids = [call.id for message in found for call in message.tool_calls]
    assert len(set(ids)) == len(ids)
    assert all(rule.get("min", 1) <= len(one) <= rule.get("max", 99) for one in ids)
    assert unpaired(found) is None
    assert losses == []
    again, _ = fit(*found, tool_ids=rule)
    assert again == found


@given(conversations())
def test_a_conversation_that_grows_keeps_the_ids_of_its_beginning(turns: tuple[Message, ...]):
    begun, _ = fit(*turns, tool_ids=MISTRAL)
    grown, _ = fit(*turns, asks("new"), result("new"), tool_ids=MISTRAL)
    assert grown[: len(begun)] == begun


def test_the_ids_of_a_conversation_are_those_of_its_calls():
    assert tool_ids((USER, asks("a", "b"), result("a"))) == {"a", "b"}


# --- roles ----------------------------------------------------------------------------------------------


def system(text: str) -> Message:
    return Message(role="system", content=text)


def test_system_messages_at_the_beginning_become_one_without_a_loss():
    turns, losses = fit(system("One."), system("Two."), USER, system="first")
    assert [(one.role, one.content) for one in turns] == [("system", "One.\n\nTwo."), ("user", "Hi")]
    assert losses == []


def test_system_text_of_later_turns_moves_to_the_beginning_which_is_a_loss():
    turns, losses = fit(USER, system("Late."), USER, system="first")
    assert [one.role for one in turns] == ["system", "user", "user"]
    assert [what for what, _ in losses] == ["system"]


def test_turns_of_one_role_become_one_where_roles_must_alternate():
    seen = Message(role="user", content=(ImagePart(url="https://e.com/a.png"),))
    said = Message(role="assistant", content="Let me see.")
    turns, losses = fit(USER, seen, said, asks("a"), result("a"), turns="alternate")
    assert [one.role for one in turns] == ["user", "assistant", "tool"]
    assert [part.type for part in turns[0].content] == ["text", "text", "image"]
    assert (turns[1].text, turns[1].tool_calls[0].id) == ("Let me see.", "a")
    assert losses == []


def test_names_of_speakers_whose_turns_become_one_are_a_loss():
    ada, bob = (Message(role="user", content="Hi", name=name) for name in ("ada", "bob"))
    turns, losses = fit(ada, bob, turns="alternate")
    assert turns[0].name is None
    assert [what for what, _ in losses] == ["name"]


def test_results_of_several_calls_stay_apart_where_roles_must_alternate():
    turns = (USER, asks("a", "b"), result("a"), result("b"))
    assert fit(*turns, turns="alternate") == (turns, [])


# --- marks and files ------------------------------------------------------------------------------------

MARK = {"type": "ephemeral"}


def marked() -> Message:
    return Message.model_validate({"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": MARK}]})


@pytest.mark.parametrize("wire", ["openai_chat", "dashscope"])
def test_marks_for_the_cache_are_a_loss_where_they_mean_nothing(wire: str):
    sent = codec_for(wire).encode(Request(messages=(marked(),)), "m", Dialect(), stream=True, path=None)
    assert b"cache_control" not in sent.body
    assert [what for what, _ in sent.losses] == ["cache_control"]


def test_marks_for_the_cache_are_sent_where_they_are_understood():
    request = Request(messages=(marked(),))
    sent = codec_for("openai_chat").encode(request, "m", Dialect({"cache_control": True}), stream=True, path=None)
    content = json.loads(sent.body)["messages"][0]["content"]
    assert content == [{"type": "text", "text": "Hi", "cache_control": MARK}]
    assert sent.losses == ()


def test_a_mark_of_a_whole_message_is_that_of_its_last_part():
    message = Message.model_validate({"role": "system", "content": "Be brief.", "cache_control": MARK})
    assert message.content == (TextPart(text="Be brief.", cache_control=MARK),)


def kept_elsewhere(**more: Any) -> Message:
    file = {"type": "file", "file": {"file_id": "file-1", **more}}
    return Message.model_validate({"role": "user", "content": [{"type": "text", "text": "Read."}, file]})


def test_a_file_by_id_is_sent_to_a_vendor_that_keeps_files():
    request = Request(messages=(kept_elsewhere(),))
    sent = codec_for("openai_chat").encode(request, "m", Dialect({"file_ids": True}), stream=True, path=None)
    assert json.loads(sent.body)["messages"][0]["content"][1] == {"type": "file", "file": {"file_id": "file-1"}}


def test_a_file_that_another_vendor_keeps_is_refused_in_the_latest_turn():
    with pytest.raises(PolicyDeniedError, match="a file that another vendor keeps"):
        fit(USER, kept_elsewhere())


def test_a_file_of_an_earlier_turn_that_another_vendor_keeps_is_a_loss():
    turns, losses = fit(kept_elsewhere(), Message(role="assistant", content="Read."), USER)
    assert [part.type for part in turns[0].content] == ["text"]
    assert [what for what, _ in losses] == ["file_id"]


def test_of_a_file_that_is_there_only_the_id_is_left_out():
    turns, losses = fit(kept_elsewhere(file_data="data:application/pdf;base64,JVBERg=="))
    assert turns[0].content[1] == FilePart(data=b"%PDF", media_type="application/pdf")
    assert losses == []


# --- what OpenAI's SDK leaves in a history --------------------------------------------------------------


def test_the_calls_that_openai_had_before_tools_are_paired_with_their_results():
    turns = Request(
        messages=(
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": "{}"}},
            {"role": "function", "name": "add", "content": "2"},
            {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": "{}"}},
            {"role": "function", "name": "add", "content": "3"},
        )
    ).messages
    assert unpaired(turns) is None
    found, _ = fit(*turns)
    assert len(tool_ids(found)) == 2


def test_a_refusal_is_what_the_assistant_said_and_annotations_are_left_out():
    said = Message.model_validate({"role": "assistant", "content": None, "refusal": "No.", "annotations": []})
    assert said == Message(role="assistant", content="No.")
    parts = [{"type": "refusal", "refusal": "No."}]
    assert Message.model_validate({"role": "assistant", "content": parts}).text == "No."


@pytest.mark.parametrize(("quirks", "content"), [({}, None), ({"empty_content": ""}, "")])
def test_a_turn_of_tool_calls_alone_has_the_content_that_the_vendor_wants(quirks: dict[str, Any], content: str | None):
    request = Request(messages=(USER, asks("a"), result("a")))
    sent = codec_for("openai_chat").encode(request, "m", Dialect(quirks), stream=True, path=None)
    assert json.loads(sent.body)["messages"][1]["content"] == content


# --- sealed thinking ------------------------------------------------------------------------------------

DETAILS = [
    {"type": "reasoning.text", "text": "Let me ", "index": 0, "format": "f", "signature": None},
    {"type": "reasoning.text", "text": "see.", "index": 0, "format": "f", "signature": "sig"},
    {"type": "reasoning.encrypted", "data": "c2VhbGVk", "index": 1, "id": "r1"},
]
WHOLE = [
    {"type": "reasoning.text", "text": "Let me see.", "index": 0, "format": "f", "signature": "sig"},
    {"type": "reasoning.encrypted", "data": "c2VhbGVk", "index": 1, "id": "r1"},
]


def test_pieces_of_openrouters_details_become_whole_and_go_back_as_they_came():
    sealed = Sealed()
    for detail in DETAILS:
        sealed.take(details=[detail])
    turn = Message(role="assistant", content=sealed.parts())
    assert given_back(turn, Dialect(), []) == {"reasoning_details": WHOLE}


def test_pieces_of_signed_blocks_become_whole_and_what_is_not_signed_is_left_out():
    sealed = Sealed()
    for block in (
        {"type": "thinking", "thinking": "One "},
        {"type": "thinking", "thinking": "two."},
        {"type": "thinking", "thinking": "", "signature": "sig"},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
        {"type": "thinking", "thinking": "not signed"},
    ):
        sealed.take(blocks=[block])
    turn = Message(role="assistant", content=sealed.parts())
    blocks = [
        {"type": "thinking", "thinking": "One two.", "signature": "sig"},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
    ]
    assert given_back(turn, Dialect(), []) == {"thinking_blocks": blocks}
    losses: list[tuple[str, str]] = []
    assert given_back(turn, Dialect(), losses, thinks=False) == {}
    assert [what for what, _ in losses] == ["reasoning"]


@pytest.mark.parametrize(("field", "form"), [("blocks", "thinking"), ("details", "text")])
def test_thinking_in_many_pieces_is_put_together_in_linear_time(field: str, form: str):
    sealed = Sealed()
    piece: dict[str, Any] = {form: "x" * 1000, "index": 0, "type": "reasoning.text"}
    begun = time.process_time()
    for _ in range(6000):
        sealed.take(**{field: [piece]})
    sealed.take(**{field: [{form: ".", "index": 0, "type": "reasoning.text", "signature": "s"}]})
    (part,) = sealed.parts()
    assert time.process_time() - begun < 0.5
    assert (part.text, sealed.parts()) == ("x" * 6_000_000 + ".", (part,))


@given(st.lists(st.one_of(st.none(), st.integers(), st.dictionaries(st.text(max_size=9), st.integers(), max_size=3))))
def test_what_is_no_known_form_is_never_an_error(pieces: list[Any]):
    sealed = Sealed()
    sealed.take(blocks=pieces, details=pieces)
    assert isinstance(sealed.parts(), tuple)


@pytest.mark.parametrize("whole", [True, False])
def test_the_end_of_an_answer_brings_its_sealed_thinking(whole: bool):
    message = {"role": "assistant", "content": "Hi", "reasoning": "Let me see.", "reasoning_details": WHOLE}
    choice = {"index": 0, "finish_reason": "stop", "message" if whole else "delta": message}
    body = json.dumps({"id": "1", "model": "m", "choices": [choice]}).encode()
    kind = "application/json" if whole else "text/event-stream"
    decoder = codec_for("openai_chat").decoder(Dialect(), {"content-type": kind})
    events = [*decoder.feed(body if whole else b"data: " + body + b"\n\n"), *decoder.close()]
    end = events[-1]
    assert isinstance(end, Finished)
    assert [part.data for part in end.sealed] == WHOLE


def test_plain_thinking_goes_back_with_tool_calls_where_only_those_want_it():
    thought = ReasoningPart(text="Hm")
    with_call = asks("a").model_copy(update={"content": (thought,)})
    plain = Message(role="assistant", content=(thought, TextPart(text="Hi")))
    dialect, losses = Dialect({"preserve_thinking": "tools"}), list[tuple[str, str]]()
    assert given_back(with_call, dialect, losses) == {"reasoning_content": "Hm"}
    assert given_back(plain, dialect, losses) == {}
    assert [what for what, _ in losses] == ["reasoning"]


@pytest.mark.parametrize(("which", "off"), [("all", True), ("latest", False), (None, False)])
def test_thinking_is_switched_off_where_turns_with_tool_calls_lack_theirs(which: str | None, off: bool):
    request = Request(messages=(USER, asks("a"), result("a"), USER), reasoning_effort="low")
    dialect = Dialect({"tool_turns": which, "thinking_switch": "thinking_type"}, thinking="hybrid")
    sent = codec_for("openai_chat").encode(request, "m", dialect, stream=True, path=None)
    assert json.loads(sent.body)["thinking"] == {"type": "disabled" if off else "enabled"}
    assert [what for what, _ in sent.losses] == ["reasoning_effort"] * off
