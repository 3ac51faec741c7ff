"""The blocks of `docs/requests.md` run as they stand, over loopback vendors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from multimodel.config import load_policy
from multimodel.providers.catalogue import profiles
from multimodel.testing import FaultyVendor

PAGE = (Path(__file__).parent.parent / "docs" / "requests.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
POLICIES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
POLICY = """
providers:
  dashscope: {{base_url: "{dashscope}", api_key: sk-test}}
  house: {{profile: openai, base_url: "{house}", api_key: sk-test, operator: house}}
routes:
  chat: {{chain: [dashscope:qwen-plus, house:our-model]}}
  vectors: {{chain: [dashscope:text-embedding-v4]}}
"""


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_runs(name: str, tmp_path, monkeypatch):
    with FaultyVendor() as dashscope, FaultyVendor() as house:
        if name == "Answers of a type":
            dashscope.answer = '{"title": "Lock-in", "severity": 3}'
        text = POLICY.format(dashscope=dashscope.dashscope_url, house=house.openai_url)
        (tmp_path / "multimodel.yaml").write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MULTIMODEL_CONFIG", raising=False)
        namespace: dict = {"__name__": "__main__"}
        exec(compile(BLOCKS[name], f"docs/requests.md, {name}", "exec"), namespace)
        namespace["client"].close()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_loads(policy: str, tmp_path):
    file = tmp_path / "multimodel.yaml"
    file.write_text(policy, encoding="utf-8")
    assert load_policy(str(file), environ={"HOUSE_KEY": "sk-test"}, profiles=profiles({})).routes


def test_the_block_on_reloading_runs(tmp_path, monkeypatch):
    page = (Path(__file__).parent.parent / "docs" / "reload.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    with FaultyVendor() as dashscope, FaultyVendor() as house:
        text = POLICY.format(dashscope=dashscope.dashscope_url, house=house.openai_url)
        (tmp_path / "multimodel.yaml").write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        namespace: dict = {"__name__": "__main__"}
        exec(compile(block, "docs/reload.md", "exec"), namespace)
        namespace["client"].close()
