from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multimodel.config import Policy, load_policy
from multimodel.errors import ConfigurationError
from multimodel.providers.profile import Profile

# The words of a policy in any arrangement come nearer to its rules than random bytes do.
WORDS = st.sampled_from(
    [
        "routes",
        "providers",
        "chain",
        "chat",
        "off",
        "aliases",
        "target",
        "extends",
        "timeouts",
        "retry",
        "params",
        "dashscope",
        "openai:gpt-5",
        "${KEY}",
        "${",
        "operator",
        "profile",
        "base_url",
        "60s",
        "10%",
        "010",
        "1:30",
        "yes",
        "null",
        "true",
        "-1",
        ".nan",
        "1e999",
        "&",
        "*",
        "!",
        "<<",
        "?",
        "|",
        ">",
        "-",
        ":",
        ",",
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
        "#",
        "%",
        "@",
        "https://x",
        "fact",
        "models",
    ]
)
SPACES = st.sampled_from(["", " ", "\n", "\n  ", "\n    ", ": ", "\t"])
TEXTS = st.lists(st.tuples(WORDS, SPACES), max_size=40).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.binary(max_size=3) | st.text(max_size=5)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.integers(), inner, max_size=4),
    max_leaves=20,
)
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def loads_or_refuses(source: Path | dict[str, object], profiles: dict[str, Profile]) -> None:
    try:
        load_policy(source, environ={"KEY": "60s"}, profiles=profiles)
    except ConfigurationError as refused:
        error = refused
    else:
        return
    assert error.problems
    assert len(str(error)) <= 2000


@QUICK
@given(
    data=st.binary(max_size=200)
    | TEXTS.map(str.encode)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_a_policy_or_a_configuration_error(
    data: bytes, tmp_path: Path, profiles: dict[str, Profile]
) -> None:
    path = tmp_path / "p.yaml"
    path.write_bytes(data)
    loads_or_refuses(path, profiles)


@QUICK
@given(
    routes=st.dictionaries(st.sampled_from(["chat", "b"]), TREES, max_size=2),
    rest=st.dictionaries(st.sampled_from(["providers", "off", "aliases", "version", "switch_file"]), TREES, max_size=3),
)
def test_any_mapping_is_a_policy_or_a_configuration_error(
    routes: dict[str, object], rest: dict[str, object], profiles: dict[str, Profile]
) -> None:
    loads_or_refuses({"routes": routes, **rest}, profiles)


@QUICK
@given(
    setting=st.sampled_from(
        [
            "chain",
            "extends",
            "deadline",
            "timeouts",
            "retry",
            "max_attempts",
            "breaker",
            "requires",
            "residency",
            "transfer",
            "mid_stream",
            "hedge",
            "traffic",
            "shadow",
            "on_content_filter",
            "on_invalid_output",
            "params",
            "prompts",
            "budget",
        ]
    ),
    value=TREES,
)
def test_any_value_of_a_setting_is_taken_or_refused(setting: str, value: object, profiles: dict[str, Profile]) -> None:
    loads_or_refuses({"routes": {"chat": {"chain": ["openai:gpt-5"], setting: value}}}, profiles)


@pytest.mark.parametrize(
    "brackets", ["[" * 500_000, "{" * 500_000, "[{" * 200_000, "- " * 300_000, "? " * 300_000, "a: {" * 200_000]
)
def test_nested_brackets_are_refused(load: Callable[..., Policy], brackets: str) -> None:
    with pytest.raises(ConfigurationError):
        load(brackets)


def test_the_models_load_without_what_reads_files_or_sockets() -> None:
    code = (
        "import sys, multimodel.config.policy, multimodel.config\n"
        "heavy = {'yaml', 'httpx2', 'tenacity', 'structlog', 'difflib', 'multimodel.config.load'}\n"
        "assert not heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_of_the_package_is_there() -> None:
    from multimodel import config

    for name in config.__all__:
        assert getattr(config, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = config.nothing
