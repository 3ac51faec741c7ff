from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from multimodel.testing import FaultyVendor, Reply, faults

COMMAND = [sys.executable, "-m", "multimodel", "complete", "chat"]


@pytest.fixture
def vendor(folder):
    """A vendor on loopback, and a policy with a route to it."""
    with FaultyVendor() as vendor:
        vendor.answer = "One, two, three."
        house = f'{{profile: openai, base_url: "{vendor.openai_url}", api_key: sk-test, operator: house}}'
        text = f"providers: {{house: {house}}}\nroutes: {{chat: {{chain: [house:gpt-5-mini]}}}}\n"
        (folder / "multimodel.yaml").write_text(text, encoding="utf-8")
        yield vendor


def type_in(monkeypatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_the_answer_is_all_that_standard_output_gets(run, vendor):
    ran = run("complete", "chat", "Count.")
    assert (ran.code, ran.out, ran.err) == (0, "One, two, three.\n", "")
    assert vendor.log[0].stream


def test_system_text_and_options_reach_the_vendor(run, vendor):
    run("complete", "chat", "Count.", "--system", "Be brief.", "--max-tokens", "7", "--temperature", "0.5")
    body = vendor.log[0].body
    assert [(message["role"], message["content"]) for message in body["messages"]] == [
        ("system", "Be brief."),
        ("user", "Count."),
    ]
    assert body["temperature"] == 0.5
    assert 7 in body.values()


@pytest.mark.parametrize("prompt", [["-"], []])
def test_the_prompt_may_come_from_standard_input(run, vendor, monkeypatch, prompt):
    type_in(monkeypatch, "Zähl.".encode())
    assert run("complete", "chat", *prompt).code == 0
    assert vendor.log[0].text == "Zähl."


@pytest.mark.parametrize("data", [b"", b" \n", b"\xff\xfe"])
def test_a_prompt_that_is_empty_or_no_utf8_is_misuse(run, vendor, monkeypatch, data):
    type_in(monkeypatch, data)
    assert run("complete", "chat").code == 2
    assert vendor.log == []


def test_no_prompt_on_a_terminal_is_misuse(launch, vendor, terminal):
    ran = launch("complete", "chat", stdin=terminal[1])
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: there is no prompt\nhint: ")


def test_no_stream_restarts_a_cut_answer_unseen(run, vendor):
    vendor.script([faults.cut(after=2)])
    ran = run("complete", "chat", "Count.", "--no-stream")
    assert (ran.code, ran.out) == (0, "One, two, three.\n")
    assert len(vendor.log) == 2


def test_a_stream_that_is_cut_fails_after_what_came(run, vendor):
    vendor.fault = faults.cut(after=3)
    ran = run("complete", "chat", "Count.")
    assert ran.code == 1
    assert "One, two, three.".startswith(ran.out.rstrip("\n"))
    assert ran.out.endswith("\n")
    assert ran.err.startswith("error: the stream broke")


def test_json_is_one_document_of_the_completion(run, vendor):
    document = json.loads(run("complete", "chat", "Count.", "--json").out)
    assert document["text"] == "One, two, three."
    assert document["finish_reason"] == "stop"
    assert document["target"]["provider"] == "house"
    assert [attempt["outcome"] for attempt in document["report"]["attempts"]] == ["ok"]


def test_json_of_a_failure_has_the_facts_of_the_error(run, vendor):
    vendor.fault = faults.arrearage()
    ran = run("complete", "chat", "Count.", "--json")
    assert ran.code == 1
    assert ran.err.startswith("error: no target of route `chat` answered")
    error = json.loads(ran.out)["error"]
    assert (error["class"], error["kind"]) == ("AllTargetsFailedError", "all_targets_failed")
    assert error["message"].startswith("no target of route `chat` answered")
    assert {"target", "status", "code", "retry_after"} <= error.keys()
    assert error["report"]["attempts"][0]["target"]["provider"] == "house"


def test_json_of_a_mistake_of_the_caller_is_an_error_too(run, vendor):
    ran = run("complete", "chta", "Count.", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["error"] == {
        "class": "ConfigurationError",
        "message": "unknown route `chta`",
        "hint": "did you mean `chat`?",
    }


@pytest.mark.parametrize(
    "words",
    [
        ["chat", "--no-stream", "Count."],
        ["--no-stream", "chat", "Count."],
        ["chat", "Count.", "--no-stream"],
        ["chat", "--no-stream", "--", "Count."],
        ["--system", "Be brief.", "chat", "--max-tokens", "7", "Count.", "--report"],
    ],
)
def test_options_may_stand_anywhere(run, vendor, words):
    assert run("complete", *words).code == 0
    assert vendor.log[0].text == "Count."


@pytest.mark.parametrize("command", [["complete", "chat", "Count."], ["schema"]])
def test_an_output_that_is_full_is_an_error_and_no_traceback(launch, vendor, command):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ran = launch(*command, stdout=full)
    assert ran.returncode == 1
    assert ran.stderr == "error: the output cannot be written: No space left on device\n"


def test_the_report_goes_to_standard_error(run, vendor):
    ran = run("complete", "chat", "Count.", "--report")
    assert ran.out == "One, two, three.\n"
    lines = ran.err.splitlines()
    assert lines[0].startswith("route `chat`: ok after ")
    assert lines[1].split()[:3] == ["attempt", "target", "why"]
    assert lines[2].split()[:4] == ["1", "house:gpt-5-mini", "first", "ok"]


def test_a_failed_call_has_a_report_too_with_the_vendors_own_words(run, vendor):
    vendor.fault = faults.status(400, message="the vendor's own words")
    ran = run("complete", "chat", "Count.", "--report")
    assert ran.code == 1
    assert "bad_request" in ran.err
    assert "house:gpt-5-mini says: " in ran.err
    assert "the vendor's own words" not in run("complete", "chat", "Count.").err


def test_what_is_off_is_not_asked_and_the_report_says_so(run, vendor):
    run("off", "house", "--force", "--reason", "drill")
    ran = run("complete", "chat", "Count.", "--report")
    assert ran.code == 1
    assert "not asked: house:gpt-5-mini, off: operator house: drill" in ran.err
    assert vendor.log == []


def test_an_answer_that_a_limit_cut_is_marked(run, vendor):
    vendor.answer = Reply("One, two", finish_reason="length")
    ran = run("complete", "chat", "Count.")
    assert (ran.code, ran.out, ran.err) == (0, "One, two\n", "warning: a limit of tokens cut the answer\n")


def test_text_comes_piece_by_piece_and_ctrl_c_ends_it_with_130(vendor):
    vendor.pace = 0.1
    vendor.answer = "first then the rest " + "word " * 1000
    process = subprocess.Popen(
        [*COMMAND, "Count."],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # a background shell leaves it ignored
    )
    assert os.read(process.stdout.fileno(), 1000)[:5] == b"first"
    assert vendor.log[0].outcome == "pending"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert vendor.wait_until(lambda: vendor.log[0].outcome == "client_closed", seconds=5)


def test_a_reader_that_goes_away_ends_the_stream_quietly(vendor):
    vendor.pace = 0.02
    vendor.answer = "word " * 1000
    process = subprocess.Popen([*COMMAND, "Count."], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert os.read(process.stdout.fileno(), 4)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    assert vendor.wait_until(lambda: vendor.log[0].outcome == "client_closed", seconds=5)
    process.stderr.close()


def test_a_model_cannot_command_the_terminal_but_a_file_gets_its_text(launch, vendor, terminal):
    vendor.answer = "red: \x1b[31m!"
    users, end = terminal
    assert launch("complete", "chat", "Count.", stdout=end).returncode == 0
    shown = os.read(users, 1000).decode()
    assert "red: �[31m!" in shown
    assert "\x1b" not in shown
    assert "\x1b[31m" in launch("complete", "chat", "Count.").stdout


def test_explain_tells_who_would_be_asked(run, vendor):
    ran = run("explain", "chat", "--needs", "vision, tools")
    assert ran.code == 0
    assert "1. house:gpt-5-mini  asked" in ran.out
    assert json.loads(run("explain", "chat", "--json").out)["targets"][0]["reason"] is None


def test_a_need_that_does_not_exist_is_misuse(run, vendor):
    ran = run("explain", "chat", "--needs", "visio")
    assert (ran.code, ran.err) == (2, "error: `visio` is nothing that a call can need\nhint: did you mean `vision`?\n")
