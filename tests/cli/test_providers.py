from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from multimodel.providers.catalogue import profiles


@pytest.fixture(autouse=True)
def the_packages_own_catalogue(folder, monkeypatch):
    monkeypatch.delenv("MULTIMODEL_PROVIDERS")


def test_every_vendor_of_the_catalogue_is_a_line(run, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    ran = run("providers")
    head, *lines = ran.out.splitlines()
    assert head.split() == ["name", "title", "operator", "jurisdiction", "wire", "key"]
    assert [line.split()[0] for line in lines] == list(profiles({}))
    assert next(line for line in lines if line.startswith("openai ")).endswith("OPENAI_API_KEY set")
    assert next(line for line in lines if line.startswith("dashscope ")).endswith("DASHSCOPE_API_KEY not set")
    assert "canary" not in ran.out


def test_one_vendor_has_regions_models_prices_and_their_sources(run):
    out = run("providers", "dashscope").out
    assert "singapore (default)" in out
    assert any(line.startswith("qwen-plus ") and " alibaba " in line for line in out.splitlines())
    price = profiles({})["dashscope"].models["qwen-plus"].prices[0]
    assert f"{price.fact.date}  {price.fact.source}" in out
    numbers = {line.split("]")[0] for line in out.splitlines() if line.startswith("[")}
    used = {line.rsplit(maxsplit=1)[-1].strip("]") for line in out.splitlines() if line.endswith("]")}
    assert used == numbers


def test_every_vendor_can_be_shown(run):
    for name in profiles({}):
        assert run("providers", name).code == 0


def test_json_is_the_same_as_data(run):
    assert [entry["name"] for entry in json.loads(run("providers", "--json").out)] == list(profiles({}))
    assert json.loads(run("providers", "groq", "--json").out)["operator"] == "groq"


def test_an_unknown_vendor_gets_a_hint(run):
    ran = run("providers", "dashscop")
    assert (ran.code, ran.err) == (1, "error: unknown provider `dashscop`\nhint: did you mean `dashscope`?\n")


def test_variables_that_the_adapter_reads_are_shown_without_their_values(run, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    out = run("providers", "bedrock").out
    assert "asked: through litellm, as `bedrock/MODEL` [" in out
    shown = {line.split()[0]: line for line in out.splitlines() if line.startswith("AWS_")}
    assert " set " in shown["AWS_SECRET_ACCESS_KEY"]
    assert " not set " in shown["AWS_PROFILE"]
    assert "canary" not in out


def test_licences_errors_and_remarks_are_shown_with_their_sources(run):
    out = run("providers", "moonshot").out
    licence = next(line for line in out.splitlines() if line.startswith("kimi-k3 ") and "Kimi K3 License" in line)
    assert "needs an agreement with Moonshot AI" in licence
    assert licence.endswith("]")
    assert any(line.startswith("quota_exhausted ") and "top the account up" in line for line in out.splitlines())
    assert "introductory and doubles on 2027-01-01" in run("providers", "google").out


def test_a_retired_model_is_shown_with_what_replaces_it(run):
    assert "2026-07-24 → deepseek-flash" in run("providers", "deepseek").out


def test_sources_that_are_old_say_so(run, folder, monkeypatch):
    days = {"new": 10, "price": 200, "old": 400}
    dates = {name: datetime.now(UTC).date() - timedelta(age) for name, age in days.items()}
    (folder / "acme.yaml").write_text(ACME.format_map(dates), encoding="utf-8")
    monkeypatch.setenv("MULTIMODEL_PROVIDERS", str(folder))
    ran = run("providers", "acme")
    told = {
        line.split()[2]: line.partition("  ")[2].partition("  ")[2] for line in ran.out.splitlines() if line[0:1] == "["
    }
    assert told == {"new": "", "200": "(older than 180 days)", "400": "(older than 365 days)"}
    assert ran.err == "note: what comes from old sources may have changed\n"


ACME = """\
name: acme
title: Acme
protocols: {{chat: {{wire: openai_chat}}}}
protocol: chat
fact: {{source: new, date: {new}}}
models:
  dear: {{prices: [{{input: 1, output: 1, fact: {{source: "200", date: {price}}}}}], fact: {{source: new, date: {new}}}}}
  same: {{fact: {{source: "200", date: {price}}}}}
  old: {{fact: {{source: "400", date: {old}}}}}
"""


def test_json_of_one_vendor_has_every_source_and_date(run):
    shown = json.loads(run("providers", "xai", "--json").out)
    assert shown["endpoints"]["us-east-1"]["fact"]["date"] == "2026-11-24"
    assert shown["models"]["grok-4.7"]["prices"][0]["fact"]["source"].startswith("litellm")
