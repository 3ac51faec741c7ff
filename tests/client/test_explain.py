"""What `explain` says of a route, and what calls then do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_jsonable_python

from multimodel import AllTargetsFailedError, Client, ConfigurationError
from multimodel.testing import FakeProvider, FaultyVendor, Simulation, faults
from multimodel.testing.simulation import Silent

FACT = {"source": "a test", "date": "2026-11-24"}


def provider(name: str, vendor: FaultyVendor | None = None, **facts: object) -> dict:
    """A provider with one model `m`, of which `facts` are known."""
    profile = {
        "name": name,
        "title": name,
        "operator": name,
        "protocols": {"chat": {"wire": "openai_chat"}},
        "protocol": "chat",
        "endpoints": {
            "eu": {"url": f"https://{name}.example", "stored_in": ["DE"], "inference_in": ["EU"], "fact": FACT}
        },
        "region": "eu",
        "models": {"m": {"author": "acme", "fact": FACT, **facts}},
        "fact": FACT,
    }
    where = {} if vendor is None else {"base_url": vendor.openai_url}
    return {"profile": profile, "api_key": f"sk-{name}", **where}


def price(dollars: float) -> list[dict]:
    """So much a million tokens, in and out."""
    return [{"input": dollars, "output": dollars, "fact": FACT}]


def policy(providers: Mapping[str, dict], **route: object) -> dict:
    chain = [f"{name}:m" for name in providers]
    return {"providers": dict(providers), "routes": {"chat": {"chain": chain, **route}}}


@pytest.fixture
def three() -> dict:
    return {name: provider(name) for name in ("first", "second", "third")}


@pytest.fixture
def vendors() -> Iterator[tuple[FaultyVendor, FaultyVendor]]:
    with FaultyVendor(answer="one two") as first, FaultyVendor(answer="three") as second:
        yield first, second


def by_name(explanation) -> dict:
    return {one.target.provider: one for one in explanation.targets}


# --- who is asked, and why ---


def test_the_first_of_the_chain_is_asked_first(three):
    with Client(policy(three)) as client:
        explained = client.explain("chat")
    assert explained.first == "first:m: it stands first in the chain"
    assert [one.share for one in explained.targets] == [1.0, 0.0, 0.0]


def test_who_is_off_is_skipped_and_the_next_is_first(three):
    with Client(policy(three)) as client:
        client.off("first", reason="licence review")
        explained = client.explain("chat")
    assert explained.first == "second:m: the first of the chain that can be asked"
    assert (explained.targets[0].reason, explained.targets[0].turn) == ("off", None)
    assert "  1. first:m  skipped: off (operator first: licence review)" in str(explained)


def test_a_draw_is_told_with_its_shares(three):
    with Client(policy(three, traffic={"second:m": 3, "third:m": 1})) as client:
        explained = client.explain("chat")
        assert explained.first == "drawn by `traffic`: second:m 75 %, third:m 25 %; the others keep their order"
        assert [one.turn.begins for one in explained.targets] == pytest.approx([23.3, 46.6, 46.6], abs=0.01)
        client.off("third", reason="drill")
        assert client.explain("chat").first == "second:m: `traffic` says so"


def test_an_open_breaker_is_told_with_what_opened_it_and_the_target_comes_last(vendors):
    vendors[0].fault = faults.status(401)
    given = {"first": provider("first", vendors[0]), "second": provider("second", vendors[1])}
    with Client(policy(given)) as client:
        client.complete("chat", "Hi")
        explained = client.explain("chat")
    first, second = explained.targets
    assert first.reason == "breaker"
    assert first.detail.endswith(" s, opened by authentication")
    assert (first.turn.begins, first.turn.passed_by) == (None, True)
    assert second.turn.begins == 0.0
    assert explained.first == "second:m: the first of the chain that can be asked"


def test_when_all_breakers_are_open_the_last_resort_is_told(vendors):
    for vendor in vendors:
        vendor.fault = faults.status(500)
    given = {"first": provider("first", vendors[0]), "second": provider("second", vendors[1])}
    with Client(policy(given, breaker={"failures": 1}, retry={"attempts": 1})) as client:
        with pytest.raises(AllTargetsFailedError):
            client.complete("chat", "Hi")
        explained = client.explain("chat")
    assert explained.first.startswith("nobody in turn")
    assert [one.reason for one in explained.targets] == ["breaker", "breaker"]
    assert [attempt.reason for attempt in explained.silent.attempts] == ["last_resort", "last_resort"]


def test_explaining_changes_nothing(vendors):
    """The rehearsal opens breakers and takes tokens of a copy."""
    given = {"first": provider("first", vendors[0]), "second": provider("second", vendors[1])}
    with Client(policy(given, breaker={"failures": 1})) as client:
        before = client.explain("chat")
        assert all(attempt.outcome == "timeout.first" for attempt in before.silent.attempts)
        assert [one.reason for one in client.explain("chat").targets] == [None, None]
        assert client.complete("chat", "Hi").target.provider == "first"
    assert [len(vendor.log) for vendor in vendors] == [1, 0]


def test_nobody_is_first_where_nobody_can_be_asked(three):
    with Client(policy(three)) as client:
        for name in three:
            client.off(name, reason="drill")
        explained = client.explain("chat")
    assert explained.first == "nobody: no target can be asked"
    assert (explained.silent, explained.unanswered) == (None, 0.0)
    assert "if no answer begins" not in str(explained)


def test_place_system_text_and_licence_stand_beside_the_target(tmp_path: Path):
    (tmp_path / "zh.txt").write_text("Be brief.", encoding="utf-8")
    given = policy(
        {"first": provider("first", restricts="no use in the EU")}, prompts={"acme": str(tmp_path / "zh.txt")}
    )
    with Client(given) as client:
        explained = client.explain("chat")
    (target,) = explained.targets
    assert (target.region, target.stored_in, target.inference_in) == ("eu", ("DE",), ("EU",))
    assert target.prompt == ("acme", "zh.txt")
    assert target.restricts == "no use in the EU"
    assert "     operator first · author acme · region eu · stored in DE · inference in EU ·" in str(explained)
    assert "system text of `acme`, `zh.txt`" in str(explained).replace("\n     ", " ")


def test_of_an_endpoint_of_ones_own_no_place_is_known(vendors):
    with Client(policy({"first": provider("first", vendors[0])})) as client:
        (target,) = client.explain("chat").targets
    assert (target.region, target.stored_in, target.inference_in) == (None, None, None)


def test_an_alias_is_explained_as_its_route(three):
    with Client({**policy(three), "aliases": {"gpt-4o": "chat"}}) as client:
        assert client.explain("gpt-4o").route == "chat"
        with pytest.raises(ConfigurationError, match="unknown route"):
            client.explain("gpt-4")


# --- when ---


def test_the_time_line_is_told_for_silence_and_for_the_worst(three):
    with Client(policy(three, deadline=300)) as client:
        explained = client.explain("chat")
    assert [attempt.started for attempt in explained.silent.attempts] == pytest.approx([0.0, 10.0, 20.0])
    assert explained.silent.duration == pytest.approx(30.0)
    assert [one.turn.begins for one in explained.targets] == pytest.approx([0.0, 23.3, 46.6], abs=0.01)
    assert explained.unanswered == pytest.approx(46.6 + 10 + 66 + 10, abs=0.01)  # nobody is left to ask instead


ROUTES = st.fixed_dictionaries(
    {
        "deadline": st.sampled_from([0.7, 4, 30, 120]),
        "max_attempts": st.integers(1, 6),
        "timeouts": st.fixed_dictionaries({"first_content": st.sampled_from([0.6, 5, 60]), "whole": st.just(7)}),
        "retry": st.fixed_dictionaries({"attempts": st.integers(1, 3), "patience": st.sampled_from([0, 5])}),
        "transfer": st.sampled_from(["stream", "whole"]),
    },
    optional={
        "hedge": st.fixed_dictionaries({"after": st.sampled_from([0.3, 2]), "budget": st.just(1.0)}),
        "traffic": st.just({"second:m": 1}),
        "breaker": st.just({"failures": 1}),
    },
)


@settings(max_examples=60, deadline=None)
@given(route=ROUTES, count=st.integers(1, 4))
def test_a_simulated_call_to_silent_targets_takes_as_long_as_is_told_and_never_longer_than_the_worst(route, count):
    names = ["first", "second", "third", "fourth"][: max(count, 1 + ("traffic" in route))]
    given_ = policy({name: provider(name) for name in names}, **route)
    with Client(given_) as client:
        explained = client.explain("chat")
    played = Simulation(given_, {name: Silent() for name in names}).run(1, streamed=0.0)
    if "traffic" not in route:  # which the simulation does not draw
        told = explained.silent.duration
        assert told - 1e-6 <= played.seconds <= told + 1.0 + 1e-6  # which looks at its breakers once a second
        assert sum(played.attempts.values()) == len(explained.silent.attempts)
    assert explained.silent.duration <= explained.unanswered + 1e-6 <= explained.slowest + 2e-6
    for attempt in explained.silent.attempts:
        turn = by_name(explained)[attempt.target.provider].turn
        assert attempt.started <= turn.begins + 1e-6


def test_the_deadline_is_shared(three):
    with Client(policy(three, deadline=9, retry={"attempts": 1})) as client:
        explained = client.explain("chat")
    assert [attempt.started for attempt in explained.silent.attempts] == pytest.approx([0.0, 3.0, 6.0])
    assert [one.turn.begins for one in explained.targets] == pytest.approx([0.0, 3.0, 6.0])
    assert explained.unanswered == explained.slowest == 9.0


def test_who_may_never_be_reached_is_told(three):
    with Client(policy(three, max_attempts=4)) as client:
        explained = client.explain("chat")
    assert explained.targets[2].turn.kept_from == ("max_attempts",)
    assert "3. may not be reached: 4 requests may have been sent before" in str(explained)
    with Client(policy(three, max_attempts=2)) as client:
        explained = client.explain("chat")
    assert explained.targets[2].turn.begins is None
    assert "  3.     never" in str(explained)


def test_a_silent_chain_on_sockets_keeps_to_what_is_told(vendors):
    for vendor in vendors:
        vendor.fault = faults.silent()
    given = {"first": provider("first", vendors[0]), "second": provider("second", vendors[1])}
    with Client(policy(given, timeouts={"first_content": 0.6}, deadline=5)) as client:
        explained = client.explain("chat")
        with pytest.raises(AllTargetsFailedError) as caught:
            client.complete("chat", "Hi")
    report = caught.value.report
    told = [attempt.started for attempt in explained.silent.attempts]
    assert [attempt.started for attempt in report.attempts] == pytest.approx(told, abs=0.3)
    assert report.attempts[1].started < by_name(explained)["second"].turn.begins
    assert report.duration < explained.unanswered


# --- what it costs ---


def test_every_request_is_billed_at_its_list_price():
    given = {"first": provider("first", prices=price(10.0)), "second": provider("second", prices=price(1.0))}
    with Client(policy(given, max_attempts=3)) as client:
        explained = client.explain("chat", needs=["input=1000", "output=500"])
    assert [one.cost for one in explained.targets] == pytest.approx([0.015, 0.0015])
    assert explained.cost.at_most == pytest.approx(0.0315)
    assert explained.targets[0].prices == (10.0, 10.0)


def test_what_is_asked_for_once_more_is_billed_once_more():
    given = {"first": provider("first", prices=price(10.0))}
    with Client(policy(given, retry={"attempts": 1})) as client:
        costs = [
            client.explain("chat", needs=["input=1000", "output=500", *more]).cost.at_most for more in ((), ("tools",))
        ]
    assert costs == pytest.approx([0.015, 0.03])


@pytest.mark.parametrize(
    ("facts", "needs", "told"),
    [
        ({}, ["input=1000", "output=10"], "nobody knows the price of first:m"),
        ({"prices": price(1.0)}, [], "say how long it is"),
        ({"prices": price(1.0)}, ["input=1000"], "say how long it is"),
    ],
)
def test_what_is_not_known_is_unknown_and_never_nothing(facts: dict, needs: list[str], told: str):
    with Client(policy({"first": provider("first", **facts)})) as client:
        explained = client.explain("chat", needs=needs)
    assert (explained.targets[0].cost, explained.cost.at_most) == (None, None)
    assert explained.cost.unknown == (explained.targets[0].target,)
    assert told in str(explained).replace("\n   ", " ")


def test_the_answer_is_as_long_as_the_policy_or_the_model_lets_it_be():
    given = {"first": provider("first", prices=price(10.0), max_output=2000)}
    with Client(policy(given)) as client:
        assert client.explain("chat", needs=["input=1000"]).targets[0].cost == pytest.approx(0.03)
    with Client(policy(given, params={"max_tokens": 500})) as client:
        assert client.explain("chat", needs=["input=1000"]).targets[0].cost == pytest.approx(0.015)


def test_a_system_text_is_input_as_well(tmp_path: Path):
    (tmp_path / "long.txt").write_text("x" * 1000, encoding="utf-8")
    given = policy({"first": provider("first", prices=price(10.0))}, prompts={"first": str(tmp_path / "long.txt")})
    with Client(given) as client:
        explained = client.explain("chat", needs=["input=1000", "output=500"])
    assert explained.targets[0].cost == pytest.approx(0.025)


def test_weights_that_cost_nothing_cost_nothing_however_long_the_prompt_is():
    with Client(policy({"first": provider("first", prices=price(0.0))})) as client:
        assert client.explain("chat").cost.at_most == 0.0


# --- what it may cost ---


def test_a_budget_caps_the_cost_and_leaves_out_what_does_not_fit():
    given = {"first": provider("first", prices=price(10.0)), "second": provider("second", prices=price(1.0))}
    with Client(policy(given, budget={"per_call": 0.01})) as client:
        explained = client.explain("chat", needs=["input=1000", "output=500"])
    first, second = explained.targets
    assert first.reason == "budget"
    assert first.detail.startswith("it may cost 0.015000 USD")
    assert (second.reason, explained.cost.at_most) == (None, pytest.approx(0.003))
    assert explained.first == "second:m: the first of the chain that can be asked"


def test_with_a_budget_an_unknown_price_is_a_skip():
    given = {"first": provider("first"), "second": provider("second", prices=price(1.0))}
    with Client(policy(given, budget={"per_call": 0.01})) as client:
        explained = client.explain("chat")
    assert [(one.reason, one.detail) for one in explained.targets] == [("budget", "its price is unknown"), (None, "")]
    assert explained.cost.at_most == 0.01


def test_a_budget_that_ends_the_call_lets_nobody_after_it_be_asked():
    given = {"first": provider("first"), "second": provider("second", prices=price(1.0))}
    with Client(policy(given, budget={"per_call": 0.01, "then": "error"})) as client:
        explained = client.explain("chat")
    assert explained.targets[1].reason == "budget"
    assert explained.targets[1].detail == "the call ends at one before it that does not fit"
    assert explained.first == "nobody: no target can be asked"


def test_who_may_not_fit_any_more_once_others_have_spent_is_told():
    given = {"first": provider("first", prices=price(5.0)), "second": provider("second", prices=price(5.0))}
    with Client(policy(given, budget={"per_call": 0.01})) as client:
        explained = client.explain("chat", needs=["input=1000", "output=500"])
    assert explained.targets[1].turn.kept_from == ("budget",)
    assert explained.cost.at_most == 0.01


def test_what_was_spent_today_is_told(vendors):
    given = {"first": provider("first", vendors[0], prices=price(100.0))}
    with Client(policy(given, budget={"per_day": 1.0})) as client:
        client.complete("chat", "Hi", max_tokens=10)
        explained = client.explain("chat")
    assert explained.budget.today.spent == pytest.approx(3 * 100e-6)
    assert "today 0.0003 spent, 0 set aside, 0.9997 left" in str(explained).replace("\n        ", " ")


# --- for every reader ---


@pytest.mark.parametrize("needs", [[], ["input=1000", "output=100"]])
def test_it_fits_into_eighty_columns_and_into_json(three, needs):
    three["second"] = provider(
        "second", prices=price(0.1), restricts="a hosting business needs a licence of its own " * 3
    )
    given = policy(three, traffic={"first:m": 1, "second:m": 2, "third:m": 4}, budget={"per_day": 20.0})
    with Client(given) as client:
        explained = client.explain("chat", needs=needs)
    assert max(map(len, str(explained).splitlines())) <= 80
    assert str(explained).isascii() or "·" in str(explained)
    told = to_jsonable_python(explained)
    assert [one["target"]["provider"] for one in told["targets"]] == ["first", "second", "third"]


def test_both_clients_and_a_view_say_the_same(three):
    from multimodel import AsyncClient

    with Client(policy(three)) as client:
        told = str(client.explain("chat"))
        assert str(client.using(tenant="acme").explain("chat")) == told
        assert "sk-first" not in told
    assert str(AsyncClient(policy(three)).explain("chat")) == told


def test_an_adapter_of_ones_own_is_explained_as_far_as_it_is_known():
    with Client({"routes": {"chat": {"chain": ["fake:any"]}}}, providers={"fake": FakeProvider()}) as client:
        (target,) = client.explain("chat").targets
    assert (target.reason, target.prices, target.stored_in) == (None, None, None)


@pytest.mark.parametrize(
    ("lacking", "why"),
    [
        ("litellm:openai/m", "litellm is not installed"),
        ("theirs:m", "no plugin is its adapter `nobodys`"),
    ],
)
def test_a_target_whose_package_is_missing_is_known_to_be_skipped_before_a_call(vendors, monkeypatch, lacking, why):
    monkeypatch.setitem(sys.modules, "litellm", None)
    theirs = {"profile": {"name": "theirs", "title": "T", "adapter": "nobodys", "key_required": False, "fact": FACT}}
    given = policy({"second": provider("second", vendors[1]), "theirs": theirs})
    given["routes"]["chat"]["chain"] = [lacking, "second:m"]
    with Client(given) as client:
        told, state = client.explain("chat"), client.status().routes["chat"][0].state
        skip = client.complete("chat", "Hi").report.skipped[0]
        assert client.off("second", reason="drill") == ("chat",)
    assert (told.targets[0].reason, state, skip.reason, skip.detail) == (
        "unavailable",
        "unavailable",
        "unavailable",
        why,
    )
    assert told.first.startswith("second:m")


def test_vectors_cost_what_their_input_does():
    free_output = [{"input": 1.0, "output": 0.0, "fact": FACT}]
    with Client(policy({"first": provider("first", prices=free_output, features=["embeddings"])})) as client:
        assert client.explain("chat", needs=["embeddings", "input=1000"]).cost.at_most == pytest.approx(0.002)


def test_when_another_is_asked_beside_a_slow_one_is_told_as_it_is_measured(vendors):
    vendors[0].fault = faults.headers_then_silence(1.2)
    given = {"first": provider("first", vendors[0]), "second": provider("second", vendors[1])}
    with Client(policy(given, hedge={"after": "p95", "budget": 0.0})) as client:
        before = client.explain("chat")
        client.complete("chat", "Hi")
        after = client.explain("chat")
    assert before.targets[0].limits.hedge == 5.0
    assert 1.2 <= after.targets[0].limits.hedge < 3.0
    assert "1. another may be asked beside it after 5.00 s without content" in str(before)
