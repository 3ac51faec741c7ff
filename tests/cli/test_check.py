from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from multimodel import Client
from multimodel.client.check import files

SIX_MISTAKES = """\
providers:
  dashscop: {region: singapore}
  openai: {api_key: "${NOT_SET_ANYWHERE}"}
routes:
  chat:
    chain: [openai:gpt-5-mini, nobody:x]
    deadline: 60
    retry: {attemps: 2}
aliases: {old: gone}
"""


def test_a_policy_without_mistakes_is_0_and_says_so(run, policy):
    text = policy.read_text(encoding="utf-8").splitlines(keepends=True)
    policy.write_text("".join(line for line in text if "cheap" not in line), encoding="utf-8")
    ran = run("check", "--strict")
    assert (ran.code, ran.err) == (0, "multimodel.yaml: no mistakes, 1 note\n")
    assert "note: where `house` stores data and computes is unknown [unknown-place]\n" in ran.out


def test_all_six_mistakes_are_told_in_one_run_with_place_and_hint(run, folder):
    (folder / "six.yaml").write_text(SIX_MISTAKES, encoding="utf-8")
    ran = run("check", "six.yaml")
    assert ran.code == 1
    lines = ran.out.splitlines()
    places = [line.split(": ", 1)[0] for line in lines if line.startswith("six.yaml:")]
    assert places == [
        "six.yaml:2:3",
        "six.yaml:3:21",
        "six.yaml:6:32",
        "six.yaml:7:15",
        "six.yaml:8:13",
        "six.yaml:9:16",
    ]
    assert "six.yaml:8:13: unknown key `attemps`" in lines
    assert lines[lines.index("six.yaml:8:13: unknown key `attemps`") + 1] == "hint: did you mean `attempts`?"
    assert ran.err == "six.yaml: 6 mistakes\n"


def test_warnings_are_0_and_with_strict_1(run, policy):
    lenient, strict = run("check"), run("check", "--strict")
    told = "multimodel.yaml:6:26: warning: every target of `cheap` is operated by `alibaba` [single-operator]\nhint: "
    assert told in lenient.out
    assert (lenient.code, strict.code) == (0, 1)
    assert lenient.out == strict.out


def test_json_is_one_document_with_every_problem(run, folder):
    (folder / "six.yaml").write_text(SIX_MISTAKES, encoding="utf-8")
    ran = run("check", "six.yaml", "--json")
    document = json.loads(ran.out)
    assert ran.code == 1
    assert document["file"] == "six.yaml"
    assert len(document["problems"]) == 6
    assert document["problems"][4] == {
        "severity": "error",
        "message": "unknown key `attemps`",
        "hint": "did you mean `attempts`?",
        "file": "six.yaml",
        "line": 8,
        "column": 13,
        "path": ["routes", "chat", "retry", "attemps"],
        "code": "mistake",
    }


def test_sarif_has_every_problem_with_its_rule_and_place(run, policy, folder):
    document = json.loads(run("check", "--sarif").out)
    (ran,) = document["runs"]
    codes = [one["code"] for one in json.loads(run("check", "--json").out)["problems"]]
    assert [one["ruleId"] for one in ran["results"]] == codes
    assert {one["id"] for one in ran["tool"]["driver"]["rules"]} == set(codes)
    assert ran["results"][0] == {
        "ruleId": "single-operator",
        "level": "warning",
        "message": {
            "text": "every target of `cheap` is operated by `alibaba`; add a target of another operator, or local weights"
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "multimodel.yaml"},
                    "region": {"startLine": 6, "startColumn": 26},
                }
            }
        ],
    }
    assert run("check", "--sarif", "--json").code == 2


def test_the_file_wins_over_config(run, policy, folder):
    (folder / "six.yaml").write_text(SIX_MISTAKES, encoding="utf-8")
    assert run("--config", str(policy), "check", "six.yaml").code == 1


def test_weights_that_are_missing_are_told_once(run, folder):
    text = "routes:\n  a: {chain: [local:none, groq:x]}\n  b: {extends: a}\n"
    (folder / "multimodel.yaml").write_text(text, encoding="utf-8")
    ran = run("check")
    assert ran.code == 0
    assert ran.out.count("`local:none` is skipped: ") == 1
    assert "multimodel.yaml:2:15: warning: `local:none` is skipped: " in ran.out


def test_a_file_that_is_missing_is_an_error_of_the_command(run):
    ran = run("check", "missing.yaml")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: there is no policy file `missing.yaml`")


def test_a_switch_file_that_cannot_be_read_is_told(run, policy, folder):
    (folder / "multimodel.off.json").write_text("{", encoding="utf-8")
    ran = run("check")
    assert ran.code == 1
    assert "multimodel.off.json: the switch file cannot be read [switch-file-unreadable]\nhint: restore it" in ran.out


def test_a_log_of_switches_that_was_changed_is_an_error(run, policy, folder):
    run("off", "house", "--reason", "drill", "--yes")
    run("on", "house")
    assert run("check").code == 0
    log = folder / "multimodel.audit.jsonl"
    log.write_text(log.read_text(encoding="utf-8").replace("drill", "dr1ll"), encoding="utf-8")
    ran = run("check")
    assert ran.code == 1
    assert "multimodel.audit.jsonl:2: the line does not follow from the one before it" in ran.out
    assert "[audit-log-broken]" in ran.out


def test_a_switch_without_a_log_is_told(run, policy, folder):
    run("off", "house", "--reason", "drill", "--yes")
    assert "[audit-log-missing]" not in run("check").out
    (folder / "multimodel.audit.jsonl").unlink()
    policy.write_text(
        policy.read_text(encoding="utf-8") + "off: [{operator: alibaba, until: 2020-01-01}]\n", encoding="utf-8"
    )
    assert "there is no log `multimodel.audit.jsonl` of who did so [audit-log-missing]" in run("check").out


def test_a_user_who_may_not_write_the_switch_file_is_told(policy):
    with tempfile.TemporaryDirectory() as folder:
        text = policy.read_text(encoding="utf-8") + f"switch_file: {folder}/multimodel.off.json\n"
        policy.write_text(text, encoding="utf-8")
        Path(folder).chmod(0o555)
        with Client(policy) as client, nobody():
            told = [str(one) for one in files.problems(client._core)]
    assert told[0].startswith(f"{policy}:7:14: `{folder}` cannot be written by this user, who therefore can switch")


@contextmanager
def nobody():
    """Be somebody whom rights bind: root may write everywhere."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_no_key_is_ever_printed(run, policy):
    text = policy.read_text(encoding="utf-8").replace('"${TEST_KEY}", operator', "sk-canary-literal, operator")
    policy.write_text(text + "  wrong: 5\n", encoding="utf-8")
    for command in (["check"], ["check", "--json"], ["status"], ["status", "--json"]):
        ran = run(*command)
        assert "canary" not in ran.out + ran.err
    policy.write_text(text, encoding="utf-8")
    for command in (["check"], ["check", "--json"], ["status"], ["status", "--json"]):
        ran = run(*command)
        assert "canary" not in ran.out + ran.err


@pytest.mark.parametrize("command", [["check"], ["status"], ["explain", "chat"], ["providers"], ["schema"]])
def test_looking_opens_no_socket(run, policy, command):
    import socket

    def refuse(*_arguments, **_options):
        raise AssertionError("a socket was opened")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        assert run(*command).code == 0


def test_without_a_file_the_built_in_policy_is_checked(run, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    ran = run("check")
    assert ran.code == 0
    assert "warning: every target of `chat` is operated by `openai`" in ran.out
    assert ran.err.startswith("the built-in policy: no mistakes, 1 warning")


def test_without_a_file_a_key_or_weights_there_is_a_hint(run):
    ran = run("check")
    assert ran.code == 1
    assert ran.err.startswith("error: there is no policy, no key of a vendor and no local weights\nhint: ")


def test_the_schema_is_a_json_schema_of_the_policy(run):
    schema = json.loads(run("schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"providers", "routes", "off"} <= schema["properties"].keys()
