"""A small catalogue, and short ways to load a policy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from multimodel.config import Policy, Problem, load_policy
from multimodel.errors import ConfigurationError
from multimodel.providers.profile import Profile

FACT = {"source": "the vendor's page", "date": date(2026, 11, 1)}


def make_profile(name: str, **facts: Any) -> Profile:
    base = {
        "name": name,
        "title": name,
        "operator": name,
        "protocols": {"compatible": {"wire": "openai_chat", "path": "/v1"}},
        "protocol": "compatible",
        "key": (f"{name.upper()}_API_KEY",),
        "endpoints": {"main": {"url": f"https://{name}.example", "fact": FACT}},
        "region": "main",
        "fact": FACT,
    }
    return Profile.model_validate({**base, **facts})


PROFILES = {
    "dashscope": make_profile(
        "dashscope",
        operator="alibaba",
        jurisdiction="CN",
        default_model="qwen-plus",
        endpoints={
            "singapore": {
                "url": "https://sg.example",
                "workspace_url": "https://{workspace}.sg.example",
                "aliases": ["ap-southeast-1"],
                "stored_in": ["SG"],
                "fact": FACT,
            },
            "frankfurt": {"workspace_url": "https://{workspace}.fra.example", "fact": FACT},
        },
        region="singapore",
        models={
            "qwen-plus": {"author": "alibaba", "fact": FACT},
            "qwen-old": {"author": "alibaba", "retired": "2026-12-10", "replaced_by": "qwen-plus", "fact": FACT},
            "qwen-gone": {"author": "alibaba", "retired": "2026-01-10", "fact": FACT},
        },
    ),
    "openai": make_profile(
        "openai", jurisdiction="US", default_model="gpt-5", models={"gpt-5": {"author": "openai", "fact": FACT}}
    ),
    "groq": make_profile("groq", jurisdiction="US", models={"qwen3-32b": {"author": "alibaba", "fact": FACT}}),
    "azure": make_profile("azure", endpoints={}, region=None, default_model="gpt-5"),
    "local": make_profile(
        "local",
        operator=None,
        adapter="local",
        protocols={},
        protocol=None,
        key=(),
        key_required=False,
        endpoints={},
        region=None,
    ),
    "plugin": make_profile(
        "plugin", adapter="theirs", protocols={}, protocol=None, endpoints={}, region=None, key_required=False
    ),
}


@pytest.fixture
def profiles() -> dict[str, Profile]:
    return dict(PROFILES)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Policy]:
    """Write a policy file and load it by its bare name."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str, **environ: str) -> Policy:
        (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
        return load_policy("p.yaml", environ=environ, profiles=PROFILES)

    return load_text


@pytest.fixture
def mistakes(load: Callable[..., Policy]) -> Callable[..., list[str]]:
    """Load a policy file that is wrong, and return what is printed, a mistake an item."""

    def collect(text: str, **environ: str) -> list[str]:
        try:
            load(text, **environ)
        except ConfigurationError as error:
            return [str(problem) for problem in error.problems if isinstance(problem, Problem)]
        return []

    return collect
