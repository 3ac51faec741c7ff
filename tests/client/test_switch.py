from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from multimodel import Client, ConfigurationError
from multimodel.testing import FakeProvider

POLICY = "routes: {chat: {chain: [fake:any]}}\n"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "multimodel.yaml"
    file.write_text(POLICY, encoding="utf-8")
    return file


def client_of(policy: object) -> Client:
    return Client(policy, providers={"fake": FakeProvider()})


@pytest.mark.parametrize(
    "until",
    [timedelta(0), timedelta(hours=-1), datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1)],  # noqa: DTZ001  # one without a zone is meant
)
def test_an_end_that_is_over_switches_nothing_off_and_says_so(policy, until):
    with client_of(policy) as client, pytest.raises(ConfigurationError, match="`until` is in the past"):
        client.off("fake", reason="drill", until=until)
    assert client.status().off == ()


@pytest.mark.parametrize("until", ["2h", 3600, date(2999, 1, 1), timedelta.max])
def test_an_end_that_is_no_instant_and_no_span_is_refused(policy, until):
    with client_of(policy) as client, pytest.raises(ConfigurationError, match="`until`"):
        client.off("fake", reason="drill", until=until)


def test_an_end_without_a_zone_is_local_time(policy):
    until = datetime(2999, 6, 1, 12)  # noqa: DTZ001  # one without a zone is meant
    with client_of(policy) as client:
        client.off("fake", reason="drill", until=until)
        assert client.status().off[0].until == until.astimezone()


def test_a_reason_that_is_no_text_is_a_configuration_error(policy):
    with client_of(policy) as client, pytest.raises(ConfigurationError, match="reason"):
        client.off("fake", reason=5)


@pytest.mark.parametrize("change", ["off", "on"])
def test_a_switch_that_cannot_be_written_names_the_file_and_what_to_do(policy, change):
    policy.write_text(POLICY + "switch_file: missing/m.off.json\n", encoding="utf-8")
    with client_of(policy) as client, pytest.raises(ConfigurationError, match=r"missing/m\.off\.json") as caught:
        client.off("fake", reason="drill") if change == "off" else client.on("fake")
    assert "switch_file:" in caught.value.hint


def test_a_switch_file_that_cannot_be_read_is_logged_once_and_the_last_state_holds(policy, caplog):
    with client_of(policy) as client, caplog.at_level(logging.ERROR, logger="multimodel"):
        client.off("fake", reason="drill")
        file = policy.with_name("multimodel.off.json")
        file.write_text("{", encoding="utf-8")
        assert [client.status().routes["chat"][0].state for _ in range(2)] == ["off", "off"]
    (record,) = caplog.records
    assert record.getMessage() == "multimodel.switch_file_unreadable"
    assert record.file == str(file)


def test_a_switch_through_the_policy_reaches_who_uses_a_link_to_it(policy, tmp_path):
    (tmp_path / "app").mkdir()
    link = tmp_path / "app" / "policy.yaml"
    link.symlink_to(policy)
    with client_of(link) as linked, client_of(policy) as real:
        real.off("fake", reason="drill")
        assert linked.status().routes["chat"][0].state == "off"


@pytest.mark.parametrize("source", [5, [], b"multimodel.yaml", object()])
def test_a_policy_of_another_type_is_refused_with_what_is_accepted(source):
    with pytest.raises(ConfigurationError, match="a policy is no") as caught:
        Client(source)
    assert "path" in caught.value.hint


def test_a_relative_switch_file_stays_where_it_is_wherever_the_process_goes(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    fakes = {"fake": FakeProvider(["A"]), "other": FakeProvider(["B"])}
    policy = {"routes": {"chat": {"chain": ["fake:a", "other:b"]}}, "switch_file": "s.off.json"}
    with Client(policy, providers=fakes) as client:
        client.off("fake", reason="licence")
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert str(client.complete("chat", "Hi").target) == "other:b"
        assert client.status().switch_file == str(tmp_path / "s.off.json")
