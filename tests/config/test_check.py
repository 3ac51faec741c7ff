from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from multimodel.config import Policy, Problem, check_policy, default_policy
from multimodel.config.check import ordered
from multimodel.errors import ConfigurationError
from multimodel.providers.profile import Profile

KEYS = {"DASHSCOPE_API_KEY": "k", "OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"}
TWO = "routes: {chat: {chain: [dashscope:qwen-plus, openai:gpt-5]}}"


@pytest.fixture
def check(load: Callable[..., Policy], profiles: dict[str, Profile]) -> Callable[..., list[str]]:
    def check_text(text: str, keys: dict[str, str] = KEYS, **environ: str) -> list[str]:
        policy = load(text, **environ)
        found = check_policy(policy, environ={**keys, **environ}, profiles=profiles, today=date(2026, 11, 24))
        return [f"{problem.severity}: {problem}" for problem in found]

    return check_text


def test_a_warning_never_says_what_a_variable_holds(check: Callable[..., list[str]]) -> None:
    (told,) = check(f'{TWO}\noff: [{{operator: "${{WHO}}"}}]', WHO="sk-canary")
    assert "canary" not in told
    assert "the value of `${WHO}` is no operator" in told


def test_a_policy_without_doubts_has_none(check: Callable[..., list[str]]) -> None:
    assert check(TWO) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "routes: {chat: {chain: [openai:gpt-7, local:any]}}",
            "note: p.yaml:1:25: `openai:gpt-7` is unverified: the catalogue does not list it\nhint: did you mean `gpt-5`?",
        ),
        (
            "routes: {chat: {chain: [dashscope:qwen-old, local:any]}}",
            "warning: p.yaml:1:25: `dashscope:qwen-old` retires on 2026-12-10\nhint: use `qwen-plus`",
        ),
        (
            "routes: {chat: {chain: [dashscope:qwen-gone, local:any]}}",
            "warning: p.yaml:1:25: `dashscope:qwen-gone` is retired since 2026-01-10\nhint: use another model",
        ),
        (
            f"providers: {{openai: {{api_key: literal}}}}\n{TWO}",
            "warning: p.yaml:1:31: the key itself stands in the policy",
        ),
        (
            f"providers: {{dashscope: {{workspace: w}}}}\n{TWO}",
            "note: p.yaml:1:13: `dashscope` has no `region`: `singapore` is used",
        ),
        (f"providers: {{groq: {{}}}}\n{TWO}", "note: p.yaml:1:13: no route uses `groq`"),
        (
            "routes: {chat: {chain: [openai:gpt-5, local:any], shadow: {target: 'openai:gpt-7'}}}",
            "note: p.yaml:1:68: `openai:gpt-7` is unverified: the catalogue does not list it",
        ),
        (
            f"{TWO}\noff: [{{operator: alibabba}}]",
            "warning: p.yaml:2:18: `alibabba` is no operator of the policy or the catalogue: nothing is off by this\nhint: did you mean `alibaba`?",
        ),
        (
            f"{TWO}\noff: [{{jurisdiction: XX}}]",
            "warning: p.yaml:2:22: `XX` is no jurisdiction of the policy or the catalogue: nothing is off by this\nhint: known are `CN`, `US`",
        ),
        (
            f"{TWO}\noff: [{{target: 'dashscope:qwen-pluss'}}]",
            "warning: p.yaml:2:16: `dashscope:qwen-pluss` is no target of any route: nothing is off by this\nhint: did you mean `dashscope:qwen-plus`?",
        ),
        (
            f"{TWO}\noff: [{{operator: openai, since: 2026-11-26}}]",
            "warning: p.yaml:2:33: `openai` is off already: `since` only says when that was decided",
        ),
        (
            "routes: {chat: {chain: [openai:gpt-7, groq:qwen3-32b]}}\noff: [{author: alibaba}]",
            "warning: p.yaml:2:16: the author of `openai:gpt-7` is unknown, so it stays on",
        ),
    ],
)
def test_what_is_doubtful_is_told_at_its_place(check: Callable[..., list[str]], text: str, told: str) -> None:
    assert any(line.startswith(told) for line in check(text)), check(text)


def test_a_missing_key_disables_its_targets_only(check: Callable[..., list[str]]) -> None:
    assert check(TWO, keys={"OPENAI_API_KEY": "k"}) == [
        "warning: p.yaml:1:25: `dashscope` has no key; its targets are skipped\nhint: set `DASHSCOPE_API_KEY`, or `api_key:`"
    ]


def test_a_key_that_cannot_be_sent_is_a_warning_that_does_not_show_it(check: Callable[..., list[str]]) -> None:
    (told,) = check(TWO, keys={**KEYS, "OPENAI_API_KEY": "schlüssel"})
    assert told.startswith("warning: p.yaml:1:46: `OPENAI_API_KEY`: the key is not printable ASCII")
    assert "schlüssel" not in told


def test_a_line_end_after_a_key_is_a_note(check: Callable[..., list[str]]) -> None:
    assert check(TWO, keys={**KEYS, "OPENAI_API_KEY": "k\n"}) == [
        "note: p.yaml:1:46: a line end after the key of `openai` was removed"
    ]


def test_a_key_from_a_variable_is_no_literal_key(check: Callable[..., list[str]]) -> None:
    assert check(f'providers: {{openai: {{api_key: "${{MINE}}"}}}}\n{TWO}', MINE="k") == []


def test_an_endpoint_of_its_own_is_asked_whose_it_is_and_whose_key_it_gets(check: Callable[..., list[str]]) -> None:
    text = 'providers: {openai: {base_url: "https://llm.example.net/v1"%s}}\n' + TWO
    place = "note: p.yaml:1:32: where `openai` stores data and computes is unknown"
    assert [line.split("\n")[0] for line in check(text % "")] == [
        "warning: p.yaml:1:32: `openai` has its own endpoint, which is sent the key of `openai`",
        "note: p.yaml:1:32: `openai` has its own endpoint and counts as operated by `openai`",
        place,
    ]
    assert [line.split("\n")[0] for line in check(text % ', operator: house, api_key: "${MINE}"', MINE="k")] == [place]


def test_an_endpoint_of_somebody_else_is_sent_no_vendors_key(check: Callable[..., list[str]]) -> None:
    text = 'providers: {openai: {base_url: "http://127.0.0.1:8000/v1", operator: house}}\n' + TWO
    assert check(text) == []


def test_a_switch_that_has_ended_is_told(check: Callable[..., list[str]]) -> None:
    assert check(f"{TWO}\noff: [{{operator: openai, until: 2026-11-24}}]") == [
        "warning: p.yaml:2:33: ended on 2026-11-24: `openai` is asked again\nhint: remove the entry"
    ]
    assert check(f"{TWO}\noff: [{{operator: openai, until: 2026-11-25}}]") == []


def test_errors_come_before_warnings_and_notes_and_each_by_its_line() -> None:
    lines = [("note", 1), ("warning", 3), ("error", 9), ("warning", 2)]
    found = ordered(Problem(severity, "", file="p.yaml", line=line, column=1) for severity, line in lines)
    assert [(one.severity, one.line) for one in found] == [("error", 9), ("warning", 2), ("warning", 3), ("note", 1)]


def test_without_a_policy_the_vendors_whose_key_is_set_are_used_and_then_local_weights(
    profiles: dict[str, Profile],
) -> None:
    policy = default_policy({"OPENAI_API_KEY": "k", "AZURE_API_KEY": "k", "GROQ_API_KEY": "k"}, profiles, ["small"])
    assert [member.target for member in policy.routes["chat"].chain] == ["openai:gpt-5", "local:small"]
    assert default_policy({}, profiles, ["a", "b"]).routes["chat"].chain[0].target == "local:a"


def test_every_target_of_the_default_can_be_reached_within_the_attempts(profiles: dict[str, Profile]) -> None:
    many = default_policy({}, profiles, [f"m{number}" for number in range(9)]).routes["chat"]
    assert many.max_attempts > len(many.chain)


def test_without_anything_the_error_says_what_to_set(profiles: dict[str, Profile]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        default_policy({}, profiles, [])
    assert "`DASHSCOPE_API_KEY`" in str(caught.value.hint)
