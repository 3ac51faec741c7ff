from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from multimodel.cli.parser import build_parser

from ..governance.weights import CARD, make_weights, safetensors


@pytest.fixture
def weights(folder: Path) -> Path:
    return make_weights(folder / "house")


def overwrite(file: Path, content: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(content)


def test_a_folder_is_added_listed_verified_and_the_same(run, weights, folder):
    added = run("archive", "add", "house", "--source", "Qwen/Qwen3", "--revision", "abc")
    assert (added.code, added.err) == (0, "")
    assert added.out.startswith("archive/house: 6 files, ")
    listed = run("archive", "list")
    assert "house" in listed.out
    for word in ("apache-2.0", "Qwen/Qwen3", "abc", "archived"):
        assert word in listed.out
    verified = run("archive", "verify", "house")
    assert verified.code == 0
    assert verified.out.startswith("house: whole, 6 files, ")
    same = run("archive", "diff", "house", "house")
    assert (same.code, same.out) == (0, "house: `house` is the same\n")


def test_what_nobody_says_is_told(run, folder):
    make_weights(folder / "bare", licence=None, card=None)
    assert run("archive", "add", "bare").code == 1
    ran = run("archive", "add", "bare", "--no-licence-text")
    assert ran.code == 0
    assert "note: the manifest does not say its source, revision, author, licence\nhint: remove it, and " in ran.err
    assert "warning: it has no licence text" in ran.err


def test_the_archive_is_where_the_policy_says_else_the_variable_else_beside(run, weights, folder, monkeypatch):
    monkeypatch.setenv("MULTIMODEL_ARCHIVE", str(folder / "variable"))
    assert run("archive", "add", "house").code == 0
    assert (folder / "variable" / "house").is_dir()
    (folder / "sub").mkdir()
    policy = folder / "sub" / "multimodel.yaml"
    policy.write_text("providers: {local: {archive: ./models}}\nroutes: {chat: {chain: [local:house]}}\n")
    assert run("archive", "add", "house", "--config", str(policy)).code == 0
    assert run("--config", str(policy), "archive", "verify", "house").code == 0
    assert (folder / "sub" / "models" / "house").is_dir()
    assert not (folder / "archive").exists()


def test_a_policy_with_mistakes_hides_no_archive(run, weights, folder):
    (folder / "multimodel.yaml").write_text("providers: {local: {archve: ./models}}\n")
    ran = run("archive", "add", "house")
    assert ran.code == 1
    assert "archve" in ran.err
    assert not (folder / "archive").exists()


def test_verify_fails_when_one_is_damaged_and_tells_all_that_is_wrong(run, weights, folder):
    run("archive", "add", "house")
    run("archive", "add", "house", "--name", "other")
    overwrite(folder / "archive" / "house" / "model.safetensors", safetensors()[:-1] + b"x")
    overwrite(folder / "archive" / "house" / "LICENSE", b"")
    ran = run("archive", "verify")
    assert ran.code == 1
    assert "house: damaged\n  `LICENSE` has 0 bytes, not 43\n  `model.safetensors` has other content\n" in ran.out
    assert "other: whole" in ran.out
    assert run("archive", "verify", "other").code == 0


def test_plain_weights_are_told_and_fail_only_when_they_are_named(run, folder):
    make_weights(folder / "archive" / "plain")
    everything, named = run("archive", "verify"), run("archive", "verify", "plain")
    assert (everything.code, named.code) == (0, 1)
    assert named.err == "note: `plain` is plain weights: it was not archived\n"


def test_an_empty_archive_is_said_to_be(run):
    for command in ("list", "verify"):
        ran = run("archive", command)
        assert (ran.code, ran.out) == (0, "nothing is in `archive`\n")


def test_a_model_that_is_not_there_is_an_error_that_names_those_that_are(run, weights):
    run("archive", "add", "house")
    ran = run("archive", "verify", "hous")
    assert (ran.code, ran.err) == (1, "error: no weights `hous` in `archive`\nhint: there are `house`\n")


def test_what_a_crash_left_is_told(run, weights, folder):
    run("archive", "add", "house")
    (folder / "archive" / ".adding-other-abc").mkdir()
    ran = run("archive", "list")
    assert ".adding" not in ran.out
    assert ran.err == "note: `.adding-other-abc` was left by an `archive add` that did not end: delete it\n"


def test_a_licence_that_changed_is_told_first_and_the_code_is_1(run, weights, folder):
    run("archive", "add", "house")
    (weights / "LICENSE").write_text("No commercial use\n")
    (weights / "README.md").write_text(CARD.replace("apache-2.0", "cc-by-nc-4.0"))
    ran = run("archive", "diff", "house", "house")
    assert ran.code == 1
    assert ran.out.startswith("licence: its name is `cc-by-nc-4.0`, and was `apache-2.0`, since 20")
    assert "licence: the text `LICENSE` changed" in ran.out
    assert "  +No commercial use\n" in ran.out
    assert ran.out.endswith("changed: LICENSE\nchanged: README.md\n")


def test_nothing_of_a_hostile_licence_reaches_the_terminal(run, weights):
    run("archive", "add", "house")
    (weights / "LICENSE").write_text("\x1b[2Jgone\x07\n")
    ran = run("archive", "diff", "house", "house")
    assert "\x1b" not in ran.out
    assert "\x07" not in ran.out


def test_every_command_has_one_json_document(run, weights, folder):
    added = json.loads(run("archive", "add", "house", "--json").out)
    assert added["name"] == "house"
    assert added["manifest"]["licence"]["file"] == "LICENSE"
    assert {file["path"] for file in added["manifest"]["files"]} == {path.name for path in weights.iterdir()}
    (listed,) = json.loads(run("archive", "list", "--json").out)["models"]
    assert listed["manifest"] == added["manifest"]
    (verified,) = json.loads(run("archive", "verify", "--json").out)["models"]
    assert (verified["state"], verified["flaws"]) == ("whole", [])
    (weights / "LICENSE").unlink()
    differs = json.loads(run("archive", "diff", "house", "house", "--json").out)
    assert (differs["same"], differs["removed"]) == (False, ["LICENSE"])
    assert differs["licence"] == ["the text `LICENSE` is gone"]


def test_check_says_what_is_not_archived_and_what_changed(run, weights, folder):
    run("archive", "add", "house")
    make_weights(folder / "archive" / "plain")
    (folder / "multimodel.yaml").write_text("routes: {chat: {chain: [local:house, local:plain]}}\n")
    ran = run("check")
    assert ran.code == 0
    assert "note: `local:plain` is not archived" in ran.out
    assert "local:house" not in ran.out
    overwrite(folder / "archive" / "house" / "model.safetensors", safetensors()[:-1] + b"x")
    ran = run("check")
    assert "warning: `local:house` is skipped: the weights `house` are not as they were archived" in ran.out
    overwrite(folder / "archive" / "house" / "model.safetensors", b"")
    assert run("check").out.count("`local:house` is skipped") == 1


@pytest.mark.parametrize("author", ["alibaba", "acme"])
def test_check_knows_that_an_entry_for_an_author_covers_archived_weights(run, weights, folder, author):
    run("archive", "add", "house", "--author", author.title())
    policy = f"routes: {{chat: {{chain: [local:house]}}}}\noff: [{{author: {author}, reason: licence}}]\n"
    (folder / "multimodel.yaml").write_text(policy)
    ran = run("check")
    assert "`off` leaves `chat` without a target [stranded]" in ran.out
    assert "[off-" not in ran.out


def test_every_command_of_the_page_is_one():
    page = (Path(__file__).parents[2] / "docs" / "archive.md").read_text(encoding="utf-8")
    commands = re.findall(r"^multimodel (.*?)(?: +#.*)?$", page, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        assert build_parser().parse_args(shlex.split(command)).run.startswith("archiving.")


def test_help_of_the_archive_names_its_commands(run):
    shown = run("archive", "--help")
    assert shown.code == 0
    assert all(f"\n    {command} " in shown.out for command in ("add", "verify", "list", "diff"))


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["add"], ["diff"], ["add", "a", "b"], ["verify", "--manifest", "0"]]
)
def test_misuse_is_2(run, arguments):
    assert run("archive", *arguments).code == 2
