from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

import pytest


def audit(folder) -> list[dict]:
    text = (folder / "multimodel.audit.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def switched_off(folder) -> list[dict]:
    return json.loads((folder / "multimodel.off.json").read_text(encoding="utf-8"))["off"]


def test_off_and_on_are_a_round_trip_with_an_audit_log(run, policy, folder):
    off = run("off", "alibaba", "--force", "--reason", "licence review", "--by", "risk@example.net")
    assert off.code == 0
    assert "operator  alibaba  licence review  risk@example.net" in off.out
    assert [entry["operator"] for entry in switched_off(folder)] == ["alibaba"]
    assert "skipped: off (operator alibaba: licence review)" in run("explain", "chat").out

    on = run("on", "alibaba", "--by", "ops@example.net")
    assert (on.code, on.out) == (0, "nothing is off\n")
    assert on.err == "on again: operator `alibaba`, off for: licence review\n"
    assert switched_off(folder) == []
    assert [(entry["action"], entry["by"]) for entry in audit(folder)] == [
        ("off", "risk@example.net"),
        ("on", "ops@example.net"),
    ]


def test_off_tells_first_what_stops_and_which_routes_have_nothing_left(run, policy):
    ran = run("off", "alibaba", "--force", "--reason", "drill")
    assert ran.err == (
        "operator `alibaba`: `dashscope:qwen3.7-plus` would stop\nwarning: no target would be left for `cheap`\n"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [("alibaba", "operator"), ("openai", "author"), ("dashscope", "provider"), ("house:gpt-5-mini", "target")],
)
def test_what_is_announced_is_what_is_switched_off(run, policy, folder, name, kind):
    ran = run("off", name, "--force", "--reason", "drill")
    assert ran.err.startswith(f"{kind} `{name}`: ")
    assert [entry[kind] for entry in switched_off(folder)] == [name]


def test_an_operator_leaves_its_weights_elsewhere_on_and_says_how_to_leave_them_too(run, policy):
    text = policy.read_text(encoding="utf-8").replace(
        "house:gpt-5-mini", "siliconflow:Qwen/Qwen3-32B, house:gpt-5-mini"
    )
    inline = (
        "  elsewhere:\n    api_key: sk-1\n    profile:\n      name: elsewhere\n      title: Elsewhere\n"
        "      operator: elsewhere\n      protocols: {a: {wire: openai_chat}}\n      protocol: a\n"
        '      endpoints: {us: {url: "https://x.example", fact: {source: s, date: 2026-11-01}}}\n      region: us\n'
        "      models: {qwen: {author: alibaba, fact: {source: s, date: 2026-11-01}}}\n"
        "      fact: {source: s, date: 2026-11-01}\n"
    )
    text = text.replace("siliconflow:Qwen/Qwen3-32B", "elsewhere:qwen").replace("routes:", inline + "routes:")
    policy.write_text(text, encoding="utf-8")
    operator = run("off", "alibaba", "--force", "--reason", "drill")
    assert "note: weights of `alibaba` that run elsewhere stay on: `elsewhere:qwen`\nhint: `--weights`" in operator.err
    author = run("off", "alibaba", "--force", "--reason", "drill", "--weights")
    assert "author `alibaba`: `elsewhere:qwen` would stop" in author.err
    assert "skipped: off (author alibaba: drill)" in run("explain", "chat").out


def test_weights_of_an_unknown_author_stay_on_and_are_named(run, policy):
    policy.write_text(policy.read_text(encoding="utf-8").replace("house:gpt-5-mini", "house:ours"), encoding="utf-8")
    ran = run("off", "alibaba", "--force", "--reason", "drill", "--weights")
    assert "warning: nobody knows whose weights these are, so they stay on: `house:ours`" in ran.err


def test_a_name_that_means_nothing_is_an_error_and_changes_nothing(run, policy, folder):
    ran = run("off", "alibab", "--reason", "drill")
    assert ran.code == 1
    assert ran.err == (
        "error: `alibab` is no operator, author, provider or target of this policy\nhint: did you mean `alibaba`?\n"
    )
    assert run("off", "Alibaba Cloud", "--weights", "--reason", "drill").code == 1
    assert not (folder / "multimodel.off.json").exists()


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        ("2h", timedelta(hours=2)),
        ("2999-12-31", datetime(2999, 12, 31, tzinfo=UTC)),
        ("2999-12-31T18:00:00+02:00", datetime(2999, 12, 31, 16, tzinfo=UTC)),
    ],
)
def test_until_is_a_span_or_an_instant(run, policy, folder, until, expected):
    before = datetime.now(UTC)
    assert run("off", "alibaba", "--force", "--reason", "drill", "--until", until).code == 0
    ends = datetime.fromisoformat(switched_off(folder)[0]["until"])
    if isinstance(expected, timedelta):
        assert before + expected <= ends <= datetime.now(UTC) + expected
    else:
        assert ends == expected


@pytest.mark.parametrize("until", ["2", "soon", "2020-01-01", "2999-12-31T18:00:00", "999999999999d", "0s"])
def test_an_until_that_makes_no_sense_is_misuse_and_changes_nothing(run, policy, folder, until):
    ran = run("off", "alibaba", "--force", "--reason", "drill", "--until", until)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: `--until`")
    assert not (folder / "multimodel.off.json").exists()


@pytest.mark.parametrize("reason", ["", " ", "a\nb", "\udcff"])
def test_a_reason_that_is_empty_or_no_plain_text_is_misuse(run, policy, reason):
    assert run("off", "alibaba", "--force", "--reason", reason).code == 2


def test_without_a_policy_file_there_is_nowhere_to_keep_a_switch(run, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    ran = run("off", "openai", "--reason", "drill")
    assert ran.code == 1
    assert ran.err.startswith("error: there is no policy file, so a switch would end with this process\nhint: ")


def test_a_switch_file_that_cannot_be_written_is_an_error_with_a_hint(run, policy):
    policy.write_text("switch_file: missing/off.json\n" + policy.read_text(encoding="utf-8"), encoding="utf-8")
    ran = run("off", "alibaba", "--force", "--reason", "drill")
    assert ran.code == 1
    assert "cannot be written: No such file or directory; nothing was changed\nhint: " in ran.err


def test_the_log_can_be_followed_while_the_switch_file_and_the_policy_are_damaged(run, policy, folder):
    assert run("off", "openai", "--reason", "x", "--force").code == 0
    (folder / "multimodel.off.json").write_text("", encoding="utf-8")
    policy.write_text(policy.read_text(encoding="utf-8") + "bogus: 1\n", encoding="utf-8")
    assert run("status").code == 1
    ran = run("audit", "verify")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("whole: 1 entries, head ")


def test_on_names_what_the_policy_itself_holds(run, policy):
    policy.write_text(policy.read_text(encoding="utf-8") + "off: [{operator: alibaba, reason: x}]\n", encoding="utf-8")
    policy.write_text(
        policy.read_text(encoding="utf-8").replace(
            "cheap: {extends: chat, chain: [dashscope:qwen3.7-plus]}", "cheap: {extends: chat}"
        ),
        encoding="utf-8",
    )
    ran = run("on", "alibaba")
    assert ran.code == 1
    assert "is still off: `off:` of" in ran.err


def test_on_of_what_is_on_is_an_error(run, policy):
    ran = run("on", "alibaba")
    assert (ran.code, ran.err) == (1, "error: `alibaba` is not switched off\nhint: switched off now: nothing\n")


def test_status_shows_targets_and_switches(run, policy):
    run("off", "alibaba", "--force", "--reason", "drill", "--until", "2999-12-31", "--by", "ops")
    ran = run("status")
    assert [line.split() for line in ran.out.splitlines()][:4] == [
        ["route", "target", "operator", "author", "state", "why"],
        ["chat", "dashscope:qwen3.7-plus", "alibaba", "alibaba", "off", "operator", "alibaba:", "drill"],
        ["chat", "house:gpt-5-mini", "house", "openai", "ready", "-"],
        ["cheap", "dashscope:qwen3.7-plus", "alibaba", "alibaba", "off", "operator", "alibaba:", "drill"],
    ]
    assert "2999-12-31 00:00Z  the switch file" in ran.out
    assert "each process has its own breakers" in ran.err


def test_status_as_json_has_states_and_switches(run, policy):
    run("off", "alibaba", "--force", "--reason", "drill")
    document = json.loads(run("status", "--json").out)
    assert [one["state"] for one in document["routes"]["chat"]] == ["off", "closed"]
    assert document["off"][0]["reason"] == "drill"
    assert document["switch_file"].endswith("multimodel.off.json")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_asks(launch, policy, folder, terminal, answer, code):
    os.write(terminal[0], answer.encode())
    ran = launch("off", "alibaba", "--force", "--reason", "drill", stdin=terminal[1])
    assert ran.returncode == code
    assert "switch `alibaba` off? [y/N] " in ran.stderr
    assert (folder / "multimodel.off.json").exists() is (code == 0)


def test_with_yes_it_does_not_ask(launch, policy, terminal):
    ran = launch("off", "alibaba", "--force", "--reason", "drill", "--yes", stdin=terminal[1])
    assert ran.returncode == 0
    assert "[y/N]" not in ran.stderr


@pytest.mark.parametrize(
    "command", [["status"], ["explain", "chat"], ["off", "alibaba", "--force", "--reason", "drill"]]
)
def test_an_operator_needs_none_of_the_applications_secrets(run, policy, monkeypatch, command):
    monkeypatch.delenv("TEST_KEY")
    ran = run(*command)
    assert ran.code == 0, ran.err
    if command[0] != "off":
        assert "`TEST_KEY` is not set" in ran.out
    assert run("complete", "chat", "hi").code == 1


def test_what_would_stop_is_what_the_application_asks_and_not_what_this_shell_could(run, policy, monkeypatch):
    monkeypatch.delenv("TEST_KEY")
    assert run("off", "alibaba", "--force", "--reason", "drill").err == (
        "operator `alibaba`: `dashscope:qwen3.7-plus` would stop\nwarning: no target would be left for `cheap`\n"
    )


def test_a_key_that_only_the_application_has_leaves_no_route_out(run, policy):
    policy.write_text("routes: {chat: {chain: [dashscope:qwen3.7-plus]}}\n", encoding="utf-8")
    refused = run("off", "alibaba", "--reason", "drill")
    assert refused.code == 1
    assert "`dashscope:qwen3.7-plus` would stop" in refused.err
    assert "no target would be left for `chat`" in refused.err


def test_without_the_secrets_a_switch_is_lifted_too(run, policy, folder, monkeypatch):
    run("off", "alibaba", "--force", "--reason", "drill")
    monkeypatch.delenv("TEST_KEY")
    assert run("on", "alibaba").code == 0
    assert switched_off(folder) == []


def test_a_mistake_elsewhere_in_the_policy_keeps_nobody_from_the_switch(run, policy, folder):
    policy.write_text(policy.read_text(encoding="utf-8") + "nonsense: 1\n", encoding="utf-8")
    ran = run("off", "alibaba", "--force", "--reason", "drill")
    assert ran.code == 0
    assert ran.err.startswith("warning: `multimodel.yaml` has mistakes")
    assert "`multimodel check`" in ran.err
    assert [entry["operator"] for entry in switched_off(folder)] == ["alibaba"]
    assert run("status").code == 1
    assert run("on", "alibaba").code == 0


def test_when_no_name_can_be_looked_up_a_kind_is_given(run, policy, folder):
    policy.write_text("routes: {", encoding="utf-8")
    ran = run("off", "alibaba", "--force", "--reason", "drill")
    assert ran.code == 1
    assert "hint: say what it is with `--kind`" in ran.err
    assert run("off", "alibaba", "--force", "--reason", "drill", "--kind", "operator").code == 0
    assert [entry["operator"] for entry in switched_off(folder)] == ["alibaba"]


def test_a_jurisdiction_is_switched_off_by_its_kind(run, policy):
    ran = run("off", "CN", "--force", "--reason", "drill", "--kind", "jurisdiction")
    assert ran.err.startswith("jurisdiction `CN`: `dashscope:qwen3.7-plus` would stop\n")
    assert "skipped: off (jurisdiction CN: drill)" in run("explain", "chat").out


def test_a_name_that_cannot_be_of_its_kind_changes_nothing(run, policy, folder):
    ran = run("off", "China", "--reason", "drill", "--kind", "jurisdiction")
    assert ran.code == 1
    assert ran.err.startswith("error: `China` is no jurisdiction\nhint: ")
    assert run("off", "x", "--reason", "drill", "--kind", "author", "--weights").code == 2
    assert not (folder / "multimodel.off.json").exists()


def test_a_missing_folder_of_the_switch_file_is_told_by_check(run, policy):
    policy.write_text("switch_file: missing/off.json\n" + policy.read_text(encoding="utf-8"), encoding="utf-8")
    ran = run("check")
    assert ran.code == 1
    assert "multimodel.yaml:1:14: the folder " in ran.out


def test_audit_verify_follows_the_chain_and_says_the_head(run, policy, folder):
    run("off", "alibaba", "--force", "--reason", "drill")
    run("on", "alibaba")
    head = json.loads(run("status", "--json").out)["audit_head"]
    ran = run("audit", "verify", "--head", head)
    assert (ran.code, ran.out) == (0, f"whole: 2 entries, head {head}\n")
    assert json.loads(run("audit", "verify", "multimodel.audit.jsonl", "--json").out)["entries"] == 2

    log = folder / "multimodel.audit.jsonl"
    log.write_text(log.read_text(encoding="utf-8").replace("drill", "trial"), encoding="utf-8")
    ran = run("audit", "verify")
    assert (ran.code, ran.out) == (1, "")
    assert "multimodel.audit.jsonl:2: the line does not follow from the one before it" in ran.err
    assert "hint: " in ran.err


def test_there_is_no_audit_log_without_a_policy_file(run):
    assert run("audit", "verify").code == 1


FACTS = """\
providers:
  qwen:
    api_key: sk-1
    profile:
      name: qwen
      title: Qwen
      operator: alibaba
      protocols: {a: {wire: openai_chat}}
      protocol: a
      endpoints: {us: {url: "https://x.example", fact: {source: s, date: 2026-11-01}}}
      region: us
      fact: {source: s, date: 2026-11-01}
      models:
        big: {features: [tools, seed], modalities: [text, image], max_input: 200000, prices: [{input: 0.5, output: 1, fact: {source: s, date: 2026-11-01}}], fact: {source: s, date: 2026-11-01}}
  other:
    api_key: sk-1
    profile:
      name: other
      title: Other
      operator: other
      protocols: {a: {wire: openai_chat}}
      protocol: a
      endpoints: {us: {url: "https://y.example", fact: {source: s, date: 2026-11-01}}}
      region: us
      fact: {source: s, date: 2026-11-01}
      models:
        small: {features: [tools], modalities: [text], max_input: 8000, prices: [{input: 2, output: 8, fact: {source: s, date: 2026-11-01}}], fact: {source: s, date: 2026-11-01}}
routes:
  chat: {chain: [qwen:big, other:small]}
  spare: {chain: [other:small, qwen:big]}
"""


def test_off_tells_first_what_the_routes_that_go_on_would_lose(run, policy):
    policy.write_text(FACTS, encoding="utf-8")
    ran = run("off", "alibaba", "--force", "--reason", "drill")
    assert ran.err == (
        "operator `alibaba`: `qwen:big` would stop\n"
        "warning: no target left of `chat` is known to have seed, vision\n"
        "warning: prompts of `chat` could have 8,000 tokens, not 200,000\n"
        "note: the first target of `chat` would cost 2 and 8 USD per million tokens of input and output, not 0.5 and 1\n"
        "warning: no target left of `spare` is known to have seed, vision\n"
        "warning: prompts of `spare` could have 8,000 tokens, not 200,000\n"
    )
    run("on", "alibaba")
    assert run("off", "other", "--reason", "drill").err == (
        "operator `other`: `other:small` would stop\n"
        "note: the first target of `spare` would cost 0.5 and 1 USD per million tokens of input and output, not 2 and 8\n"
    )


def test_off_refuses_to_leave_a_route_without_a_target_unless_it_is_forced(run, policy, folder):
    refused = run("off", "alibaba", "--reason", "drill", "--yes")
    assert refused.code == 1
    assert refused.err.endswith(
        "error: no target would be left for `cheap`; nothing was changed\n"
        "hint: add a target that stays on, or say `--force`\n"
    )
    assert not (folder / "multimodel.off.json").exists()
    assert run("off", "alibaba", "--reason", "drill", "--yes", "--force").code == 0


def test_cut_is_kept_in_the_switch_file_and_in_the_audit_log_and_only_where_it_was_said(run, policy, folder):
    run("off", "alibaba", "--reason", "drill", "--force", "--cut")
    run("off", "house", "--reason", "drill", "--force")
    assert [entry.get("cut") for entry in switched_off(folder)] == [True, None]
    assert [entry.get("cut") for entry in audit(folder)] == [True, None]
