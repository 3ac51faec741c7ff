"""The pages say what is so: blocks of Python run over loopback vendors, policies load, commands can be given."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from multimodel.cli.parser import build_parser
from multimodel.config import load_policy
from multimodel.providers.catalogue import profiles
from multimodel.testing import FaultyVendor

ROOT = Path(__file__).parent.parent
PAGES = {
    str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
PAGE = PAGES["docs/requests.md"]
BLOCKS = dict(re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
POLICIES = [
    pytest.param(block, id=name)
    for name, page in PAGES.items()
    for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    if "routes:" in block
]
COMMANDS = [
    inline or line
    for page in PAGES.values()
    for inline, line in re.findall(
        r"`(multimodel \w+ [^`]+)`|^(?:    |\$ |    \$ )?(multimodel .+)$", page, re.MULTILINE
    )
]
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


def test_no_page_and_no_example_names_a_model_that_goes():
    known = profiles({})
    examples = [file for file in (ROOT / "examples").rglob("*") if file.suffix in {".py", ".yaml", ".ipynb", ".md"}]
    texts = [*PAGES.values(), *(file.read_text(encoding="utf-8") for file in examples)]
    named = {pair for text in texts for pair in re.findall(r"\b([a-z-]+):([\w./-]+)", text) if pair[0] in known}
    facts = {pair: known[pair[0]].facts(pair[1]) for pair in named}
    assert [pair for pair, found in facts.items() if found is not None and found.retired] == []


@pytest.mark.parametrize("command", [one for one in COMMANDS if "[" not in one])
def test_a_command_can_be_given(command: str):
    words = shlex.split(command.partition(" > ")[0].replace("…", "TEXT"), comments=True)
    assert build_parser().parse_args(words[1:]).run


def test_the_block_on_reloading_runs(tmp_path, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", PAGES["docs/reload.md"], re.DOTALL)
    with FaultyVendor() as dashscope, FaultyVendor() as house:
        text = POLICY.format(dashscope=dashscope.dashscope_url, house=house.openai_url)
        (tmp_path / "multimodel.yaml").write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        namespace: dict = {"__name__": "__main__"}
        exec(compile(block, "docs/reload.md", "exec"), namespace)
        namespace["client"].close()
