from __future__ import annotations

from pathlib import Path

import pytest

from multimodel.config import load_policy
from multimodel.providers.catalogue import profiles


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-canary-1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-2")


def chain(file: Path) -> list[str]:
    policy = load_policy(file, environ={}, profiles=profiles({}))
    return [member.target for member in policy.routes["chat"].chain]


def test_it_writes_a_policy_from_keys_and_weights_that_has_no_mistakes(run, folder, put_weights):
    put_weights(folder / "archive" / "tiny")
    ran = run("init")
    assert (ran.code, ran.out) == (0, "multimodel.yaml: route `chat` over 3 targets\n")
    assert [target.partition(":")[0] for target in chain(folder / "multimodel.yaml")] == [
        "dashscope",
        "openai",
        "local",
    ]
    checked = run("check", "--strict")
    assert (checked.code, checked.err) == (0, "multimodel.yaml: no mistakes, 1 note\n")
    assert "`local:tiny` is not archived" in checked.out
    assert [line.split()[-2] for line in run("status").out.splitlines()[1:]] == ["ready"] * 3


def test_the_policy_holds_no_key_and_a_comment_at_every_target(run, folder):
    run("init")
    text = (folder / "multimodel.yaml").read_text(encoding="utf-8")
    assert "canary" not in text
    assert all("  # " in line for line in text.splitlines() if line.startswith("      - "))


def test_what_is_doubtful_about_it_is_told(run, monkeypatch):
    monkeypatch.delenv("DASHSCOPE_API_KEY")
    ran = run("init")
    assert ran.code == 0
    assert ": warning: every target of `chat` is operated by `openai` [single-operator]\nhint: " in ran.err


def test_it_never_overwrites_without_force(run, folder):
    (folder / "multimodel.yaml").write_text("mine", encoding="utf-8")
    ran = run("init")
    assert ran.code == 1
    assert ran.err == (
        "error: `multimodel.yaml` exists\nhint: replace it with `--force`, or write another with `--path`\n"
    )
    assert (folder / "multimodel.yaml").read_text(encoding="utf-8") == "mine"
    assert run("init", "--force").code == 0
    assert len(chain(folder / "multimodel.yaml")) == 2


def test_weights_are_found_from_a_policy_in_another_folder(run, folder, put_weights):
    put_weights(folder / "archive" / "tiny")
    (folder / "conf").mkdir()
    assert run("init", "--path", "conf/policy.yaml").code == 0
    assert run("check", "conf/policy.yaml", "--strict").code == 0


def test_names_that_yaml_would_misread_are_quoted(run, folder, put_weights, monkeypatch):
    odd = folder / "my: odd #archive"
    put_weights(odd / "tiny")
    monkeypatch.setenv("MULTIMODEL_ARCHIVE", str(odd))
    assert run("init").code == 0
    assert run("check", "--strict").code == 0
    assert chain(folder / "multimodel.yaml")[-1] == "local:tiny"


def test_a_folder_that_is_missing_is_an_error(run):
    ran = run("init", "--path", "missing/policy.yaml")
    assert (ran.code, ran.err) == (1, "error: `missing/policy.yaml`: No such file or directory\n")


def test_with_nothing_here_it_says_what_to_do(run, folder, monkeypatch):
    monkeypatch.delenv("DASHSCOPE_API_KEY")
    monkeypatch.delenv("OPENAI_API_KEY")
    ran = run("init")
    assert ran.code == 1
    assert "\nhint: set `" in ran.err
    assert list(folder.iterdir()) == []
