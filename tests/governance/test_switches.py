from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from multimodel.config import OffEntry
from multimodel.errors import ConfigurationError
from multimodel.governance.switches import Switches
from multimodel.types import Target

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
QWEN = Target("dashscope", "qwen-plus", "alibaba", "alibaba")
HOSTED = Target("groq", "qwen3-32b", "groq", "alibaba")


class Wall:
    now = NOON

    def __call__(self) -> datetime:
        return self.now


def off(**entry: object) -> OffEntry:
    return OffEntry.model_validate({"reason": "drill", **entry})


def test_an_operator_that_is_off_leaves_its_weights_elsewhere_on():
    switches = Switches([off(operator="alibaba")], None, Wall())
    assert switches.against(QWEN, "CN").name == "alibaba"
    assert switches.against(HOSTED, "US") is None


def test_an_author_that_is_off_is_off_wherever_the_weights_run():
    switches = Switches([off(author="alibaba")], None, Wall())
    assert switches.against(QWEN, "CN") is not None
    assert switches.against(HOSTED, "US") is not None


def test_a_jurisdiction_that_is_off_leaves_the_unknown_on():
    switches = Switches([off(jurisdiction="CN")], None, Wall())
    assert switches.against(QWEN, "CN") is not None
    assert switches.against(QWEN, None) is None


def test_a_change_holds_in_every_process_that_reads_the_file(tmp_path):
    file = tmp_path / "multimodel.off.json"
    ours, theirs = Switches([], file, Wall()), Switches([], file, Wall())
    assert theirs.against(QWEN, None) is None
    ours.throw(off(operator="alibaba"))
    assert theirs.against(QWEN, None).reason == "drill"
    ours.lift([("operator", "alibaba")], by="me")
    assert theirs.against(QWEN, None) is None


def test_an_entry_ends_by_itself(tmp_path):
    wall = Wall()
    switches = Switches([], tmp_path / "s.off.json", wall)
    switches.throw(off(operator="alibaba", until=NOON + timedelta(hours=2)))
    assert switches.against(QWEN, None) is not None
    wall.now = NOON + timedelta(hours=2)
    assert switches.against(QWEN, None) is None
    assert switches.entries() == ()


def test_two_writers_lose_no_entry(tmp_path):
    file = tmp_path / "multimodel.off.json"
    ours, theirs = Switches([], file, Wall()), Switches([], file, Wall())
    ours.throw(off(operator="alibaba"))
    theirs.throw(off(provider="groq"))
    assert [entry.name for entry in Switches([], file, Wall()).entries()] == ["alibaba", "groq"]


def test_the_same_name_again_replaces_the_entry(tmp_path):
    switches = Switches([], tmp_path / "m.off.json", Wall())
    switches.throw(off(operator="alibaba"))
    switches.throw(off(operator="alibaba", reason="for good"))
    assert [entry.reason for entry in switches.entries()] == ["for good"]


def test_a_broken_file_leaves_the_last_state_in_force(tmp_path):
    file = tmp_path / "multimodel.off.json"
    switches = Switches([], file, Wall())
    switches.throw(off(operator="alibaba"))
    file.write_text("{", encoding="utf-8")
    assert switches.against(QWEN, None) is not None


def test_a_broken_file_is_refused_at_the_start(tmp_path):
    file = tmp_path / "multimodel.off.json"
    file.write_text('{"off": 3}', encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"multimodel\.off\.json"):
        Switches([], file, Wall())


def test_every_change_is_appended_to_the_audit_log(tmp_path):
    file = tmp_path / "multimodel.off.json"
    switches = Switches([], file, Wall())
    switches.throw(off(operator="alibaba", by="ann"))
    switches.lift([("operator", "alibaba")], by="bob")
    lines = (tmp_path / "multimodel.audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert [(json.loads(line)["action"], json.loads(line)["by"]) for line in lines] == [("off", "ann"), ("on", "bob")]


def test_the_file_holds_one_state_or_the_other_at_every_moment(tmp_path, monkeypatch):
    file = tmp_path / "multimodel.off.json"
    switches = Switches([], file, Wall())
    switches.throw(off(operator="alibaba"))
    before = file.read_bytes()

    def crash(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", crash)
    with pytest.raises(KeyboardInterrupt):
        switches.throw(off(provider="groq"))
    assert file.read_bytes() == before
