"""What calls cost, and what they may: prices, broken-off attempts, budgets of a call and of a day."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    BadRequestError,
    CallError,
    Client,
    ConfigurationError,
    Message,
    PolicyDeniedError,
    Usage,
)
from multimodel.client.check import check
from multimodel.client.cost import tokens_at_most
from multimodel.config import check_policy, load_policy
from multimodel.providers.catalogue import profiles
from multimodel.providers.pricing import cost_at_most, list_prices, priced
from multimodel.providers.profile import Fact, ModelFacts, Price, Profile
from multimodel.testing import FakeProvider, FaultyVendor, Reply, faults
from multimodel.types import Request

FACT = Fact(source="a test", date=date(2026, 11, 24))


def price(**facts: object) -> Price:
    return Price(**{"input": 1.0, "output": 2.0, "fact": FACT, **facts})  # type: ignore[arg-type]


def usage(taken: int = 1_000_000, given: int = 1_000_000, **more: object) -> Usage:
    return Usage(input_tokens=taken, output_tokens=given, total_tokens=taken + given, **more)  # type: ignore[arg-type]


# --- prices ---


@pytest.mark.parametrize(
    ("used", "facts", "cost"),
    [
        (usage(), {}, 3.0),
        (usage(cached_tokens=400_000), {}, 3.0),
        (usage(cached_tokens=400_000), {"cached_input": 0.1}, 2.64),
        (usage(cached_tokens=2_000_000), {"cached_input": 0.1}, 2.1),
        (usage(reasoning_tokens=10), {}, 3.0),
        (usage(reasoning_tokens=10), {"thinking_output": 8.0}, 9.0),
        (usage(reasoning_tokens=0), {"thinking_output": 8.0}, 3.0),
        (usage(), {"input": 0.0, "output": 0.0}, 0.0),
        (usage(cost=5.0), {}, 5.0),
    ],
)
def test_an_answer_costs_what_its_tokens_do(used: Usage, facts: dict[str, float], cost: float):
    assert priced(used, [price(**facts)]).cost == pytest.approx(cost)


TIERS = (price(up_to=100), price(up_to=1000, input=10.0, output=20.0))


@pytest.mark.parametrize(("taken", "cost"), [(100, 300e-6), (101, 101 * 10e-6 + 2000e-6), (1001, None)])
def test_the_tier_is_that_of_the_input_and_beyond_the_last_nothing_is_known(taken: int, cost: float | None):
    found = priced(usage(taken, 100), TIERS).cost
    assert found is None if cost is None else found == pytest.approx(cost)


def test_without_a_price_the_cost_is_unknown_and_not_zero():
    assert priced(usage(), ()).cost is None
    assert cost_at_most((), 1, 1) is None


@given(
    taken=st.integers(0, 3000),
    given_=st.integers(0, 3000),
    cached=st.integers(0, 4000),
    thought=st.none() | st.integers(0, 100),
    tiers=st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=3),
)
def test_no_answer_of_so_many_tokens_costs_more_than_the_most(taken, given_, cached, thought, tiers):
    table = [
        price(input=one, output=two, thinking_output=three, up_to=None if number == len(tiers) else 1000 * number)
        for number, (one, two, three) in enumerate(tiers, 1)
    ]
    most = cost_at_most(table, taken, given_)
    for fewer in (0, taken // 2, taken):
        found = priced(usage(fewer, given_, cached_tokens=cached, reasoning_tokens=thought), table).cost
        assert found is not None
        assert most is not None
        assert found <= most + 1e-12


def profile(*prices: Price, own: tuple[Price, ...] = ()) -> Profile:
    facts = ModelFacts(prices=prices, fact=FACT)
    return Profile(name="v", title="V", operator="v", adapter="x", models={"m": facts}, prices=own, fact=FACT)


def test_a_price_of_the_region_holds_before_one_for_all():
    here, everywhere = price(region="eu"), price(input=9.0)
    known = profile(here, everywhere)
    assert list_prices(known, "m", "eu", "v") == (here,)
    assert list_prices(known, "m", "us", "v") == (everywhere,)
    assert list_prices(profile(here), "m", None, "v") == ()


def test_tiers_stand_in_their_order():
    last, first = price(), price(up_to=100)
    assert list_prices(profile(last, first), "m", None, "v") == (first, last)


def test_of_somebody_elses_endpoint_no_price_is_known():
    assert list_prices(profile(price()), "m", None, "house") == ()


def test_a_model_without_prices_costs_what_its_profile_says():
    assert list_prices(profile(own=(price(input=0.5),)), "m", None, "v")[0].input == 0.5
    assert list_prices(profile(own=(price(input=0.5),)), "unlisted", None, "v")[0].input == 0.5


def test_local_weights_cost_nothing_because_the_catalogue_says_so():
    local = profiles({})["local"]
    assert priced(usage(), list_prices(local, "any-folder", None, None)).cost == 0.0


# --- what a request can have ---


@given(st.text(max_size=200), st.text(max_size=50))
def test_a_request_has_no_more_tokens_than_its_text_has_bytes(text: str, tool: str):
    request = Request.model_validate(
        {
            "messages": [{"role": "user", "content": text}],
            "tools": [{"name": "look", "description": tool, "parameters": {"type": "object", "properties": {}}}],
        }
    )
    assert tokens_at_most(request) >= len(text.encode()) + len(tool.encode())


def test_media_are_set_aside_for():
    image = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
    messages = (Message.model_validate({"role": "user", "content": [image]}),)
    assert tokens_at_most(Request(messages=messages)) > 8000


# --- calls ---


PRICED = {
    "name": "paid",
    "title": "Paid",
    "operator": "paid",
    "protocols": {"chat": {"wire": "openai_chat"}},
    "protocol": "chat",
    "fact": {"source": "a test", "date": "2026-11-24"},
}


def vendor_of(vendor: FaultyVendor, name: str, dollars: float | None) -> dict:
    """A provider whose model costs so much a million tokens, in and out."""
    fact = PRICED["fact"]
    prices = [] if dollars is None else [{"input": dollars, "output": dollars, "fact": fact}]
    facts = {"prices": prices, "max_output": 1000, "fact": fact}
    own = {**PRICED, "name": name, "operator": name, "models": {"m": facts}}
    return {"profile": own, "base_url": vendor.openai_url, "api_key": f"sk-{name}"}


@pytest.fixture
def vendors():
    with FaultyVendor(answer="one two three") as first, FaultyVendor(answer="from the second") as second:
        yield first, second


def policy(vendors, dollars: tuple[float | None, ...] = (100.0, 1.0), **settings: object) -> dict:
    names = ("first", "second")
    providers = {
        name: vendor_of(*given) for name, given in zip(names, zip(vendors, names, dollars, strict=True), strict=True)
    }
    chain = [f"{name}:m" for name in providers]
    return {"providers": providers, "routes": {"chat": {"chain": chain, "retry": {"attempts": 1}, **settings}}}


def test_an_answer_says_what_it_cost(vendors, colour):
    answer = colour.ask(colour.open(policy(vendors)))
    assert answer.usage.cost == pytest.approx(4 * 100e-6)
    assert answer.report.cost == answer.report.attempts[0].cost == answer.usage.cost
    assert not answer.report.cost_estimated


def test_a_fallback_after_a_refusal_costs_what_the_answer_does(vendors, colour):
    vendors[0].fault = faults.status(503)
    report = colour.ask(colour.open(policy(vendors))).report
    assert [attempt.cost for attempt in report.attempts] == [0.0, pytest.approx(4e-6)]
    assert report.cost == pytest.approx(4e-6)


def test_a_broken_off_attempt_costs_the_most_that_it_can_and_is_marked(vendors, colour):
    vendors[0].fault = faults.cut(after=2)
    report = colour.ask(colour.open(policy(vendors)), max_tokens=50).report
    broken, whole = report.attempts
    assert broken.cost_estimated
    assert broken.cost == pytest.approx((50 + len("Hi") + 16) * 100e-6)
    assert not whole.cost_estimated
    assert report.cost == pytest.approx(broken.cost + whole.cost)
    assert report.cost_estimated


def test_one_attempt_of_unknown_cost_makes_the_cost_of_the_call_unknown(vendors, colour):
    vendors[0].fault = faults.cut(after=2)
    report = colour.ask(colour.open(policy(vendors, dollars=(None, 1.0)))).report
    assert [attempt.cost is None for attempt in report.attempts] == [True, False]
    assert report.cost is None


def test_an_abandoned_stream_says_what_it_can_have_cost(vendors):
    vendors[0].answer = "word " * 200
    vendors[0].pace = 0.01
    with Client(policy(vendors)) as client:
        with client.stream("chat", "Hi", max_tokens=500) as stream:
            next(iter(stream))
        assert stream.report.cost == pytest.approx((500 + 18) * 100e-6)
        assert stream.report.cost_estimated


# --- budgets ---


def test_a_call_that_may_cost_too_much_goes_to_the_cheaper_target(vendors, colour):
    client = colour.open(policy(vendors, budget={"per_call": 0.01}))
    answer = colour.ask(client)
    assert answer.target.provider == "second"
    (skip,) = answer.report.skipped
    assert (skip.reason, str(skip.target)) == ("budget", "first:m")
    assert colour.ask(client, max_tokens=50).target.provider == "first"
    assert len(vendors[0].log) == 1


@pytest.mark.parametrize(("per_call", "too_small"), [(0.1016, True), (0.1017, False)])
def test_check_tells_whom_a_call_without_a_limit_cannot_pay(vendors, per_call, too_small):
    with Client(policy(vendors, budget={"per_call": per_call})) as client:
        told = [one for one in check(client._core, today=FACT.date) if one.code == "budget-too-small"]
        assert (client.complete("chat", "?").target.provider == "second") == bool(told) == too_small


@pytest.mark.parametrize(
    "asked",
    [
        {"messages": "half a \ud83d"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "half a \ud83d"}]}]},
        {"tools": [{"name": "look", "parameters": {"type": "object", "description": "half a \ud83d"}}]},
    ],
)
def test_a_text_that_nobody_can_send_is_a_bad_request_with_a_budget_too(vendors, colour, asked):
    client = colour.open(policy(vendors, budget={"per_day": 20.0}))
    with pytest.raises(BadRequestError, match="cannot be written as JSON"):
        colour.ask(client, **asked)
    assert vendors[0].log == vendors[1].log == []
    (day,) = client.status().budgets
    assert (day.spent, day.reserved) == (0.0, 0.0)


def test_a_call_that_must_not_go_on_fails_before_any_socket(vendors, colour):
    with pytest.raises(AllTargetsFailedError) as caught:
        colour.ask(colour.open(policy(vendors, budget={"per_call": 0.01, "then": "error"})))
    (error,) = caught.value.exceptions
    assert isinstance(error, PolicyDeniedError)
    assert "budget" in str(error)
    assert not caught.value.attempts
    assert vendors[0].connections.total == vendors[1].connections.total == 0


def test_a_day_is_spent_call_by_call_and_status_says_how_much_is_left(vendors, colour):
    client = colour.open(policy(vendors, budget={"per_day": 0.0055}))
    by = Counter(colour.ask(client, max_tokens=20).target.provider for _ in range(8))
    assert by == {"first": 5, "second": 3}  # the sixth might cost 0.0038 on the first, and 0.0035 are left
    (day,) = client.status().budgets
    assert (day.route, day.tenant, day.per_day, day.reserved) == ("chat", None, 0.0055, 0.0)
    assert day.spent == pytest.approx(5 * 4e-4 + 3 * 4e-6)
    assert day.left == pytest.approx(0.0055 - day.spent)


def test_a_route_without_a_budget_is_not_in_the_status(vendors):
    with Client(policy(vendors)) as client:
        assert client.status().budgets == ()


def test_a_target_of_unknown_price_is_not_asked_and_check_warns_of_it(vendors):
    given_ = policy(vendors, dollars=(None, 1.0), budget={"per_day": 1.0})
    with Client(given_) as client:
        answer = client.complete("chat", "Hi")
    assert answer.target.provider == "second"
    assert answer.report.skipped[0].detail == "its price is unknown"
    known = profiles({})
    told = check_policy(
        load_policy(given_, environ={}, profiles=known), environ={}, profiles=known, today=datetime.now(UTC).date()
    )
    (problem,) = [one for one in told if "price" in one.message]
    assert (problem.severity, problem.path) == ("warning", ("routes", "chat", "chain", 0))
    assert str(problem).endswith(
        "the price of `first:m` is unknown: with a budget it is never asked\n"
        "hint: write its price into a profile, or remove the budget"
    )


def test_a_target_that_costs_nothing_is_asked_when_the_day_is_spent(vendors):
    given_ = policy(vendors, budget={"per_day": 0.0})
    free = {"input": 0.0, "output": 0.0, "fact": PRICED["fact"]}
    given_["providers"]["here"] = {"profile": {**PRICED, "name": "here", "adapter": "here", "prices": [free]}}
    given_["routes"]["chat"]["chain"].append("here:any")
    with Client(given_, providers={"here": FakeProvider(["from here"])}) as client:
        answer = client.complete("chat", "Hi")
    assert answer.text == "from here"
    assert answer.report.cost == 0.0


def test_calls_at_the_same_time_never_overshoot(vendors):
    """A day that has room for three, and sixteen at once: each may cost 0.0028, and costs 0.0004."""
    vendors[0].fault = faults.headers_then_silence(0.3)
    with Client(policy(vendors, budget={"per_day": 0.009})) as client, ThreadPoolExecutor(16) as threads:
        begin = threading.Barrier(16)

        def work(_: int) -> str:
            begin.wait()
            return client.complete("chat", "Hi", max_tokens=10).target.provider

        by = Counter(threads.map(work, range(16)))
        assert by == {"first": 3, "second": 13}
        (day,) = client.status().budgets
    assert day.spent <= 0.009
    assert day.reserved == 0.0


def test_an_error_settles_what_was_set_aside(vendors, colour):
    for vendor in vendors:
        vendor.fault = faults.status(500)
    client = colour.open(policy(vendors, budget={"per_day": 1.0}))
    with pytest.raises(CallError):
        colour.ask(client)
    (day,) = client.status().budgets
    assert (day.spent, day.reserved) == (0.0, 0.0)


def test_a_cancelled_call_settles_what_was_set_aside(vendors):
    vendors[0].fault = faults.silent()
    client = AsyncClient(policy(vendors, budget={"per_day": 1.0}))

    async def main() -> None:
        call = asyncio.create_task(client.complete("chat", "Hi", max_tokens=10))
        await asyncio.to_thread(vendors[0].wait_until, lambda: vendors[0].connections.open == 1)
        (day,) = client.status().budgets
        assert day.reserved == pytest.approx(0.0028)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        (day,) = client.status().budgets
        assert (day.spent, day.reserved) == (pytest.approx(0.0028), 0.0)
        await client.aclose()

    asyncio.run(main())


def test_both_of_a_hedge_are_booked(vendors):
    vendors[0].fault = faults.silent()
    given_ = policy(vendors, budget={"per_day": 1.0}, hedge={"after": 0.05, "budget": 1.0})
    given_["providers"]["second"]["base_url"] = vendors[1].openai_url.replace("127.0.0.1", "localhost")
    with Client(given_) as client:
        report = client.complete("chat", "Hi", max_tokens=10).report
        (day,) = client.status().budgets
    assert sorted(attempt.outcome for attempt in report.attempts) == ["lost", "ok"]
    assert day.spent == pytest.approx(0.0028 + 4e-6)
    assert report.cost == pytest.approx(day.spent)


def test_what_was_thought_costs_the_price_of_thinking(vendors):
    vendors[0].answer = Reply("Yes.", usage=usage(1_000, 1_000, reasoning_tokens=900))
    given_ = policy(vendors)
    facts = given_["providers"]["first"]["profile"]["models"]["m"]
    facts["prices"][0]["thinking_output"] = 500.0
    with Client(given_) as client:
        assert client.complete("chat", "Hi").report.cost == pytest.approx(0.1 + 0.5)


def test_the_amounts_of_a_file_have_a_currency(tmp_path: Path):
    file = tmp_path / "m.yaml"
    file.write_text(
        "routes: {chat: {chain: [openai:gpt-5], budget: {per_call: 0.05 USD, per_day: 20 USD, then: cheaper}}}\n"
    )
    budget = load_policy(file, environ={}, profiles=profiles({})).routes["chat"].budget
    assert budget is not None
    assert (budget.per_call, budget.per_day, budget.then) == (0.05, 20.0, "cheaper")


@pytest.mark.parametrize(
    ("options", "written"),
    [({}, 32_768), ({"max_tokens": 100, "extra": {"openai": {"max_completion_tokens": 30_000}}}, 30_000)],
)
def test_no_answer_is_longer_than_the_budget_reckons_with(options: dict, written: int):
    def answer(request) -> Reply:
        said = request.options.get("max_completion_tokens") or request.options.get("max_tokens") or written
        tokens = min(written, said)
        return Reply("a", usage=Usage(input_tokens=10, output_tokens=tokens, total_tokens=10 + tokens))

    with FaultyVendor(answer=answer) as vendor:
        account = {"base_url": vendor.openai_url, "api_key": "sk-test"}
        route = {"chain": ["openai:gpt-4.1-mini"], "budget": {"per_call": "0.014 USD"}}
        with Client({"providers": {"openai": account}, "routes": {"chat": route}}) as client:
            try:
                report = client.complete("chat", "x", **options).report
            except AllTargetsFailedError as error:
                report = error.report
    assert report is not None
    assert (report.cost or 0.0) <= 0.014


def test_thinking_that_no_limit_bounds_is_set_aside():
    with FaultyVendor() as vendor:
        account = {"base_url": vendor.dashscope_url, "api_key": "sk-test", "region": "singapore"}
        route = {"chain": ["dashscope:qwen-plus"], "budget": {"per_call": "0.01 USD"}}
        with Client({"providers": {"dashscope": account}, "routes": {"chat": route}}) as client:
            with pytest.raises(AllTargetsFailedError):
                client.complete("chat", "x", max_tokens=100, reasoning_effort="high")
            assert client.complete("chat", "x", max_tokens=100).text
        assert len(vendor.log) == 1


def test_a_shadow_listens_beside_a_budget_and_is_not_charged_to_it():
    with FaultyVendor() as vendor:
        account = {"base_url": vendor.dashscope_url, "api_key": "sk-test", "region": "singapore"}
        route = {
            "chain": ["dashscope:qwen-plus"],
            "budget": {"per_day": "1 USD"},
            "shadow": {"target": "dashscope:qwen-max", "share": 1.0},
        }
        with Client({"providers": {"dashscope": account}, "routes": {"chat": route}}) as client:
            answer = client.complete("chat", "x", max_tokens=100)
            assert vendor.wait_until(lambda: [one.outcome for one in vendor.log] == ["answered"] * 2)
            assert client.status().budgets[0].spent == answer.usage.cost


@pytest.mark.parametrize("more", [{"operator": "house"}, {"headers": {"authorization": "Bearer sk-own"}}])
def test_a_vendors_key_in_the_environment_goes_to_nobody_else(more: dict, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    with FaultyVendor() as vendor:
        account = {"profile": "openai", "base_url": vendor.openai_url, **more}
        with Client({"providers": {"house": account}, "routes": {"chat": {"chain": ["house:m"]}}}) as client:
            client.complete("chat", "x")
        assert vendor.log[0].headers.get("authorization") == more.get("headers", {}).get("authorization")


def test_sixteen_threads_spend_a_day_to_its_last_request_and_no_further(vendors):
    """Each may cost 0.0028 and costs 0.0004: 44 fit into 0.02, since 43 leave room for one more. Nobody goes on elsewhere."""
    answered, refused = [], []
    with Client(policy(vendors, budget={"per_day": 0.02, "then": "error"})) as client:

        def ask(_: int = 0) -> None:
            try:
                answered.append(client.complete("chat", "Hi", max_tokens=10).report.cost)
            except AllTargetsFailedError as error:
                refused.append(error)
            (day,) = client.status().budgets
            assert day.spent + day.reserved <= 0.02

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(ask, range(96)))
        for _ in range(44):  # what others had set aside is free again
            ask()
        (day,) = client.status().budgets
    assert len(answered) == len(vendors[0].log) == 44
    assert day.spent == pytest.approx(sum(answered)) == pytest.approx(0.0176)
    assert day.reserved == 0.0
    assert len(refused) == 96
    assert not any(error.attempts for error in refused)
    assert vendors[1].connections.total == 0


# --- alarms ---


def alarms(caplog: pytest.LogCaptureFixture) -> list[tuple[float, str, str | None]]:
    return [
        (one.alarm, one.levelname, one.tenant) for one in caplog.records if one.message == "multimodel.budget_alarm"
    ]


@pytest.fixture
def heard(caplog):
    caplog.set_level(logging.WARNING, "multimodel")
    return caplog


def test_each_alarm_is_told_once_when_its_share_is_spent(vendors, colour, heard):
    """A call may cost 0.0019 and costs 0.0004; the ninth does not fit into the 0.0016 that are left."""
    client = colour.open(policy(vendors, budget={"per_day": 0.0048, "alarms": [0.5, 0.25, 1.0]}))
    told = []
    for _ in range(12):
        colour.ask(client, max_tokens=1)
        told.append([share for share, *_ in alarms(heard)])
        assert client.status().budgets[0].alarms == tuple(told[-1])
    assert told == 2 * [[]] + 3 * [[0.25]] + 3 * [[0.25, 0.5]] + 4 * [[0.25, 0.5, 1.0]]
    assert alarms(heard) == [(0.25, "WARNING", None), (0.5, "WARNING", None), (1.0, "ERROR", None)]
    first = next(one for one in heard.records if one.message == "multimodel.budget_alarm")
    assert (first.route, first.spent, first.per_day) == ("chat", pytest.approx(0.0012), 0.0048)
    assert first.day == datetime.now(UTC).date().isoformat()
    assert "alarm at 25%, 50%, 100%" in " ".join(str(client.explain("chat")).split())


def test_what_stops_a_call_alarms_though_hardly_anything_is_spent(vendors, heard):
    with Client(policy(vendors, budget={"per_day": 0.001, "then": "error"})) as client:
        with pytest.raises(AllTargetsFailedError):
            client.complete("chat", "Hi", max_tokens=10)
    assert alarms(heard) == [(1.0, "ERROR", None)]
    assert vendors[0].connections.total == vendors[1].connections.total == 0


def test_what_one_call_may_cost_alarms_nobody(vendors, heard):
    with Client(policy(vendors, budget={"per_call": 0.001, "per_day": 1.0})) as client:
        assert client.complete("chat", "Hi", max_tokens=10).target.provider == "second"
    assert alarms(heard) == []


def test_each_tenant_has_alarms_of_its_own(vendors, heard):
    with Client(policy(vendors, budget={"per_day": 0.003, "alarms": [0.1]})) as client:
        for tenant in ("acme", "acme", "blue"):
            client.using(tenant=tenant).complete("chat", "Hi", max_tokens=1)
    assert alarms(heard) == [(0.1, "WARNING", "acme"), (0.1, "WARNING", "blue")]


def test_sixteen_threads_hear_each_alarm_once(vendors, heard):
    given_ = policy(vendors, budget={"per_day": 0.05, "alarms": [0.01, 0.02, 0.03, 0.2]})
    with Client(given_) as client, ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: client.complete("chat", "Hi", max_tokens=1), range(64)))
    assert sorted(share for share, *_ in alarms(heard)) == [0.01, 0.02, 0.03, 0.2]


def test_a_stream_that_is_given_up_alarms_when_it_is_closed(vendors, heard):
    vendors[0].answer = "word " * 200
    vendors[0].pace = 0.01
    with Client(policy(vendors, budget={"per_day": 0.06})) as client:
        with client.stream("chat", "Hi", max_tokens=500) as stream:
            next(iter(stream))
        assert [share for share, *_ in alarms(heard)] == [0.8]


def test_no_lock_is_held_while_an_alarm_is_told(vendors, heard):
    class Curious(logging.Handler):
        def emit(self, _record: logging.LogRecord) -> None:
            other = threading.Thread(target=lambda: seen.append(client.status()))
            other.start()
            other.join(5.0)

    seen: list[object] = []
    handler = Curious()
    logging.getLogger("multimodel").addHandler(handler)
    try:
        with Client(policy(vendors, budget={"per_day": 0.003, "alarms": [0.1]})) as client:
            client.complete("chat", "Hi", max_tokens=1)
            assert len(seen) == 1
    finally:
        logging.getLogger("multimodel").removeHandler(handler)


def test_a_budget_that_is_raised_meanwhile_alarms_anew(vendors, colour, heard):
    given_ = policy(vendors, budget={"per_day": 0.001, "then": "error", "alarms": [1.0]})
    client = colour.open(given_)
    with pytest.raises(AllTargetsFailedError):
        colour.ask(client, max_tokens=10)
    given_["routes"]["chat"]["budget"]["per_day"] = 0.0048
    client.reload()
    colour.ask(client, max_tokens=1)
    assert client.status().budgets[0].alarms == ()
    assert len(alarms(heard)) == 1
    for _ in range(8):
        with suppress(AllTargetsFailedError):
            colour.ask(client, max_tokens=1)
    assert client.status().budgets[0].alarms == (1.0,)
    assert [one.per_day for one in heard.records if one.message == "multimodel.budget_alarm"] == [0.001, 0.0048]


def test_a_count_that_no_answer_can_have_is_unknown_and_the_most_is_booked(vendors, colour):
    vendors[0].answer = Reply("Yes.", usage=Usage(input_tokens=10**400, output_tokens=0, total_tokens=0))
    client = colour.open(policy(vendors, budget={"per_day": 1.0}))
    answer = colour.ask(client, max_tokens=10)
    assert (answer.text, answer.usage, answer.report.cost) == ("Yes.", None, None)
    assert 0 < client.status().budgets[0].spent < 1


def test_without_alarms_nothing_is_told(vendors, heard):
    with Client(policy(vendors, budget={"per_day": 0.001, "alarms": []})) as client:
        client.complete("chat", "Hi", max_tokens=10)
        assert client.status().budgets[0].alarms == ()
    assert alarms(heard) == []


@pytest.mark.parametrize(
    ("written", "message"), [("[80]", "is no percentage"), ("[0%]", "is not more than 0"), ("[110%]", "110%")]
)
def test_an_alarm_is_a_share_of_the_day(tmp_path: Path, written: str, message: str):
    file = tmp_path / "m.yaml"
    file.write_text(f"routes: {{chat: {{chain: [openai:gpt-5], budget: {{per_day: 20 USD, alarms: {written}}}}}}}\n")
    with pytest.raises(ConfigurationError, match=message):
        load_policy(file, environ={}, profiles=profiles({}))


def test_by_default_four_fifths_and_the_whole_day_alarm(tmp_path: Path):
    file = tmp_path / "m.yaml"
    file.write_text("routes: {chat: {chain: [openai:gpt-5], budget: {per_day: 20 USD}}}\n")
    budget = load_policy(file, environ={}, profiles=profiles({})).routes["chat"].budget
    assert budget is not None
    assert budget.alarms == (0.8, 1.0)
