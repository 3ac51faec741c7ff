"""A folder of its own, an environment without keys, and the command line in this process."""

from __future__ import annotations

import json
import os
import pty
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from multimodel.cli import main
from multimodel.providers.catalogue import profiles

CATALOGUE = {
    "dashscope": """\
name: dashscope
title: A stand-in for DashScope
operator: alibaba
jurisdiction: CN
protocols: {native: {wire: dashscope, path: /api/v1}}
protocol: native
key: [DASHSCOPE_API_KEY]
fact: &fact {source: "https://example.com", date: 2026-11-01}
endpoints:
  singapore: {url: "https://sg.example.com", fact: *fact}
  beijing: {url: "https://cn.example.com", fact: *fact}
region: singapore
default_model: qwen3.7-plus
models: {qwen3.7-plus: {author: alibaba, fact: *fact}}
""",
    "openai": """\
name: openai
title: A stand-in for OpenAI
operator: openai
jurisdiction: US
protocols: {chat: {wire: openai_chat, path: /v1}}
protocol: chat
key: [OPENAI_API_KEY]
fact: &fact {source: "https://example.com", date: 2026-11-01}
endpoints: {main: {url: "https://us.example.com", fact: *fact}}
region: main
default_model: gpt-5-mini
models: {gpt-5-mini: {author: openai, fact: *fact}}
""",
}
"""Two vendors whose models never retire."""

TWO_OPERATORS = """\
providers:
  dashscope: {region: singapore, api_key: "${TEST_KEY}"}
  house: {profile: openai, base_url: "https://llm.example.net/v1", api_key: "${TEST_KEY}", operator: house}
routes:
  chat: {chain: [dashscope:qwen3.7-plus, house:gpt-5-mini]}
  cheap: {extends: chat, chain: [dashscope:qwen3.7-plus]}
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of profiles that go before those of the package."""
    folder = tmp_path_factory.mktemp("catalogue")
    for name, text in CATALOGUE.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder; of the environment, no key and no setting of ours is left."""
    keys = {key for profile in profiles({}).values() for key in profile.key}
    for name in os.environ:
        if name in keys or name.startswith("MULTIMODEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MULTIMODEL_PROVIDERS", str(catalogue))
    monkeypatch.setenv("TEST_KEY", "sk-canary-123456")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command, and return its exit code and what it printed."""

    def run_command(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run_command


@pytest.fixture
def policy(folder: Path) -> Path:
    """A policy over two operators, under its usual name."""
    file = folder / "multimodel.yaml"
    file.write_text(TWO_OPERATORS, encoding="utf-8")
    return file


@pytest.fixture
def put_weights() -> Callable[..., None]:
    """Write the smallest folder that can be taken for weights: nobody loads it."""

    def put(folder: Path, *, chats: bool = True) -> None:
        folder.mkdir(parents=True)
        tensors = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(tensors)) + tensors + bytes(4))
        (folder / "config.json").write_text('{"max_position_embeddings": 128}', encoding="utf-8")
        (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
        if chats:
            (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")

    return put


@pytest.fixture
def launch() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in a process of its own; options are those of ``subprocess.run``."""

    def launch_command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "multimodel", *arguments]
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8", **options}
        return subprocess.run(command, check=False, **given)

    return launch_command


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Two ends of a terminal: the user's, and the one a process gets."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)
