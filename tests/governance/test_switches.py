from __future__ import annotations

import json
import os
import signal
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

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


@pytest.mark.parametrize("content", ["{", '{"version": 99, "off": []}', '{"off": []}', "[]"])
def test_a_file_that_cannot_be_understood_keeps_the_last_state_and_is_told_once(tmp_path, content):
    file = tmp_path / "multimodel.off.json"
    told: list[Path] = []
    switches = Switches([], file, Wall(), on_unreadable=told.append)
    switches.throw(off(operator="alibaba"))
    file.write_text(content, encoding="utf-8")
    assert [switches.against(QWEN, None) is not None for _ in range(3)] == [True] * 3
    assert told == [file]
    file.write_text(content + " ", encoding="utf-8")
    assert switches.against(QWEN, None) is not None
    assert told == [file, file]


def test_a_file_that_was_unreadable_holds_again_once_it_can_be_read(tmp_path, monkeypatch):
    file = tmp_path / "multimodel.off.json"
    told: list[Path] = []
    theirs = Switches([], file, Wall(), on_unreadable=told.append)
    Switches([], file, Wall()).throw(off(operator="alibaba"))
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.open", refuse)
        assert theirs.against(QWEN, None) is None
    assert theirs.against(QWEN, None) is not None
    assert told == [file]


def test_a_file_whose_folder_may_not_be_searched_keeps_the_last_state_and_is_told_once(tmp_path, monkeypatch):
    file = tmp_path / "multimodel.off.json"
    told: list[Path] = []
    switches = Switches([], file, Wall(), on_unreadable=told.append)
    switches.throw(off(operator="alibaba"))
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.stat", refuse)
        assert [switches.against(QWEN, None) is not None for _ in range(2)] == [True, True]
    assert told == [file]


def refuse(file: Path, *_args: object, **_options: object) -> None:
    raise PermissionError(13, "Permission denied", str(file))


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir() if file.name != "policy.yaml"}


@pytest.mark.parametrize(
    ("of_policy", "of_switches", "of_log"),
    [(None, 0o644, 0o644), (0o644, 0o644, 0o644), (0o640, 0o640, 0o640), (0o400, 0o600, 0o600), (0o664, 0o644, 0o664)],
)
def test_what_is_written_can_be_read_by_those_who_read_the_policy_and_by_nobody_else(
    tmp_path, of_policy, of_switches, of_log
):
    policy = tmp_path / "policy.yaml"
    if of_policy is not None:
        policy.touch()
        policy.chmod(of_policy)
    before = os.umask(0o077)
    try:
        Switches([], tmp_path / "m.off.json", Wall(), policy=policy if of_policy else None).throw(off(operator="a"))
    finally:
        os.umask(before)
    assert modes(tmp_path) == {"m.off.json": of_switches, "m.off.json.lock": of_log, "m.audit.jsonl": of_log}


def test_a_lock_that_another_user_made_needs_no_right_to_write_it(tmp_path, monkeypatch):
    opened = os.open

    def open_as_another(file: object, flags: int, *mode: int, **options: int) -> int:
        if str(file).endswith(".lock") and flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, flags, *mode, **options)

    file = tmp_path / "m.off.json"
    switches = Switches([], file, Wall())
    switches.throw(off(operator="alibaba"))
    monkeypatch.setattr("os.open", open_as_another)
    switches.throw(off(provider="groq"))
    assert [entry.name for entry in switches.entries()] == ["alibaba", "groq"]


class _Late(Switches):
    """One thread's look at the file ends when the test says so."""

    def __init__(self, file: Path, now: Wall) -> None:
        self.read, self.go_on, self.slow = threading.Event(), threading.Event(), None
        super().__init__([], file, now)

    def _read(self, file):
        found = super()._read(file)
        if threading.current_thread() is self.slow:
            self.read.set()
            self.go_on.wait(10)
        return found


def test_a_thread_that_saw_the_file_before_a_switch_hides_it_from_no_other(tmp_path):
    file = tmp_path / "multimodel.off.json"
    operator = Switches([], file, Wall())
    operator.throw(off(operator="other"))

    class Now(Wall):
        def __call__(self) -> datetime:
            if threading.current_thread() is threading.main_thread():
                switches.go_on.set()
                switches.slow.join()
            return NOON

    switches = _Late(file, Now())
    operator.throw(off(operator="third"))
    switches.slow = threading.Thread(target=switches.entries)
    switches.slow.start()
    switches.read.wait(10)
    operator.throw(off(operator="alibaba"))
    assert switches.against(QWEN, None) is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_that_was_forked_during_a_switch_keeps_nobody_from_the_next(tmp_path):
    file = tmp_path / "multimodel.off.json"
    children: list[int] = []

    class Forks(Wall):
        def __call__(self) -> datetime:  # it is asked while the lock is held
            if not children:
                children.append(os.fork())
                if not children[0]:
                    time.sleep(30)
                    os._exit(0)
            return NOON

    Switches([], file, Forks()).throw(off(operator="alibaba"))
    try:
        waits = threading.Thread(target=Switches([], file, Wall()).throw, args=[off(operator="other")], daemon=True)
        waits.start()
        waits.join(5)
        assert not waits.is_alive()
    finally:
        os.kill(children[0], signal.SIGKILL)
        os.waitpid(children[0], 0)
