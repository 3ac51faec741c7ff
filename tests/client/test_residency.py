"""A route's rule about places, on real sockets: who is not known to be there gets no connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from multimodel import AllTargetsFailedError, BadRequestError, Client, ConfigurationError, PolicyDeniedError
from multimodel.config.residency import Residency, outside
from multimodel.config.secret import Secret
from multimodel.providers.base import ProviderSetup
from multimodel.providers.catalogue import profiles
from multimodel.providers.http_api import HttpProvider
from multimodel.providers.litellm import LiteLLMProvider
from multimodel.testing import FakeProvider, FaultyVendor, faults
from multimodel.types import Attempt, Limits, Message, Request

from .colours import COLOURS

EU = {"storage": ["EU"], "inference": ["EU"]}


@pytest.fixture
def vendors() -> Iterator[dict[str, FaultyVendor]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(FaultyVendor(answer=f"from {name}")) for name in ("us", "eu", "nowhere")}


def at(vendor: FaultyVendor, *places: str) -> dict[str, Any]:
    return {"profile": "openai", "base_url": vendor.openai_url, "api_key": "sk-1"} | (
        {"stored_in": list(places), "inference_in": list(places)} if places else {}
    )


def policy(vendors: dict[str, FaultyVendor], **route: Any) -> dict[str, Any]:
    providers = {"us": at(vendors["us"], "US"), "eu": at(vendors["eu"], "DE"), "nowhere": at(vendors["nowhere"])}
    return {
        "providers": providers,
        "routes": {"chat": {"chain": ["nowhere:gpt-5", "us:gpt-5", "eu:gpt-5"], **route}},
    }


@pytest.mark.parametrize("how", ["route", "call"])
def test_only_who_is_known_to_be_there_is_asked(colour, vendors, how):
    client = colour.open(policy(vendors, **({"residency": EU} if how == "route" else {})))
    answer = colour.ask(client, **({"residency": EU} if how == "call" else {}))
    assert answer.text == "from eu"
    assert [(str(skip.target), skip.reason, skip.detail) for skip in answer.report.skipped] == [
        ("nowhere:gpt-5", "residency", "nobody knows where its data is stored"),
        ("us:gpt-5", "residency", "its data is stored in US, and not in EU alone"),
    ]
    assert [vendors[name].connections.total for name in ("us", "nowhere")] == [0, 0]


def test_both_the_routes_rule_and_the_calls_hold(colour, vendors):
    client = colour.open(policy(vendors, residency=EU))
    with pytest.raises(AllTargetsFailedError) as caught:
        colour.ask(client, residency={"storage": ["US"]})
    assert all(isinstance(error, PolicyDeniedError) for error in caught.value.exceptions)
    assert sum(vendor.connections.total for vendor in vendors.values()) == 0


def test_vectors_hedges_and_shadows_go_nowhere_else(vendors):
    chain = ["us:text-embedding-3-small", "eu:text-embedding-3-small"]
    route = {"chain": chain, "residency": EU, "hedge": {"after": "50ms", "budget": "100%"}}
    shadowed = {"chain": ["eu:gpt-5"], "residency": EU, "shadow": {"target": "us:gpt-5", "share": "100%"}}
    made = policy(vendors) | {"routes": {"vectors": route, "chat": shadowed}}
    with Client(made) as client:
        assert str(client.embed("vectors", ["a"]).target).startswith("eu:")
        vendors["eu"].faults.append(faults.silent(0.5))
        assert client.complete("chat", "Hi").text == "from eu"
    assert vendors["us"].connections.total == 0


def test_one_call_for_vectors_may_have_a_rule_too(colour, vendors):
    made = policy(vendors) | {"routes": {"vectors": {"chain": ["us:text-embedding-3-small"]}}}
    client = colour.open(made)
    with pytest.raises(AllTargetsFailedError) as caught:
        colour.embed(client, "vectors", ["a"], residency=EU)
    assert [skip.reason for skip in caught.value.report.skipped] == ["residency"]
    assert vendors["us"].connections.total == 0


def test_weights_in_this_process_are_where_the_application_is_and_an_adapter_of_ones_own_says_where():
    made = {"routes": {"chat": {"chain": ["own:a"], "residency": EU}}, "providers": {"own": {"stored_in": ["FR"]}}}
    with pytest.raises(ConfigurationError, match="nobody knows where its inference runs"):
        Client(made, providers={"own": FakeProvider()})
    made["providers"]["own"]["inference_in"] = ["FR", "DE"]
    with Client(made, providers={"own": FakeProvider(["Yes."])}) as client:
        assert client.complete("chat", "Hi").text == "Yes."
    with Client({"routes": {"chat": {"chain": ["local:m"], "residency": EU}}}) as client:
        assert client.status().routes["chat"][0].detail.startswith("no weights")


def test_a_chain_of_which_nobody_is_there_is_a_mistake_with_its_place(tmp_path: Path):
    file = tmp_path / "multimodel.yaml"
    file.write_text(
        "routes:\n  chat:\n    chain: [dashscope:qwen-plus, openai:gpt-5]\n    residency: {storage: [EU]}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        Client(file)
    assert str(caught.value).startswith(
        f"{file}:4:5: no target of the chain is where `residency` allows it (`dashscope:qwen-plus`: its data is stored "
        "in SG, and not in EU alone; `openai:gpt-5`: nobody knows where its data is stored)\nhint: add a target"
    )


def test_media_are_fetched_from_anywhere_so_a_rule_about_places_excludes_that(vendors):
    with pytest.raises(ConfigurationError, match="media are fetched from anywhere"):
        Client(policy(vendors, residency=EU, fetch_media=True))


@pytest.mark.parametrize("rule", [{"storage": []}, {"storage": ["Europe"]}, {"inference": ["eu"]}, {"stored": ["EU"]}])
def test_a_rule_that_names_no_places_is_refused(vendors, rule):
    with pytest.raises(ConfigurationError):
        Client(policy(vendors, residency=rule))
    with Client(policy(vendors)) as client, pytest.raises(BadRequestError, match="`residency` names no places"):
        client.complete("chat", "Hi", residency=rule)
    assert sum(vendor.connections.total for vendor in vendors.values()) == 0


@pytest.mark.parametrize(
    ("allowed", "places", "fits"),
    [
        (["EU"], ("DE",), True),
        (["EU"], ("EU",), True),
        (["EU"], ("DE", "US"), False),
        (["DE"], ("EU",), False),
        (["EU", "US"], ("DE", "US"), True),
        (["US"], ("global",), False),
        (["EU"], ("CH",), False),
        (["EU"], None, False),
        (["EU"], (), False),
    ],
)
def test_places_are_countries_and_the_union_is_its_members(allowed, places, fits):
    rule = Residency(inference=allowed)
    assert (outside(rule, stored_in=None, inference_in=places) is None) is fits


def attempt(hosts: frozenset[str] | None) -> Attempt[Request]:
    now = time.monotonic()
    limits = Limits(connect=3.0, first_content=now + 10, idle=5.0, whole=now + 10, deadline=now + 10)
    request = Request(messages=(Message(role="user", content="Hi"),))
    return Attempt(request, "openai/m", stream=True, limits=limits, now=time.monotonic, hosts=hosts)


@pytest.mark.parametrize("adapter", [HttpProvider, LiteLLMProvider])
@pytest.mark.parametrize("colour_name", COLOURS)
def test_the_transport_itself_refuses_a_host_that_the_call_does_not_allow(adapter, colour_name):
    profile = profiles({})["openai" if adapter is HttpProvider else "litellm"]

    async def ask(provider: Any, attempt: Attempt[Request]) -> None:
        async for _ in provider.astream(attempt):
            pass
        await provider.aclose()

    with FaultyVendor(answer="Yes.") as vendor:
        provider = adapter(ProviderSetup("one", profile, vendor.openai_url, "openai_chat", Secret("sk-1"), {}))

        def perform(hosts: frozenset[str]) -> None:
            if colour_name == "sync":
                list(provider.stream(attempt(hosts)))
            else:
                asyncio.run(ask(provider, attempt(hosts)))

        with pytest.raises(PolicyDeniedError) as caught:
            perform(frozenset({"elsewhere.example"}))
        assert (caught.value.code, vendor.connections.total) == ("host", 0)
        perform(frozenset({"127.0.0.1"}))
        assert vendor.requests == 1
        if colour_name == "sync":
            provider.close()


def test_over_random_rules_places_and_faults_no_other_host_is_opened():
    chance = Random(7)
    places: list[tuple[str, ...]] = [(), ("DE",), ("FR", "DE"), ("US",), ("EU",), ("CN",), ("DE", "US")]
    rules = [["EU"], ["US"], ["DE", "FR"], ["EU", "US"], ["CN"]]
    happens = [None, None, faults.status(500), faults.reset_before_headers(), faults.cut(after=1), faults.status(429)]
    asked = refused = 0
    with ExitStack() as stack:
        running = [stack.enter_context(FaultyVendor(answer="Yes.")) for _ in range(4)]
        for _ in range(200):
            where = {f"v{number}": chance.choice(places) for number in range(4)}
            for vendor in running:
                vendor.fault = chance.choice(happens)
            before = [vendor.requests for vendor in running]
            rule = {"storage": chance.choice(rules), "inference": chance.choice(rules)}
            route: dict[str, Any] = {"chain": [f"{name}:m" for name in where], "retry": {"attempts": 1}}
            route |= chance.choice([{}, {"hedge": {"after": 0.01, "budget": 1.0}}, {"mid_stream": "restart"}])
            made = {
                "providers": {name: at(running[number], *where[name]) for number, name in enumerate(where)},
                "routes": {"chat": route},
            }
            with Client(made) as client:
                try:
                    client.complete("chat", "Hi", residency=rule, deadline=5.0)
                except AllTargetsFailedError:
                    refused += 1
            for number, name in enumerate(where):
                came = running[number].requests - before[number]
                asked += came
                if outside(Residency(**rule), stored_in=where[name], inference_in=where[name]) is not None:
                    assert came == 0, (rule, where)
    assert asked > 30
    assert refused > 10
