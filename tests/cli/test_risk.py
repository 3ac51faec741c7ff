from __future__ import annotations

import json
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from multimodel import Client
from multimodel.governance.ledger import Line
from multimodel.testing import FaultyVendor, faults

CALLED = """\
ledger: calls.db
providers:
  dashscope: {{base_url: "{first}", api_key: "${{TEST_KEY}}"}}
  house: {{profile: openai, base_url: "{second}", api_key: "${{TEST_KEY}}", operator: house}}
routes:
  chat: {{chain: [dashscope:qwen3.7-plus, house:gpt-5-mini, house:other], retry: {{attempts: 1}}}}
"""


@pytest.fixture
def called(policy: Path) -> Path:
    """A policy with a ledger: three calls that the first target answered, one that the second did."""
    with FaultyVendor(answer="Yes.") as first, FaultyVendor(answer="Yes.") as second:
        policy.write_text(CALLED.format(first=first.dashscope_url, second=second.openai_url), encoding="utf-8")
        first.native_paths = {}  # it serves every model on every path
        first.faults.append(faults.status(500))
        with Client(policy) as client:
            for _ in range(4):
                client.complete("chat", "canary prompt")
    return policy


def test_without_a_ledger_the_policy_alone_is_told_and_said_so(run, policy):
    ran = run("risk")
    assert ran.code == 0
    assert ran.out.startswith(
        "shares by the policy alone: each route counts the same and goes to its first target, or by `traffic`\n"
    )
    assert "operator      calls   alibaba 100.0%  0.0%     10,000" in ran.out
    assert "chat   2        several   several  unknown       dashscope   several" in ran.out
    assert "cheap  1        alibaba   alibaba  CN            dashscope   sg.example.com" in ran.out
    assert "operator      alibaba  cheap  nobody " in ran.out
    assert "operator      alibaba  chat   house:gpt-5-mini " in ran.out
    assert "jurisdiction  CN       chat   perhaps house:gpt-5-mini " in ran.out
    assert "note: there is no ledger to tell which fallbacks have answered real calls" in ran.err
    assert "hint: `ledger: calls.db` in the policy keeps what real calls used" in ran.err


def test_who_is_not_where_the_data_may_go_is_left_out_whether_its_key_is_here_or_not(run, policy):
    policy.write_text(
        "providers: {house: {profile: openai, base_url: 'https://llm.example.net/v1', api_key: sk-1, operator: house,"
        " stored_in: [DE], inference_in: [DE]}}\n"
        "routes: {chat: {chain: [house:m, openai:gpt-5-mini], residency: {storage: [EU], inference: [EU]}}}\n",
        encoding="utf-8",
    )
    out = run("risk").out
    assert "operator  house  chat   nobody" in out
    assert "openai" not in out


def test_with_a_ledger_real_calls_are_told(run, called):
    ran = run("risk")
    assert ran.out.startswith("shares of 4 answered calls, from ")
    assert "operator      calls   alibaba 75.0%, house 25.0%   0.0%" in ran.out
    assert "6,250" in ran.out
    assert "warning: `house:other` of `chat` has answered no real call" in ran.out
    assert "`house:gpt-5-mini` of `chat` has answered no real call" not in ran.out


def test_json_is_one_document_without_a_key_or_a_prompt(run, called):
    ran = run("risk", "--json")
    found = json.loads(ran.out)
    assert (found["basis"], found["ledger"]["calls"], found["ledger"]["answered"]) == ("ledger", 4, 4)
    (calls,) = [one for one in found["concentration"] if (one["by"], one["of"]) == ("operator", "calls")]
    assert [(share["name"], share["share"]) for share in calls["shares"]] == [("alibaba", 0.75), ("house", 0.25)]
    assert calls["herfindahl"] == {"least": 6250, "most": 6250}
    assert [one["target"] for one in found["untested"]] == ["house:other"]
    assert "canary" not in ran.out + ran.err


def test_the_page_is_written_with_the_hash_of_the_json_that_is_printed(run, called, folder):
    ran = run("risk", "--json", "--html", "risk.html")
    page = (folder / "risk.html").read_text(encoding="utf-8")
    assert f">{sha256(ran.out.encode()).hexdigest()}</code>" in page
    assert "canary" not in page


def test_since_leaves_out_what_is_older(run, called):
    assert json.loads(run("risk", "--json", "--since", "1h").out)["ledger"]["calls"] == 4
    found = json.loads(run("risk", "--json", "--since", "0.0001ms").out)
    assert (found["basis"], found["ledger"]["calls"]) == ("policy", 0)


def test_a_ledger_elsewhere_can_be_named(run, policy, called, folder):
    for part in folder.glob("calls.db*"):
        part.rename(folder / part.name.replace("calls", "old"))
    assert json.loads(run("risk", "--json").out)["ledger"] is None
    assert json.loads(run("risk", "--json", "--ledger", "old.db").out)["ledger"]["calls"] == 4


def test_mistakes_are_told_with_what_to_do(run, policy, folder):
    ran = run("risk", "--since", "soon")
    assert (ran.code, ran.err) == (
        2,
        "error: `--since`: `soon` is no duration\nhint: write a span back from now, as in `30d`\n",
    )
    ran = run("risk", "--ledger", "none.db")
    assert ran.code == 1
    assert ran.err.startswith("error: there is no ledger `none.db`\nhint: write `ledger: FILE` into the policy")
    (folder / "other.db").write_text("no database " * 50, encoding="utf-8")
    ran = run("risk", "--ledger", "other.db")
    assert (ran.code, "cannot be read" in ran.err) == (1, True)


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)


def test_a_target_that_is_named_like_a_tag_is_text(run, policy, folder):
    policy.write_text(
        "routes: {chat: {chain: ['dashscope:<script>alert(1)</script>', 'openai:</title><img/src=x>']}}",
        encoding="utf-8",
    )
    assert run("risk", "--html", "risk.html").code == 0
    page = (folder / "risk.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert Tags(page).names.isdisjoint({"script", "img"})


def test_what_is_off_and_what_has_no_weights_does_not_count(run, policy):
    policy.write_text(
        "routes: {chat: {chain: [dashscope:qwen3.7-plus, openai:gpt-5-mini, local:none-such]}}\n"
        "off: [{operator: alibaba, reason: licence}]\n",
        encoding="utf-8",
    )
    found = json.loads(run("risk", "--json").out)
    why_not = [one["why_not"] for one in found["register"]]
    assert why_not[0] == "switched off: operator alibaba: licence"
    assert why_not[1] is None
    assert why_not[2].startswith("no weights `none-such` in ")
    assert [one["name"] for one in found["single_points"] if one["by"] == "operator"] == ["openai"]


def test_targets_that_share_a_key_share_a_credential(run, policy):
    policy.write_text(
        "providers:\n"
        "  one: {profile: dashscope, region: singapore, api_key: '${TEST_KEY}'}\n"
        "  two: {profile: dashscope, region: beijing, api_key: '${TEST_KEY}'}\n"
        "  three: {profile: dashscope, region: beijing}\n"
        "routes:\n"
        "  chat: {chain: [one:qwen3.7-plus, two:qwen3.7-plus]}\n"
        "  apart: {chain: [one:qwen3.7-plus, three:qwen3.7-plus]}\n",
        encoding="utf-8",
    )
    found = json.loads(run("risk", "--json").out)
    points = {(one["route"], one["by"]): one["name"] for one in found["single_points"]}
    assert points["chat", "credential"] == "one"
    assert ("apart", "credential") not in points
    assert ("chat", "host") not in points


def test_a_shadow_is_registered_and_does_not_count(run, policy):
    policy.write_text(
        "routes: {chat: {chain: [dashscope:qwen3.7-plus], shadow: {target: openai:gpt-5-mini}}}", encoding="utf-8"
    )
    found = json.loads(run("risk", "--json").out)
    assert [(one["target"], one["why_not"]) for one in found["register"]] == [
        ("dashscope:qwen3.7-plus", None),
        ("openai:gpt-5-mini", "it only listens, as the route's shadow"),
    ]
    assert {one["targets"] for one in found["single_points"]} == {1}


def test_a_span_that_reaches_back_for_ever_is_all(run, called):
    assert json.loads(run("risk", "--json", "--since", "999999999999999d").out)["ledger"]["calls"] == 4


def test_traffic_divides_the_calls_of_a_route(run, policy):
    policy.write_text(
        "routes: {chat: {chain: [dashscope:qwen3.7-plus, openai:gpt-5-mini],"
        " traffic: {dashscope:qwen3.7-plus: 90, openai:gpt-5-mini: 10}}}",
        encoding="utf-8",
    )
    (calls, *_) = json.loads(run("risk", "--json").out)["concentration"]
    assert [(one["name"], one["share"]) for one in calls["shares"]] == [("alibaba", 0.9), ("openai", 0.1)]
    assert calls["herfindahl"] == {"least": 8200, "most": 8200}


def test_vectors_of_other_weights_are_no_fallback(launch, folder, monkeypatch):
    monkeypatch.delenv("MULTIMODEL_PROVIDERS")
    (folder / "multimodel.yaml").write_text(
        "providers: {dashscope: {region: singapore}}\n"
        "routes: {vectors: {chain: [dashscope:text-embedding-v4, openai:text-embedding-3-small]}}",
        encoding="utf-8",
    )
    ran = launch("risk", "--json")
    found = json.loads(ran.stdout)
    assert [one["next"] for one in found["substitutes"]] == [None]
    assert found["register"][1]["why_not"] == "its vectors cannot be compared with those of dashscope:text-embedding-v4"


PAGE = (Path(__file__).parents[2] / "docs" / "risk.md").read_text(encoding="utf-8")


def test_the_page_of_the_docs_names_every_column_and_its_policy_loads(run, folder):
    rows = re.findall(r"^\| (`.*?`) \|", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(Line._fields)
    (policy,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (folder / "multimodel.yaml").write_text(policy, encoding="utf-8")
    assert (
        run("risk").err
        == f"note: `{folder / 'calls.db'}` is not there yet: no call was made\nnote: there is no ledger to tell which fallbacks have answered real calls\n"
    )


def test_check_warns_of_a_ledger_without_a_folder(run, policy):
    policy.write_text("ledger: none/calls.db\n" + policy.read_text(encoding="utf-8"), encoding="utf-8")
    ran = run("check")
    assert "multimodel.yaml:1:9: warning: the folder " in ran.out
    assert "/none` does not exist, so no call is kept [ledger-missing]\nhint: create it, or name another" in ran.out


def test_check_tells_which_fallbacks_have_answered_no_real_call(run, called):
    told = {
        problem["message"]
        for problem in json.loads(run("check", "--json").out)["problems"]
        if problem["code"] == "untested-fallback"
    }
    assert all("has answered no call of" in message for message in told)
    found = json.loads(run("risk", "--json").out)["untested"]
    assert len(told) == len(found) == 1


def test_check_warns_of_a_ledger_that_is_none(run, called, folder):
    (folder / "calls.db").write_text("no ledger", encoding="utf-8")
    assert "ledger-unreadable" in {problem["code"] for problem in json.loads(run("check", "--json").out)["problems"]}
