from __future__ import annotations

import json
import re
import xml.dom.minidom
from pathlib import Path

import pytest

FIRST, SECOND = "dashscope:qwen3.7-plus", "house:gpt-5-mini"
PRICED = """\
providers:
  dear:
    api_key: "${NOT_SET_ANYWHERE}"
    profile:
      name: dear
      title: Dear
      operator: dear
      protocols: {a: {wire: openai_chat}}
      protocol: a
      endpoints: {us: {url: "https://x.example", fact: {source: s, date: 2026-11-01}}}
      region: us
      prices: [{input: 2, output: 10, fact: {source: s, date: 2026-11-01}}]
      models: {large: {author: dear, window: 5000, fact: {source: s, date: 2026-11-01}}}
      fact: {source: s, date: 2026-11-01}
  house: {profile: openai, base_url: "https://llm.example.net/v1", api_key: sk-1, operator: house}
routes:
  chat: {chain: [dear:large, house:gpt-5-mini]}
"""


@pytest.fixture
def simulate(run, policy):
    """Simulate, and return what the JSON tells."""

    def simulate(*arguments: str) -> dict:
        ran = run("simulate", str(policy), "--json", *arguments)
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    return simulate


def figures(told: dict) -> list[tuple[dict, int]]:
    """By phase: calls by who answered, and how many failed."""
    phases = [phase["figures"] for phase in told["phases"]]
    return [(one["answered"], sum(one["failed"].values())) for one in phases]


def test_without_an_outage_the_first_target_answers_all(simulate):
    told = simulate()
    whole = told["whole"]
    assert whole["answered"] == {FIRST: whole["calls"]}
    assert (whole["failed"], whole["attempts"]) == ({}, whole["calls"])
    assert 5700 < whole["calls"] < 6300
    assert len(told["phases"]) == 1


def test_an_outage_is_noticed_and_the_next_target_answers_until_it_is_over(simulate):
    told = simulate("--outage", "alibaba:10m", "--rate", "20/s")
    (before, during, after), (outage,) = told["phases"], told["outages"]
    assert [phase["name"] for phase in told["phases"]] == ["before", "during", "after"]
    assert [phase["out"] for phase in told["phases"]] == [[], ["alibaba"], []]
    assert (before["end"], during["end"] - during["start"]) == (outage["start"], 600.0)
    assert figures(told)[0] == ({FIRST: before["figures"]["calls"]}, 0)
    assert figures(told)[1] == ({SECOND: during["figures"]["calls"]}, 0)
    assert after["figures"]["answered"][FIRST] > 0.95 * after["figures"]["calls"]
    assert (outage["kind"], outage["targets"], outage["fault"]) == ("operator", [FIRST], "503")
    assert outage["noticed"][FIRST] < 2.0
    assert outage["used_again"][FIRST] < 21.0
    assert outage["attempts"][FIRST] < 120
    assert during["figures"]["attempts"] < 1.02 * during["figures"]["calls"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("alibaba", "operator"), ("openai", "author"), ("dashscope", "provider"), (SECOND, "target")],
)
def test_a_name_is_looked_up_as_for_off(simulate, name, kind):
    (outage,) = simulate("--outage", f"{name}:1m", "--route", "chat")["outages"]
    assert outage["kind"] == kind
    assert outage["targets"] == [FIRST if name in ("alibaba", "dashscope") else SECOND]


def test_traffic_and_whole_answers_are_played_as_the_policy_says(run, policy):
    settings = f"traffic: {{{FIRST}: 1, {SECOND}: 3}}, transfer: whole, chain:"
    text = policy.read_text(encoding="utf-8").partition("  cheap:")[0]
    policy.write_text(text.replace("chain:", settings), encoding="utf-8")
    whole = json.loads(run("simulate", "--json").out)["whole"]
    assert 0.22 < whole["answered"][FIRST] / whole["calls"] < 0.28
    assert whole["p50"] == pytest.approx(3.0, rel=0.05)


def test_an_outage_of_everybody_fails_every_call(simulate):
    told = simulate("--outage", "alibaba:5m", "--outage", "house:5m:refused")
    answered, failed = figures(told)[1]
    assert answered == {}
    assert failed == told["phases"][1]["figures"]["calls"]
    assert told["whole"]["failed"].keys() == {"all_targets_failed"}
    assert {"overloaded", "connection.unsent", "breaker"} <= told["reasons"].keys()
    assert told["phases"][1]["figures"]["p50"] is None


def test_a_silent_vendor_costs_its_limit_until_it_is_noticed(simulate):
    told = simulate("--outage", "alibaba:5m:silent", "--rate", "5/s")
    (outage,) = told["outages"]
    assert 10.0 < outage["noticed"][FIRST] < 12.0
    assert told["timeline"][30]["figures"]["p50"] < 5.0
    assert max(step["figures"]["p99"] for step in told["timeline"]) > 12.0


def test_a_slow_vendor_is_never_noticed(simulate):
    told = simulate("--outage", "alibaba:5m:slow")
    assert told["outages"][0]["noticed"] == {}
    assert told["phases"][1]["figures"]["p50"] > 20.0


def test_the_seed_decides_everything(run, policy):
    arguments = ("simulate", "--outage", "alibaba:2m", "--rate", "20/s", "--json", "--seed")
    first, again, other = (run(*arguments, seed).out for seed in ("7", "7", "8"))
    assert first == again
    assert first != other


def test_latencies_are_medians_of_whom_they_name(simulate):
    told = simulate("--latency", "200ms/1s", "--latency", "house:1/4", "--outage", "alibaba:10m")
    before, during, _ = (phase["figures"]["p50"] for phase in told["phases"])
    assert 0.9 < before < 1.1
    assert 3.6 < during < 4.4


def test_outages_may_begin_at_an_instant_and_overlap(simulate):
    told = simulate("--outage", "alibaba:1m+2m", "--outage", f"{SECOND}:2m+2m", "--for", "6m")
    assert [(phase["start"], phase["out"]) for phase in told["phases"]] == [
        (0.0, []),
        (60.0, ["alibaba"]),
        (120.0, ["alibaba", SECOND]),
        (180.0, [SECOND]),
        (240.0, []),
    ]
    assert [failed > 0 for _, failed in figures(told)][:3] == [False, False, True]


def test_an_outage_without_a_start_fits_into_the_time_that_is_given(simulate):
    told = simulate("--outage", "alibaba:5s", "--for", "20s")
    assert [phase["name"] for phase in told["phases"]] == ["before", "during", "after"]
    assert told["seconds"] == 20.0


def test_cost_is_by_list_price_and_what_is_unknown_is_unknown(run, policy):
    policy.write_text(PRICED, encoding="utf-8")
    told = json.loads(run("simulate", "--tokens", "1000/100", "--outage", "dear:10m", "--json").out)
    assert [target["price"] for target in told["targets"]] == [0.003, None]
    before, during, _ = (phase["figures"] for phase in told["phases"])
    assert before["cost"] == pytest.approx(0.003 * before["calls"])
    assert (during["cost"], during["known_cost"], during["unpriced"]) == (None, 0.0, during["calls"])
    shown = run("simulate", "--outage", "dear:10m").out
    assert "unknown\n" in shown
    assert any("USD an answer" in line for line in shown.splitlines())


def test_a_prompt_that_is_too_long_for_a_target_leaves_it_out(run, policy):
    policy.write_text(PRICED, encoding="utf-8")
    told = json.loads(run("simulate", "--tokens", "6000/100", "--json").out)
    assert [target["target"] for target in told["targets"]] == [SECOND]
    assert any(line.startswith("dear:large is left out: window:") for line in told["assumptions"])


def test_a_budget_holds(run, policy):
    policy.write_text(
        PRICED.replace("}]}\n", "").replace("house:gpt-5-mini]}", "house:gpt-5-mini], budget: {per_day: 0.5 USD}}"),
        encoding="utf-8",
    )
    told = json.loads(run("simulate", "--json").out)
    assert 0.0 < told["whole"]["known_cost"] <= 0.5
    assert told["reasons"]["budget"] == sum(told["whole"]["failed"].values())


def test_local_weights_write_so_many_answers_at_a_time(run, policy):
    text = policy.read_text(encoding="utf-8").replace("house:gpt-5-mini", "local:weights")
    policy.write_text(text.replace("routes:", "  local: {max_rows: 4, queue: 8}\nroutes:"), encoding="utf-8")
    told = json.loads(run("simulate", "--outage", "alibaba:10m", "--rate", "10/s", "--json").out)
    answered, failed = figures(told)[1]
    assert 0 < answered["local:weights"] <= 4 * 610 / 3.0
    assert failed > 1000
    assert "local_overload" in told["reasons"]
    assert any("local:weights writes 4 answers at a time, 8 requests wait" in line for line in told["assumptions"])


def test_a_vendor_takes_no_more_than_its_limit(simulate):
    told = simulate("--outage", "alibaba:10m", "--limit", "house:60/m")
    answered, failed = figures(told)[1]
    assert 0 < answered[SECOND] <= 60 * 11
    assert failed > 4000
    assert {"gate", "rate_limited"} <= told["reasons"].keys()


def test_neither_keys_nor_weights_are_needed_and_what_is_missing_is_told(run, policy, monkeypatch):
    monkeypatch.delenv("TEST_KEY")
    ran = run("simulate", "--route", "chat")
    assert ran.code == 0
    assert f"- {FIRST} is played, though from here it cannot be asked: `TEST_KEY` is not set" in ran.out


def test_what_is_off_is_left_out(run, policy):
    run("off", "alibaba", "--force", "--reason", "drill")
    told = json.loads(run("simulate", "--json").out)
    assert told["whole"]["answered"] == {SECOND: told["whole"]["calls"]}
    assert f"{FIRST} is left out: off: operator alibaba: drill" in told["assumptions"]
    ran = run("simulate", "--outage", "alibaba:1m")
    assert ran.code == 1
    assert "operator `alibaba` has no target that route `cheap` asks" in ran.err or "that route `chat` asks" in ran.err


def test_the_route_that_an_outage_concerns_is_played(run, policy):
    text = policy.read_text(encoding="utf-8").replace("cheap:", "chat2:").replace("  chat:", "  aside:")
    policy.write_text(text.replace("extends: chat,", "extends: aside,"), encoding="utf-8")
    ran = run("simulate", "--outage", "house:1m")
    assert ran.out.startswith("route `aside`")
    assert ran.err == "note: of 2 routes `aside` is played; `--route` names another\n"


def test_the_table_and_the_picture_are_read_without_colour(run, policy):
    out = run("simulate", "--route", "chat", "--outage", "alibaba:5m", "--outage", "house:2m+30s").out
    assert "\x1b" not in out
    assert f"who answered: A {FIRST}, B {SECOND}, x nobody" in out
    bars = [line.split("|")[1] for line in out.splitlines() if line.count("|") == 2]
    assert set("".join(bars)) == {"A", "B", "x"}
    assert {len(bar) for bar in bars} == {50}
    assert out.index("assumed\n- ") > out.index("who answered")


def test_a_chain_of_any_length_is_drawn(run, policy):
    chain = ", ".join(f"dashscope:m{number}" for number in range(300))
    policy.write_text(
        f"providers: {{dashscope: {{region: singapore}}}}\nroutes: {{chat: {{chain: [{chain}]}}}}", encoding="utf-8"
    )
    ran = run("simulate", str(policy), "--rate", "1/s", "--for", "10s")
    assert (ran.code, "+ dashscope:m299" in ran.out) == (0, True)


def test_an_svg_is_one_whole_document(run, policy, folder):
    assert run("simulate", "--route", "chat", "--outage", "alibaba:5m", "--svg", "out.svg").code == 0
    text = (folder / "out.svg").read_text(encoding="utf-8")
    document = xml.dom.minidom.parseString(text)
    assert document.documentElement.tagName == "svg"
    assert document.getElementsByTagName("desc")[0].firstChild.data.endswith(
        "alibaba is out (503) from 0:01:15 to 0:06:15"
    )
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--outage", "alibaba"],
        ["--outage", "alibaba:"],
        ["--outage", "alibaba:2"],
        ["--outage", "alibaba:0s"],
        ["--outage", "alibaba:2h:dead"],
        ["--outage", "alibaba:1m+2m", "--for", "1m"],
        ["--outage", "alibaba:999999999999d"],
        ["--rate", "0/s"],
        ["--rate=-1/s"],
        ["--rate", "much"],
        ["--rate", "1000000/s"],
        ["--for", "10"],
        ["--for", "0s"],
        ["--latency", "house:3s"],
        ["--latency", "house:3s/1s"],
        ["--latency", "house:0/0"],
        ["--tokens", "house:1000"],
        ["--limit", "house:1/h"],
        ["--limit", "house"],
        ["--svg", "missing/out.svg"],
    ],
    ids=" ".join,
)
def test_arguments_that_make_no_sense_are_misuse(run, policy, arguments):
    ran = run("simulate", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(
        f"error: `{arguments[0].partition('=')[0]}`" if "would take" not in ran.err else "error: "
    )


def test_a_name_that_means_nothing_is_an_error_with_a_hint(run, policy):
    ran = run("simulate", "--outage", "alibab:2h")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith(
        "is no operator, author, provider or target of this policy\nhint: did you mean `alibaba`?\n"
    )
    ran = run("simulate", "--route", "chat", "--latency", "nobody:1s/2s")
    assert (ran.code, ran.out) == (1, "")


def test_a_long_rehearsal_tells_how_far_it_is(run, policy, monkeypatch):
    monkeypatch.setattr("multimodel.cli.simulating._LONG", 100)
    ran = run("simulate", "--route", "chat", "--for", "1m")
    assert ran.err.startswith("playing about 600 calls\n10 % played\n")


def test_the_page_and_the_help_name_the_same_options(run):
    page = (Path(__file__).parent.parent.parent / "docs" / "simulate.md").read_text(encoding="utf-8")
    named, helped = (set(re.findall(r"--[a-z]+", text)) for text in (page, run("simulate", "--help").out))
    assert named == helped - {"--help"}
