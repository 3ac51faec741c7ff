"""What is not taken into the archive. Each time nothing is written, and what was there stays."""

from __future__ import annotations

import json
import os
import pickle
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from multimodel.errors import ConfigurationError
from multimodel.governance.archive import Archive, Facts
from multimodel.governance.archive.survey import Caps

from .weights import make_weights, safetensors, tree

CAPS = Caps(files=40, total=100_000, other=10_000, depth=3)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return make_weights(tmp_path / "house")


def refused(weights: Path) -> str:
    archive = Archive(weights.parent / "archive", lambda: datetime.now(UTC), CAPS)
    make_weights(weights.parent / "good")
    archive.add(weights.parent / "good", Facts())
    before = tree(weights.parent)
    with pytest.raises(ConfigurationError) as error:
        archive.add(weights, Facts())
    assert tree(weights.parent) == before
    return str(error.value)


def linked(where: str, to: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / where).unlink(missing_ok=True)
        (folder / where).symlink_to(to)

    return spoil


@pytest.mark.parametrize(
    ("where", "to"),
    [
        ("model.safetensors", "../good/model.safetensors"),
        ("LICENSE", "/etc/passwd"),
        ("notes.txt", "nowhere"),
        ("inside.txt", "config.json"),
        ("loop", "."),
        ("figure.png", "/dev/zero"),
    ],
)
def test_a_link_is_refused_with_the_way_to_copy_what_it_means(weights: Path, where: str, to: str):
    linked(where, to)(weights)
    assert refused(weights) == (
        f"`{where}` is a link\nhint: copy the folder with what its links mean: `cp -rL FROM TO`"
    )


def test_a_folder_that_is_a_link_is_refused(weights: Path):
    (weights.parent / "alias").symlink_to(weights)
    assert "is a link" in refused(weights.parent / "alias")


def test_a_pipe_is_refused(weights: Path):
    os.mkfifo(weights / "config2.json")
    assert "`config2.json` is no regular file" in refused(weights)


def test_a_socket_is_refused(weights: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(weights)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("s.txt")
    assert "`s.txt` is no regular file" in refused(weights)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "a.PT", "deep/c.ckpt", "d.pkl", "e.h5", "f.msgpack", "g.py"])
def test_what_runs_code_is_refused_by_its_name(weights: Path, name: str):
    (weights / name).parent.mkdir(exist_ok=True)
    (weights / name).write_bytes(b"")
    assert f"`{name}` can run code" in refused(weights)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["notes.txt", "tokenizer.model", "model-2.safetensors", "data.weights", "NOTICE"])
def test_a_pickle_is_refused_by_its_first_bytes_whatever_its_name(weights: Path, name: str, protocol: int):
    (weights / name).write_bytes(pickle.dumps({"a": 1}, protocol=protocol))
    assert f"`{name}` can run code" in refused(weights)


@pytest.mark.parametrize("magic", [b"PK\x03\x04", b"\x7fELF", b"\x93NUMPY", b"\x89HDF\r\n"])
def test_what_may_hold_a_pickle_or_is_a_program_is_refused(weights: Path, magic: bytes):
    (weights / "data.weights").write_bytes(magic + bytes(100))
    assert "can run code" in refused(weights)


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 8, b"GGUF" + bytes(100), safetensors()[:-1], safetensors() + b"x", b"\xff" * 8 + b"{}"]
)
def test_weights_that_are_none_are_refused(weights: Path, content: bytes):
    (weights / "model.safetensors").write_bytes(content)
    assert "is damaged or no safetensors file" in refused(weights)


def test_a_gguf_file_that_is_none_is_refused(weights: Path):
    (weights / "extra.gguf").write_bytes(safetensors())
    assert "no GGUF file" in refused(weights)


def test_a_folder_without_weights_is_refused(weights: Path):
    (weights / "model.safetensors").unlink()
    assert "holds no weights" in refused(weights)


@pytest.mark.parametrize("name", ["../good/model.safetensors", "/etc/passwd", "a\0b", "missing.safetensors", 7])
def test_an_index_that_leads_elsewhere_is_refused(weights: Path, name: object):
    (weights / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))
    assert "which is no file of the folder" in refused(weights)


@pytest.mark.parametrize("key", ["auto_map", "_attn_implementation"])
def test_a_configuration_that_names_code_is_refused(weights: Path, key: str):
    (weights / "config.json").write_text(json.dumps({key: "someone/kernel"}))
    assert "names code to run" in refused(weights)


@pytest.mark.parametrize(
    ("one", "other"), [("notes.txt", "NOTES.txt"), ("é.txt", "e\u0301.txt"), ("straße.txt", "STRASSE.txt")]
)
def test_two_names_that_are_one_on_some_systems_are_refused(weights: Path, one: str, other: str):
    (weights / one).write_text("")
    (weights / other).write_text("")
    assert "are one file on some systems" in refused(weights)


@pytest.mark.parametrize("name", [b"a\nb.txt", b"\x1b[31m.txt", b"\xff.txt", b"a\\b.txt", "a\u202eb.txt".encode()])
def test_a_name_that_cannot_be_printed_is_refused_and_not_printed(weights: Path, name: bytes):
    Path(os.fsdecode(os.fsencode(weights) + b"/" + name)).write_text("")
    said = refused(weights)
    assert "is no name of a file on every system" in said
    assert said.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["notes.txt", "tokenizer.json", "LICENSE", "chat_template.jinja"])
def test_binary_content_under_the_name_of_a_text_is_refused(weights: Path, name: str):
    (weights / name).write_bytes(b"text\0text")
    assert f"`{name}` is no text" in refused(weights)


@pytest.mark.parametrize("text", ["", "{", "[" * 5000, '{"a": 1,}', "\ufeff{}"])
def test_json_that_is_none_is_refused(weights: Path, text: str):
    (weights / "vocab.json").write_text(text)
    assert "`vocab.json` is no JSON" in refused(weights)


def test_there_is_a_limit_to_the_size_of_what_is_no_weights(weights: Path):
    (weights / "large.txt").write_bytes(b" " * 10_001)
    assert "`large.txt` is larger than" in refused(weights)


def test_there_is_a_limit_to_the_number_of_files(weights: Path):
    for number in range(40):
        (weights / f"{number}.txt").write_bytes(b"")
    assert "holds more than 40 files" in refused(weights)


def test_there_is_a_limit_to_the_size_of_all(weights: Path):
    (weights / "model.safetensors").write_bytes(safetensors(100_001))
    assert "is larger than" in refused(weights)


def test_there_is_a_limit_to_the_depth(weights: Path):
    (weights / "a" / "b" / "c" / "d").mkdir(parents=True)
    assert "lies deeper than 3 folders" in refused(weights)


@pytest.mark.parametrize("name", ["nowhere", "house/config.json"])
def test_what_is_no_folder_is_refused(weights: Path, name: str):
    assert "name the folder that holds the weights" in refused(weights.parent / name)
