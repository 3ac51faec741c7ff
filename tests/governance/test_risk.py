"""The risk report, with numbers that were worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from multimodel.governance.ledger import Ledger, Line, Traffic, read_ledger
from multimodel.governance.page import json_bytes
from multimodel.governance.risk import Member, Risk, RoutePlan, assess, risk_page

from .pages import Reader

QWEN = Member("dashscope:qwen", "alibaba", "alibaba", "CN", "dashscope", "cn.example.com", weight=1.0)
HOSTED = Member("groq:qwen", "groq", "alibaba", "US", "groq", "us.example.com")
OTHER = Member("openai:gpt", "openai", "openai", "US", "openai", "api.example.com")
LOCAL = Member("local:qwen", None, "alibaba", None, "", None, local=True)
UNKNOWN = Member("litellm:x/y")


def risk(*routes: RoutePlan, traffic: Traffic | None = None) -> Risk:
    return assess(routes, traffic, made=datetime(2026, 11, 29, tzinfo=UTC), policy="multimodel.yaml", version="1")


def shares(found: Risk, by: str, of: str) -> dict[str | None, float]:
    (one,) = [one for one in found.concentration if (one.by, one.of) == (by, of)]
    known = {share.name: round(share.share, 6) for share in one.shares}
    return known | {None: round(one.unknown, 6)} if one.unknown else known


def index(found: Risk, by: str, of: str) -> tuple[int, int] | None:
    (one,) = [one.herfindahl for one in found.concentration if (one.by, one.of) == (by, of)]
    return None if one is None else (one.least, one.most)


def single(found: Risk) -> dict[str, dict[str, str | None]]:
    points: dict[str, dict[str, str | None]] = {}
    for one in found.single_points:
        points.setdefault(one.route, {})[one.by] = one.name
    return points


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """100 answered calls: 60 by alibaba, 30 by openai, 10 by nobody knows whom; 5 that failed."""
    file = tmp_path / "calls.db"
    kept = Ledger(file)
    number = 0

    def keep(count: int, member: Member, outcome: str, tokens: int | None, cost: float | None) -> None:
        nonlocal number
        for _ in range(count):
            number += 1
            kept.add(
                [
                    Line(
                        time=1_000.0 + number,
                        call=f"call-{number}",
                        verb="complete",
                        route="chat",
                        attempt=1,
                        reason="first",
                        target=member.target,
                        operator=member.operator,
                        author=member.author,
                        jurisdiction=member.jurisdiction,
                        outcome=outcome,
                        input_tokens=tokens,
                        output_tokens=None if tokens is None else 0,
                        cost=cost,
                        cost_estimated=False,
                        latency=0.5,
                    )
                ]
            )

    keep(60, QWEN, "ok", 10, 0.5)
    keep(30, OTHER, "ok", 40, 1.0)
    keep(10, UNKNOWN, "ok", 60, 0.0)
    keep(5, HOSTED, "server_error", None, 0.0)
    kept.close()
    return file


# --- shares ---


def test_shares_of_real_calls_tokens_and_spend(ledger):
    found = risk(RoutePlan("chat", (QWEN, OTHER, UNKNOWN, HOSTED)), traffic=read_ledger(ledger))
    assert (found.basis, found.ledger.calls, found.ledger.answered) == ("ledger", 105, 100)
    assert shares(found, "operator", "calls") == {"alibaba": 0.6, "openai": 0.3, None: 0.1}
    assert shares(found, "operator", "tokens") == {"alibaba": 0.25, "openai": 0.5, None: 0.25}
    assert shares(found, "operator", "spend") == {"alibaba": 0.5, "openai": 0.5}
    assert shares(found, "jurisdiction", "calls") == {"CN": 0.6, "US": 0.3, None: 0.1}


def test_the_herfindahl_index_is_a_range_where_a_part_is_unknown(ledger):
    found = risk(RoutePlan("chat", (QWEN, OTHER)), traffic=read_ledger(ledger))
    assert index(found, "operator", "calls") == (60**2 + 30**2, 70**2 + 30**2)
    assert index(found, "operator", "tokens") == (25**2 + 50**2, 25**2 + 75**2)
    assert index(found, "operator", "spend") == (5000, 5000)


def test_what_is_of_unknown_size_is_counted_apart(ledger):
    traffic = read_ledger(ledger)
    first, *rest = traffic.flows
    flows = (replace(first, unpriced=3, uncounted=2, estimated=0.25), *rest)
    found = risk(RoutePlan("chat", (QWEN, OTHER)), traffic=replace(traffic, flows=flows))
    assert [one.incomplete for one in found.concentration if one.by == "operator"] == [0, 2, 3]
    text = "".join(data for _, data in Reader(risk_page(found)).texts)
    assert "How many tokens 2 attempts took is unknown, and not in these figures." in text
    assert "What 3 attempts cost is unknown, and not in these figures." in text
    assert "0.2500 USD of the spend are estimates" in text
    assert text.count("spend, as far as known") == 6


def test_a_vendor_that_the_policy_has_no_more_stays_in_the_register(ledger):
    found = risk(RoutePlan("chat", (QWEN,)), traffic=read_ledger(ledger))
    assert [(one.target, one.operator, one.why_not, one.answered) for one in found.register] == [
        ("dashscope:qwen", "alibaba", None, 60),
        ("groq:qwen", "groq", "not in the policy any more", 0),
        ("litellm:x/y", None, "not in the policy any more", 10),
        ("openai:gpt", "openai", "not in the policy any more", 30),
    ]


def test_weights_on_this_machine_are_nobodys_service():
    found = risk(RoutePlan("chat", (replace(LOCAL, weight=1.0),)))
    assert shares(found, "operator", "calls") == {"this machine": 1.0}
    assert shares(found, "author", "calls") == {"alibaba": 1.0}
    assert [(one.by, one.name) for one in found.exits] == [("author", "alibaba")]


def test_without_a_ledger_each_route_counts_the_same_and_goes_to_its_first_target():
    found = risk(
        RoutePlan("a", (QWEN, OTHER)),
        RoutePlan("b", (replace(OTHER, weight=0.75), replace(QWEN, weight=0.25))),
        RoutePlan("c", (replace(UNKNOWN, weight=1.0),)),
        RoutePlan("d", (replace(QWEN, weight=0.0, why_not="no weights"),)),
    )
    assert found.basis == "policy"
    assert shares(found, "operator", "calls") == pytest.approx(
        {"alibaba": 1.25 / 3, "openai": 0.25, None: 1 / 3}, abs=1e-5
    )
    assert shares(found, "operator", "tokens") == {}
    assert index(found, "operator", "spend") is None


def test_a_ledger_without_an_answer_says_nothing_of_shares(ledger):
    found = risk(RoutePlan("chat", (QWEN, OTHER)), traffic=read_ledger(ledger, since=5_000.0))
    assert found.basis == "policy"
    assert shares(found, "operator", "calls") == {"alibaba": 1.0}
    assert [(one.target, one.attempts) for one in found.untested] == [("openai:gpt", 0)]


# --- single points ---


def test_what_all_targets_share_is_a_single_point():
    found = risk(RoutePlan("chat", (QWEN, HOSTED)), RoutePlan("one", (OTHER,)), RoutePlan("two", (QWEN, OTHER)))
    assert single(found) == {
        "chat": {"author": "alibaba"},
        "one": {
            "operator": "openai",
            "author": "openai",
            "jurisdiction": "US",
            "credential": "openai",
            "host": "api.example.com",
        },
    }
    assert [(one.route, one.by) for one in found.correlated] == [("chat", "author")]


def test_what_is_not_known_of_one_target_is_no_single_point_and_no_comfort():
    found = risk(RoutePlan("chat", (QWEN, UNKNOWN)), RoutePlan("mixed", (QWEN, OTHER, UNKNOWN)))
    states = {(one.route, one.by): one.state for one in found.shared}
    assert states["chat", "operator"] == states["chat", "credential"] == "unknown"
    assert states["mixed", "operator"] == "several"
    assert single(found) == {}


def test_who_needs_no_key_goes_on_without_one():
    found = risk(RoutePlan("chat", (QWEN, LOCAL)), RoutePlan("one", (LOCAL,)))
    assert single(found) == {
        "chat": {"author": "alibaba"},
        "one": {
            "operator": "this machine",
            "author": "alibaba",
            "jurisdiction": "this machine",
            "host": "this machine",
        },
    }


def test_targets_that_are_not_asked_do_not_count():
    found = risk(RoutePlan("chat", (QWEN, replace(OTHER, why_not="switched off"))))
    assert single(found)["chat"]["operator"] == "alibaba"
    assert [one.why_not for one in found.register] == [None, "switched off"]
    assert [(one.first, one.next) for one in found.substitutes] == [("dashscope:qwen", None)]


# --- what is left ---


def test_a_fallback_that_never_answered_is_untested(ledger):
    found = risk(
        RoutePlan("chat", (QWEN, OTHER, HOSTED)), RoutePlan("spare", (QWEN, OTHER)), traffic=read_ledger(ledger)
    )
    assert [(one.route, one.target, one.attempts) for one in found.untested] == [
        ("chat", "groq:qwen", 5),
        ("spare", "openai:gpt", 0),
    ]
    assert risk(RoutePlan("chat", (QWEN, OTHER))).untested is None


def test_what_is_left_without_each(ledger):
    found = risk(RoutePlan("chat", (QWEN, HOSTED, UNKNOWN)), RoutePlan("one", (QWEN,)), traffic=read_ledger(ledger))
    told = [(one.by, one.name, one.route, one.next, one.answered, one.unsure) for one in found.exits]
    assert told == [
        ("operator", "alibaba", "chat", "groq:qwen", 0, ("litellm:x/y",)),
        ("operator", "alibaba", "one", None, None, ()),
        ("operator", "groq", "chat", "dashscope:qwen", 60, ("litellm:x/y",)),
        ("author", "alibaba", "chat", "litellm:x/y", 10, ("litellm:x/y",)),
        ("author", "alibaba", "one", None, None, ()),
        ("jurisdiction", "CN", "chat", "groq:qwen", 0, ("litellm:x/y",)),
        ("jurisdiction", "CN", "one", None, None, ()),
        ("jurisdiction", "US", "chat", "dashscope:qwen", 60, ("litellm:x/y",)),
    ]


def test_what_the_next_target_lacks():
    first = replace(QWEN, able=frozenset({"tools", "vision", "seed"}), room=200_000, longest=8_000, price=(0.5, 1.0))
    second = replace(OTHER, able=frozenset({"tools"}), lacks=frozenset({"vision"}), room=8_000)
    (found,) = risk(RoutePlan("chat", (first, second))).substitutes
    assert (found.next, found.lacks, found.unknown) == ("openai:gpt", ("vision",), ("seed",))
    assert (found.room, found.longest, found.prices) == ((200_000, 8_000), (8_000, None), ((0.5, 1.0), None))


# --- the page ---

HOSTILE = Member("dashscope:<script>alert(1)</script>", "a<b", "\"'&", "C&N", "<i>", "<host>", weight=1.0)


def test_the_page_escapes_every_name_and_holds_the_report(ledger):
    found = risk(RoutePlan("<route>", (HOSTILE, replace(UNKNOWN, why_not="<why>"), OTHER)), traffic=read_ledger(ledger))
    found = replace(found, policy="<policy>", ledger=replace(found.ledger, file="<file>"))
    read = Reader(risk_page(found))
    read.assert_loads_nothing()
    text = "".join(data for _, data in read.texts)
    for name in (
        "<script>alert(1)</script>",
        "a<b",
        "\"'&",
        "C&N",
        "<i>",
        "<host>",
        "<route>",
        "<why>",
        "<policy>",
        "<file>",
    ):
        assert name in text
    names = {tag for tag, _ in read.tags}
    assert names.isdisjoint({"i", "host", "route", "why", "policy", "file", "script"})
    assert read.report() == json.loads(json_bytes(found))


@pytest.mark.parametrize("with_ledger", [True, False])
def test_the_page_asks_the_questions_and_names_its_sources(ledger, with_ledger):
    traffic = read_ledger(ledger) if with_ledger else None
    read = Reader(risk_page(risk(RoutePlan("chat", (QWEN, OTHER, LOCAL)), RoutePlan("one", (QWEN,)), traffic=traffic)))
    read.assert_loads_nothing()
    assert read.of("h1") == ["Vendor risk of multimodel.yaml"]
    heads = " ".join(read.of("h2"))
    for word in ("Register", "Concentration", "Substitutability", "Exit", "Sources", "article 28", "article 29"):
        assert word in heads
    text = "".join(data for _, data in read.texts)
    assert "OJ L 333, 27.12.2022" in text
    assert "18 December 2023" in text
    assert ("the policy alone" in text) != with_ledger


def test_a_route_of_one_target_is_told_first_whoever_runs_it():
    for member in (UNKNOWN, QWEN):
        page = risk_page(risk(RoutePlan("chat", (member,))))
        assert f"Route chat has one target only: {member.target}." in page


def test_the_page_of_a_policy_that_asks_nobody_can_be_read():
    read = Reader(risk_page(risk(RoutePlan("chat", (replace(QWEN, why_not="off"),)))))
    text = "".join(read.of("li"))
    assert "Route chat asks nobody." in text
    assert "as far as is known" in text
