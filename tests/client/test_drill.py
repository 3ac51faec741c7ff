from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from multimodel import Client, ConfigurationError, ToolCall
from multimodel.client.drill import Drill
from multimodel.client.drill_prompts import BUILT_IN, Prompt, read_prompts
from multimodel.client.drill_report import reported
from multimodel.governance.drill import DrillReport, Limits
from multimodel.governance.drill_file import json_of, page_of
from multimodel.testing import FaultyVendor, Reply, faults

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

CANARY_KEY = "sk-canary-4711"
CANARY = "the canary sings"
WIRES = ["native", "compatible"]


@dataclass
class World:
    """A vendor that is to be left, one that stays, and a client that knows both."""

    gone: FaultyVendor
    stays: FaultyVendor
    client: Client

    def drill(self, without: str = "alibaba", **options) -> DrillReport:
        """Drill, and assert that nothing reached the vendor in the second phase."""
        limits = options.pop("limits", Limits())
        prepared = Drill(self.client, "chat", without, **options)
        before = []
        tried = prepared.run(
            lambda _name, _phase: before.append((self.gone.connections.total, self.gone.bytes_received))
        )
        assert before[0] == before[1] == (self.gone.connections.total, self.gone.bytes_received)
        return reported(prepared, tried, limits, "the test's")


@contextmanager
def world(wire: str = "native", **route) -> Iterator[World]:
    with FaultyVendor() as gone, FaultyVendor() as stays:
        url = gone.dashscope_url if wire == "native" else gone.compatible_url
        policy = {
            "providers": {
                "dashscope": {"protocol": wire, "base_url": url, "api_key": CANARY_KEY},
                "house": {
                    "profile": "openai",
                    "base_url": stays.openai_url,
                    "api_key": CANARY_KEY,
                    "operator": "house",
                },
            },
            "routes": {"chat": {"chain": ["dashscope:qwen-plus", "house:ours"], **route}},
        }
        with Client(policy) as client:
            yield World(gone, stays, client)


def asks(text: str = "Hi", **options) -> Prompt:
    return Prompt([{"role": "user", "content": text}], options)


@pytest.mark.parametrize("wire", WIRES)
def test_the_same_calls_are_answered_without_the_vendor_and_nothing_reaches_it(wire):
    with world(wire) as both:
        report = both.drill(prompts=[asks(), asks("Again")], calls=6)
    assert report.verdict.passed
    assert report.baseline.answered_by == {"dashscope:qwen-plus": 6}
    assert report.drill.answered_by == {"house:ours": 6}
    assert [pair.prompt for pair in report.calls] == [1, 2, 1, 2, 1, 2]
    assert both.gone.requests == both.stays.requests == 6
    assert report.blocked.reached == 0
    assert report.blocked.stopped == report.blocked.attempts == 5  # then the breaker was open
    assert report.drill.attempts == report.blocked.attempts + 6


def test_the_built_in_prompts_are_answered_with_their_schemas_and_tool():
    with world("compatible") as both:
        report = both.drill()
    assert report.drill.answered == len(BUILT_IN) == 10
    assert (report.drill.schemas, report.drill.valid) == (2, 2)
    assert report.paired.tool_pairs == report.paired.same_arguments == 1
    assert {pair.kind for pair in report.calls} == {"text", "schema", "tools"}


def test_a_call_that_nobody_answers_fails_the_drill():
    with world() as both:
        both.stays.fault = faults.refuse()
        report = both.drill(prompts=[asks()], calls=3)
    assert not report.verdict.passed
    assert report.baseline.answered == 3
    assert report.drill.answered == 0
    assert report.drill.failures == {"all_targets_failed": 3}
    assert report.calls[0].drill.causes == ("connection.unsent",)
    assert report.verdict.reasons == ("3 of 3 calls were not answered without `alibaba`",)
    assert report.paired.pairs == 0
    assert report.paired.added is None


@pytest.mark.parametrize(("before", "passed"), [("Yes.", True), ('{"a": 1}', False)])
def test_an_answer_that_does_not_fit_is_one_and_fails_the_drill_where_it_fitted_before(before, passed):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with world("compatible") as both:
        both.gone.answer, both.stays.answer = before, "Yes."
        report = both.drill(prompts=[asks(response_format=wanted)])
    assert (report.drill.answered, report.drill.misfits) == (1, 1)
    assert (report.drill.schemas, report.drill.valid) == (1, 0)
    assert report.drill.answered_by == {"house:ours": 1}
    assert (report.baseline.valid, report.verdict.passed) == (0 if passed else 1, passed)


def test_a_share_of_failed_calls_may_be_allowed():
    with world() as both:
        both.stays.fault = faults.refuse()
        report = both.drill(prompts=[asks()], calls=2, limits=Limits(success=0.0))
    assert report.verdict.passed


def test_added_latency_is_paired_and_may_have_a_limit():
    with world() as both:
        both.stays.pace = 0.02
        both.stays.answer = "one two three four five six"
        both.gone.answer = "one"
        report = both.drill(prompts=[asks()], limits=Limits(added=10.0))
    (pair,) = report.calls
    assert pair.added == pytest.approx(pair.drill.latency - pair.baseline.latency, abs=0.002)
    assert pair.added > 100
    assert report.paired.added.p95 == pair.added
    assert not report.verdict.passed
    assert report.verdict.reasons[0].startswith("the added latency at p95 is ")


def called(arguments: str, name: str = "weather") -> Reply:
    return Reply(tool_calls=(ToolCall(id="call_1", name=name, arguments=arguments),))


TOOLS = [
    {
        "name": name,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
    }
    for name in ("weather", "news")
]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (called('{"days": 3, "city": "Lima"}'), "same"),
        (called('{"city": "Lima", "days": 2}'), "arguments"),
        (called('{"city": "Lima", "days": 3}', "news"), "other"),
        ("It is sunny.", "other"),
    ],
)
def test_calls_of_tools_agree_by_name_and_by_arguments_as_values(answer, found):
    with world("compatible") as both:
        both.gone.answer, both.stays.answer = called('{"city":"Lima","days":3}'), answer
        report = both.drill(prompts=[asks(tools=TOOLS)])
    assert report.calls[0].tools == found
    assert (report.paired.same_tools, report.paired.same_arguments) == (found in ("same", "arguments"), found == "same")


def test_an_answer_in_another_script_an_empty_one_and_a_cut_one_are_told():
    with world() as both:
        both.gone.answer = "A backup is a copy."
        answers = iter(
            [Reply("备份是一个副本。"), Reply("", finish_reason="stop"), Reply("A back", finish_reason="length")]
        )
        both.stays.answer = lambda _request: next(answers)
        report = both.drill(prompts=[asks()], calls=3)
    assert report.paired.other_script == 1
    assert (report.drill.empty, report.drill.truncated) == (1, 1)


def test_one_model_of_an_account_is_left_and_another_is_asked():
    with world(chain=["dashscope:qwen-plus", "dashscope:qwen-max"]) as both:
        prepared = Drill(both.client, "chat", "dashscope:qwen-plus", prompts=[asks()], calls=2)
        tried = prepared.run()
    assert tried.drill.answered_by == {"dashscope:qwen-max": 2}
    assert [request.model for request in both.gone.log] == ["qwen-plus"] * 2 + ["qwen-max"] * 2
    assert tried.stopped == tried.attempts > 0


@pytest.mark.parametrize(
    ("name", "kind", "meaning"),
    [
        ("alibaba", None, "operator"),
        ("dashscope", None, "provider"),
        ("dashscope:qwen-plus", None, "target"),
        ("alibaba", "author", "author"),
        ("CN", "jurisdiction", "jurisdiction"),
    ],
)
def test_a_vendor_is_named_as_a_switch_names_it(name, kind, meaning):
    with world() as both:
        prepared = Drill(both.client, "chat", name, kind=kind)
    assert prepared.without.kind == meaning
    assert [str(planned.plan.target) for planned in prepared.blocked] == ["dashscope:qwen-plus"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("alibab", "`alibab` is no operator, author, provider or target of this policy"),
        ("house:ours", None),
        ("elsewhere", "`elsewhere` is no operator"),
    ],
)
def test_a_name_that_means_nothing_is_refused_before_anything_is_sent(name, message):
    with world() as both:
        if message is None:
            Drill(both.client, "chat", name)
        else:
            with pytest.raises(ConfigurationError, match=message):
                Drill(both.client, "chat", name)
    assert both.gone.requests == both.stays.requests == 0


def test_a_route_that_would_be_stranded_is_told_before_anything_is_sent():
    with world(chain=["dashscope:qwen-plus"]) as both, pytest.raises(ConfigurationError) as caught:
        Drill(both.client, "chat", "alibaba")
    assert "without operator `alibaba` no target of route `chat` can be asked" in str(caught.value)
    assert "hint: " in str(caught.value)


def test_a_vendor_of_another_route_is_not_drilled_here():
    with world() as both:
        policy = both.client.policy.model_dump(exclude_unset=True)
    policy["routes"]["other"] = {"chain": ["house:ours"]}
    with Client(policy) as client, pytest.raises(ConfigurationError, match="no target of route `other` is of operator"):
        Drill(client, "other", "alibaba")


def test_a_shadow_is_left_out_of_both_phases():
    with world(chain=["dashscope:qwen-plus", "house:ours"], shadow={"target": "house:listens", "share": 1.0}) as both:
        report = both.drill(prompts=[asks()], calls=3)
    assert {request.model for request in both.stays.log} == {"ours"}
    assert "The route's shadow was left out of both phases." in report.remarks


def test_calls_at_the_same_time_are_all_made_and_paired():
    with world() as both:
        report = both.drill(prompts=[asks(str(number)) for number in range(8)], calls=24, concurrency=8)
    assert report.drill.answered == report.baseline.answered == 24
    assert both.stays.requests == 24
    assert [pair.prompt for pair in report.calls] == [*range(1, 9)] * 3


@pytest.mark.parametrize(
    "route",
    [
        {"transfer": "whole"},
        {"hedge": {"after": 0.5, "budget": 1.0}},
        {"traffic": {"dashscope:qwen-plus": 1, "house:ours": 1}},
        {"retry": {"attempts": 1}, "breaker": {"failures": 1}},
        {"concurrency": 1},
    ],
    ids=lambda route: next(iter(route)),
)
def test_whatever_a_route_says_it_is_drilled_as_it_is(route):
    with world(**route) as both:
        report = both.drill(prompts=[asks(), asks("Again")], calls=4, concurrency=2)
    assert report.blocked.reached == 0
    assert report.drill.answered == report.baseline.answered == 4


def test_a_second_attempt_beside_a_slow_one_is_stopped_at_the_barrier_too():
    with world(chain=["house:ours", "dashscope:qwen-plus"], hedge={"after": 0.02, "budget": 1.0}) as both:
        both.stays.fault = faults.silent(0.1)
        report = both.drill(prompts=[asks()], calls=6)
    assert report.blocked.attempts > 0
    assert report.blocked.reached == 0
    assert report.drill.answered_by == {"house:ours": 6}


def test_system_text_of_the_policy_goes_along(tmp_path):
    (tmp_path / "zh.txt").write_text("Be brief.", encoding="utf-8")
    with FaultyVendor() as gone, FaultyVendor() as stays:
        file = tmp_path / "multimodel.yaml"
        file.write_text(
            f"""
providers:
  dashscope: {{base_url: "{gone.dashscope_url}", api_key: sk-1}}
  house: {{profile: openai, base_url: "{stays.openai_url}", api_key: sk-1, operator: house}}
routes:
  base: {{chain: [dashscope:qwen-plus, house:ours], prompts: {{house: zh.txt}}}}
  chat: {{extends: base}}
""",
            encoding="utf-8",
        )
        with Client(file) as client:
            tried = Drill(client, "chat", "alibaba", prompts=[asks()]).run()
        assert tried.drill.answered == 1
        assert stays.log[0].messages[0] == {"role": "system", "content": "Be brief."}


def test_the_report_names_the_policy_that_was_drilled_whatever_its_file_says_by_now(tmp_path):
    with FaultyVendor() as gone, FaultyVendor() as stays:
        file = tmp_path / "multimodel.yaml"
        file.write_text(
            f"""\
providers:
  dashscope: {{base_url: "{gone.dashscope_url}", api_key: sk-1}}
  house: {{profile: openai, base_url: "{stays.openai_url}", api_key: sk-1, operator: house}}
routes: {{chat: {{chain: [dashscope:qwen-plus, house:ours]}}}}
""",
            encoding="utf-8",
        )
        drilled = sha256(file.read_bytes()).hexdigest()
        with Client(file, reload=False) as client:
            file.write_text("routes: {}", encoding="utf-8")
            prepared = Drill(client, "chat", "alibaba", prompts=[asks()])
            report = reported(prepared, prepared.run(), Limits(), "the test's")
    assert (report.policy, report.policy_hash) == ("multimodel.yaml", drilled)


def test_who_sees_no_baseline_call_is_remarked():
    with world(chain=["house:ours", "dashscope:qwen-plus"]) as both:
        report = both.drill(prompts=[asks()])
    assert report.remarks[0].startswith("`alibaba` answered none of the baseline's calls")
    assert report.blocked.attempts == 0


def test_nothing_of_a_prompt_an_answer_or_a_key_is_in_a_report():
    with world("compatible") as both:
        both.gone.answer = both.stays.answer = CANARY
        report = both.drill(prompts=[asks(CANARY), asks(tools=TOOLS)])
        both.stays.answer = called(json.dumps({"city": CANARY}))
        tools = both.drill(prompts=[asks(tools=TOOLS)])
    for one in (report, tools):
        for text in (json_of(one).decode(), page_of(one)):
            assert CANARY not in text
            assert CANARY_KEY not in text


def test_the_register_says_who_is_behind_each_target():
    with world() as both:
        report = both.drill(prompts=[asks()])
    gone, stays = report.vendors
    assert (gone.operator, gone.author, gone.jurisdiction, gone.blocked) == ("alibaba", "alibaba", "CN", True)
    assert (stays.operator, stays.author, stays.jurisdiction, stays.title) == (
        "house",
        None,
        None,
        "an endpoint of house",
    )
    assert gone.stored_in is None  # an endpoint of one's own: nobody knows
    assert gone.endpoint == f"127.0.0.1:{both.gone.port}"
    operators = report.concentration[0]
    assert (operators.baseline.parts, operators.drill.parts) == ({"alibaba": 1.0}, {"house": 1.0})
    assert report.substitutes[0].without == "operator alibaba"
    assert report.substitutes[0].left == ("house:ours",)
    assert report.substitutes[0].tested
    assert (report.substitutes[1].without, report.substitutes[1].tested) == ("operator house", False)


def test_what_it_may_cost_counts_every_attempt_and_the_dearest_first():
    fact = {"source": "test", "date": "2026-11-01"}
    profile = {
        "name": "shop",
        "title": "Shop",
        "operator": "shop",
        "protocols": {"chat": {"wire": "openai_chat"}},
        "protocol": "chat",
        "endpoints": {"main": {"url": "https://shop.example", "fact": fact}},
        "region": "main",
        "models": {
            "dear": {"prices": [{"input": 0, "output": 10, "fact": fact}], "fact": fact},
            "cheap": {"prices": [{"input": 0, "output": 1, "fact": fact}], "fact": fact},
        },
        "fact": fact,
    }
    policy = {
        "providers": {"shop": {"profile": profile, "api_key": "sk-1"}},
        "routes": {"chat": {"chain": ["shop:dear", "shop:cheap", "local:none"], "max_attempts": 3}},
    }
    with Client(policy) as client:
        prepared = Drill(client, "chat", "shop:dear", prompts=[asks(max_tokens=1000)])
        most, unknown = prepared.cost_at_most()
    assert most == pytest.approx((2 * 0.01 + 0.001) + 2 * 0.001)
    assert unknown == ()
    with Client(policy) as client:
        wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
        most, _ = Drill(
            client, "chat", "shop:dear", prompts=[asks(max_tokens=1000, response_format=wanted)]
        ).cost_at_most()
    assert most == pytest.approx(3 * 0.01 + 3 * 0.001)  # an answer that does not fit is asked for once more


# --- local weights ---


@pytest.fixture(scope="module")
def archive():
    from offline import weights

    return weights()


@pytest.mark.parametrize("first", ["vendor", "weights"])
def test_local_weights_take_over_and_can_be_blocked_like_any_vendor(archive, first):
    from offline import WEIGHTS

    with FaultyVendor() as vendor:
        chain = ["dashscope:qwen-plus", f"local:{WEIGHTS}"]
        policy = {
            "providers": {
                "dashscope": {"base_url": vendor.dashscope_url, "api_key": CANARY_KEY},
                "local": {"archive": str(archive)},
            },
            "routes": {"chat": {"chain": chain if first == "vendor" else chain[::-1]}},
        }
        with Client(policy) as client:
            without = "alibaba" if first == "vendor" else "local"
            prepared = Drill(client, "chat", without, prompts=[asks(max_tokens=8)], calls=2)
            tried = prepared.run()
            report = reported(prepared, tried, Limits(), "the test's")
    other = {"vendor": f"local:{WEIGHTS}", "weights": "dashscope:qwen-plus"}[first]
    assert tried.baseline.answered_by == {prepared.policy.routes["chat"].chain[0].target: 2}
    assert tried.drill.answered_by == {other: 2}
    assert tried.reached == 0
    assert tried.stopped == tried.attempts > 0
    weights = next(one for one in report.vendors if one.target.startswith("local:"))
    assert weights.stored_in == weights.inference_in == ("this machine",)
    assert (weights.operator, weights.jurisdiction, weights.endpoint) == (*["this machine"] * 2, "this process")


# --- prompts ---


def test_prompts_are_lines_of_json(tmp_path):
    file = tmp_path / "prompts.jsonl"
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    lines = [
        {"messages": "Hi", "max_tokens": 5},
        {"messages": [{"role": "user", "content": "Hi"}], "tools": TOOLS},
        {"messages": "Hi", "json_schema": schema},
        {"messages": "Hi", "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}},
    ]
    file.write_text("\n\n".join(map(json.dumps, lines)), encoding="utf-8")
    prompts = read_prompts(file)
    assert [prompt.kind for prompt in prompts] == ["text", "tools", "schema", "schema"]
    assert [prompts[2].fits(text) for text in ('{"a": 1}', '{"a": "1"}', "no")] == [True, False, False]


def test_the_prompts_of_the_documentation_are_some(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "drill.md").read_text(encoding="utf-8")
    file = tmp_path / "prompts.jsonl"
    file.write_text(page.split("```json\n")[1].split("```")[0], encoding="utf-8")
    assert [prompt.kind for prompt in read_prompts(file)] == ["text", "schema", "tools"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no prompts"),
        ("{}", ":1: it has no `messages`"),
        ('{"messages": "Hi"}\nnonsense', ":2: this is no JSON"),
        ("[1]", ":1: it has no `messages`"),
        ('{"messages": []}', ":1: the request is not valid: `messages`"),
        ('{"messages": "Hi", "temprature": 1}', ":1: the request is not valid: `temprature`"),
        ('{"messages": "Hi", "json_schema": {"type": "nonsense"}}', ":1: `response_format`: it is no JSON Schema"),
        ('{"messages": "Hi", "json_schema": 3}', ":1: `json_schema` is no object"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(tmp_path, content, message):
    file = tmp_path / "prompts.jsonl"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_prompts(file)
    assert message in str(caught.value)
    assert "hint: " in str(caught.value)
