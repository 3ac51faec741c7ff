from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from multimodel.config import ChainMember, Policy, Route, Secret, find_policy, load_policy
from multimodel.config.provider import Place, key_of, place_of, profile_of
from multimodel.config.routes import Params, Retry, Timeouts
from multimodel.errors import ConfigurationError
from multimodel.providers.profile import Profile
from multimodel.types import Request, Target

Load = Callable[..., Policy]
CANARY = "sk-canary-0123456789"
LEAST = "routes: {chat: {chain: [dashscope:qwen-plus, local:qwen3.5-0.8b]}}"


def test_a_chain_is_a_whole_policy_and_the_defaults_are_the_documented_ones(load: Load) -> None:
    route = load(LEAST).routes["chat"]
    assert [(member.provider, member.model) for member in route.chain] == [
        ("dashscope", "qwen-plus"),
        ("local", "qwen3.5-0.8b"),
    ]
    assert (route.deadline, route.max_attempts, route.transfer, route.on_content_filter) == (120, 6, "stream", "stop")
    assert route.timeouts.model_dump() == {"connect": 3, "first_content": None, "idle": 15, "whole": 60}
    assert route.retry.model_dump() == {"attempts": 2, "budget": 0.1, "patience": 3}
    assert route.breaker.model_dump() == {"failures": 5, "ratio": 0.5, "window": 60, "open_at_most": 20}


def test_a_partial_map_keeps_the_other_defaults(load: Load) -> None:
    route = load("routes: {chat: {chain: [openai:gpt-5], timeouts: {idle: 500ms}, retry: {attempts: 1}}}").routes[
        "chat"
    ]
    assert (route.timeouts.idle, route.timeouts.connect, route.retry.attempts, route.retry.patience) == (0.5, 3, 1, 3)


def test_a_member_has_its_own_settings_over_the_routes(load: Load) -> None:
    route = load(
        """
routes:
  chat:
    chain:
      - {target: openai:gpt-5, timeouts: {idle: 5s}, params: {temperature: 1}, retry: {attempts: 1}}
      - groq:qwen3-32b
    timeouts: {connect: 1s}
    params: {temperature: 0.2, seed: 7}
    retry: {patience: 0s}
"""
    ).routes["chat"]
    own, plain = route.chain
    assert (route.timeouts_for(own).idle, route.timeouts_for(own).connect) == (5, 1)
    assert route.params_for(own).given() == {"temperature": 1, "seed": 7}
    assert (route.retry_for(own).attempts, route.retry_for(own).patience) == (1, 0)
    assert route.params_for(plain).given() == {"temperature": 0.2, "seed": 7}
    assert route.timeouts_for(plain) == route.timeouts


def test_a_route_takes_what_it_does_not_say_from_the_one_it_extends(load: Load) -> None:
    policy = load(
        """
routes:
  cheap: {extends: chat, chain: [groq:qwen3-32b], timeouts: {idle: 5s}}
  chat: {chain: [openai:gpt-5], deadline: 30s, timeouts: {connect: 1s, idle: 2s}, params: {seed: 1}}
  cheaper: {extends: cheap, max_attempts: 1}
"""
    )
    cheaper = policy.routes["cheaper"]
    assert (cheaper.chain[0].target, cheaper.deadline, cheaper.max_attempts) == ("groq:qwen3-32b", 30, 1)
    assert (cheaper.timeouts.connect, cheaper.timeouts.idle, cheaper.timeouts.whole) == (1, 5, 60)
    assert cheaper.params.given() == {"seed": 1}


def test_a_circle_of_routes_is_named(mistakes: Callable[..., list[str]]) -> None:
    (told,) = mistakes("routes:\n  a: {extends: b}\n  b: {extends: c}\n  c: {extends: a}\n")
    assert told == "p.yaml:2:16: routes extend each other: `a` → `b` → `c` → `a`\nhint: remove one `extends:`"
    (told,) = mistakes("routes: {a: {extends: a}}")
    assert "`a` → `a`" in told


def test_four_routes_may_extend_one_another_and_no_fifth(mistakes: Callable[..., list[str]]) -> None:
    four = "routes:\n  a: {chain: [openai:gpt-5]}\n  b: {extends: a}\n  c: {extends: b}\n  d: {extends: c}\n"
    assert mistakes(four) == []
    (told,) = mistakes(four + "  e: {extends: d}\n")
    assert told.startswith("p.yaml:6:16: 5 routes extend one another, at most 4 can")


def test_a_section_that_is_left_empty_is_none(load: Load) -> None:
    policy = load(f"providers:\n  local:\naliases:\noff:\n{LEAST}")
    assert (policy.provider("local"), policy.aliases, policy.off) == (policy.provider("openai"), {}, ())


def test_paths_are_relative_to_the_policy(load: Load, tmp_path: Path) -> None:
    policy = load(
        f"providers: {{local: {{archive: ./archive, cache: /var/cache}}}}\nswitch_file: run/off.json\n{LEAST}"
    )
    local = policy.providers["local"]
    assert (local.archive, local.cache) == (tmp_path / "archive", Path("/var/cache"))
    assert policy.switch_file == policy.switches == tmp_path / "run" / "off.json"
    assert policy.source == tmp_path / "p.yaml"


def test_switches_are_beside_the_policy_or_in_memory(load: Load, tmp_path: Path) -> None:
    assert load(LEAST).switches == tmp_path / "multimodel.off.json"
    assert Policy(routes={"chat": Route(chain=(ChainMember(target="openai:gpt-5"),))}).switches is None


def test_a_variable_is_a_whole_value_filled_in_after_parsing(load: Load) -> None:
    policy = load(
        'providers: {openai: {api_key: "${HOUSE_KEY}"}}\nroutes:\n  chat:\n    chain: ["${TARGET}"]\n    deadline: ${LIMIT}\n',
        HOUSE_KEY=f"{CANARY}\n",
        TARGET="openai:gpt-5",
        LIMIT="30s",
    )
    assert policy.providers["openai"].api_key == Secret(CANARY)
    assert (policy.routes["chat"].deadline, policy.routes["chat"].chain[0].target) == (30, "openai:gpt-5")


def test_a_variable_cannot_write_yaml(load: Load) -> None:
    policy = load("routes: {chat: {chain: [openai:gpt-5], params: {stop: ['${STOP}']}}}", STOP="a, b]: {x: 1} # c")
    assert policy.routes["chat"].params.stop == ("a, b]: {x: 1} # c",)


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}])
def test_a_variable_that_is_written_must_be_set(mistakes: Callable[..., list[str]], environ: dict[str, str]) -> None:
    told = mistakes('providers: {openai: {api_key: "${NAME}"}}\n' + LEAST, **environ)
    assert told == ["p.yaml:1:31: the variable `NAME` is not set\nhint: set it, or remove the line"]


@pytest.mark.parametrize("text", ["Bearer ${NAME}", "${NAME}x", "${NAME:-x}", "${}", "${NA ME}", "${A}${B}"])
def test_a_variable_inside_a_longer_text_is_a_mistake(mistakes: Callable[..., list[str]], text: str) -> None:
    (told,) = mistakes(f'providers: {{openai: {{api_key: "{text}"}}}}\n{LEAST}', NAME="x", A="a", B="b")
    assert "must be the whole value" in told


@pytest.mark.parametrize(
    "line",
    [
        "providers: {dashscope: {region: '${NAME}'}}",
        "providers: {dashscope: {workspace: '${NAME}'}}",
        "providers: {dashscope: {protocol: '${NAME}'}}",
        "providers: {openai: {base_url: '${NAME}'}}",
        "providers: {openai: {operator: '${NAME}'}}",
        "providers: {openai: {proxy: '${NAME}'}}",
        "providers: {openai: {threads: '${NAME}'}}",
        "providers: {x: {profile: '${NAME}'}}",
        "aliases: {a: '${NAME}'}",
        "off: [{provider: '${NAME}'}]",
        "off: [{operator: a, until: '${NAME}'}]",
        "off: [{target: '${NAME}'}]",
    ],
)
@pytest.mark.parametrize("value", [f"{CANARY}/x", f"{CANARY}:x", f"ä{CANARY}"])
def test_what_a_variable_holds_is_never_quoted(load: Load, line: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(f"{line}\n{LEAST}\n", NAME=value)
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.problems)


@pytest.mark.parametrize("setting", ["deadline", "transfer", "max_attempts", "extends", "retry", "requires"])
def test_what_a_variable_holds_is_never_quoted_for_a_route_either(load: Load, setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(
            f"routes:\n  chat:\n    chain: ['${{NAME}}', '${{NAME}}', openai:gpt-5]\n    {setting}: ${{NAME}}\n",
            NAME=CANARY,
        )
    assert CANARY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.problems)


def test_a_literal_key_is_never_shown(load: Load) -> None:
    policy = load(
        f"providers: {{openai: {{api_key: {CANARY}, headers: {{x-key: {CANARY}}}, proxy: 'http://u:{CANARY}@p:1'}}}}\n{LEAST}"
    )
    assert CANARY not in repr(policy) + policy.model_dump_json() + str(policy.model_dump())
    options = policy.providers["openai"].adapter_options
    assert options == {"headers": {"x-key": CANARY}, "proxy": f"http://u:{CANARY}@p:1"}


def test_in_python_durations_may_be_seconds(profiles: dict[str, Profile]) -> None:
    source = {
        "routes": {"chat": {"chain": ("openai:gpt-5",), "deadline": 30, "retry": {"budget": 0.2, "patience": "1s"}}}
    }
    route = load_policy(source, environ={}, profiles=profiles).routes["chat"]
    assert (route.deadline, route.retry.budget, route.retry.patience) == (30, 0.2, 1)
    made = Route(chain=(ChainMember(target="openai:gpt-5"),), timeouts=Timeouts(idle=2), retry=Retry(attempts=1))
    assert (made.timeouts.idle, made.timeouts.connect) == (2, 3)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1, True, None, 10**400])
def test_but_no_other_number(profiles: dict[str, Profile], seconds: object) -> None:
    source = {"routes": {"chat": {"chain": ["openai:gpt-5"], "deadline": seconds}}}
    with pytest.raises(ConfigurationError, match=r"routes\.chat\.deadline"):
        load_policy(source, environ={}, profiles=profiles)


def test_a_source_is_never_changed(profiles: dict[str, Profile]) -> None:
    source = {"providers": {"openai": {"api_key": "${KEY}"}}, "routes": {"chat": {"chain": ["openai:gpt-5"]}}}
    load_policy(source, environ={"KEY": "k"}, profiles=profiles)
    assert source["providers"] == {"openai": {"api_key": "${KEY}"}}


def test_a_policy_loaded_again_is_the_same(load: Load, profiles: dict[str, Profile]) -> None:
    policy = load(
        f"providers: {{openai: {{api_key: {CANARY}}}, local: {{archive: a}}}}\n"
        "routes:\n  chat: {chain: [openai:gpt-5], timeouts: {idle: 5s}}\n  cheap: {extends: chat, deadline: 5s}\n"
        "off: [{operator: alibaba, until: 2026-12-31}]\n"
    )
    again = load_policy(policy, environ={}, profiles=profiles)
    assert again == policy
    assert again.source == policy.source


def test_a_policy_made_in_python_is_checked_as_well(profiles: dict[str, Profile]) -> None:
    policy = Policy(
        routes={"chat": Route(chain=(ChainMember(target="openai:gpt-5"),)), "cheap": Route(extends="chat", deadline=5)}
    )
    assert load_policy(policy, environ={}, profiles=profiles).routes["cheap"].chain[0].target == "openai:gpt-5"
    wrong = Policy(routes={"chat": Route(chain=(ChainMember(target="opnai:gpt-5"),))})
    with pytest.raises(ConfigurationError, match="unknown provider `opnai`"):
        load_policy(wrong, environ={}, profiles=profiles)


def test_a_profile_can_be_written_out_in_the_policy(load: Load) -> None:
    policy = load(
        """
providers:
  house:
    profile:
      name: house
      title: Our own
      adapter: http
      protocols: {chat: {wire: openai_chat, path: /v1}}
      protocol: chat
      endpoints: {here: {url: "https://llm.example.net", fact: {source: us, date: 2026-11-24}}}
      region: here
      fact: {source: us, date: 2026-11-24}
routes: {chat: {chain: [house:any]}}
"""
    )
    profile = profile_of("house", policy.provider("house"), {})
    assert profile is not None
    assert place_of(policy.provider("house"), profile).base_url == "https://llm.example.net/v1"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{}", Place("https://sg.example/v1", "openai_chat", "singapore", ("SG",))),
        ("{region: ap-southeast-1}", Place("https://sg.example/v1", "openai_chat", "singapore", ("SG",))),
        ("{workspace: ws1}", Place("https://ws1.sg.example/v1", "openai_chat", "singapore", ("SG",))),
        ("{region: frankfurt, workspace: w}", Place("https://w.fra.example/v1", "openai_chat", "frankfurt")),
        ("{base_url: 'https://x.example/v2/'}", Place("https://x.example/v2", "openai_chat")),
    ],
)
def test_a_place_follows_from_region_workspace_and_base_url(
    load: Load, profiles: dict[str, Profile], text: str, place: Place
) -> None:
    config = load(f"providers: {{dashscope: {text}}}\n{LEAST}").provider("dashscope")
    assert place_of(config, profiles["dashscope"]) == place


def test_a_key_is_the_policys_own_or_the_first_variable_that_is_set(load: Load, profiles: dict[str, Profile]) -> None:
    policy = load(f"providers: {{openai: {{api_key: own}}}}\n{LEAST}")
    profile = profiles["openai"].model_copy(update={"key": ("FIRST", "SECOND")})
    assert key_of(policy.provider("openai"), profile, {"FIRST": "a"}) == Secret("own")
    assert key_of(policy.provider("groq"), profile, {"FIRST": "", "SECOND": "b"}) == Secret("b")
    assert key_of(policy.provider("groq"), profile, {}) is None


def test_a_switch_covers_what_it_names_until_it_ends(load: Load) -> None:
    policy = load(
        f"{LEAST}\noff:\n  - {{operator: alibaba, reason: licence, since: 2026-11-24, until: 2026-12-01}}\n"
        "  - {author: alibaba}\n  - {provider: groq}\n  - {target: 'openai:gpt-5'}\n  - {jurisdiction: CN}\n"
    )
    now, later = datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    hosted, elsewhere = Target("dashscope", "q", "alibaba", "alibaba"), Target("groq", "q", "groq", "alibaba")
    operator, author, provider, target, jurisdiction = policy.off
    assert [operator.covers(hosted, jurisdiction="CN", at=at) for at in (now, later)] == [True, False]
    assert [entry.covers(elsewhere, jurisdiction="US", at=now) for entry in policy.off] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert target.covers(Target("openai", "gpt-5"), jurisdiction=None, at=now)
    assert jurisdiction.covers(hosted, jurisdiction="CN", at=now)
    assert not jurisdiction.covers(hosted, jurisdiction=None, at=now)
    assert [(entry.kind, entry.name) for entry in (author, provider)] == [("author", "alibaba"), ("provider", "groq")]


def test_a_route_is_found_by_name_or_alias(load: Load) -> None:
    policy = load(f"{LEAST}\naliases: {{gpt-4o: chat}}")
    assert policy.route("gpt-4o") is policy.route("chat") is policy.routes["chat"]
    assert policy.route("none") is None


def test_the_options_of_a_route_have_the_ranges_of_a_request() -> None:
    def bounds(model: type[Params | Request], name: str) -> set[str]:
        return {repr(item) for item in model.model_fields[name].metadata if "strict" not in repr(item).lower()}

    for name in Params.model_fields:
        assert bounds(Params, name) == bounds(Request, name), name


def test_the_policy_file_is_named_by_the_variable_or_stands_in_the_folder(tmp_path: Path) -> None:
    assert find_policy({}, tmp_path) is None
    (tmp_path / "multimodel.yaml").touch()
    assert find_policy({}, tmp_path) == tmp_path / "multimodel.yaml"
    assert find_policy({"MULTIMODEL_CONFIG": "other.yaml"}, tmp_path) == tmp_path / "other.yaml"
    assert find_policy({"MULTIMODEL_CONFIG": "/etc/x.yaml"}, tmp_path) == Path("/etc/x.yaml")


@pytest.mark.parametrize("left", ["a link to nothing", "a switch file"])
def test_a_policy_that_has_just_gone_is_not_replaced_by_the_built_in_one(tmp_path, left):
    if left == "a switch file":
        (tmp_path / "multimodel.off.json").write_text("{}", encoding="utf-8")
    else:
        (tmp_path / "multimodel.yaml").symlink_to("releases/42/multimodel.yaml")
    found = find_policy({}, tmp_path)
    assert found == tmp_path / "multimodel.yaml"
    with pytest.raises(ConfigurationError, match="there is no policy file"):
        load_policy(found, environ={}, profiles={})


def test_a_policy_has_the_same_fingerprint_in_every_process(load: Load) -> None:
    policy = load(f"{LEAST}\nproviders: {{openai: {{api_key: sk-one}}}}")
    code = (
        "import sys; from multimodel.config import load_policy; from multimodel.providers.catalogue import profiles; "
        "print(load_policy(sys.argv[1], environ={}, profiles=profiles({})).fingerprint)"
    )
    for seed in ("1", "2"):
        environ = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code, str(policy.source)]
        ran = subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", check=True)
        assert ran.stdout.strip() == policy.fingerprint
    assert load(LEAST).fingerprint != policy.fingerprint
