from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from hashlib import sha256
from random import Random

import pytest

from multimodel import Client
from multimodel.config import OffEntry
from multimodel.errors import ConfigurationError
from multimodel.governance.audit import AuditLog
from multimodel.governance.switches import Switches


@pytest.fixture
def log(tmp_path) -> AuditLog:
    """A log of six changes."""
    switches = Switches([], tmp_path / "multimodel.off.json", lambda: datetime.now(UTC))
    for number in range(3):
        switches.throw(OffEntry.model_validate({"operator": f"vendor-{number}", "reason": "Prüfung", "by": "ann"}))
        switches.lift([("operator", f"vendor-{number}")], by="bob")
    return switches.audit


def lines(log: AuditLog) -> list[bytes]:
    return log.file.read_bytes().splitlines(keepends=True)


def test_a_log_that_nobody_touched_is_whole(log):
    found = log.verify()
    assert (found.entries, found.unfinished) == (6, ())
    assert found.head == log.head() == sha256(lines(log)[-1].rstrip(b"\n")).hexdigest()


def test_what_is_no_switch_is_witnessed_in_the_same_chain_and_found_again(log):
    with log.file.open("ab") as opened:
        opened.write(b'{"action": "dri')  # a crash
    switches = Switches([], log.file.with_name("multimodel.off.json"), lambda: datetime.now(UTC))
    switches.witness("drill", route="chat", sha256="0" * 64)
    assert log.find(action="drill", sha256="0" * 64)["route"] == "chat"
    assert log.find(action="drill", sha256="1" * 64) is None
    assert (log.verify().entries, switches.entries()) == (7, ())
    with pytest.raises(ConfigurationError, match="there is no audit log"):
        Switches([], None, lambda: datetime.now(UTC)).witness("drill")


@pytest.mark.parametrize("number", range(5))
def test_a_changed_line_shows_at_the_next(log, number):
    kept = lines(log)
    kept[number] = kept[number].replace(b"ann", b"eve").replace(b"bob", b"eve")
    log.file.write_bytes(b"".join(kept))
    with pytest.raises(ConfigurationError, match=rf"audit\.jsonl:{number + 2}: the line does not follow"):
        log.verify()


@pytest.mark.parametrize("number", range(5))
def test_a_line_that_was_removed_shows(log, number):
    kept = lines(log)
    del kept[number]
    log.file.write_bytes(b"".join(kept))
    with pytest.raises(ConfigurationError, match=rf"audit\.jsonl:{number + 1}: "):
        log.verify()


def test_lines_that_changed_places_or_were_put_in_show(log):
    kept = lines(log)
    for changed in (
        [kept[1], kept[0], *kept[2:]],
        [*kept[:3], kept[2], *kept[3:]],
        [*kept, kept[0]],
        [b"{}\n", *kept],
        [*kept, b"\n"],
        [*kept, b"no entry\n"],
        [*kept[:3], b"\n", *kept[3:]],
    ):
        log.file.write_bytes(b"".join(changed))
        with pytest.raises(ConfigurationError, match=r"audit\.jsonl:\d"):
            log.verify()


def test_what_was_cut_off_at_the_end_shows_beside_a_head_that_was_kept(log):
    kept, head = lines(log), log.head()
    log.verify(head)
    log.file.write_bytes(b"".join(kept[:-1]))
    assert log.verify().entries == 5
    with pytest.raises(ConfigurationError, match="cut off or written anew"):
        log.verify(head)


def test_a_log_that_grew_still_has_the_head_that_was_kept(log):
    head = log.head()
    log.append({"action": "off"})
    log.verify(head)


@pytest.mark.parametrize("left", [1, 40, -1])
def test_a_line_that_a_crash_left_unfinished_stays_and_the_chain_goes_on(log, left):
    *kept, last = lines(log)
    log.file.write_bytes(b"".join(kept) + last[:left])
    assert log.verify().entries + len(log.verify().unfinished) == 6
    log.append({"action": "off"})
    found = log.verify()
    assert found.unfinished == ((6,) if left > 0 else ())
    assert found.entries == (6 if left > 0 else 7)


def test_long_lines_are_chained_too(log):
    for size in (4090, 4096, 20_000):
        log.append({"reason": "x" * size})
    assert log.verify().entries == 9


@pytest.mark.parametrize("content", ["routes: {}", "[]", "routes:\n  chat: {}", "\0"])
def test_another_file_is_no_log_that_a_crash_cut_off(tmp_path, content):
    (tmp_path / "other").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="other:1: the line is no entry of an audit log"):
        AuditLog(tmp_path / "other").verify()


def test_a_log_that_is_not_there_is_told(tmp_path):
    log = AuditLog(tmp_path / "none.audit.jsonl")
    assert log.head() is None
    with pytest.raises(ConfigurationError, match=r"there is no audit log .*none\.audit\.jsonl"):
        log.verify()


def test_status_says_the_head(tmp_path):
    policy = tmp_path / "multimodel.yaml"
    policy.write_text(
        "providers: {a: {profile: openai, base_url: 'http://127.0.0.1:9', api_key: k, operator: house}}\n"
        "routes: {chat: {chain: [a:m]}}\n",
        encoding="utf-8",
    )
    with Client(policy) as client:
        assert client.status().audit_head is None
        client.off("a", reason="drill")
        assert client.status().audit_head == client._core.switches.audit.verify().head


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from multimodel.config import OffEntry
from multimodel.governance.switches import Switches

switches = Switches([], Path(sys.argv[1]), lambda: datetime.now(UTC))
entry = OffEntry.model_validate({"operator": "alibaba", "reason": "drill " * 50})
print("ready", flush=True)
while True:
    switches.throw(entry)
    switches.lift([("operator", "alibaba")], by="me")
"""


def test_writers_killed_at_any_moment_leave_one_state_or_the_other_and_a_chain_that_holds(tmp_path):
    file, chance, states = tmp_path / "m.off.json", Random(6), set()
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout.readline() == "ready\n"
            time.sleep(chance.random() * 0.1)
            os.kill(writer.pid, signal.SIGKILL)
        if file.exists():
            states.add(tuple(entry["operator"] for entry in json.loads(file.read_text(encoding="utf-8"))["off"]))
        Switches([], file, lambda: datetime.now(UTC)).entries()
    assert states <= {(), ("alibaba",)}
    log = Switches([], file, lambda: datetime.now(UTC)).audit
    assert log.verify().entries > 0
