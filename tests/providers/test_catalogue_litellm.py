"""Profiles that go through litellm: what they say about the vendor is what is sent, over a real socket."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from multimodel.config.secret import Secret
from multimodel.errors import CallError, ConfigurationError
from multimodel.providers.base import ProviderSetup
from multimodel.providers.catalogue import profiles
from multimodel.providers.litellm import LiteLLMProvider
from multimodel.providers.profile import Profile
from multimodel.testing import FaultyVendor
from multimodel.types import Request

from .litellm_runs import attempt, text_of

FACT = {"source": "test", "date": "2026-11-24"}


class Refusing(BaseHTTPRequestHandler):
    """Keeps what it was asked, and refuses it as Anthropic does."""

    asked: list[tuple[str, str, Any]]
    status: int
    error: dict[str, str]

    def do_POST(self) -> None:
        """Answer one request."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers.get("x-api-key") or self.headers["Authorization"], body))
        answer = json.dumps({"type": "error", "error": self.error}).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def anthropic() -> Iterator[tuple[str, type[Refusing]]]:
    handler = type("Handler", (Refusing,), {"asked": [], "status": 529, "error": {"type": "overloaded_error"}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def failing(provider: LiteLLMProvider, model: str, **asked: Any) -> CallError:
    with pytest.raises(CallError) as caught:
        list(provider.stream(attempt(Request(messages="Is it?", **asked), model=model)))
    provider.close()
    return caught.value


def test_the_vendors_name_at_litellm_goes_before_the_model():
    given = {"name": "house", "title": "House", "adapter": "litellm", "litellm": "openai", "fact": FACT}
    with FaultyVendor(keys=["sk-test"], answer="It is.") as vendor:
        setup = ProviderSetup("house", Profile.model_validate(given), vendor.openai_url, None, Secret("sk-test"))
        provider = LiteLLMProvider(setup)
        assert text_of(provider.stream(attempt(model="org/m-1"))) == "It is."
        provider.close()
        assert [request.model for request in vendor.log] == ["org/m-1"]


def test_a_name_at_litellm_is_for_its_adapter_only():
    given = {"name": "house", "title": "House", "litellm": "openai", "adapter": "house", "fact": FACT}
    with pytest.raises(ValueError, match="for the adapter `litellm` only"):
        Profile.model_validate(given)


def test_claude_is_asked_at_anthropics_own_path_with_its_key(anthropic: tuple[str, type[Refusing]]):
    url, server = anthropic
    setup = ProviderSetup("anthropic", profiles({})["anthropic"], url, None, Secret("sk-ant"))
    error = failing(LiteLLMProvider(setup), "claude-sonnet-4-6")
    assert error.kind == "overloaded"
    ((path, key, body),) = server.asked
    assert (path, key, body["model"]) == ("/v1/messages", "sk-ant", "claude-sonnet-4-6")


def test_an_account_of_anthropic_without_money_is_told_so(anthropic: tuple[str, type[Refusing]]):
    url, server = anthropic
    server.status = 400
    server.error = {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."}
    setup = ProviderSetup("anthropic", profiles({})["anthropic"], url, None, Secret("sk-ant"))
    assert failing(LiteLLMProvider(setup), "claude-sonnet-4-6").kind == "quota_exhausted"


def test_an_option_that_a_model_refuses_is_refused_before_anything_is_sent(anthropic: tuple[str, type[Refusing]]):
    url, server = anthropic
    setup = ProviderSetup("anthropic", profiles({})["anthropic"], url, None, Secret("sk-ant"))
    error = failing(LiteLLMProvider(setup), "claude-sonnet-5-5", temperature=0.2)
    assert (error.kind, server.asked) == ("policy_denied", [])


def test_the_catalogues_endpoint_is_where_claude_is_asked():
    from multimodel.config.provider import ProviderConfig, place_of

    place = place_of(ProviderConfig(), profiles({})["anthropic"])
    assert place.base_url == "https://api.anthropic.com"


def test_azure_needs_the_name_of_a_resource():
    from multimodel.config.provider import ProviderConfig, place_of

    azure = profiles({})["azure"]
    with pytest.raises(ConfigurationError, match="needs a `workspace`"):
        place_of(ProviderConfig(), azure)
    place = place_of(ProviderConfig(workspace="acme-eu"), azure)
    assert place.base_url == "https://acme-eu.openai.azure.com/openai/v1"


def test_what_vertex_needs_is_named_by_its_distribution(monkeypatch: pytest.MonkeyPatch):
    for name in ("google.auth", "google"):
        monkeypatch.setitem(sys.modules, name, None)
    options = {"vertex_project": "p", "vertex_location": "europe-west1"}
    provider = LiteLLMProvider(ProviderSetup("vertex", profiles({})["vertex"], None, None, None, options))
    with pytest.raises(ConfigurationError) as caught:
        list(provider.stream(attempt(model="gemini-3.8-flash")))
    provider.close()
    assert caught.value.hint == "pip install 'litellm[google]'"


def test_a_model_of_bedrock_is_asked_with_the_bearer_token(anthropic: tuple[str, type[Refusing]]):
    url, server = anthropic
    server.status = 429
    options = {"aws_region_name": "eu-central-1"}
    provider = LiteLLMProvider(ProviderSetup("bedrock", profiles({})["bedrock"], url, None, Secret("token"), options))
    model = "eu.anthropic.claude-sonnet-5-5"
    assert failing(provider, model).kind == "rate_limited"
    assert [(path, key) for path, key, _ in server.asked] == [(f"/model/{model}/converse-stream", "Bearer token")]
