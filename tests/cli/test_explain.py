"""The command `explain`: for a route, and for a recorded call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multimodel.testing import FaultyVendor, faults

POLICY = """\
providers: {{house: {{profile: openai, base_url: "{url}", api_key: sk-canary-1, operator: house}}}}
routes: {{chat: {{chain: [house:gpt-5-mini], retry: {{attempts: 1}}}}}}
"""


@pytest.fixture
def vendor(folder: Path):
    with FaultyVendor(answer="one two three") as vendor:
        (folder / "multimodel.yaml").write_text(POLICY.format(url=vendor.openai_url), encoding="utf-8")
        yield vendor


def test_a_route_is_explained_as_text_and_as_json(run, policy):
    ran = run("explain", "chat", "--needs", "vision,input=1000,output=100")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("route `chat`, at most 120 s\n  1. dashscope:qwen3.7-plus  asked")
    assert "if no answer begins" in ran.out
    told = json.loads(run("explain", "chat", "--json").out)
    assert [one["turn"]["begins"] for one in told["targets"]] == pytest.approx([0.0, 23.3], abs=0.01)
    assert told["silent"]["attempts"][1]["started"] == pytest.approx(10.0)
    assert told["cost"]["at_most"] is None


def test_what_complete_printed_is_explained(run, vendor, folder):
    printed = run("complete", "chat", "Count.", "--json").out
    (folder / "call.json").write_text(printed, encoding="utf-8")
    ran = run("explain", "--call", "call.json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("route `chat`: ok after ")
    assert "house:gpt-5-mini: the first that could be asked" in ran.out
    told = json.loads(run("explain", "--call", "call.json", "--json").out)
    assert told["report"] == json.loads(printed)["report"]
    assert told["steps"][0]["why"] == "the first that could be asked"


def test_a_failure_that_complete_printed_is_explained_from_standard_input(launch, vendor):
    vendor.fault = faults.status(503)
    printed = launch("complete", "chat", "Count.", "--json").stdout
    ran = launch("explain", "--call", "-", input=printed)
    assert ran.returncode == 0
    assert "overloaded" in ran.stdout
    assert "the caller got: no target of route `chat` answered" in ran.stdout


def test_a_record_needs_no_policy_and_cannot_command_the_terminal(run, folder):
    attempt = {"target": "a:\x1b[31mm", "outcome": "ok", "started": 0, "ended": 1}
    (folder / "call.json").write_text(json.dumps({"attempts": [attempt]}), encoding="utf-8")
    ran = run("explain", "--call", "call.json")
    assert ran.code == 0
    assert "\x1b" not in ran.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: one route or one recorded call can be explained\nhint: write ROUTE, or `--call FILE`\n"),
        (["chat", "--call", "x"], "error: one route or one recorded call can be explained\n"),
        (["--call", "x", "--needs", "tools"], "error: a recorded call needs nothing any more\n"),
    ],
)
def test_one_of_both_is_explained(run, arguments: list[str], message: str):
    ran = run("explain", *arguments)
    assert ran.code == 2
    assert ran.err.startswith(message)


def test_a_file_that_is_no_record_fails_with_its_name_and_a_hint(run, folder):
    (folder / "call.json").write_text("{}", encoding="utf-8")
    ran = run("explain", "--call", "call.json")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(
        "error: `call.json`: there is no report in it\nhint: hand in what `multimodel complete --json`"
    )
    assert run("explain", "--call", "missing.json").code == 1
