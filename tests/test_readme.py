"""The README's blocks run as they stand, over loopback vendors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from multimodel.config import load_policy
from multimodel.providers.catalogue import profiles
from multimodel.testing import FaultyVendor

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(
    re.findall(r"^## ([^\n]+)\n+(?:(?!^## ).)*?```(?:python|yaml)\n(.*?)```", README, re.DOTALL | re.MULTILINE)
)
POLICY = """
providers:
  dashscope: {{base_url: "{dashscope}", api_key: sk-test}}
  house: {{profile: openai, base_url: "{house}", api_key: sk-test, operator: house}}
routes:
  chat: {{chain: [dashscope:qwen-plus, house:our-model]}}
"""


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """A folder with a policy over two loopback vendors."""
    with FaultyVendor() as dashscope, FaultyVendor() as house:
        dashscope.answer = house.answer = "A single vendor can raise its price, change its licence, or leave."
        text = POLICY.format(dashscope=dashscope.dashscope_url, house=house.openai_url)
        (tmp_path / "multimodel.yaml").write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MULTIMODEL_CONFIG", raising=False)
        yield dashscope, house


def test_the_readme_has_its_four_blocks():
    assert set(BLOCKS) == {"Call", "Stream", "Policy", "Leave a vendor"}


@pytest.mark.parametrize("name", ["Call", "Stream", "Leave a vendor"])
def test_a_block_runs(name: str, offline, capsys):
    namespace: dict = {"__name__": "__main__"}
    exec(compile(BLOCKS[name], f"README.md, {name}", "exec"), namespace)
    namespace["client"].close()
    assert "single vendor" in capsys.readouterr().out or name == "Leave a vendor"


def test_the_policy_block_is_a_policy():
    import yaml

    policy = load_policy(yaml.safe_load(BLOCKS["Policy"]), environ={"HOUSE_KEY": "sk-test"}, profiles=profiles({}))
    assert list(policy.routes) == ["chat", "cheap"]


def test_the_whole_file_that_the_readme_names_is_one():
    whole = re.search(r"`(routes: \{chat: .*?\}\})` is a whole file", README, re.DOTALL).group(1)
    import yaml

    load_policy(yaml.safe_load(whole), environ={}, profiles=profiles({}))
