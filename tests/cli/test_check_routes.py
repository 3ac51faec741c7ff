"""What `check` tells of routes, as the engine would walk them."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel import Client
from multimodel.client.check.reach import waits
from multimodel.testing.simulation import Failing, Healthy, Silent, Simulation


@pytest.fixture
def check(run, folder, monkeypatch):
    """Write a policy over own endpoints of three operators, and return what is told of its routes: code and line each."""

    monkeypatch.setenv("OTHER_KEY", "k")

    def check_routes(routes: str, rest: str = "", providers: str = "") -> list[str]:
        providers += "".join(
            f'  {name}: {{profile: openai, base_url: "https://{name}.example/v1", api_key: "${{TEST_KEY}}", operator: {name}}}\n'
            for name in ("one", "two", "three", "four")
        )
        (folder / "multimodel.yaml").write_text(f"{rest}providers:\n{providers}routes:\n{routes}", encoding="utf-8")
        problems = json.loads(run("check", "--json").out)["problems"]
        ours = [one for one in problems if one["code"] not in {"unverified-model", "unknown-place", "unused-provider"}]
        return [f"{one['severity']} {one['code']}: {one['message']}" for one in ours]

    return check_routes


def test_three_operators_with_the_defaults_raise_no_doubt(check):
    assert check("  chat: {chain: [one:m, two:m, three:m]}\n") == []


# --- who is asked at all ---


def test_a_route_whose_targets_are_all_off_is_an_error_at_the_entry(check, run):
    rest = "off:\n  - {operator: one}\n  - {operator: two}\n"
    assert check("  chat: {chain: [one:m, two:m]}\n", rest) == ["error stranded: `off` leaves `chat` without a target"]
    assert "multimodel.yaml:2:5: `off` leaves" in run("check").out


def test_a_route_that_a_switch_strands_is_an_error_as_well(check, run):
    routes = "  chat: {chain: [one:m, two:m]}\n"
    assert check(routes) == []
    run("off", "one", "--reason", "drill", "--yes")
    assert check(routes) == ["warning single-operator: every target of `chat` that may be asked is operated by `two`"]
    with Client("multimodel.yaml") as client:
        client.off("two", reason="drill")
    assert check(routes) == [
        (
            "error stranded: no target of `chat` may be asked: "
            "`one:m` is off (operator `one`), `two:m` is off (operator `two`)"
        )
    ]


def test_what_a_machine_lacks_strands_a_route_there_alone(check, monkeypatch):
    found = check("  chat: {chain: [openai:gpt-5-mini, dashscope:qwen3.7-plus]}\n")
    assert sorted(one.partition(":")[0] for one in found) == [
        "warning missing-key",
        "warning missing-key",
        "warning stranded-here",
    ]
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    found = check("  chat: {chain: [openai:gpt-5-mini, dashscope:qwen3.7-plus]}\n")
    assert [one.partition(":")[0] for one in found] == ["warning missing-key"]


def test_a_target_that_lacks_what_the_route_requires_is_told(check, catalogue):
    (catalogue / "blind.yaml").write_text(BLIND, encoding="utf-8")
    try:
        assert check(
            "  chat: {chain: [blind:text, one:m, two:m], requires: [vision], traffic: {blind:text: 9, one:m: 1}}\n"
        ) == [
            "warning requires-unmet: `blind:text` is never asked: `chat` requires vision, which it lacks",
            "note requires-unverified: nobody knows whether `one:m` has vision, so it is asked",
            "note requires-unverified: nobody knows whether `two:m` has vision, so it is asked",
            "note idle-traffic: the weight of `blind:text`, which lacks vision, goes to the others",
        ]
        assert check("  chat: {chain: [blind:text], requires: [vision]}\n")[0] == (
            "error stranded: no target of `chat` may be asked: `blind:text` lacks vision"
        )
        assert check("  chat: {chain: [blind:text, one:m], params: {max_tokens: 101}}\n") == [
            "warning answer-too-long: `blind:text` is never asked for 101 tokens: it answers with 100 at most"
        ]
        assert check("  chat: {chain: [blind:text, one:m], params: {max_tokens: 100}}\n") == []
        assert check("  chat: {chain: [blind:thinker, one:m], deadline: 120s}\n") == []
        assert check("  chat: {chain: [blind:thinker, one:m], deadline: 90s}\n") == [
            "note thinking-cut-short: `blind:thinker` always thinks before it answers, and gets 45s for that"
        ]
    finally:
        (catalogue / "blind.yaml").unlink()


BLIND = """\
name: blind
title: A vendor of text
key_required: false
protocols: {chat: {wire: openai_chat}}
protocol: chat
endpoints: {main: {url: "http://127.0.0.1:9", fact: &fact {source: "https://example.com", date: 2026-11-01}}}
region: main
fact: *fact
models:
  text: {author: blind, modalities: [text], max_output: 100, fact: *fact}
  thinker: {author: blind, thinking: always, fact: *fact}
"""


def test_a_route_that_extends_another_repeats_nothing_of_its_chain(check):
    assert check("  chat: {chain: [one:m, one:n], max_attempts: 1}\n  also: {extends: chat, deadline: 60s}\n") == [
        "warning single-operator: every target of `chat` is operated by `one`",
        "warning unreachable-fallback: `one:n` is never asked after the others have failed: `max_attempts` is 1",
    ]


def test_weights_that_are_offered_tools_are_not_held_to_a_schema(check, folder, put_weights):
    put_weights(folder / "archive" / "small")
    template = folder / "archive" / "small" / "chat_template.jinja"
    template.write_text("{{ messages }}{{ tools }}", encoding="utf-8")
    both = [
        one.partition(":")[0]
        for one in check("  chat: {chain: [one:m, local:small], requires: [tools, json_schema]}\n")
    ]
    assert "note schema-not-held" in both
    alone = [one.partition(":")[0] for one in check("  chat: {chain: [one:m, local:small], requires: [json_schema]}\n")]
    assert "note schema-not-held" not in alone


@pytest.mark.parametrize("installed", [True, False])
def test_packages_that_are_missing_are_told(check, monkeypatch, installed):
    if not installed:
        monkeypatch.setitem(sys.modules, "litellm", None)
        monkeypatch.setitem(sys.modules, "jsonschema", None)
    missing = [
        "warning extra-missing: `litellm:openai/m` cannot be asked: litellm is not installed",
        "note schema-unchecked: `jsonschema` is not installed: answers are checked against types, but not against schemas",
    ]
    chain = "{chain: [one:m, 'litellm:openai/m'], requires: [json_schema]}"
    found = [one for one in check(f"  chat: {chain}\n") if "requires-unverified" not in one]
    assert found == ([] if installed else missing)


def test_an_adapter_that_nobody_has_is_told(check):
    theirs = "  theirs: {profile: {name: theirs, title: T, adapter: nobodys, key_required: false, fact: {source: s, date: 2026-11-01}}}\n"
    assert check("  chat: {chain: [one:m, theirs:m]}\n", providers=theirs) == [
        "warning extra-missing: `theirs:m` cannot be asked: no plugin is its adapter `nobodys`"
    ]


# --- who could take all away ---


def test_operators_of_one_jurisdiction_are_a_note(check, catalogue, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    other = (catalogue / "openai.yaml").read_text(encoding="utf-8").replace("openai\n", "usual\n", 1)
    (catalogue / "usual.yaml").write_text(
        other.replace("operator: openai", "operator: usual").replace("us.example", "usual.example"), encoding="utf-8"
    )
    try:
        assert check("  chat: {chain: [openai:gpt-5-mini, usual:gpt-5-mini]}\n") == [
            "warning single-author: the weights of every target of `chat` are by `openai`: `off openai --weights` leaves none",
            "note single-jurisdiction: every operator of `chat` has its seat in US",
        ]
        assert check("  chat: {chain: [openai:gpt-5-mini, usual:gpt-5-mini, one:m]}\n") == []
    finally:
        (catalogue / "usual.yaml").unlink()


def test_two_names_for_one_account_are_told(check):
    again = '  again: {profile: openai, base_url: "https://one.example/v1", api_key: "${TEST_KEY}", operator: one}\n'
    assert check("  chat: {chain: [one:m, again:m, two:m]}\n", providers=again) == [
        "warning same-account: `again` has the endpoint and the key of `one`: they fail together"
    ]
    assert check("  chat: {chain: [one:m, one:n, two:m]}\n") == [
        "note same-account: `one:n` is no help when the account or the host of `one:m` fails: it shares them"
    ]
    other = again.replace("${TEST_KEY}", "${OTHER_KEY}")
    assert check("  chat: {chain: [one:m, again:m, two:m]}\n", providers=other) == []


# --- how far a chain is walked ---


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("deadline: 400ms", "error deadline-too-short: no attempt is begun that has less than 500ms: every call fails"),
        (
            "deadline: 5s, timeouts: {first_content: 8s}",
            "warning deadline-too-short: the deadline of 5s is shorter than `first_content` of 8s",
        ),
        (
            "deadline: 30s, timeouts: {first_content: 12s}",
            (
                "warning deadline-too-short: `one:m` never gets its `first_content` of 12s but 10s: "
                "those after it keep shares of the deadline"
            ),
        ),
        ("deadline: 36s, timeouts: {first_content: 12s}", None),
        (
            "deadline: 1s",
            "warning unreachable-fallback: the deadline leaves no time for `three:m` when those before it are silent",
        ),
        (
            "deadline: 24s",
            "note deadline-cuts-limit: `one:m` gets 8s, not the usual `first_content` of 10s: the deadline is shared",
        ),
        ("deadline: 30s", None),
        (
            "transfer: whole, deadline: 60s, timeouts: {whole: 30s}",
            (
                "warning deadline-too-short: `one:m` never gets its `whole` of 30s but 20s: "
                "those after it keep shares of the deadline"
            ),
        ),
        (
            "max_attempts: 2",
            "warning unreachable-fallback: `three:m` is never asked after the others have failed: `max_attempts` is 2",
        ),
        (
            "retry: {attempts: 6}",
            "warning unreachable-fallback: `two:m` is not asked when those before it fail 6 times: `max_attempts` is 6",
        ),
        (
            "retry: {attempts: 3}",
            "note fallback-after-repeats: `three:m` is not asked when those before it fail 6 times: `max_attempts` is 6",
        ),
        ("retry: {attempts: 3}, max_attempts: 7", None),
        ("retry: {attempts: 1}, max_attempts: 3", None),
        (
            "mid_stream: continue",
            (
                "warning cannot-continue: no target after the first is known to go on with an answer: "
                "a broken stream ends with an error"
            ),
        ),
        ("hedge: {after: 9s}", None),
        (
            "hedge: {after: 10s}",
            "warning hedge-never-fires: an attempt has ended by then: the first content must come within 10s",
        ),
        (
            "hedge: {after: 2s, budget: 0%}",
            "warning hedge-never-fires: its budget is 0%: nobody is asked beside the first",
        ),
    ],
)
def test_limits_that_cannot_hold_are_told(check, settings, told):
    found = check(f"  chat: {{chain: [one:m, two:m, three:m], {settings}}}\n")
    assert found == ([] if told is None else [told])


def test_a_shadow_beside_a_budget_is_told(check):
    found = check("  chat: {chain: [one:m, 'local:none'], budget: {per_day: 9 USD}, shadow: {target: 'two:m'}}\n")
    told = "warning shadow-not-charged: the copies for the `shadow` are not charged to the route's `budget`"
    assert told in found


def test_a_fallback_that_gets_less_time_when_others_are_silent_is_a_note(check):
    limits = "timeouts: {first_content: 10s}, deadline: 32s, max_attempts: 9"
    assert check(f"  chat: {{chain: [one:m, two:m, three:m, four:m], {limits}}}\n") == [
        "note deadline-cuts-limit: when those before it are silent, `two:m` gets 7.3s, not its `first_content` of 10s"
    ]


def test_a_limit_that_never_holds_is_told_before_one_that_holds_sometimes(check):
    chain = "[{target: 'one:m', timeouts: {first_content: 5s}}, {target: 'two:m', timeouts: {first_content: 11s}}, "
    chain += "{target: 'three:m', timeouts: {first_content: 50s}}]"
    assert check(f"  chat: {{chain: {chain}, deadline: 26s}}\n") == [
        "warning deadline-too-short: the deadline of 26s is shorter than `first_content` of 50s"
    ]


@given(
    limits=st.lists(st.floats(0.2, 90.0), min_size=2, max_size=5),
    deadline=st.floats(0.5, 200.0),
)
def test_the_waits_are_those_of_the_engine(limits, deadline):
    names = [f"v{number}" for number in range(len(limits))]
    chain = [
        {"target": f"{name}:m", "timeouts": {"first_content": limit}} for name, limit in zip(names, limits, strict=True)
    ]
    vendors = {**dict.fromkeys(names, Silent()), names[-1]: Healthy(first_content=0.001, seconds=0.001)}
    policy = {"routes": {"chat": {"chain": chain, "deadline": deadline}}}
    result = Simulation(policy, vendors).run(calls=1)
    expected = waits(limits, deadline)
    assert sum(result.attempts.values()) == len(expected)
    if len(expected) == len(limits):
        assert result.added_p50 == pytest.approx(sum(expected[:-1]), abs=1e-4)
    else:
        assert result.answered == 0


@pytest.mark.parametrize("after", [0.5, 2.0, 6.0, 9.9, 10.0, 15.0])
@pytest.mark.parametrize("deadline", [12.0, 24.0, 60.0])
def test_a_hedge_that_never_fires_is_told_and_no_other(check, after, deadline):
    hedge = f"deadline: {deadline}s, hedge: {{after: {after}s, budget: 100%}}"
    found = check(f"  chat: {{chain: [one:m, two:m], {hedge}}}\n")
    policy = {"chain": ["a:m", "b:m"], "deadline": deadline, "hedge": {"after": after, "budget": 1.0}}
    vendors = {"a": Silent(), "b": Healthy(first_content=0.001)}
    result = Simulation({"routes": {"chat": policy}}, vendors).run(calls=1)
    fired = result.added_p50 < waits([10.0, 10.0], deadline)[0]
    assert any("hedge-never-fires" in one for one in found) != fired, found


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_a_target_that_failures_keep_from_being_asked_is_told_and_no_other(check, most, repeats):
    settings = f"max_attempts: {most}, retry: {{attempts: {repeats}}}"
    found = check(f"  chat: {{chain: [one:m, two:m, three:m], {settings}}}\n")
    policy = {"chain": ["a:m", "b:m", "c:m"], "max_attempts": most, "retry": {"attempts": repeats}}
    vendors = {"a": Failing("server_error"), "b": Failing("server_error"), "c": Healthy()}
    result = Simulation({"routes": {"chat": policy}}, vendors).run(calls=1)
    assert (found == []) == (result.answered == 1), found


def test_a_hedge_without_a_second_account_or_host_never_fires(check):
    same = "warning hedge-never-fires: all targets share one {}: nobody can be asked beside the first"
    assert same.format("account") in check("  chat: {chain: [one:m, one:n], hedge: {after: 2s}}\n")
    again = '  again: {profile: openai, base_url: "https://one.example/v1", api_key: "${OTHER_KEY}", operator: two}\n'
    assert check("  chat: {chain: [one:m, again:m], hedge: {after: 2s}}\n", providers=again) == [same.format("host")]
