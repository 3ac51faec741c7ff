"""What is told before anything is sent agrees, whichever command tells it, and with what calls then do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from multimodel import Client, ConfigurationError
from multimodel.client.check.subject import subjects
from multimodel.client.drill import Drill
from multimodel.client.exposure import exposures
from multimodel.governance.risk import assess
from multimodel.rehearsal.scenario import Scenario
from multimodel.rehearsal.stage import set_stage

NOW = datetime(2026, 11, 29, tzinfo=UTC)
FACT = {"source": "a test", "date": "2026-11-24"}
EU = {"storage": ["EU"], "inference": ["EU"]}


def provider(name: str, *, key: bool = True, place: str = "DE", **facts: object) -> dict:
    """An account at a vendor of its own, with one model `m`, of which `facts` are known."""
    profile = {
        "name": name,
        "title": name,
        "operator": name,
        "protocols": {"chat": {"wire": "openai_chat"}},
        "protocol": "chat",
        "key": [f"{name.upper()}_KEY_THAT_IS_NOT_SET"],
        "endpoints": {
            "it": {"url": f"https://{name}.example", "stored_in": [place], "inference_in": [place], "fact": FACT}
        },
        "region": "it",
        "models": {"m": {"author": "acme", "fact": FACT, **facts}},
        "fact": FACT,
    }
    return {"profile": profile, **({"api_key": f"sk-{name}-123456"} if key else {})}


def policy(*providers: dict, **route: object) -> dict:
    named = {one["profile"]["name"]: one for one in providers}
    return {"providers": named, "routes": {"chat": {"chain": [f"{name}:m" for name in named], **route}}}


def told(given: dict) -> dict[str, list[str]]:
    """By who tells it: the providers that may be asked, wherever the keys are."""
    with Client(given) as client:
        core = client._core
        (plan,) = exposures(core)
        (subject,) = subjects(core)
        return {
            "risk": sorted(member.target for member in plan.counted),
            "check": sorted(str(member.planned.plan.target) for member in subject.in_play),
            "simulate": sorted(one.plan.key for one in set_stage(core, "chat", Scenario()).chain),
        }


def asked(given: dict) -> list[str]:
    with Client(given) as client:
        return [str(one.target) for one in client.explain("chat").targets if one.reason is None]


def test_who_stores_elsewhere_is_not_asked_with_or_without_a_key():
    for key in (True, False):
        given = policy(provider("away", key=key, place="US"), provider("home"), residency=EU)
        assert set(map(tuple, told(given).values())) == {("home:m",)}
        assert asked(given) == ["home:m"]


def test_whose_host_nobody_knows_is_not_asked_where_places_matter():
    given = policy(provider("home"), residency=EU)
    given["providers"]["bedrock"] = {"stored_in": ["DE"], "inference_in": ["DE"]}
    given["routes"]["chat"]["chain"].append("bedrock:m")
    assert set(map(tuple, told(given).values())) == {("home:m",)}
    assert asked(given) == ["home:m"]


def test_who_lacks_what_the_route_requires_is_not_asked_with_or_without_a_key():
    for key in (True, False):
        given = policy(provider("blind", key=key, lacks=["tools"]), provider("able"), requires=["tools"])
        assert set(map(tuple, told(given).values())) == {("able:m",)}
        assert asked(given) == ["able:m"]


def test_a_prompt_that_is_too_long_for_a_target_is_told():
    with Client(policy(provider("short", window=1000), provider("long"))) as client:
        explained = client.explain("chat", needs=["input=2000"])
    assert [one.reason for one in explained.targets] == ["window", None]


def test_vectors_that_cannot_be_compared_are_no_fallback():
    same, other = {"features": ["embeddings"], "weights_id": "w"}, {"features": ["embeddings"]}
    given = policy(provider("first", **same), provider("like", **same), provider("other", **other))
    assert set(map(tuple, told(given).values())) == {("first:m", "like:m")}
    with Client(given) as client:
        explained = client.explain("chat").targets
        assert [one.reason for one in explained] == [None, None, "weights"]
        assert "cannot be compared with those of first:m" in explained[2].detail
        assert client._core.switchboard.impact("like").stranded == ()
        client.off("like", reason="drill")
        assert client._core.switchboard.impact("first").stranded == ("chat",)
        assert client.off("first", reason="drill") == ("chat",)


def test_with_a_budget_who_has_no_price_is_no_fallback():
    cost = [{"input": 1.0, "output": 1.0, "fact": FACT}]
    given = policy(provider("priced", prices=cost), provider("unpriced"), budget={"per_day": "1 USD"})
    assert set(map(tuple, told(given).values())) == {("priced:m",)}
    with Client(given) as client:
        assert [one.reason for one in client.explain("chat").targets] == [None, "budget"]
        (plan,) = exposures(client._core)
        assert plan.members[1].why_not == "the route has a budget, and its price is unknown"
        assert client._core.switchboard.impact("priced").stranded == ("chat",)
        with pytest.raises(ConfigurationError, match="no target of route `chat` can be asked"):
            Drill(client, "chat", "priced")
        assert client.off("priced", reason="drill") == ("chat",)


def test_a_route_for_vectors_is_not_drilled_with_calls_that_nobody_could_answer():
    same = {"features": ["embeddings"], "weights_id": "w"}
    given = policy(provider("first", **same), provider("like", **same))
    with (
        Client(given) as client,
        pytest.raises(ConfigurationError, match="makes vectors, and a drill asks for answers"),
    ):
        Drill(client, "chat", "first")


def test_who_gets_most_of_the_traffic_is_the_first_of_the_route():
    cost = [{"input": 1.0, "output": 1.0, "fact": FACT}]
    given = policy(provider("a"), provider("b", prices=cost), provider("c"), traffic={"c:m": 10, "b:m": 90})
    with Client(given) as client:
        assert client.explain("chat").first.startswith("drawn by `traffic`: b:m 90 %, c:m 10 %")
        found = assess(list(exposures(client._core)), None, made=NOW, policy=None, version="1")
        ((first, following),) = [(one.first, one.next) for one in found.substitutes]
        assert (first, following) == ("b:m", "c:m")
        assert {one.name: one.next for one in found.exits if one.by == "operator"} == {
            "a": "b:m",
            "b": "c:m",
            "c": "b:m",
        }
        assert [str(one.plan.target) for one in Drill(client, "chat", "b").left] == ["c:m", "a:m"]
        client.off("b", reason="drill")
        assert client.explain("chat").first.startswith("c:m")
