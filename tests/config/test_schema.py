from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from multimodel.config import Policy, policy_schema
from multimodel.config.strict_yaml import read

FULL = """
version: 1
providers:
  dashscope: {region: singapore, workspace: "${WORKSPACE}"}
  house: {profile: openai, base_url: "https://llm.example.net/v1", api_key: "${HOUSE_KEY}", operator: house}
  local: {archive: ./archive, threads: 2}
routes:
  chat:
    chain: [dashscope:qwen-plus, {target: house:any, timeouts: {idle: 5s}, params: {seed: 1}}, local:small]
    deadline: 60s
    timeouts: {connect: 3s, first_content: 10s, idle: 15s, whole: 60s}
    retry: {attempts: 2, budget: 10%, patience: 3s}
    max_attempts: 6
    breaker: {failures: 5, ratio: 50%, window: 60s, open_at_most: 20s}
    requires: [tools, json_schema]
    transfer: stream
    on_content_filter: stop
    params: {temperature: 0.2}
  cheap: {extends: chat, chain: [local:small]}
aliases: {qwen-max: chat, gpt-4o: chat}
off:
  - {operator: alibaba, reason: "licence review", by: risk@example.net, since: 2026-11-24, until: null}
"""
LATER = """
routes:
  chat:
    chain: [openai:gpt-5]
    residency: {storage: [EU], inference: [EU]}
    mid_stream: restart
    hedge: {after: p95, budget: 5%}
    traffic: {openai:gpt-5: 90}
    shadow: {target: groq:any, share: 5%}
    on_invalid_output: reask
    prompts: {alibaba: prompts/zh.txt}
    budget: {per_call: 0.05 USD, per_day: 20 USD, then: cheaper}
"""
POLICIES = Path(__file__).parents[2] / "examples" / "policies"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(policy_schema())
    return Draft202012Validator(policy_schema())


@pytest.mark.parametrize("text", [FULL, LATER, "providers:\noff:\nroutes: {a: {chain: [x:y]}}"])
def test_the_schema_accepts_what_a_policy_may_say(validator: Draft202012Validator, text: str) -> None:
    assert [error.message for error in validator.iter_errors(read(text.encode(), "f").value)] == []


def test_the_schema_accepts_the_example_policies(validator: Draft202012Validator) -> None:
    for path in POLICIES.glob("*.yaml"):
        value = read(path.read_bytes(), path.name).value
        assert [error.message for error in validator.iter_errors(value)] == [], path.name


def test_a_policy_with_all_that_is_supported_loads(load: Callable[..., Policy]) -> None:
    assert load(FULL, WORKSPACE="ws", HOUSE_KEY="k").routes["cheap"].deadline == 60


@pytest.mark.parametrize(
    "text",
    [
        "routes: {a: {chain: [x:y], deadline: 60}}",
        "routes: {a: {chain: [x:y], deadline: 60 s}}",
        "routes: {a: {chain: [x]}}",
        "routes: {a: {chian: [x:y]}}",
        "routes: {a: {chain: [x:y], retry: {budget: 0.1}}}",
        "routes: {a: {chain: [x:y], transfer: streem}}",
        "providers: {a: {api_key: 5}}\nroutes: {a: {chain: [x:y]}}",
        "version: 2\nroutes: {a: {chain: [x:y]}}",
        "version: 1",
        "routes: {}",
    ],
)
def test_the_schema_refuses_what_loading_refuses(validator: Draft202012Validator, text: str) -> None:
    assert list(validator.iter_errors(read(text.encode(), "f").value))
