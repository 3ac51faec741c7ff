from __future__ import annotations

import json
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel.errors import InvalidResponseError
from multimodel.types import ReasoningDelta, TextDelta, Tool, ToolCallDelta
from multimodel.wire.qwen_text import QwenText, held_back

PARAMETERS = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "wind": {"type": "number"},
    "exact": {"type": "boolean"},
    "near": {"type": "array"},
    "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "choice": {"oneOf": [{"type": "integer"}, {"anyOf": [{"type": "boolean"}]}]},
    "several": {"type": ["integer", "null"]},
    "map": {"type": "object"},
    "odd": {"type": "decimal"},
    "strange": True,
    "any": {},
}
WEATHER = Tool(name="weather", parameters={"type": "object", "properties": PARAMETERS})
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bonn"}}\n</tool_call>'


def read(*pieces: str, thinking: bool = False, tools: tuple[Tool, ...] = (WEATHER,), cut: bool = False) -> list[object]:
    """The events, with neighbours of a kind joined."""
    numbers = count(1)
    parser = QwenText(tools, thinking=thinking, new_id=lambda: f"call_{next(numbers)}")
    events = [event for piece in pieces for event in parser.feed(piece)]
    events += parser.close(cut=cut)
    joined: list[object] = []
    for event in events:
        if joined and type(joined[-1]) is type(event) and not isinstance(event, ToolCallDelta):
            joined.append(type(event)(joined.pop().text + event.text))
        else:
            joined.append(event)
    return joined


def xml(**arguments: str) -> str:
    inside = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in arguments.items())
    return f"<tool_call>\n<function=weather>\n{inside}</function>\n</tool_call>"


def cast(**arguments: str) -> object:
    (call,) = read(xml(**arguments))
    return json.loads(call.arguments)


def test_plain_text_stays_as_it_is():
    assert read("\n a < b, <b>bold</b> \n") == [TextDelta("\n a < b, <b>bold</b> \n")]


def test_thinking_at_the_start_is_reasoning():
    assert read("<think>\nHm.\n</think>\n\nYes.") == [ReasoningDelta("Hm."), TextDelta("Yes.")]
    assert read("\n<think>Hm.</think>Yes.") == [ReasoningDelta("Hm."), TextDelta("Yes.")]


def test_thinking_that_the_prompt_opened_is_reasoning():
    assert read("Hm.\n</think>\n\nYes.", thinking=True) == [ReasoningDelta("Hm."), TextDelta("Yes.")]


def test_empty_thinking_is_no_event():
    assert read("<think>\n\n</think>\n\nYes.") == [TextDelta("Yes.")]


def test_a_thinking_tag_later_is_text():
    assert read("Write <think> and </think>.") == [TextDelta("Write <think> and </think>.")]


def test_thinking_that_never_ends_is_kept():
    assert read("<think>\nHm. </thi", cut=True) == [ReasoningDelta("Hm. </thi")]


def test_a_tool_call_is_one_event_and_the_text_around_it_stays():
    call = ToolCallDelta(0, "call_1", "weather", '{"city":"Bonn"}')
    assert read(f"Wait.\n{CALL}\nDone.") == [TextDelta("Wait."), call, TextDelta("Done.")]


def test_parallel_calls_are_numbered():
    calls = read(f"{CALL}\n{CALL}")
    assert [(call.index, call.id) for call in calls] == [(0, "call_1"), (1, "call_2")]


@pytest.mark.parametrize(
    ("pieces", "given"),
    [
        (("<think>Hm", ".</think>Yes", " and"), [["Hm"], [".", "Yes"], [" and"]]),
        (("Yes", " <tool", "s> no"), [["Yes"], [" "], ["<tools> no"]]),
        (("Yes\n", "\n<", "b"), [["Yes"], ["\n"], ["\n<b"]]),
        (("  ", "<thi", "s>"), [[], [], ["  <this>"]]),
        ((CALL[:20], CALL[20:-3], CALL[-3:] + "\nDone"), [[], [], ['{"city":"Bonn"}', "Done"]]),
    ],
)
def test_what_is_certain_is_given_at_once(pieces: tuple[str, ...], given: list[list[str]]):
    parser = QwenText((WEATHER,), thinking=False, new_id=lambda: "c")
    found = [list(parser.feed(piece)) for piece in pieces]
    assert [[getattr(event, "text", None) or event.arguments for event in events] for events in found] == given


def test_without_tools_text_is_given_at_once():
    parser = QwenText((), thinking=False, new_id=lambda: "c")
    assert list(parser.feed("Yes <tool_call")) == [TextDelta("Yes <tool_call")]
    assert list(parser.feed("")) == list(parser.close(cut=False)) == []


def test_the_parser_tells_when_the_model_thinks_and_counts_its_calls():
    parser = QwenText((WEATHER,), thinking=False, new_id=lambda: "c")
    seen = []
    for piece in ("<think>", "Hm", "</think>", CALL, CALL, " <tool_call>"):
        list(parser.feed(piece))
        seen.append((parser.thinking, parser.calls))
    assert seen == [(True, 0), (True, 0), (False, 0), (False, 1), (False, 2), (False, 2)]
    assert QwenText((), thinking=True, new_id=lambda: "c").thinking


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 4])
def test_one_line_break_belongs_to_a_tag_and_two_to_the_end_of_thinking(lines: int):
    breaks, one, two = "\n" * lines, "\n" * max(lines - 1, 0), "\n" * max(lines - 2, 0)
    assert read(f"<think>{breaks}Hm{breaks}</think>{breaks}Yes") == [
        ReasoningDelta(f"{one}Hm{one}"),
        TextDelta(f"{two}Yes"),
    ]
    before, _, after = read(f"Yes{breaks}{CALL}{breaks}Done")
    assert (before, after) == (TextDelta(f"Yes{one}"), TextDelta(f"{one}Done"))
    assert read(f"Yes{breaks}", f"{CALL}", *"\n" * lines, "Done")[::2] == [before, after]


@pytest.mark.parametrize("lines", ["", "\n", "\n\n", " \n "])
def test_space_around_the_body_of_a_call_means_nothing(lines: str):
    for body in ('{"name": "weather"}', "<function=weather></function>"):
        for end in ("</tool_call>", ""):
            (call,) = read(f"<tool_call>{lines}{body}{lines}{end}")
            assert (call.name, call.arguments) == ("weather", "{}")


def test_a_call_that_holds_the_closing_tag_twice_ends_at_the_last():
    body = json.dumps({"name": "weather", "arguments": {"city": "</tool_call></tool_call>"}})
    for pieces in ((f"<tool_call>{body}</tool_call>Done",), tuple(f"<tool_call>{body}</tool_call>Done")):
        call, text = read(*pieces)
        assert (json.loads(call.arguments), text) == ({"city": "</tool_call></tool_call>"}, TextDelta("Done"))


def test_a_second_call_may_be_longer_or_shorter_than_the_first():
    long = xml(city="</tool_call> Bonn and all its neighbours", days="3")
    for calls in ((long, CALL, long), (CALL, long, CALL)):
        assert [event.index for event in read(*calls)] == [0, 1, 2]


def test_without_tools_a_tool_call_is_text():
    assert read(CALL, tools=()) == [TextDelta(CALL)]


def test_a_closing_tag_inside_an_argument_does_not_end_the_call():
    body = json.dumps({"name": "weather", "arguments": {"city": "</tool_call>"}})
    (call,) = read(f"<tool_call>{body}</tool_call>")
    assert json.loads(call.arguments) == {"city": "</tool_call>"}


def test_arguments_that_are_json_in_a_string_are_taken_out_of_it():
    (call,) = read('<tool_call>{"name": "weather", "arguments": "{\\"city\\": \\"Bonn\\"}"}</tool_call>')
    assert json.loads(call.arguments) == {"city": "Bonn"}


def test_a_call_without_arguments_has_an_empty_object():
    (call,) = read('<tool_call>{"name": "weather"}</tool_call>')
    assert call.arguments == "{}"


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"city": "3"}, "3"),
        ({"city": ""}, ""),
        ({"city": "  two\n  lines"}, "  two\n  lines"),
        ({"city": "\nBonn\n"}, "\nBonn\n"),
        ({"days": "3"}, 3),
        ({"days": "three"}, "three"),
        ({"days": "3.5"}, "3.5"),
        ({"days": "true"}, "true"),
        ({"wind": "3"}, 3),
        ({"wind": "3.5"}, 3.5),
        ({"exact": "true"}, True),
        ({"exact": "False"}, False),
        ({"near": '["Köln", 1]'}, ["Köln", 1]),
        ({"limit": "null"}, None),
        ({"limit": "None"}, None),
        ({"limit": "7"}, 7),
        ({"limit": "seven"}, "seven"),
        ({"choice": "7"}, 7),
        ({"choice": "true"}, True),
        ({"choice": "[7]"}, "[7]"),
        ({"several": "7"}, 7),
        ({"several": "null"}, None),
        ({"several": "true"}, "true"),
        ({"wind": "false"}, "false"),
        ({"exact": "1"}, "1"),
        ({"exact": "None"}, "None"),
        ({"map": '{"a": 1}'}, {"a": 1}),
        ({"map": "[1]"}, "[1]"),
        ({"near": "{}"}, "{}"),
        ({"odd": "7"}, "7"),
        ({"strange": "7"}, "7"),
        ({"any": "7"}, "7"),
        ({"unknown": "7"}, "7"),
    ],
)
def test_the_schema_says_what_an_argument_in_xml_is(given: dict[str, str], value: object):
    (name,) = given
    assert cast(**given) == {name: value}


def test_arguments_in_xml_of_a_tool_that_was_not_offered_stay_text():
    body = "<function= other >\n<parameter= days >\n3\n</parameter>\n</function>"
    (call,) = read(f"<tool_call>\n{body}\n</tool_call>")
    assert (call.name, call.arguments) == ("other", '{"days":"3"}')
    bare = Tool(name="other", parameters={"type": "object"})
    (call,) = read(f"<tool_call>\n{body}\n</tool_call>", tools=(bare,))
    assert call.arguments == '{"days":"3"}'


def test_names_in_xml_may_have_spaces_around_them():
    (call,) = read("<tool_call><function= weather >\n<parameter= days >3</parameter></function></tool_call>")
    assert (call.name, call.arguments) == ("weather", '{"days":3}')


def test_a_call_in_xml_without_arguments_is_whole():
    (call,) = read("<tool_call>\n<function=weather>\n</function>\n</tool_call>")
    assert (call.name, call.arguments) == ("weather", "{}")


def test_a_call_that_a_limit_cuts_is_left_out():
    for size in range(len("<tool_call>"), len(CALL)):
        assert read(CALL[:size], cut=True) == []


def test_a_tag_that_a_limit_cuts_is_text():
    assert read("Wait.\n<tool_c", cut=True) == [TextDelta("Wait.\n<tool_c")]


def test_a_call_that_the_model_did_not_close_counts_when_it_is_whole():
    assert len(read(CALL.removesuffix("\n</tool_call>"))) == 1


@pytest.mark.parametrize(
    "body", ["", "{", '{"name": 3}', '{"arguments": {}}', "[]", "<function=weather>", "<function=a>b</function>", "<b>"]
)
def test_a_broken_call_is_an_error_that_keeps_what_was_written(body: str):
    broken = f"<tool_call>\n{body}\n</tool_call>"
    with pytest.raises(InvalidResponseError) as caught:
        read(broken)
    assert body in caught.value.detail
    assert (caught.value.kind, caught.value.message) == ("invalid_response", "the model wrote a broken tool call")
    assert body == "" or body not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "marks", "held"),
    [("a <", ["<b>"], 1), ("a <b>", ["<b>"], 0), ("aab", ["aabb", "b"], 3), ("", ["a"], 0), ("abc", [], 0)],
)
def test_what_may_be_the_beginning_of_a_mark_is_held_back(text: str, marks: list[str], held: int):
    assert held_back(text, marks) == held


PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "\n",
        "\n\n",
        CALL,
        xml(city="Bonn", days="3"),
        "<tool_call>",
        "a",
        "<",
        "</",
        "think>",
        "é👍",
        " ",
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


@given(TEXTS, st.data(), st.booleans(), st.booleans())
def test_any_cutting_of_the_text_gives_the_same_events(text: str, data: st.DataObject, thinking: bool, cut: bool):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    def outcome(*pieces: str) -> object:
        try:
            return read(*pieces, thinking=thinking, cut=cut)
        except InvalidResponseError as error:
            return error.detail

    assert outcome(*pieces) == outcome(text) == outcome(*text)


@given(TEXTS, st.booleans())
def test_no_character_but_tags_and_line_breaks_beside_them_is_lost(text: str, thinking: bool):
    events = read(text, thinking=thinking, tools=())
    said = "".join(event.text for event in events)
    if not thinking and not text.lstrip().startswith("<think>"):
        assert said == text
    else:
        head, found, tail = text.partition("</think>")
        head = head if thinking else head.lstrip().removeprefix("<think>").removeprefix("\n")
        expected = head.removesuffix("\n") + tail.removeprefix("\n").removeprefix("\n") if found else head
        assert said == expected


@given(st.lists(st.sampled_from(["one", " ", "\n", CALL, "<b>"]), max_size=8))
def test_every_call_and_every_letter_around_the_calls_arrives(pieces: list[str]):
    events = read("".join(pieces))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert len(calls) == pieces.count(CALL)
    assert said.replace("\n", "") == "".join(pieces).replace(CALL, "").replace("\n", "")
