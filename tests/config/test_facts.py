"""What is told about old facts, models that go, and licences that ask for more."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from multimodel import Client
from multimodel.config import check_policy, load_policy
from multimodel.config.facts import FACTS_AGE, PRICES_AGE, RETIRES_SOON, doubts
from multimodel.providers.profile import ModelFacts, Profile

TODAY = date(2026, 11, 24)


def fact(days: int = 0) -> dict[str, object]:
    return {"source": "the vendor's page", "date": TODAY - timedelta(days=days)}


def told(*, region: str | None = None, hosted: bool = True, **facts: Any) -> list[str]:
    model = ModelFacts.model_validate({"fact": fact(), **facts})
    return [f"{doubt.severity}: {doubt.message}" for doubt in doubts(model, region=region, hosted=hosted, today=TODAY)]


def test_fresh_facts_raise_no_doubt():
    assert told(prices=[{"input": 1, "output": 2, "fact": fact()}], retired=TODAY + 2 * RETIRES_SOON) == []


def test_a_price_is_stale_a_day_after_its_age():
    def price(days: int) -> dict[str, object]:
        return {"input": 1, "output": 2, "fact": fact(days)}

    assert told(prices=[price(PRICES_AGE.days)]) == []
    assert told(prices=[price(PRICES_AGE.days + 1)]) == [
        "warning: has a price of 2026-05-27, which may have changed",
    ]


def test_only_prices_of_the_region_that_is_asked_count():
    old = {"region": "singapore", "input": 1, "output": 2, "fact": fact(200)}
    new = {"region": "beijing", "input": 1, "output": 2, "fact": fact()}
    assert told(prices=[old, new], region="beijing") == []
    assert len(told(prices=[old, new], region="singapore")) == 1
    assert len(told(prices=[old, new])) == 1


def test_the_oldest_other_fact_decides_whether_a_description_is_stale():
    assert told(fact=fact(FACTS_AGE.days)) == []
    assert told(sources={"window": fact(FACTS_AGE.days + 1)}) == [
        "warning: is described as of 2025-11-23, which may have changed",
    ]


def test_a_licence_that_restricts_warns_who_serves_the_weights_and_is_a_note_elsewhere():
    facts = {"licence": "Strict 1.0", "restricts": "a hosting business needs a licence"}
    words = "is under the licence `Strict 1.0`: a hosting business needs a licence"
    assert told(hosted=False, **facts) == [f"warning: {words}"]
    assert told(hosted=True, **facts) == [f"note: {words}"]


@pytest.mark.parametrize(
    ("retired", "message"),
    [
        (TODAY, "is retired since 2026-11-24"),
        (TODAY + RETIRES_SOON, "retires on 2026-12-24"),
        (TODAY + RETIRES_SOON + timedelta(days=1), None),
    ],
)
def test_a_model_that_goes_is_told_a_month_before(retired: date, message: str | None):
    assert told(retired=retired) == ([] if message is None else [f"warning: {message}"])


def test_explain_tells_what_a_licence_asks_for():
    policy = {
        "providers": {"vllm": {"profile": own_weights()}},
        "routes": {"chat": {"chain": ["vllm:strict", "vllm:free"]}},
    }
    with Client(policy) as client:
        explained = client.explain("chat")
    assert [target.restricts for target in explained.targets] == ["a hosting business needs a licence", None]
    assert str(explained).count("     licence: a hosting business needs a licence") == 1


def own_weights() -> dict[str, Any]:
    """A server of one's own, with weights under two licences."""
    since = {"source": "the model's card", "date": TODAY}
    return {
        "name": "vllm",
        "title": "vLLM",
        "protocols": {"chat": {"wire": "openai_chat"}},
        "protocol": "chat",
        "key_required": False,
        "endpoints": {"main": {"url": "http://127.0.0.1:9", "fact": since}},
        "region": "main",
        "models": {
            "strict": {"licence": "Strict 1.0", "restricts": "a hosting business needs a licence", "fact": since},
            "free": {"licence": "MIT", "fact": since},
        },
        "fact": since,
    }


def test_check_speaks_of_the_models_of_the_policy_only():
    old = {"author": "acme", "prices": [{"input": 1, "output": 2, "fact": fact(400)}], "fact": fact(400)}
    acme = Profile.model_validate(
        {
            "name": "acme",
            "title": "Acme",
            "operator": "acme",
            "protocols": {"chat": {"wire": "openai_chat"}},
            "protocol": "chat",
            "key_required": False,
            "endpoints": {"main": {"url": "https://acme.example", "fact": fact(900)}},
            "region": "main",
            "models": {"used": old, "unused": old},
            "fact": fact(900),
        }
    )
    policy = load_policy({"routes": {"chat": {"chain": ["acme:used"]}}}, environ={}, profiles={"acme": acme})
    found = check_policy(policy, environ={}, profiles={"acme": acme}, today=TODAY)
    stale = [problem for problem in found if "may have changed" in problem.message]
    assert [(problem.severity, problem.message.split("`")[1]) for problem in stale] == [("warning", "acme:used")] * 2
    assert {problem.hint for problem in stale} == {"compare it with the vendor's page"}
