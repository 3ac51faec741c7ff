from __future__ import annotations

from pathlib import Path

import pytest

from multimodel.config import Policy, load_policy, salvage_policy
from multimodel.errors import ConfigurationError
from multimodel.providers.profile import Profile

CHAT = "routes: {chat: {chain: [dashscope:qwen-plus, openai:gpt-5]}}\n"
Profiles = dict[str, Profile]


@pytest.fixture
def salvage(tmp_path: Path, profiles: Profiles):
    def salvage_text(text: str, **environ: str) -> Policy:
        file = tmp_path / "p.yaml"
        file.write_text(text, encoding="utf-8")
        return salvage_policy(file, environ=environ, profiles=profiles)

    return salvage_text


def targets(policy: Policy) -> dict[str, list[str]]:
    return {name: [member.target for member in route.chain] for name, route in policy.routes.items()}


@pytest.mark.parametrize("setting", ["api_key", "base_url", "workspace", "region"])
def test_a_variable_that_is_not_set_may_make_its_provider_unavailable(
    tmp_path: Path, profiles: Profiles, setting: str
) -> None:
    file = tmp_path / "p.yaml"
    own = "" if setting == "base_url" else ', base_url: "https://a.example"'
    file.write_text(f'providers: {{azure: {{{setting}: "${{APP}}"{own}}}}}\n{CHAT}', encoding="utf-8")
    with pytest.raises(ConfigurationError, match="`APP` is not set"):
        load_policy(file, environ={}, profiles=profiles)
    policy = load_policy(file, environ={}, profiles=profiles, unset="unavailable")
    assert policy.origin.unset == {"azure": "APP"}
    assert load_policy(policy, environ={}, profiles=profiles) is policy


def test_elsewhere_a_variable_that_is_not_set_is_a_mistake(tmp_path: Path, profiles: Profiles) -> None:
    file = tmp_path / "p.yaml"
    file.write_text('routes: {chat: {chain: ["${TARGET}"]}}', encoding="utf-8")
    with pytest.raises(ConfigurationError, match="`TARGET` is not set"):
        load_policy(file, environ={}, profiles=profiles, unset="unavailable")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (CHAT, {"chat": ["dashscope:qwen-plus", "openai:gpt-5"]}),
        (CHAT + "nonsense: 1\n", {"chat": ["dashscope:qwen-plus", "openai:gpt-5"]}),
        ("routes: {chat: {chain: [dashscop:x, openai:gpt-5, nobody:x], deadline: 5}}", {"chat": ["openai:gpt-5"]}),
        ("routes: {chat: {chain: [a, openai:gpt-5, b, 5]}, other: 5}", {"chat": ["openai:gpt-5"]}),
        ("routes: {a: {chain: [openai:gpt-5]}, b: {extends: nobody}}", {"a": ["openai:gpt-5"]}),
        ("providers: {x: {profile: 5}}\nroutes: {a: {chain: [x:y, openai:gpt-5]}}", {"a": ["openai:gpt-5"]}),
        ("routes: {a: {chain: [azure:y, openai:gpt-5], prompts: {x: y}}}", {"a": ["openai:gpt-5"]}),
        ("routes: {a: {chain: [openai:gpt-5]}}\noff: [{operator: a b}, {operator: alibaba}]", {"a": ["openai:gpt-5"]}),
        ("routes: 5", {}),
        ("routes: {chat: {chain: [openai:gpt-5]}", {}),
        ("[1]", {}),
        ("", {}),
    ],
)
def test_what_has_no_mistake_of_a_file_is_kept(salvage, tmp_path: Path, text: str, left: dict[str, list[str]]) -> None:
    policy = salvage(text)
    assert targets(policy) == left
    assert policy.switches == tmp_path / "multimodel.off.json"
    assert bool(policy.origin.mistakes) is (text != CHAT)


@pytest.mark.parametrize(
    "text",
    [
        "switch_file: x/off.json\n" + CHAT,
        "switch_file: x/off.json\nroutes: 5\n",
        "switch_file: x/off.json\nroutes: {\n",
        "switch_file: ${OFF}\n{\n",
    ],
)
def test_the_place_of_the_switch_file_is_read_as_long_as_its_line_can_be(salvage, tmp_path: Path, text: str) -> None:
    assert salvage(text, OFF="x/off.json").switches == tmp_path / "x" / "off.json"


@pytest.mark.parametrize(
    "text",
    [
        "switch_file: 5\n" + CHAT,
        'switch_file: "${OFF}"\n' + CHAT,
        "switch_file: a\nswitch_file: b\n" + CHAT,
        "{switch_file: x/off.json, routes: [",
        "switch_file: [\n",
        'switch_file: "${OFF}"\n{\n',
    ],
)
def test_where_nobody_can_tell_the_place_of_the_switch_file_the_mistakes_are_told(salvage, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        salvage(text)
    assert caught.value.problems


def test_a_switch_file_is_named_beside_the_file_itself_and_not_beside_a_link_to_it(
    tmp_path: Path, profiles: Profiles
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "link.yaml").symlink_to(tmp_path / "p.yaml")
    for text, name in ((CHAT, "multimodel.off.json"), (CHAT + "switch_file: s.off.json\n", "s.off.json")):
        (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
        policy = load_policy(tmp_path / "app" / "link.yaml", environ={}, profiles=profiles)
        assert policy.switches == tmp_path / name
