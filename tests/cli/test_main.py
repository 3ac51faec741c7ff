from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

import multimodel
from multimodel.cli import main

LIST_LOADED = """
import sys
from multimodel.cli import main
code = main({arguments!r})
print(*sorted({{name.partition('.')[0] for name in sys.modules}}), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["off", "--help"], ["archive", "add", "--help"], ["nonsense"], ["archive"]]
)
def test_help_version_and_misuse_load_no_third_party_module(arguments):
    ran = subprocess.run(
        [sys.executable, "-c", LIST_LOADED.format(arguments=arguments)], check=False, capture_output=True, text=True
    )
    loaded = set(ran.stderr.splitlines()[-1].split())
    assert loaded.isdisjoint({"pydantic", "pydantic_core", "httpx2", "yaml", "tenacity", "structlog", "rich", "socket"})
    assert "multimodel" in loaded


def test_the_version_is_printed(run):
    ran = run("--version")
    assert (ran.code, ran.out) == (0, f"multimodel {multimodel.__version__}\n")


def test_help_names_every_command(run):
    shown = run("--help").out
    assert re.findall(r"^    ([a-z]+) ", shown, re.MULTILINE) == [
        *("init", "check", "schema", "complete", "explain", "simulate", "status", "off", "on"),
        *("audit", "risk", "archive", "drill", "providers"),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["off", "alibaba"],
        ["complete"],
        ["check", "--stric"],
        ["complete", "a", "b", "--max-tokens", "few"],
    ],
)
def test_misuse_is_2_and_told_on_standard_error(run, arguments):
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert "usage: multimodel" in ran.err


def test_python_m_runs_the_same(launch, policy):
    ran = launch("explain", "chat")
    assert ran.returncode == 0
    assert ran.stdout.startswith("route `chat`")


def test_the_policy_may_be_named_before_or_behind_the_command(run, policy, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert run("--config", str(policy), "explain", "chat").code == 0
    assert run("explain", "chat", "--config", str(policy)).code == 0
    monkeypatch.setenv("MULTIMODEL_CONFIG", str(policy))
    assert run("explain", "chat").code == 0


@pytest.mark.parametrize(
    "arguments", ["--config {} archive list", "archive --config {} list", "archive list --config {}"]
)
def test_a_command_of_a_group_takes_the_policy_anywhere(run, policy, put_weights, arguments):
    policy.write_text("providers: {local: {archive: kept}}\nroutes: {chat: {chain: [local:tiny]}}\n", encoding="utf-8")
    put_weights(policy.parent / "kept" / "tiny")
    assert "tiny" in run(*arguments.format(policy).split()).out


@pytest.mark.parametrize(
    "arguments",
    [
        "drill chat --without alibaba --html {}",
        "drill chat --without alibaba --json {}",
        "risk --html {}",
        "simulate --outage alibaba:1m --svg {}",
    ],
)
@pytest.mark.parametrize("file", ["missing/report", "folder"])
def test_a_file_that_cannot_be_written_is_told_before_anything_is_done(run, policy, folder, arguments, file):
    (folder / "folder").mkdir()
    ran = run(*arguments.format(file).split())
    assert (ran.code, ran.out) == (2, "")
    assert f"`{file}` cannot be written\nhint: name a file in a folder that exists\n" in ran.err
    assert len(ran.err.splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("drill verify", "there is no report to verify\nhint: write its file behind `verify`"),
        *(
            (
                f"explain chat --needs {need}",
                f"`{need}` is nothing that a call can need\nhint: write tokens as in `input=2000`",
            )
            for need in ("input=many", f"output={'9' * 5000}")
        ),
    ],
)
def test_a_hint_says_what_to_write(run, policy, arguments, told):
    assert run(*arguments.split()).err == f"error: {told}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "explain {}",
        "explain --call {}",
        "off {} --reason x",
        "risk --ledger {}",
        "audit verify {}",
        "drill verify {}",
        "drill chat --without {}",
        "archive add {}",
        "simulate --outage {}",
    ],
)
def test_a_name_that_is_told_commands_no_terminal(run, policy, arguments):
    ran = run(*arguments.format("\x1b[2Jx").split())
    assert ran.code in {1, 2}
    assert "�[2Jx" in ran.err
    assert "\x1b" not in ran.err + ran.out


def test_before_the_first_switch_there_is_no_log_to_verify(run, policy):
    ran = run("audit", "verify")
    assert ran.code == 1
    assert ran.err.startswith("error: there is no audit log ")
    assert "hint: it begins with the first switch" in ran.err


@pytest.mark.parametrize("arguments", [["--config", "", "status"], ["check", ""], ["simulate", ""]])
def test_a_policy_without_a_name_is_not_the_one_that_lies_here(run, policy, arguments):
    """As where a script's variable is empty: `off` would switch in the wrong file."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: the name of the policy file is empty\nhint: leave it out, or name a file\n"


def test_config_wins_over_the_environment(run, policy, monkeypatch):
    monkeypatch.setenv("MULTIMODEL_CONFIG", "missing.yaml")
    assert run("--config", str(policy), "explain", "chat").code == 0


def test_an_error_is_one_line_and_a_hint_never_a_traceback(run, policy):
    ran = run("explain", "chta")
    assert (ran.code, ran.out, ran.err) == (1, "", "error: unknown route `chta`\nhint: did you mean `chat`?\n")


def test_a_policy_that_is_missing_is_an_error(run):
    ran = run("--config", "missing.yaml", "status")
    assert ran.code == 1
    hint = "write one with `multimodel init`, or name one that is there"
    assert ran.err == f"error: there is no policy file `missing.yaml`\nhint: {hint}\n"


def test_all_mistakes_of_a_policy_are_told_by_every_command(run, policy):
    policy.write_text("routes:\n  chat: {chian: []}\n  other: {chain: [nobody:x], deadline: 5}\n", encoding="utf-8")
    ran = run("status")
    assert ran.code == 1
    assert ran.err.startswith("error: 3 mistakes in multimodel.yaml\nmultimodel.yaml:2:")
    assert "multimodel.yaml:3:40: `5` has no unit\nhint: write `5s`" in ran.err


def test_a_bug_shows_its_traceback(policy, monkeypatch):
    def broken(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("multimodel.cli.explaining.explain", broken)
    with pytest.raises(ZeroDivisionError):
        main(["explain", "chat"])


def test_output_to_a_reader_that_has_gone_ends_quietly():
    code = "import sys; from multimodel.cli import main; sys.stdin.readline(); sys.exit(main(['schema']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    process.stdin.write("\n")
    process.stdin.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141
    process.stderr.close()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("arguments", "code"), [("check --json", 0), ("off openai --reason x --force", 0), ("explain x", 1)]
)
def test_streams_that_are_closed_change_nothing_else(policy, closed, arguments, code):
    command = f'"$0" -m multimodel {arguments} {closed}'
    ran = subprocess.run(["sh", "-c", command, sys.executable], check=False, capture_output=True, text=True)
    assert ran.returncode == code
    assert "Traceback" not in ran.stderr
    assert "mistake" not in ran.stdout  # that is no data


def test_names_that_the_output_cannot_spell_are_no_error(launch, policy):
    text = policy.read_text(encoding="utf-8").replace("routes:", "off: [{operator: openai, reason: 审查}]\nroutes:")
    policy.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = launch("status", env=environment)
    assert shown.returncode == 0
    assert "??" in shown.stdout
    assert json.loads(launch("status", "--json", env=environment).stdout)["off"][0]["reason"] == "审查"
