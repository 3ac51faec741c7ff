"""The examples of `docs/explain.md` print what the page shows; figures of the catalogue may change."""

from __future__ import annotations

import re
from pathlib import Path

from multimodel import Client
from multimodel.cli import main

PAGE = (Path(__file__).parent.parent / "docs" / "explain.md").read_text(encoding="utf-8")
(POLICY,), (RECORD,) = (re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) for kind in ("yaml", "json"))
ROUTE, CALL = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


def shape(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\d[\d.,]*", "N", text))


def test_a_route_is_explained_as_on_the_page(tmp_path, monkeypatch, capsys):
    (tmp_path / "multimodel.yaml").write_text(POLICY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for key in ("DASHSCOPE_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(key, "sk-test")
    assert main(["--config", "multimodel.yaml", "explain", "chat", "--needs", "input=2000,output=500"]) == 0
    assert shape(capsys.readouterr().out) == shape(ROUTE)
    with Client("multimodel.yaml") as client:
        assert [f"{one.turn.begins:.1f}" for one in client.explain("chat").targets] == ["0.0", "23.3", "33.3"]


def test_a_recorded_call_is_explained_as_on_the_page(tmp_path, capsys):
    (tmp_path / "call.json").write_text(RECORD, encoding="utf-8")
    assert main(["explain", "--call", str(tmp_path / "call.json")]) == 0
    assert capsys.readouterr().out == CALL
