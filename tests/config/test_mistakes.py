from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from multimodel.config import Problem, load_policy
from multimodel.errors import ConfigurationError
from multimodel.providers.profile import Profile

Mistakes = Callable[..., list[str]]
CHAT = "routes: {chat: {chain: [dashscope:qwen-plus]}}\n"

SIX = """\
providers:
  dashscope: {region: singapur}
routes:
  chat:
    chain: [dashscop:qwen-plus, openai:gpt-5]
    deadline: 60
    tranfer: stream
    retry: {attempts: 2, budget: 10}
aliases: {gpt-4o: chta}
"""


def test_six_mistakes_of_a_file_are_told_in_one_run(mistakes: Mistakes) -> None:
    assert mistakes(SIX) == [
        "p.yaml:2:23: `dashscope` has no region `singapur`\nhint: did you mean `singapore`? known are `singapore`, `frankfurt`",
        "p.yaml:5:13: unknown provider `dashscop`\nhint: did you mean `dashscope`?",
        "p.yaml:6:15: `60` has no unit\nhint: write `60s` (units: ms, s, m, h, d)",
        "p.yaml:7:5: unknown key `tranfer`\nhint: did you mean `transfer`?",
        "p.yaml:8:34: `10` is no percentage\nhint: write it as in `10%`",
        "p.yaml:9:19: unknown route `chta`\nhint: did you mean `chat`?",
    ]


def test_the_error_itself_lists_the_mistakes_in_at_most_two_thousand_characters(
    load: Callable[..., object],
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(SIX)
    assert str(caught.value).startswith("6 mistakes in p.yaml\np.yaml:2:23: ")
    with pytest.raises(ConfigurationError) as caught:
        load(CHAT + "".join(f"key{number}: 1\n" for number in range(500)))
    assert len(caught.value.problems) == 500
    assert len(str(caught.value)) <= 2000


def test_a_single_mistake_is_the_error(load: Callable[..., object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("routes: {chat: {chain: [openia:gpt-5]}}")
    assert str(caught.value) == "p.yaml:1:25: unknown provider `openia`\nhint: did you mean `openai`?"
    assert caught.value.hint == "did you mean `openai`?"
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the policy is empty\nhint: the least is `routes:"),
        ("[1]", "p.yaml:1:1: a policy is a mapping"),
        ("version: 1", "p.yaml:1:1: `routes` is missing"),
        ("routes: {}", "p.yaml:1:9: nothing is in it, and something must be"),
        ("routes:", "p.yaml:1:8: nothing is not a mapping"),
        ("version: 2\n" + CHAT, "p.yaml:1:10: `2` is not `1`"),
        ("routes: {chat: {}}", "p.yaml:1:16: the route has no `chain`\nhint: list its targets"),
        ("routes: {chat: {chain: [qwen-plus]}}", "p.yaml:1:25: `qwen-plus` is no target\nhint: write `provider:model`"),
        ("routes: {chat: {chain: [{timeouts: {}}]}}", "p.yaml:1:25: `target` is missing"),
        (
            "routes: {chat: {chain: [openai:a, groq:b, openai:a]}}",
            "p.yaml:1:24: members 1 and 3 of the chain are the same target",
        ),
        ("routes: {a b: {chain: [openai:a]}}", "p.yaml:1:10: `a b` is not allowed here\nhint: it must match"),
        ("source: x\n" + CHAT, "p.yaml:1:1: unknown key `source`"),
    ],
)
def test_a_policy_needs_a_route_with_a_chain(mistakes: Mistakes, text: str, problem: str) -> None:
    (told,) = mistakes(text)
    assert told.removeprefix("p.yaml: ").startswith(problem) or told.startswith(problem), told


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("deadline: 1:30", "`1:30` is no duration\nhint: write a number and a unit"),
        ("deadline: yes", "`yes` is no duration"),
        ("deadline: 0s", "`0s` is not more than 0"),
        ("deadline: [1s]", "a list is no duration"),
        ("timeouts: {idle: 3}", "`3` has no unit\nhint: write `3s`"),
        ("timeouts: 3s", "`3s` is not a mapping"),
        ("timeouts: {frist_content: 3s}", "unknown key `frist_content`\nhint: did you mean `first_content`?"),
        ("retry: {attempts: 0}", "`0` is not at least 1"),
        ('retry: {attempts: "2"}', "`2` is not a whole number\nhint: write it without quotes"),
        ("retry: {attempts: 2.5}", "`2.5` is not a whole number"),
        ("retry: {budget: 101%}", "`101%` is not at most 1"),
        ("max_attempts: true", "`true` is not a whole number"),
        ("requires: [tools, visoin]", "`visoin` is none of `tools`"),
        ("requires: tools", "`tools` is not a list"),
        ("transfer: streem", "`streem` is none of `stream`, `whole`\nhint: did you mean `stream`?"),
        ("on_content_filter: nxt", "`nxt` is none of `stop`, `next`\nhint: did you mean `next`?"),
        ("params: {temperature: 3}", "`3` is not at most 2"),
        ("params: {temperature: .nan}", "`nan` is not a finite number"),
        ("params: {parallel_tool_calls: yes}", "`yes` is not `true` or `false`\nhint: write `true`"),
        ("params: {messages: []}", "unknown key `messages`"),
        ("hedge: {after: 5}", "`5` has no unit"),
        ("budget: {per_day: 20}", "`20` is no amount of US dollars\nhint: write it as in `0.05 USD`"),
        ("traffic: {openai:gpt-6: 10}", "`openai:gpt-6` is not in the chain"),
        ("traffic: {dashscope:qwen-plus: 0}", "all weights are 0"),
        ("shadow: {target: opnai:gpt-5}", "unknown provider `opnai`\nhint: did you mean `openai`?"),
        ("extends: chatt", "unknown route `chatt`"),
    ],
)
def test_a_wrong_setting_of_a_route_is_told_at_its_place(mistakes: Mistakes, setting: str, problem: str) -> None:
    told = mistakes(f"routes:\n  chat:\n    chain: [dashscope:qwen-plus]\n    {setting}\n")
    assert any(line.startswith("p.yaml:4:") and problem in line for line in told), told


@pytest.mark.parametrize(
    ("provider", "problem"),
    [
        ("dashscop: {}", "p.yaml:2:3: `dashscop` is no vendor of the catalogue\nhint: did you mean `dashscope`?"),
        ("house: {}", "p.yaml:2:3: `house` is no vendor of the catalogue\nhint: set `profile:`"),
        ("house: {profile: opnai}", "p.yaml:2:20: unknown profile `opnai`\nhint: did you mean `openai`?"),
        ("dashscope: {region: mars}", "`dashscope` has no region `mars`\nhint: known are `singapore`, `frankfurt`"),
        (
            "dashscope: {region: frankfurt}",
            "p.yaml:2:3: the region `frankfurt` of `dashscope` is reached through a workspace",
        ),
        (
            "dashscope: {workspace: a/b}",
            "`a/b` is not allowed here\nhint: it must match `^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`",
        ),
        ("dashscope: {workspace: evil.example}", "`evil.example` is not allowed here"),
        ("dashscope: {protocol: nativ}", "`dashscope` has no protocol `nativ`"),
        ("azure: {}", "p.yaml:2:3: `azure` has no endpoint of its own\nhint: set `base_url:`"),
        ("openai: {threads: 2}", "p.yaml:2:12: `threads` is a setting of local weights"),
        ("local: {proxy: 'http://p:1'}", "p.yaml:2:11: `proxy` is a setting of HTTP vendors"),
        ("local: {ca_file: ca.pem}", "p.yaml:2:11: `ca_file` is a setting of HTTP vendors"),
        ("local: {base_url: 'https://x.example'}", "local weights have no `base_url`"),
        ("openai: {options: {a: 1}}", "`openai` has no further options"),
        ("openai: {operator: Open AI}", "`Open AI` is not allowed here"),
        ("openai: {api_key: 5}", "p.yaml:2:21: a key is text"),
        ("openai: {api_key: schlüssel}", "p.yaml:2:21: the key is not printable ASCII"),
        ("openai: {headers: {Host: x}}", "the header `Host` is not yours to set"),
        ("openai: {headers: {'a b': x}}", "`a b` is not allowed here"),
        ("openai: {proxy: socks5://x}", "the proxy is no http or https URL"),
        ("x: {profile: {title: x}}", "`name` is missing"),
        ("x: {profile: {naem: x}}", "unknown key `naem`\nhint: did you mean `name`?"),
    ],
)
def test_a_wrong_provider_is_told_at_its_place(mistakes: Mistakes, provider: str, problem: str) -> None:
    told = mistakes(f"providers:\n  {provider}\nroutes: {{chat: {{chain: [groq:qwen3-32b]}}}}\n")
    assert any(line.startswith("p.yaml:2:") and problem in line for line in told), told


def test_a_vendor_without_an_endpoint_is_told_where_it_is_used(mistakes: Mistakes) -> None:
    (told,) = mistakes("routes:\n  chat: {chain: [azure:gpt-5]}\n  other: {chain: [azure:gpt-5]}")
    assert told == (
        "p.yaml:2:18: `azure` has no endpoint of its own\nhint: under `providers:`, `azure:`, set `base_url:`"
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://llm.example.net/v1",
        "https://llm.example.net:8443",
        "http://127.0.0.1:8000/v1",
        "http://[::1]:1",
        "http://localhost/",
    ],
)
def test_https_is_allowed_and_http_to_this_machine(load: Callable[..., object], url: str) -> None:
    policy = load(f'providers: {{openai: {{base_url: "{url}"}}}}\n{CHAT}')
    assert policy.providers["openai"].base_url == url.rstrip("/")  # type: ignore[attr-defined]  # a Policy


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://llm.example.net", "plain http is allowed to this machine only"),
        ("http://localhost.example.net", "plain http is allowed to this machine only"),
        ("http://0.0.0.0", "plain http is allowed to this machine only"),
        ("http://169.254.169.254", "plain http is allowed to this machine only"),
        ("http://127.1", "plain http is allowed to this machine only"),
        ("https://user:word@x.example", "holds no user name or password"),
        ("http://127.0.0.1@evil.example", "holds no user name or password"),
        ("https://x.example/v1?a=b", "has no query and no fragment"),
        ("https://x.example/v1#a", "has no query and no fragment"),
        ("ftp://x.example", "is no https URL"),
        ("x.example/v1", "is no URL"),
        ("https://", "is no URL"),
        ("https://x.example:99999", "is no URL"),
        ("https://x .example", "is no URL"),
        ("https://x.example\\\\@y.example", "is no URL"),
        ("https://x\\u0009.example", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://bücher.example", "is no URL"),
    ],
)
def test_no_other_base_url_is(mistakes: Mistakes, url: str, problem: str) -> None:
    (told,) = mistakes(f'providers: {{openai: {{base_url: "{url}"}}}}\n{CHAT}')
    assert told.startswith("p.yaml:1:32:")
    assert problem in told
    assert "user:word" not in told


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{reason: x}", "p.yaml:2:8: an entry of `off` names exactly one thing"),
        ("{operator: a, author: a}", "p.yaml:2:8: an entry of `off` names exactly one thing"),
        ("{provider: dashscop}", "p.yaml:2:19: unknown provider `dashscop`"),
        ("{target: 'opena:x'}", "p.yaml:2:17: unknown provider `opena`"),
        ("{jurisdiction: China}", "`China` is not allowed here"),
        ("{operator: a, until: tomorrow}", "`tomorrow` is no date\nhint: write it as in `2026-12-31`"),
        ("{operator: a, until: '2026-12-31T10:00:00'}", "has no time zone"),
        ("{vendor: a}", "unknown key `vendor`"),
    ],
)
def test_a_wrong_switch_is_told_at_its_place(mistakes: Mistakes, entry: str, problem: str) -> None:
    told = mistakes(f"{CHAT}off: [ {entry} ]")
    assert any(line.startswith("p.yaml:2:") and problem in line for line in told), told


def test_an_alias_names_a_route_and_is_none(mistakes: Mistakes) -> None:
    told = mistakes(CHAT + "aliases: {gpt-4o: chatt, chat: chat}")
    assert [line.split("\n")[0] for line in told] == [
        "p.yaml:2:19: unknown route `chatt`",
        "p.yaml:2:26: `chat` is a route already",
    ]


def test_what_hangs_on_a_mistake_is_not_told_as_another(mistakes: Mistakes) -> None:
    told = mistakes("routes:\n  chat: {chain: [dashscope]}\n  cheap: {extends: chat}\naliases: {a: chat}\n")
    assert told == ["p.yaml:2:18: `dashscope` is no target\nhint: write `provider:model`"]
    told = mistakes("providers: {x: {profile: 5}}\nroutes: {chat: {chain: [x:a]}}")
    assert told == ["p.yaml:1:26: `5` is not a text\nhint: put it in quotes"]


def test_mistakes_of_yaml_and_of_settings_are_told_together(mistakes: Mistakes) -> None:
    told = mistakes(
        "routes:\n  chat:\n    chain: [openai:gpt-5]\n    max_attempts: 010\n    deadline: 5\n    deadline: 6s\n"
    )
    assert [line.split(": ")[0] for line in told] == ["p.yaml:4:19", "p.yaml:5:15", "p.yaml:6:5"]


def test_a_mapping_has_paths_where_a_file_has_lines(profiles: dict[str, Profile]) -> None:
    source = {"routes": {"chat": {"chain": ["opnai:gpt-5"], "deadline": "60", 7: 8}}}
    with pytest.raises(ConfigurationError) as caught:
        load_policy(source, environ={}, profiles=profiles)
    assert {str(problem).split("\n")[0] for problem in caught.value.problems} == {
        "routes.chat: the key `7` is not text",
        "routes.chat.chain[0]: unknown provider `opnai`",
        "routes.chat.deadline: `60` has no unit",
    }


def test_a_mapping_that_holds_itself_is_refused(profiles: dict[str, Profile]) -> None:
    source: dict[str, object] = {}
    source["a"] = source
    source["b"] = [source, source]
    with pytest.raises(ConfigurationError, match="more than 32 levels"):
        load_policy(source, environ={}, profiles=profiles)


@pytest.mark.parametrize("name", ["none.yaml", ".", "a\0b", "x" * 5000])
def test_a_file_that_cannot_be_read_is_a_configuration_error(profiles: dict[str, Profile], name: str) -> None:
    with pytest.raises(ConfigurationError, match="policy file"):
        load_policy(name, environ={}, profiles=profiles)


def test_a_setting_that_asks_for_nothing_is_allowed(load: Callable[..., object]) -> None:
    load("routes: {chat: {chain: [openai:gpt-5], mid_stream: error, hedge: null, traffic: {}}}")


def test_a_problem_spells_its_place_as_well_as_it_can() -> None:
    assert str(Problem("error", "m")) == "m"
    assert str(Problem("error", "m", "h", path=("routes", "a", "chain", 0))) == "routes.a.chain[0]: m\nhint: h"
    assert str(Problem("note", "m", file="f")) == "f: m"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("routes:", "nothing is not a mapping\nhint: write its keys in the lines below it, indented"),
        ("version: 2\n" + CHAT, "`2` is not `1`\nhint: write `1`"),
        ('version: "1"\n' + CHAT, "`1` is a text, and the number is meant\nhint: write `1`, without quotes"),
        ("routes: {chat: {chain: [{timeouts: {}}]}}", "`target` is missing\nhint: add `target:`"),
        ("routes: {chat: {chain: [openai:a], retry: {attempts: 0}}}", "`0` is not at least 1\nhint: write 1 or more"),
        ("routes: {chat: {chain: [openai:a], retry: {budget: 101%}}}", "at most 100%\nhint: write 100% or less"),
        ("routes: {chat: {chain: [openai:a], deadline: 0s}}", "`0s` is not more than 0\nhint: write more than 0"),
        ("routes: {chat: {chain: [openai:a], requires: tools}}", "`tools` is not a list\nhint: write `[tools]`"),
        ("routes: {chat: {chain: 5}}", "`5` is not a list\nhint: write it as in `[a, b]`"),
        ("routes: {chat: 5}", "`5` is not a mapping\nhint: write it as in `{key: value}`"),
        ("routes: {chat: {chain: [openai:a]}", "a bracket is not closed\nhint: close it with `}` or `]`"),
        ("routes: 'a", "a quote is not closed\nhint: "),
        ("x: " + "[" * 40, "more than 32 levels of lists and mappings\nhint: is this the right file?"),
    ],
)
def test_each_mistake_has_a_hint_that_says_what_to_do(mistakes: Mistakes, text: str, told: str) -> None:
    (line,) = mistakes(text)
    assert told in line


@pytest.mark.parametrize(
    "text",
    [
        CHAT + "version: !!int 1",
        "routes: {chat: {chain: [openai:a], deadline: !!float 5}}",
        "routes: {chat: {chain: !x [openai:a]}}",
        "routes: {5: {chain: [openai:a]}}\naliases: {a: '5'}",
        "routes: {chat: {chain: [openai:a], 5: x}}",
        "routes: {chat: {<<: {chain: [openai:a]}}}",
        "routes: {: {chain: [openai:a]}}",
        "routes: {chat: {!!str chain: [openai:a]}}",
    ],
)
def test_a_tag_or_a_key_that_is_no_text_is_one_mistake(mistakes: Mistakes, text: str) -> None:
    assert len(mistakes(text)) == 1


def test_a_key_of_a_mapping_that_is_no_text_is_one_mistake(profiles: dict[str, Profile]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_policy({"routes": {5: {"chain": ["openai:a"]}}}, environ={}, profiles=profiles)  # type: ignore[dict-item]  # as an application may do
    assert len(caught.value.problems) == 1
