"""Views: one client for many tenants, each with credentials, a budget and metadata of its own."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from multimodel import AllTargetsFailedError, AsyncClient, Client, ConfigurationError, Finished, TextDelta
from multimodel.client import tenants
from multimodel.config import Secret
from multimodel.testing import FakeProvider, FaultyVendor, faults


@pytest.fixture
def vendors():
    with FaultyVendor(answer="from the first") as first, FaultyVendor(answer="from the second") as second:
        yield first, second


def policy(vendors, **settings: Any) -> dict[str, Any]:
    providers = {
        "first": {"profile": "openai", "base_url": vendors[0].openai_url, "api_key": "sk-client-1"},
        "second": {"profile": "openai", "base_url": vendors[1].openai_url, "api_key": "sk-client-2"},
    }
    return {
        "providers": providers,
        "routes": {"chat": {"chain": ["first:m", "second:m"], "retry": {"attempts": 1}, **settings}},
    }


def keys(vendor: FaultyVendor) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in vendor.log]


# --- credentials ---


def test_a_view_sends_its_own_key_and_the_client_its_own(vendors, colour):
    client = colour.open(policy(vendors))
    acme = client.using(credentials={"first": "sk-acme"})
    assert colour.ask(acme).text == "from the first"
    assert colour.ask(client).text == "from the first"
    assert colour.stream(acme).text == "from the first"
    assert keys(vendors[0]) == ["sk-acme", "sk-client-1", "sk-acme"]


def test_views_use_the_connections_of_their_client(vendors, colour):
    client = colour.open(policy(vendors))
    for number in range(5):
        colour.ask(client.using(credentials={"first": f"sk-{number}"}))
        colour.ask(client)
    assert vendors[0].connections.total == 1


def test_a_provider_that_is_not_named_is_not_asked(vendors, colour):
    vendors[0].fault = faults.status(500)
    client = colour.open(policy(vendors))
    with pytest.raises(AllTargetsFailedError) as caught:
        colour.ask(client.using(credentials={"first": "sk-acme"}))
    (skip,) = caught.value.report.skipped
    assert (str(skip.target), skip.reason, skip.detail) == (
        "second:m",
        "unavailable",
        "the view has no key of `second`",
    )
    assert not vendors[1].log


def test_the_environment_is_not_looked_at(vendors, colour, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    given = policy(vendors)
    for provider in given["providers"].values():
        del provider["api_key"]
    client = colour.open(given)
    colour.ask(client)
    colour.ask(client.using(credentials={"first": "sk-acme"}))
    with pytest.raises(AllTargetsFailedError):
        colour.ask(client.using(credentials={}))
    assert keys(vendors[0]) == ["sk-environment", "sk-acme"]
    assert not vendors[1].log


def test_an_adapter_that_finds_keys_by_itself_is_not_asked_without_one():
    with Client({"routes": {"chat": {"chain": ["litellm:openai/gpt-5"]}}}) as client:
        (target,) = client.using(credentials={}).explain("chat").targets
        assert target.reason == "unavailable"
        (target,) = client.using(credentials={"litellm": "sk-acme"}).explain("chat").targets
        assert target.reason is None


def test_headers_of_the_policy_count_as_a_credential(vendors):
    given = policy(vendors)
    given["providers"]["first"] |= {"headers": {"x-api-key": "sk-header"}}
    del given["providers"]["first"]["api_key"]
    with Client(given) as client:
        reasons = [target.reason for target in client.using(credentials={}).explain("chat").targets]
    assert reasons == ["unavailable", "unavailable"]


def test_a_key_of_a_view_never_travels_beside_headers_of_the_policy(vendors):
    given = policy(vendors)
    given["providers"]["first"] |= {"headers": {"api-key": "sk-header"}}
    with Client(given) as client:
        view = client.using(credentials={"first": "sk-acme", "second": "sk-acme"})
        assert [target.reason for target in view.explain("chat").targets] == ["unavailable", None]
        view.complete("chat", "Hi")
    assert not vendors[0].log


def test_credentials_that_go_take_nothing_from_others_that_share_a_key(vendors, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tenants, "_KEPT", 1)
    vendors[0].fault = faults.status(429, headers={"Retry-After": "30"})
    with Client(policy(vendors)) as client:
        stays = client.using(credentials={"first": "sk-acme", "second": "sk-two"})
        stays.complete("chat", "Hi")
        goes = client.using(credentials={"first": "sk-acme"})
        with pytest.raises(AllTargetsFailedError):
            goes.complete("chat", "Hi")
        del goes
        client.using(credentials={"first": "sk-other"})
        gc.collect()
        client._core.leftovers.tidy()
        asked = len(vendors[0].log)
        stays.complete("chat", "Hi")
        assert len(vendors[0].log) == asked  # its gate is still shut


def test_a_provider_that_needs_no_key_is_asked_without_one(vendors, colour):
    given = policy(vendors)
    del given["providers"]["second"]["api_key"]
    vendors[0].fault = faults.status(500)
    client = colour.open(given)
    assert colour.ask(client.using(credentials={"first": "sk-acme"})).text == "from the second"
    assert "authorization" not in vendors[1].log[0].headers


def test_a_vendor_whose_key_the_client_lacks_is_asked_with_that_of_a_view(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Client({"routes": {"chat": {"chain": ["openai:gpt-5"]}}}) as client:
        assert client.explain("chat").targets[0].reason == "unavailable"
        assert client.using(credentials={"openai": "sk-acme"}).explain("chat").targets[0].reason is None


def test_an_adapter_that_was_handed_in_is_used_as_it_is(colour):
    fake = FakeProvider()
    client = colour.open({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": fake})
    assert colour.ask(client.using(credentials={"fake": "sk-acme"})).text == "Hello."
    assert colour.ask(client.using(credentials={})).text == "Hello."
    assert len(fake.attempts) == 2


@pytest.mark.parametrize(
    ("credentials", "told"),
    [
        ({"frist": "sk-1"}, "`frist` is no provider of the policy\nhint: did you mean `first`?"),
        ({"first": "sk 1\n\t"}, "`first`: the key is not printable ASCII, or begins or ends with a space"),
        ({"first": ""}, "`first`: the key is empty"),
        ({"first": None}, "the key of `first` is a `NoneType`"),
        (["first"], "`credentials` must be a mapping"),
    ],
)
def test_credentials_that_cannot_be_used_are_refused_and_never_shown(vendors, credentials: Any, told: str):
    with Client(policy(vendors)) as client, pytest.raises(ConfigurationError) as caught:
        client.using(credentials=credentials)
    assert str(caught.value).startswith(told)
    assert "sk" not in str(caught.value)


@pytest.mark.parametrize("tenant", ["", 5])
def test_a_tenant_is_a_text(vendors, tenant: Any):
    with Client(policy(vendors)) as client, pytest.raises(ConfigurationError, match="`tenant` must be a text"):
        client.using(tenant=tenant)


def test_a_key_is_shown_nowhere(vendors, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    vendors[0].fault = faults.status(401)
    with Client(policy(vendors)) as client:
        view = client.using(tenant="acme", credentials={"first": Secret("sk-canary")})
        with pytest.raises(AllTargetsFailedError) as caught:
            view.complete("chat", "Hi")
        told = [repr(view), str(caught.value), repr(caught.value), repr(caught.value.report), repr(view.status())]
        told += [str(view.explain("chat")), repr(vars(view._core)), caplog.text]
        told += [str(vars(record)) for record in caplog.records] + [str(pickle.dumps(caught.value))]
    assert keys(vendors[0]) == ["sk-canary"]
    assert not [text for text in told if "canary" in text]


# --- health ---


def test_a_bad_key_of_a_view_closes_the_target_to_that_key_alone(vendors, colour):
    client = colour.open(policy(vendors))
    bad, good = (client.using(credentials={"first": key}) for key in ("sk-bad", "sk-good"))
    vendors[0].fault = faults.status(401)
    with pytest.raises(AllTargetsFailedError):
        colour.ask(bad)
    vendors[0].fault = None
    assert bad.status().routes["chat"][0].state == "open"
    assert client.status().routes["chat"][0].state == good.status().routes["chat"][0].state == "closed"
    assert colour.ask(client).text == colour.ask(good).text == "from the first"
    with pytest.raises(AllTargetsFailedError) as caught:
        colour.ask(client.using(credentials={"first": "sk-bad"}))
    reasons = {skip.target.provider: skip.reason for skip in caught.value.report.skipped}
    assert reasons == {"first": "breaker", "second": "unavailable"}


def test_a_wait_asked_of_a_view_holds_for_its_key_alone(vendors, colour):
    client = colour.open(policy(vendors))
    vendors[0].fault = faults.status(429, headers={"Retry-After": "30"})
    with pytest.raises(AllTargetsFailedError):
        colour.ask(client.using(credentials={"first": "sk-acme"}), deadline=5.0)
    vendors[0].fault = None
    assert colour.ask(client).target.provider == "first"
    assert client.using(credentials={"first": "sk-acme"}).status().routes["chat"][0].state == "gated"


def test_a_dead_endpoint_is_dead_for_all(vendors, colour):
    client = colour.open(policy(vendors, breaker={"failures": 1}))
    vendors[0].fault = faults.refuse()
    with pytest.raises(AllTargetsFailedError):
        colour.ask(client.using(credentials={"first": "sk-acme"}))
    assert client.status().routes["chat"][0].state == "open"


def test_a_view_with_the_clients_own_key_is_the_same_account(vendors, colour):
    client = colour.open(policy(vendors, breaker={"failures": 1}))
    vendors[0].fault = faults.status(500)
    with pytest.raises(AllTargetsFailedError):
        colour.ask(client.using(credentials={"first": "sk-client-1"}))
    assert client.status().routes["chat"][0].state == "open"


# --- what is shared ---


def test_a_vendor_that_is_off_is_off_in_all_views(vendors, colour):
    client = colour.open(policy(vendors))
    view = client.using(credentials={"first": "sk-1", "second": "sk-2"})
    client.off("first", reason="drill")
    assert colour.ask(view).text == "from the second"
    client.on("first")
    view.off("second", reason="drill")
    assert colour.ask(client).text == "from the first"
    assert [entry.name for entry in client.status().off] == ["second"]


def test_closing_the_client_closes_its_views(vendors, colour):
    client = colour.open(policy(vendors))
    view = client.using(tenant="acme")
    colour.ask(view)
    colour.close(client)
    for use in (lambda: colour.ask(view), view.using, client.using):
        with pytest.raises(ConfigurationError, match="the client is closed"):
            use()
    assert vendors[0].wait_until(lambda: vendors[0].connections.open == 0)


def test_closing_a_view_leaves_the_client_open(vendors, colour):
    client = colour.open(policy(vendors))
    view = client.using(credentials={"first": "sk-acme"})
    colour.ask(view)
    colour.close(view)
    with pytest.raises(ConfigurationError, match="the client is closed"):
        colour.ask(view)
    assert colour.ask(client).text == "from the first"
    assert vendors[0].connections.total == 1


def test_a_view_is_a_client_for_with(vendors):
    with Client(policy(vendors)) as client:
        with client.using(tenant="acme") as acme:
            assert isinstance(acme, Client)
            assert acme.complete("chat", "Hi").text == "from the first"
        assert acme.policy is client.policy
        assert client.complete("chat", "Hi").text == "from the first"


def test_a_view_with_its_own_credentials_pays_for_no_shadow(vendors, colour):
    given = policy(vendors, shadow={"target": "second:m", "share": 1.0})
    given["routes"]["chat"]["chain"] = ["first:m"]
    client = colour.open(given)
    colour.ask(client.using(credentials={"first": "sk-1", "second": "sk-2"}))
    colour.ask(client.using(tenant="acme"))
    assert vendors[1].wait_until(lambda: len(vendors[1].log) == 1)
    assert keys(vendors[1]) == ["sk-client-2"]


# --- metadata ---


def test_metadata_of_view_and_call_are_joined(vendors, colour, caplog: pytest.LogCaptureFixture):
    vendors[0].fault = faults.status(500)
    client = colour.open(policy(vendors))
    acme = client.using(metadata={"tenant": "acme", "team": "search"})
    colour.ask(acme, metadata={"team": "chat", "user": "1"})
    colour.ask(acme.using(metadata={"team": "ads"}))
    colour.ask(client)
    told = [record.metadata for record in caplog.records if record.message == "multimodel.attempt_failed"]
    assert told == [
        {"tenant": "acme", "team": "chat", "user": "1"},
        {"tenant": "acme", "team": "ads"},
        {},
    ]


# --- budgets ---


def priced(vendors, **settings: Any) -> dict[str, Any]:
    fact = {"source": "a test", "date": "2026-11-24"}
    own = {
        "name": "first",
        "title": "First",
        "operator": "first",
        "protocols": {"chat": {"wire": "openai_chat"}},
        "protocol": "chat",
        "prices": [{"input": 100.0, "output": 100.0, "fact": fact}],
        "fact": fact,
    }
    given = policy(vendors, **settings)
    given["providers"]["first"] |= {"profile": own}
    given["routes"]["chat"]["chain"] = ["first:m"]
    return given


def test_each_tenant_has_a_budget_of_its_own_and_views_of_one_tenant_share_it(vendors, colour):
    client = colour.open(priced(vendors, budget={"per_day": 0.003}))
    for _ in range(2):
        colour.ask(client.using(tenant="acme"), max_tokens=5)
    with pytest.raises(AllTargetsFailedError) as caught:
        for _ in range(5):
            colour.ask(client.using(tenant="acme", credentials={"first": "sk-other"}), max_tokens=5)
    assert caught.value.report.skipped[0].reason == "budget"
    assert colour.ask(client.using(tenant="zeta"), max_tokens=5).text == "from the first"
    assert colour.ask(client, max_tokens=5).text == "from the first"
    spent = {who: client.using(tenant=who).status().budgets[0].spent for who in ("acme", "zeta", "nobody")}
    assert spent["acme"] > spent["zeta"] == client.status().budgets[0].spent > spent["nobody"] == 0.0


# --- cheap, and bounded ---


def test_making_a_view_opens_nothing(vendors):
    with Client(policy(vendors)) as client:
        before = threading.active_count()
        for number in range(100):
            client.using(tenant=f"t-{number}", credentials={"first": f"sk-{number}"})
        assert vendors[0].connections.total == 0
        assert threading.active_count() == before


def test_making_a_view_again_costs_microseconds(vendors):
    with Client(policy(vendors)) as client:

        def fastest(turns: int) -> float:
            took = []
            for _ in range(turns):
                begun = time.perf_counter()
                client.using(tenant="acme", credentials={"first": "sk-acme"}, metadata={"a": "b"})
                took.append(time.perf_counter() - begun)
            return min(took)

        assert fastest(500) < 100e-6


class Remembering(FakeProvider):
    """An adapter that an entry of the registry would build: it counts who was built and who was closed."""

    built: ClassVar[list[Remembering]] = []

    def __init__(self, setup: Any) -> None:
        super().__init__()
        self.setup = setup
        self.built.append(self)

    def stream(self, attempt: Any) -> Iterator[Any]:
        yield TextDelta(self.setup.key.reveal())
        yield Finished("stop")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Remembering, "built", [])
    monkeypatch.setattr(tenants, "_KEPT", 10)
    monkeypatch.setattr("multimodel.providers.registry.missing", lambda _name: None)
    monkeypatch.setattr(tenants, "adapter", lambda _name: Remembering)
    fact = {"source": "a test", "date": "2026-11-24"}
    profile = {"name": "plug", "title": "P", "operator": "p", "adapter": "plug", "fact": fact}
    return {
        "providers": {"plug": {"profile": profile, "api_key": "sk-client"}},
        "routes": {"chat": {"chain": ["plug:m"]}},
    }


def test_adapters_of_credentials_that_are_gone_are_closed_and_forgotten(plugin):
    with Client(plugin) as client:
        for number in range(50):
            assert client.using(credentials={"plug": f"sk-{number}"}).complete("chat", "Hi").text == f"sk-{number}"
        gc.collect()
        client._core.leftovers.tidy()
        closed = [one for one in Remembering.built if one.closed]
        assert len(Remembering.built) == 50
        assert len(closed) == 40
        assert all(one.closed == 1 for one in closed)
    assert [one.closed for one in Remembering.built] == [1] * 50


def test_what_a_call_still_uses_is_not_closed(plugin):
    with Client(plugin) as client:
        stream = client.using(credentials={"plug": "sk-long"}).stream("chat", "Hi")
        with stream:
            first = next(iter(stream))
            for number in range(30):
                client.using(credentials={"plug": f"sk-{number}"}).complete("chat", "Hi")
            gc.collect()
            client._core.leftovers.tidy()
            assert first == TextDelta("sk-long")
            assert Remembering.built[0].closed == 0
            assert isinstance(list(stream)[-1], Finished)


def test_many_tenants_leave_no_more_behind_than_those_that_are_kept(vendors, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tenants, "_KEPT", 20)
    vendors[0].fault = faults.status(401)
    with Client(policy(vendors)) as client:
        for number in range(200):
            with pytest.raises(AllTargetsFailedError):
                client.using(credentials={"first": f"sk-{number}"}).complete("chat", "Hi")
        gc.collect()
        client._core.leftovers.tidy()
        health = client._core.health
        for memory in (health._bulkheads, health._breakers, health._known, health._buckets, health._first_content):
            assert len(memory) <= 2 * 20 + 2


def test_views_are_safe_between_threads(vendors):
    with Client(policy(vendors)) as client:
        wrong: list[str] = []

        def work(tenant: int) -> None:
            for number in range(10):
                key = f"sk-{tenant}-{number % 3}"
                client.using(tenant=str(tenant), credentials={"first": key}).complete("chat", key)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for request in vendors[0].log:
            if request.headers["authorization"] != f"Bearer {request.text}":
                wrong.append(request.text)
    assert wrong == []
    assert len(vendors[0].log) == 80


def test_views_are_safe_between_tasks(vendors):
    async def main() -> None:
        async with AsyncClient(policy(vendors)) as client:
            views = [client.using(credentials={"first": f"sk-{number % 7}"}) for number in range(40)]
            await asyncio.gather(*(view.complete("chat", f"sk-{number % 7}") for number, view in enumerate(views)))

    asyncio.run(main())
    assert {request.headers["authorization"].removeprefix("Bearer ") == request.text for request in vendors[0].log} == {
        True
    }


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_view_works_in_a_child_process(vendors):
    with Client(policy(vendors)) as client:
        view = client.using(credentials={"first": "sk-acme"})
        view.complete("chat", "Hi")
        child = os.fork()
        if child == 0:
            done = 1
            try:
                done = 0 if view.complete("chat", "Hi").text == "from the first" else 2
            finally:
                os._exit(done)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert view.complete("chat", "Hi").text == "from the first"
    assert keys(vendors[0]) == ["sk-acme"] * 3
    assert vendors[0].connections.total == 2
