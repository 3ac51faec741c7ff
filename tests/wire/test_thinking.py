from __future__ import annotations

from typing import Any

import pytest

from multimodel.errors import PolicyDeniedError
from multimodel.types import Request, Tool
from multimodel.wire import Dialect
from multimodel.wire.thinking import Defaults, thinking

ADD = Tool(name="add")
FORCED = {"tools": [ADD], "tool_choice": {"name": "add"}}
BEGUN = {"messages": ({"role": "user", "content": "Count"}, {"role": "assistant", "content": "1"})}
AS_JSON = {"response_format": {"type": "json_object"}}
ON, OFF = {"enable_thinking": True}, {"enable_thinking": False}


def ask(
    model: str | None, effort: str | None, mode: str = "enable_thinking", *, extra: dict[str, Any] | None = None,
    defaults: Defaults | None = None, quirks: dict[str, Any] | None = None, **options: Any,
) -> tuple[dict[str, Any], bool | None, list[str]]:  # fmt: skip
    """The fields, whether the model will think, and what became of losses."""
    losses: list[tuple[str, str]] = []
    request = Request(**{"messages": "Hi", "reasoning_effort": effort, **options})
    dialect = Dialect(quirks=quirks or {}, thinking=model, extra=extra or {})
    found = thinking(request, dialect, defaults=defaults or Defaults(mode), losses=losses)
    return dict(found.fields), found.on, [detail for _, detail in losses]


@pytest.mark.parametrize(
    ("model", "effort", "mode", "fields", "on"),
    [
        ("hybrid", None, "enable_thinking", OFF, False),
        ("hybrid", "none", "enable_thinking", OFF, False),
        ("hybrid", "low", "enable_thinking", {**ON, "thinking_budget": 4096}, True),
        ("hybrid", "minimal", "budget", {**ON, "thinking_budget": 4096}, True),
        ("hybrid", "high", "enable_thinking", ON, True),
        ("hybrid", None, "effort", {}, None),
        ("hybrid", "none", "effort", {"reasoning_effort": "none"}, False),
        ("hybrid", "high", "effort", {"reasoning_effort": "high"}, True),
        ("hybrid", None, "none", {}, None),
        ("hybrid", "none", "none", {}, None),
        ("always", None, "enable_thinking", {}, True),
        ("always", "medium", "enable_thinking", {"thinking_budget": 16384}, True),
        ("always", "high", "enable_thinking", {}, True),
        ("always", "low", "effort", {"reasoning_effort": "low"}, True),
        ("none", None, "enable_thinking", {}, False),
        ("none", "none", "effort", {}, False),
        (None, None, "enable_thinking", {}, None),
        (None, None, "effort", {}, None),
        (None, "none", "enable_thinking", OFF, False),
        (None, "medium", "enable_thinking", {**ON, "thinking_budget": 16384}, True),
    ],
)
def test_what_is_sent_and_whether_the_model_will_think(
    model: str | None, effort: str | None, mode: str, fields: dict[str, Any], on: bool | None
):
    assert ask(model, effort, mode) == (fields, on, [])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (FORCED, "a forced tool"),
        ({"tools": [ADD], "tool_choice": "required"}, "a forced tool"),
        (BEGUN, "the beginning of an answer"),
        (AS_JSON, "a JSON answer"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "a JSON answer"),
    ],
)
def test_thinking_is_switched_off_where_it_would_be_refused_and_a_note_says_why(options: dict[str, Any], why: str):
    note = f"thinking was switched off: the vendor does not think with {why}"
    assert ask("hybrid", "low", **options) == (OFF, False, [note])
    assert ask(None, "low", **options) == (OFF, False, [note])
    assert ask("hybrid", None, **options) == (OFF, False, [])
    assert ask("hybrid", None, quirks={"thinking_default": True}, **options) == (OFF, False, [])
    assert ask("hybrid", "none", **options) == (OFF, False, [])


@pytest.mark.parametrize(
    "options",
    [
        {"tools": [ADD]},
        {"tools": [ADD], "tool_choice": "auto"},
        {"tools": [ADD], "tool_choice": "none"},
        {"tool_choice": "auto"},
        {"response_format": {"type": "text"}},
        {"messages": ({"role": "assistant", "content": "1"}, {"role": "user", "content": "?"})},
    ],
)
def test_thinking_stays_on_where_nothing_is_forced(options: dict[str, Any]):
    assert ask("hybrid", "high", **options) == (ON, True, [])


@pytest.mark.parametrize("options", [FORCED, BEGUN, AS_JSON])
def test_where_thinking_cannot_be_switched_it_is_left_as_it_was_asked_for(options: dict[str, Any]):
    assert ask("hybrid", "high", "effort", **options) == ({"reasoning_effort": "high"}, True, [])


@pytest.mark.parametrize(("options", "why"), [(FORCED, "a forced tool"), (BEGUN, "the beginning of an answer")])
@pytest.mark.parametrize("effort", [None, "low"])
def test_a_model_that_always_thinks_refuses_what_would_switch_it_off(
    options: dict[str, Any], why: str, effort: str | None
):
    with pytest.raises(PolicyDeniedError) as caught:
        ask("always", effort, **options)
    assert caught.value.message == f"the vendor cannot be asked for {why} while the model thinks"


@pytest.mark.parametrize(
    ("model", "effort", "mode", "what"),
    [
        ("none", "low", "enable_thinking", "`reasoning_effort`"),
        ("none", "high", "effort", "`reasoning_effort`"),
        ("hybrid", "low", "none", "`reasoning_effort`"),
        ("always", "none", "enable_thinking", "`reasoning_effort: none`"),
        ("always", "none", "effort", "`reasoning_effort: none`"),
    ],
)
def test_what_the_model_cannot_be_told_is_refused_by_name(model: str, effort: str, mode: str, what: str):
    with pytest.raises(PolicyDeniedError) as caught:
        ask(model, effort, mode)
    assert caught.value.message == f"the vendor cannot be asked for {what}"


def test_json_and_thinking_go_together_where_the_catalogue_says_so_or_the_model_always_thinks():
    assert ask("hybrid", "high", quirks={"json_needs": "any"}, **AS_JSON) == (ON, True, [])
    assert ask("hybrid", "high", quirks={"json_needs": "other"}, **AS_JSON)[0] == OFF
    assert ask("always", "high", **AS_JSON) == ({}, True, [])


def test_thinking_is_on_by_the_catalogue_only_where_the_request_says_nothing():
    quirks = {"thinking_default": True}
    assert ask("hybrid", None, quirks=quirks) == (ON, True, [])
    assert ask("hybrid", "none", quirks=quirks) == (OFF, False, [])
    assert ask(None, None, quirks=quirks) == ({}, None, [])


@pytest.mark.parametrize(
    ("switch", "on", "off"),
    [
        ("thinking_type", {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}),
        ("chat_template", {"chat_template_kwargs": ON}, {"chat_template_kwargs": OFF}),
        ("think", {"think": True}, {"think": False}),
    ],
)
@pytest.mark.parametrize("where", ["quirk", "format"])
def test_the_switch_is_the_catalogues_or_the_formats_own(
    switch: str, on: dict[str, Any], off: dict[str, Any], where: str
):
    quirks = {"thinking_switch": switch} if where == "quirk" else {}
    defaults = Defaults("effort", None if where == "quirk" else switch)
    assert ask("hybrid", "high", defaults=defaults, quirks=quirks) == ({**on, "reasoning_effort": "high"}, True, [])
    assert ask("hybrid", "none", defaults=defaults, quirks=quirks) == (off, False, [])


def test_the_formats_switch_counts_for_efforts_alone():
    assert ask("hybrid", "high", defaults=Defaults("enable_thinking", "think")) == (ON, True, [])


def test_words_for_efforts_are_the_catalogues_then_the_formats_then_the_requests():
    defaults = Defaults("effort", efforts={"low": "small", "high": "big", "medium": None})
    quirks = {"efforts": {"high": "max"}}
    words = {
        effort: ask(None, effort, defaults=defaults, quirks=quirks)[0] for effort in ("low", "medium", "high", "xhigh")
    }
    assert words == {
        "low": {"reasoning_effort": "small"},
        "medium": {},
        "high": {"reasoning_effort": "max"},
        "xhigh": {"reasoning_effort": "xhigh"},
    }


def test_budgets_are_the_catalogues_then_the_usual_ones():
    quirks = {"budgets": {"low": 1, "high": 9, "medium": None}}
    found = {
        effort: ask("always", effort, quirks=quirks)[0] for effort in ("minimal", "low", "medium", "high", "xhigh")
    }
    assert found == {
        "minimal": {"thinking_budget": 4096},
        "low": {"thinking_budget": 1},
        "medium": {},
        "high": {"thinking_budget": 9},
        "xhigh": {},
    }


@pytest.mark.parametrize("mode", ["enable_thinking", "effort"])
@pytest.mark.parametrize("name", ["thinking_budget", "reasoning_effort"])
def test_what_the_caller_spells_out_goes_first(mode: str, name: str):
    fields, on, _ = ask("always", "low", mode, extra={name: 7})
    assert (fields, on) == ({}, True)
    assert ask("always", "low", mode, extra={"top_k": 7})[0] != {}
