"""Ten policies with known flaws, in each of which `check` finds them; four good ones, of which it says nothing."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from multimodel import Client
from multimodel.client.check import check

EXAMPLES = Path(__file__).parents[2] / "examples" / "policies"
TODAY = datetime.now(UTC).date()

ACME = """\
name: acme
title: A vendor of everything
operator: acme
jurisdiction: US
protocols: {{chat: {{wire: openai_chat, path: /v1}}}}
protocol: chat
key: [ACME_API_KEY]
endpoints: {{main: {{url: "https://acme.example", fact: &new {{source: "https://example.com", date: {new}}}}}}}
region: main
fact: *new
models:
  fresh: {{author: acme, max_output: 4096, prices: [{{input: 1, output: 10, fact: *new}}], fact: *new}}
  qwen: {{author: alibaba, features: [tools], modalities: [text], fact: *new}}
  gone: {{author: acme, retired: {gone}, replaced_by: fresh, fact: *new}}
  going: {{author: acme, retired: {soon}, replaced_by: fresh, fact: *new}}
  old: {{author: acme, prices: [{{input: 1, output: 1, fact: &old {{source: "https://example.com", date: {old}}}}}], fact: *old}}
  strict: {{author: acme, licence: Strict 1.0, restricts: "no competitor may use it", fact: *new}}
  vectors: {{author: acme, features: [embeddings], fact: *new}}
"""

OWN = '{profile: openai, base_url: "https://llm.example.net/v1", api_key: "${TEST_KEY}", operator: house}'

FLAWS = {
    "one vendor, and no key of it": (
        "routes:\n  chat: {chain: [acme:fresh, acme:strict]}\n",
        {"acme": None},
        {"single-operator 2", "single-author 2", "missing-key 2", "stranded-here 2"},
    ),
    "two operators, one house behind them": (
        "routes:\n  chat: {chain: [dashscope:qwen3.7-plus, acme:qwen]}\n",
        {},
        {"single-author 2"},
    ),
    "everything is off, and nothing but a typing error": (
        "off:\n  - {operator: acme}\n  - {operator: alibabba}\nroutes:\n  chat: {chain: [acme:fresh, acme:qwen]}\n",
        {},
        {"stranded 2", "off-names-nothing 3"},
    ),
    "switches that are over, or not yet": (
        (
            f"off:\n  - {{author: acme, until: {TODAY - timedelta(1)}}}\n  - {{operator: alibaba, since: {TODAY + timedelta(2)}}}\n"
            f"routes:\n  chat: {{chain: [acme:fresh, house:any]}}\nproviders: {{house: {OWN}}}\n"
        ),
        {},
        {"off-ended 2", "off-early 3"},
    ),
    "a route requires what its targets lack": (
        (
            "routes:\n  see: {chain: [acme:qwen, dashscope:qwen3.7-plus], requires: [vision], traffic: {'acme:qwen': 1}}\n"
            "  none: {chain: [acme:qwen], requires: [audio]}\n  vectors: {chain: [acme:fresh, acme:vectors]}\n"
        ),
        {},
        {"requires-unmet 2", "idle-traffic 2", "stranded 3", "mixed-kinds 4"},
    ),
    "limits that cannot hold": (
        (
            "routes:\n"
            "  slow: {chain: [acme:fresh, dashscope:qwen3.7-plus], deadline: 20s, timeouts: {first_content: 15s}}\n"
            "  short: {chain: [acme:fresh, dashscope:qwen3.7-plus], deadline: 300ms}\n"
            "  few: {chain: [acme:fresh, dashscope:qwen3.7-plus, 'acme:qwen'], max_attempts: 2}\n"
            "  late: {chain: [acme:fresh, dashscope:qwen3.7-plus], hedge: {after: 30s}}\n"
            "  cut: {chain: [acme:fresh, dashscope:qwen3.7-plus], mid_stream: continue}\n"
        ),
        {},
        {
            "deadline-too-short 2",
            "deadline-too-short 3",
            "unreachable-fallback 4",
            "hedge-never-fires 5",
            "cannot-continue 6",
        },
    ),
    "keys in the wrong place": (
        (
            "providers:\n  mine: {profile: acme, api_key: sk-canary-literal}\n  other: {profile: acme, api_key: sk-canary-literal}\n"
            "  near: {profile: acme, base_url: 'https://acme.example.net/v1'}\n"
            "routes:\n  chat: {chain: [mine:fresh, other:fresh, near:fresh]}\n"
        ),
        {},
        {
            "literal-key 2",
            "literal-key 3",
            "same-account 6",
            "vendor-key-elsewhere 4",
            "assumed-operator 4",
            "unknown-place 4",
        },
    ),
    "models that go, and facts that are old": (
        (
            "routes:\n  chat:\n    chain:\n      - acme:gone\n      - acme:going\n      - acme:old\n      - acme:strict\n"
            "      - acme:freshh\n      - dashscope:qwen3.7-plus\n"
        ),
        {},
        {
            "model-retired 4",
            "model-retires-soon 5",
            "stale-price 6",
            "stale-facts 6",
            "licence-restricts 7",
            "unverified-model 8",
        },
    ),
    "budgets that no call fits": (
        (
            "routes:\n  chat: {chain: [acme:fresh, dashscope:qwen3.7-plus], budget: {per_call: 0.01 USD}}\n"
            "  long: {chain: [acme:fresh, dashscope:qwen3.7-plus], params: {max_tokens: 5000}}\n"
        ),
        {},
        {"budget-too-small 2", "unpriced-target 2", "answer-too-long 3"},
    ),
    "weights that are not there, and a folder that is not": (
        "switch_file: nowhere/multimodel.off.json\nroutes:\n  chat: {chain: [local:none, local:plain, acme:fresh]}\n",
        {},
        {"switch-file-missing 1", "weights-unusable 3", "not-archived 3"},
    ),
}


@pytest.fixture
def acme(tmp_path_factory, monkeypatch, catalogue) -> None:
    folder = tmp_path_factory.mktemp("acme")
    ages = {"new": 10, "gone": 1, "soon": -10, "old": 400}
    text = ACME.format_map({name: TODAY - timedelta(days) for name, days in ages.items()})
    (folder / "acme.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("MULTIMODEL_PROVIDERS", f"{folder}:{catalogue}")


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_known_flaw_is_found_at_its_line(run, folder, acme, put_weights, monkeypatch, flaw):
    text, keys, expected = FLAWS[flaw]
    put_weights(folder / "archive" / "plain")
    for vendor in ("acme", "dashscope"):
        if vendor not in keys:
            monkeypatch.setenv(f"{vendor.upper()}_API_KEY", f"sk-canary-{vendor}")
    (folder / "multimodel.yaml").write_text(text, encoding="utf-8")
    ran = run("check", "--json")
    problems = json.loads(ran.out)["problems"]
    assert {f"{one['code']} {one['line']}" for one in problems} >= expected
    assert all(one["hint"] for one in problems if one["severity"] != "note")
    assert ran.code == (1 if any(one["severity"] == "error" for one in problems) else 0)
    assert "canary" not in ran.out + ran.err


@pytest.mark.parametrize("name", ["production", "spending", "agents", "leaving_alibaba"])
def test_of_a_good_policy_nothing_is_said_but_notes(folder, put_weights, monkeypatch, name):
    monkeypatch.delenv("MULTIMODEL_PROVIDERS")  # the vendors are those of the package
    for variable in (
        "ANTHROPIC_API_KEY",
        "DASHSCOPE_API_KEY",
        "DEEPSEEK_API_KEY",
        "OPENAI_API_KEY",
        "SILICONFLOW_API_KEY",
        "TOGETHER_API_KEY",
    ):
        monkeypatch.setenv(variable, f"sk-{variable}")
    monkeypatch.setenv("DASHSCOPE_BATCH_KEY", "sk-batch")
    put_weights(folder / "archive" / "qwen3.5-4b")
    put_weights(folder / "archive" / "qwen3-embedding-4b", chats=False)
    shutil.copy(EXAMPLES / f"{name}.yaml", folder / "multimodel.yaml")
    with Client("multimodel.yaml") as client:
        found = check(client._core, today=date(2026, 11, 29))  # facts age, and the catalogue with them
    assert [str(one) for one in found if one.severity != "note"] == []
