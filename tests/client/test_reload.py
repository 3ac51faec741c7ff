"""A policy that changes while its client is in use: what is taken, and what is not."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from multimodel import (
    AllTargetsFailedError,
    Client,
    ConfigurationError,
)
from multimodel.cli import main
from multimodel.governance.ledger import read_ledger
from multimodel.testing import FaultyVendor, faults

from .changing import look, look_twice, text, told


@pytest.fixture
def vendors() -> Iterator[tuple[FaultyVendor, FaultyVendor]]:
    with FaultyVendor(answer="from the first") as first, FaultyVendor(answer="from the second") as second:
        yield first, second


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "multimodel.yaml"


# --- what is taken ---


def test_a_changed_file_is_in_force_from_a_later_call_on(vendors, file, colour):
    file.write_text(text(vendors, "first:m"))
    client = colour.open(file)
    assert colour.ask(client).text == "from the first"
    file.write_text(text(vendors, "second:m"))
    look_twice(client)
    assert colour.ask(client).text == "from the second"
    assert colour.stream(client).text == "from the second"


def test_a_file_that_has_been_as_it_is_for_a_while_is_taken_at_the_first_look(vendors, file, monkeypatch):
    file.write_text(text(vendors, "first:m"))
    with Client(file) as client:
        file.write_text(text(vendors, "second:m"))
        clock = client._core.reloading._watch._clock
        monkeypatch.setattr(client._core.reloading._watch, "_clock", lambda: clock() + 1)
        look(client)
        assert client.complete("chat", "Hi").text == "from the second"


def test_a_call_looks_once_a_second_at_the_most(vendors, file, monkeypatch):
    file.write_text(text(vendors))
    with Client(file) as client:
        looks: list[int] = []
        watch = client._core.reloading._watch
        monkeypatch.setattr(watch, "look", lambda: looks.append(1) or "same")
        client._core.reloading._look_at = 0.0
        for _ in range(10):
            client.complete("chat", "Hi")
        assert len(looks) == 1


def test_a_file_that_is_still_being_written_is_left_alone(vendors, file):
    file.write_text(text(vendors, "first:m"))
    with Client(file) as client:
        for half in ("routes:", "routes:\n  chat:", text(vendors, "second:m")):
            file.write_text(half)
            look(client)
            assert client.status().reload_error is None
            assert client.complete("chat", "Hi").text == "from the first"
        look(client)
        assert client.complete("chat", "Hi").text == "from the second"


def test_a_file_that_is_touched_or_replaced_by_its_like_has_not_changed(vendors, file, caplog):
    file.write_text(text(vendors))
    with caplog.at_level(logging.INFO, "multimodel"), Client(file) as client:
        held = client._core.current()
        file.touch()
        look_twice(client)
        beside = file.with_suffix(".new")
        beside.write_text(text(vendors))
        beside.replace(file)
        look_twice(client)
        assert client._core.current() is held
        assert told(caplog, "reloaded") == []


def test_a_link_that_leads_elsewhere_is_a_change(vendors, tmp_path):
    for number, chain in enumerate(("first:m", "second:m")):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "multimodel.yaml").write_text(text(vendors, chain))
    data, file = tmp_path / "..data", tmp_path / "multimodel.yaml"
    data.symlink_to("..0")
    file.symlink_to("..data/multimodel.yaml")
    with Client(file) as client:
        look_twice(client)
        assert client.complete("chat", "Hi").text == "from the first"
        (tmp_path / "..new").symlink_to("..1")  # as the mounts of Kubernetes change
        (tmp_path / "..new").replace(data)
        look_twice(client)
        assert client.complete("chat", "Hi").text == "from the second"


def test_a_prompt_that_changed_is_a_change_of_the_policy(vendors, file):
    prompt = file.with_name("house.txt")
    prompt.write_text("Be brief.")
    file.write_text(text(vendors, "first:m", more=", prompts: {first: house.txt}"))
    with Client(file) as client:
        before = client.status().policy_hash
        prompt.write_text("Be kind.")
        look_twice(client)
        client.complete("chat", "Hi")
        assert vendors[0].log[-1].body["messages"][0]["content"] == "Be kind."
        assert client.status().policy_hash != before


def test_a_prompt_may_follow_its_policy(vendors, file):
    file.write_text(text(vendors, "first:m"))
    with Client(file) as client:
        file.write_text(text(vendors, "first:m", more=", prompts: {first: house.txt}"))
        look_twice(client)
        assert "house.txt" in str(client.status().reload_error)
        file.with_name("house.txt").write_text("Be brief.")
        look(client)
        assert client.status().reload_error is not None, "it is tried again, but not at every look"
        client._core.reloading._retry_at = 0.0
        look(client)
        assert client.status().reload_error is None
        client.complete("chat", "Hi")
        assert vendors[0].log[-1].body["messages"][0]["content"] == "Be brief."


def test_a_file_named_by_the_environment_is_looked_at_wherever_the_process_goes(vendors, file, monkeypatch):
    file.write_text(text(vendors, "first:m"))
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("MULTIMODEL_CONFIG", file.name)
    with Client() as client:
        monkeypatch.chdir("/")
        monkeypatch.delenv("MULTIMODEL_CONFIG")
        file.write_text(text(vendors, "second:m"))
        look_twice(client)
        assert client.complete("chat", "Hi").text == "from the second"


def test_who_wants_to_decide_when_switches_it_off(vendors, file, colour):
    file.write_text(text(vendors, "first:m"))
    client = colour.open(file, reload=False)
    file.write_text(text(vendors, "second:m"))
    look_twice(client)
    assert colour.ask(client).text == "from the first"
    client.reload()
    assert colour.ask(client).text == "from the second"


def test_a_policy_made_in_python_is_read_again_when_asked(colour, monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-old")
    policy = {
        "providers": {"house": {"profile": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "${A_KEY}"}},
        "routes": {"chat": {"chain": ["house:m"]}},
    }
    client = colour.open(policy)
    monkeypatch.setenv("A_KEY", "sk-new")
    look_twice(client)
    assert client._core.accounts["house"].setup.key.reveal() == "sk-old"
    policy["routes"]["more"] = {"chain": ["house:other"]}
    client.reload()
    assert client._core.accounts["house"].setup.key.reveal() == "sk-new"
    assert sorted(client.status().routes) == ["chat", "more"]


def test_keys_and_the_environment_are_read_when_the_policy_is_and_never_else(vendors, file, monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-old")
    file.write_text(text(vendors, "first:m", keys="${A_KEY}"))
    with Client(file) as client:
        client.complete("chat", "Hi")
        monkeypatch.setenv("A_KEY", "sk-new")
        file.touch()
        look_twice(client)
        client.complete("chat", "Hi")
        client.reload()
        client.complete("chat", "Hi")
        sent = [request.headers["authorization"] for request in vendors[0].log]
        assert sent == ["Bearer sk-old", "Bearer sk-old", "Bearer sk-new"]


def test_a_pipe_is_read_once(vendors, tmp_path):
    pipe = tmp_path / "policy"
    os.mkfifo(pipe)
    threading.Thread(target=lambda: pipe.write_text(text(vendors, "first:m"))).start()
    with Client(pipe) as client:
        look_twice(client)
        assert client.complete("chat", "Hi").text == "from the first"


# --- what cannot be used ---


def test_a_bad_file_leaves_the_old_policy_in_force_and_is_told_once(vendors, file, caplog):
    file.write_text(text(vendors, "first:m"))
    with caplog.at_level(logging.INFO, "multimodel"), Client(file) as client:
        version = client.status().policy_hash
        file.write_text("routes:\n  chat: {chian: [first:m]}\n")
        for _ in range(5):
            client._core.reloading._retry_at = 0.0
            look(client)
            assert client.complete("chat", "Hi").report.policy == version
        (event,) = told(caplog, "reload_failed")
        assert (event.levelname, event.file, event.policy) == ("ERROR", str(file), version)
        assert event.error.startswith(f"{file}:2:10: unknown key `chian`")
        assert client.status().reload_error == event.error
        assert client.status().policy_hash == version

        file.write_text("routes:\n  chat: {chain: [nobody:m]}\n")
        look_twice(client)
        assert len(told(caplog, "reload_failed")) == 2

        file.write_text(text(vendors, "second:m"))
        look_twice(client)
        assert client.status().reload_error is None
        assert client.complete("chat", "Hi").text == "from the second"
        (event,) = told(caplog, "reloaded")
        assert (event.before, event.policy) == (version, client.status().policy_hash)


def test_a_bad_file_that_is_put_right_again_is_as_if_nothing_had_happened(vendors, file, caplog):
    file.write_text(text(vendors))
    with caplog.at_level(logging.INFO, "multimodel"), Client(file) as client:
        held = client._core.current()
        file.write_text("routes: {}\n")
        look_twice(client)
        assert client.status().reload_error is not None
        file.write_text(text(vendors))
        look_twice(client)
        assert client.status().reload_error is None
        assert client._core.current() is held


def test_a_file_that_is_gone_leaves_the_policy_in_force(vendors, file, caplog):
    file.write_text(text(vendors))
    with caplog.at_level(logging.INFO, "multimodel"), Client(file) as client:
        file.unlink()
        look(client)
        assert client.status().reload_error is None, "it may be about to be replaced"
        look(client)
        assert "there is no policy file" in str(client.status().reload_error)
        assert client.complete("chat", "Hi").text == "from the first"
        file.write_text(text(vendors, "second:m"))
        look_twice(client)
        assert client.complete("chat", "Hi").text == "from the second"


def test_a_switch_holds_that_was_thrown_beside_a_bad_file_of_another_folder(vendors, tmp_path):
    for number, content in enumerate((text(vendors), text(vendors) + "nonsense: true\n")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "multimodel.yaml").write_text(content)
    current, file = tmp_path / "current", tmp_path / "current" / "multimodel.yaml"
    current.symlink_to("0")
    with Client(file) as client:
        (tmp_path / "new").symlink_to("1")
        (tmp_path / "new").replace(current)
        look_twice(client)
        assert "nonsense" in str(client.status().reload_error)
        assert main(["--config", str(file), "off", "first", "--reason", "drill", "--yes"]) == 0
        assert client.complete("chat", "Hi").text == "from the second"


def test_who_asks_for_a_bad_policy_is_told_all_of_its_mistakes(vendors, file, colour):
    file.write_text(text(vendors))
    client = colour.open(file)
    file.write_text("routes:\n  chat: {chian: [first:m]}\n  more: {chain: [nobody:m]}\n")
    with pytest.raises(ConfigurationError) as caught:
        client.reload()
    assert len(caught.value.problems) == 2
    assert colour.ask(client).text == "from the first"
    assert client.status().reload_error == str(caught.value)


def test_a_key_is_in_no_event_and_no_error(vendors, file, caplog):
    file.write_text(text(vendors))
    with caplog.at_level(logging.DEBUG, "multimodel"), Client(file) as client:
        file.write_text(text(vendors, keys="sk-canary-9d1 é"))
        look_twice(client)
        assert client.status().reload_error is not None
        assert "canary" not in str(client.status()) + " ".join(repr(vars(record)) for record in caplog.records)


def test_a_bug_of_a_plugin_costs_no_call(vendors, file, monkeypatch):
    file.write_text(text(vendors))
    with Client(file) as client:
        monkeypatch.setattr(client._core.reloading._source, "load", lambda: 1 / 0)
        file.write_text(text(vendors, "second:m"))
        look_twice(client)
        assert client.status().reload_error == "ZeroDivisionError"
        assert client.complete("chat", "Hi").text == "from the first"


def test_a_closed_client_is_not_reloaded(vendors, file, colour):
    file.write_text(text(vendors))
    client = colour.open(file)
    colour.close(client)
    with pytest.raises(ConfigurationError, match="closed"):
        client.reload()


# --- versions ---


def test_the_version_of_a_file_is_the_beginning_of_its_sha256(vendors, file, colour):
    file.write_text(text(vendors))
    client = colour.open(file)
    version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    assert client.status().policy_hash == version
    assert colour.ask(client).report.policy == version
    assert colour.stream(client).report.policy == version


def test_the_report_of_a_call_that_failed_names_its_version_too(vendors, file, colour):
    vendors[0].fault = vendors[1].fault = faults.status(500)
    file.write_text(text(vendors))
    client = colour.open(file)
    with pytest.raises(AllTargetsFailedError) as caught:
        colour.ask(client)
    assert caught.value.report.policy == client.status().policy_hash


def test_policies_made_in_python_have_versions_that_do_not_tell_keys(colour):
    def version(model: str, key: str) -> str:
        provider = {"profile": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": key}
        policy = {"providers": {"house": provider}, "routes": {"chat": {"chain": [f"house:{model}"]}}}
        found: str = colour.open(policy).status().policy_hash
        return found

    assert version("m", "sk-1") == version("m", "sk-2") != version("n", "sk-1")
    assert len(version("m", "sk-1")) == 12


def test_a_ledger_is_kept_from_the_call_on_after_the_policy_asks_for_it(vendors, file):
    file.write_text(text(vendors, "first:m"))
    with Client(file) as client:
        client.complete("chat", "Hi")
        file.write_text("ledger: calls.db\n" + text(vendors, "first:m"))
        client.reload()
        client.complete("chat", "Hi")
        file.write_text("ledger: others.db\n" + text(vendors, "first:m"))
        client.reload()
        client.complete("chat", "Hi")
        client.complete("chat", "Hi")
    assert [read_ledger(file.with_name(name)).calls for name in ("calls.db", "others.db")] == [1, 2]


def test_a_call_under_way_is_kept_in_the_ledger_of_the_policy_that_it_began_with(vendors, file):
    file.write_text("ledger: calls.db\n" + text(vendors, "first:m"))
    with Client(file) as client:
        for top in ("ledger: others.db\n", ""):
            with client.stream("chat", "Hi") as stream:
                next(stream)
                file.write_text(top + text(vendors, "first:m"))
                client.reload()
                list(stream)
    assert [read_ledger(file.with_name(name)).answered for name in ("calls.db", "others.db")] == [1, 1]


def test_a_reload_does_not_wait_for_the_ledger_that_it_leaves(vendors, file):
    file.write_text("ledger: calls.db\n" + text(vendors, "first:m"))
    with Client(file) as client:
        client.complete("chat", "Hi")
        former = client._core.ledger
        with former._disk:  # another process keeps its file locked
            file.write_text(text(vendors, "first:m"))
            thread = threading.Thread(target=client.reload, daemon=True)
            thread.start()
            thread.join(5)
            assert not thread.is_alive()
            assert client.policy.ledger is None
    assert read_ledger(file.with_name("calls.db")).calls == 1
