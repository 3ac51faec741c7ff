"""A vendor of OpenAI's format is added in four ways, none of which needs Python: each is asked over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multimodel import AsyncClient, Client
from multimodel.errors import AllTargetsFailedError, QuotaExhaustedError
from multimodel.providers import catalogue, registry
from multimodel.testing import FaultyVendor, faults

KEY = "sk-acme"
PROFILE = """\
name: acme
title: Acme
operator: acme
jurisdiction: NO
protocols: {{chat: {{wire: openai_chat, path: /v1}}}}
protocol: chat
key: [ACME_API_KEY]
endpoints:
  default: {{url: "{url}", fact: &docs {{source: "https://docs.acme.example", date: 2026-11-24}}}}
region: default
errors: [{{kind: quota_exhausted, code: broke, hint: pay}}]
models: {{m1: {{author: alibaba, fact: *docs}}}}
fact: *docs
"""
CHAT = {"routes": {"chat": {"chain": ["acme:m1"]}}}


@pytest.fixture
def vendor() -> Iterator[FaultyVendor]:
    with FaultyVendor(keys=[KEY], answer="Here.") as running:
        yield running


@pytest.fixture
def url(vendor: FaultyVendor) -> str:
    return vendor.openai_url.removesuffix("/v1")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(catalogue.VARIABLE, raising=False)
    monkeypatch.setenv("ACME_API_KEY", KEY)
    yield
    for kept in (registry.plugins, catalogue._from_plugin):
        kept.cache_clear()


def asked(policy: Any, vendor: FaultyVendor) -> None:
    """Ask on both colours, and see that the vendor was asked and that its profile held."""
    with Client(policy) as client:
        answer = client.complete("chat", "Where are you?")
        assert (answer.text, str(answer.target)) == ("Here.", "acme:m1")
        assert (answer.target.operator, answer.target.author) == ("acme", "alibaba")
        assert client.explain("chat").targets[0].target.operator == "acme"

    async def main() -> str:
        async with AsyncClient(policy) as client:
            return (await client.complete("chat", "And you?")).text

    assert asyncio.run(main()) == "Here."
    assert [request.model for request in vendor.log] == ["m1", "m1"]


def test_a_file_in_a_folder_that_the_environment_names(monkeypatch, tmp_path: Path, url: str, vendor: FaultyVendor):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "acme.yaml").write_text(PROFILE.format(url=url), encoding="utf-8")
    monkeypatch.setenv(catalogue.VARIABLE, str(tmp_path / "ours"))
    asked(CHAT, vendor)


def test_a_profile_inside_the_policy(tmp_path: Path, url: str, vendor: FaultyVendor):
    (tmp_path / "multimodel.yaml").write_text(
        f"""\
providers:
  acme:
    profile:
      name: acme
      title: Acme
      operator: acme
      protocols: {{chat: {{wire: openai_chat, path: /v1}}}}
      protocol: chat
      key: [ACME_API_KEY]
      endpoints: {{default: {{url: "{url}", fact: {{source: our wiki, date: 2026-11-24}}}}}}
      region: default
      models: {{m1: {{author: alibaba, fact: {{source: our wiki, date: 2026-11-24}}}}}}
      fact: {{source: our wiki, date: 2026-11-24}}
routes: {{chat: {{chain: [acme:m1]}}}}
""",
        encoding="utf-8",
    )
    asked("multimodel.yaml", vendor)


def test_a_distribution_with_an_entry_point(monkeypatch, tmp_path: Path, url: str, vendor: FaultyVendor):
    site = tmp_path / "site"
    metadata = site / "acme_for_multimodel-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-for-multimodel\nVersion: 1.0\n", "utf-8")
    (metadata / "entry_points.txt").write_text("[multimodel.providers]\nacme = acme_profile:PROFILE\n", "utf-8")
    profile = {
        "title": "Acme",
        "operator": "acme",
        "protocols": {"chat": {"wire": "openai_chat", "path": "/v1"}},
        "protocol": "chat",
        "key": ["ACME_API_KEY"],
        "endpoints": {"default": {"url": url, "fact": {"source": "our wiki", "date": "2026-11-24"}}},
        "region": "default",
        "models": {"m1": {"author": "alibaba", "fact": {"source": "our wiki", "date": "2026-11-24"}}},
        "fact": {"source": "our wiki", "date": "2026-11-24"},
    }
    (site / "acme_profile.py").write_text(f"PROFILE = {json.dumps(profile)}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(site))
    registry.plugins.cache_clear()
    asked(CHAT, vendor)


def test_an_endpoint_and_a_key_out_of_the_environment(monkeypatch, tmp_path: Path, url: str, vendor: FaultyVendor):
    """Of a vendor that has no profile at all; it is one more endpoint of the format of OpenAI's."""
    monkeypatch.setenv("ACME_URL", f"{url}/v1")
    (tmp_path / "multimodel.yaml").write_text(
        """\
providers: {acme: {profile: openai, base_url: "${ACME_URL}", api_key: "${ACME_API_KEY}", operator: acme}}
routes: {chat: {chain: [acme:m1]}}
""",
        encoding="utf-8",
    )
    with Client("multimodel.yaml") as client:
        answer = client.complete("chat", "Where are you?")
    assert (answer.text, str(answer.target), answer.target.operator) == ("Here.", "acme:m1", "acme")
    assert answer.target.author is None


def test_the_error_table_of_a_file_of_ones_own_holds(monkeypatch, tmp_path: Path, url: str, vendor: FaultyVendor):
    (tmp_path / "acme.yaml").write_text(PROFILE.format(url=url), encoding="utf-8")
    monkeypatch.setenv(catalogue.VARIABLE, str(tmp_path))
    vendor.fault = faults.status(418, code="broke")
    with Client(CHAT) as client, pytest.raises(AllTargetsFailedError) as caught:
        client.complete("chat", "Where are you?")
    (error,) = caught.value.exceptions
    assert isinstance(error, QuotaExhaustedError)
    assert error.hint == "pay"


def test_a_place_of_a_file_of_ones_own_is_a_place_like_any(monkeypatch, tmp_path: Path, url: str, vendor: FaultyVendor):
    (tmp_path / "acme.yaml").write_text(PROFILE.format(url=url), encoding="utf-8")
    monkeypatch.setenv(catalogue.VARIABLE, str(tmp_path))
    off = [{"jurisdiction": "NO", "reason": "review"}]
    with Client({**CHAT, "off": off}) as client:
        assert client.explain("chat").targets[0].reason == "off"
    assert vendor.log == []
