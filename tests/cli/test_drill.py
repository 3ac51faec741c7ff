from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from multimodel.testing import FaultyVendor, faults

POLICY = """\
providers:
  dashscope: {{protocol: native, base_url: "{gone}", api_key: "${{TEST_KEY}}"}}
  house: {{profile: openai, base_url: "{stays}", api_key: "${{TEST_KEY}}", operator: house}}
routes:
  chat: {{chain: [dashscope:qwen3.7-plus, house:gpt-5-mini]}}
  cheap: {{extends: chat, chain: [dashscope:qwen3.7-plus]}}
aliases: {{qwen-max: chat}}
"""


@pytest.fixture
def vendors(folder: Path):
    with FaultyVendor() as gone, FaultyVendor() as stays:
        text = POLICY.format(gone=gone.dashscope_url, stays=stays.openai_url)
        (folder / "multimodel.yaml").write_text(text, encoding="utf-8")
        yield gone, stays


def audit(folder: Path) -> list[dict]:
    text = (folder / "multimodel.audit.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_drill_makes_its_calls_writes_both_reports_and_is_in_the_audit_log(run, vendors, folder):
    ran = run("drill", "qwen-max", "--without", "alibaba", "--json", "r.json", "--html", "r.html")
    assert ran.code == 0, ran.err
    assert ran.out.endswith("passed: 10 of 10 calls answered while `alibaba` could not be reached\n")
    assert vendors[1].requests >= 10
    document = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    assert document["route"] == "chat"
    assert document["drill"]["answered_by"] == {"house:gpt-5-mini": 10}
    assert document["blocked"]["reached"] == 0
    assert document["sha256"] in (folder / "r.html").read_text(encoding="utf-8")
    assert f"sha256: {document['sha256']}\n" in ran.err
    (entry,) = audit(folder)
    assert {name: entry[name] for name in ("action", "route", "operator", "passed", "sha256")} == {
        "action": "drill",
        "route": "chat",
        "operator": "alibaba",
        "passed": True,
        "sha256": document["sha256"],
    }
    assert run("audit", "verify").code == 0


def test_verify_says_that_a_report_is_unchanged_and_that_the_audit_log_tells_of_it(run, vendors, folder):
    run("drill", "chat", "--without", "alibaba", "--calls", "1", "--json", "r.json", "--html", "r.html")
    for name in ("r.json", "r.html"):
        ran = run("drill", "verify", name)
        assert ran.code == 0
        assert ran.out.startswith("unchanged: `chat` on ")
        assert "multimodel.audit.jsonl tells of it, on " in ran.out
        assert "and its chain holds" in ran.out


def test_verify_fails_for_what_was_changed_and_for_what_was_made_anew(run, vendors, folder, monkeypatch):
    run("drill", "chat", "--without", "alibaba", "--calls", "1", "--json", "r.json")
    report = folder / "r.json"
    original = report.read_bytes()
    report.write_bytes(original.replace(b'"answered": 1', b'"answered": 2'))
    assert run("drill", "verify", "r.json").code == 1

    from multimodel.governance.digest import FIELD, canonical, digest

    forged = {**json.loads(original), "made_by": "somebody else"}
    report.write_bytes(canonical({**forged, FIELD: digest(forged)}))
    ran = run("drill", "verify", "r.json")
    assert ran.code == 1
    assert "does not tell of a drill with this hash\nhint: " in ran.err
    report.write_bytes(original)
    log = folder / "multimodel.audit.jsonl"
    log.write_bytes(b'{"action": "off", "previous": "0"}\n' + log.read_bytes())
    assert run("drill", "verify", "r.json").code == 1


def test_without_an_audit_log_verify_says_so(run, vendors, folder):
    run("drill", "chat", "--without", "alibaba", "--calls", "1", "--json", "r.json")
    (folder / "multimodel.audit.jsonl").unlink()
    ran = run("drill", "verify", "r.json")
    assert ran.code == 0
    assert "there is no audit log here to compare it with" in ran.err
    (folder / "multimodel.yaml").unlink()
    assert "there is no policy file here" in run("drill", "verify", "r.json").err


def test_a_drill_that_is_not_passed_exits_with_one_and_writes_its_reports_all_the_same(run, vendors, folder):
    vendors[1].fault = faults.refuse()
    ran = run("drill", "chat", "--without", "alibaba", "--calls", "2", "--json", "r.json")
    assert ran.code == 1
    assert "failed: 2 of 2 calls were not answered without `alibaba`" in ran.err
    assert json.loads((folder / "r.json").read_text(encoding="utf-8"))["verdict"]["passed"] is False
    assert audit(folder)[0]["passed"] is False
    assert run("drill", "chat", "--without", "alibaba", "--calls", "1", "--min-success", "0%").code == 0


def test_more_added_latency_than_allowed_is_not_passed(run, vendors):
    ran = run("drill", "chat", "--without", "alibaba", "--calls", "1", "--max-added-latency", "0ms")
    assert ran.code == 1
    assert "failed: the added latency at p95 is " in ran.err


def test_the_report_can_be_printed_alone(run, vendors):
    ran = run("drill", "chat", "--without", "alibaba", "--calls", "1", "--json")
    assert json.loads(ran.out)["drill"]["answered"] == 1
    assert "passed: 1 of 1 call answered" in ran.err


def test_it_says_first_what_it_would_do_and_asks_on_a_terminal(launch, vendors, folder, terminal):
    os.write(terminal[0], b"n\n")
    ran = launch("drill", "chat", "--without", "alibaba", stdin=terminal[1])
    assert ran.returncode == 1
    assert ran.stderr.startswith(
        "operator `alibaba`: `dashscope:qwen3.7-plus` cannot be reached; `house:gpt-5-mini` can\n"
    )
    assert "10 real calls on `chat` as it is, then as many without operator `alibaba`: " in ran.stderr
    assert ran.stderr.endswith("make these calls? [y/N] nothing was sent\n")
    assert vendors[0].requests == vendors[1].requests == 0
    ran = launch("drill", "chat", "--without", "alibaba", "--calls", "1", "--yes", stdin=terminal[1])
    assert ran.returncode == 0
    assert "[y/N]" not in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["chat"],
        ["chat", "r.json", "--without", "alibaba"],
        ["chat", "--without", "alibaba", "--calls", "0"],
        ["chat", "--without", "alibaba", "--concurrency", "0"],
        ["chat", "--without", "alibaba", "--json", "missing/r.json"],
        ["chat", "--without", "alibaba", "--html", "missing/r.html"],
        ["chat", "--without", "alibaba", "--html", "."],
        ["chat", "--without", "alibaba", "--max-added-latency", "5"],
        ["chat", "--without", "alibaba", "--min-success", "1"],
        ["chat", "--without", "alibaba", "--min-success", "101%"],
    ],
)
def test_what_makes_no_sense_is_misuse_and_sends_nothing(run, vendors, arguments):
    ran = run("drill", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert vendors[0].requests == vendors[1].requests == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cheap", "--without", "alibaba"], "without operator `alibaba` no target of route `cheap` can be asked"),
        (["cheap", "--without", "house"], "no target of route `cheap` is of operator `house`"),
        (["chat", "--without", "alibab"], "did you mean `alibaba`?"),
        (["chta", "--without", "alibaba"], "unknown route `chta`"),
        (["chat", "--without", "alibaba", "--prompts", "missing.jsonl"], "`missing.jsonl` cannot be read"),
        (["verify", "missing.json"], "`missing.json`"),
    ],
)
def test_what_cannot_be_drilled_is_told_with_its_cause_before_anything_is_sent(run, vendors, arguments, message):
    ran = run("drill", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert message in ran.err
    assert vendors[0].requests == vendors[1].requests == 0


def test_an_audit_log_that_cannot_be_written_does_not_lose_the_drill(run, vendors, folder):
    text = (folder / "multimodel.yaml").read_text(encoding="utf-8")
    (folder / "multimodel.yaml").write_text("switch_file: missing/off.json\n" + text, encoding="utf-8")
    ran = run("drill", "chat", "--without", "alibaba", "--calls", "1", "--json", "r.json")
    assert ran.code == 0
    assert "warning: the audit log cannot be written, so it does not tell of this drill" in ran.err
    assert (folder / "r.json").exists()


def test_prompts_of_ones_own_are_asked_and_not_kept(run, vendors, folder):
    (folder / "p.jsonl").write_text('{"messages": "the canary sings"}\n', encoding="utf-8")
    ran = run("drill", "chat", "--without", "alibaba", "--prompts", "p.jsonl", "--json", "r.json", "--html", "r.html")
    assert ran.code == 0
    assert vendors[1].log[0].text == "the canary sings"
    written = [(folder / name).read_text(encoding="utf-8") for name in ("r.json", "r.html", "multimodel.audit.jsonl")]
    for text in (*written, ran.out, ran.err):
        assert "canary" not in text
