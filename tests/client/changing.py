"""A policy file over two vendors that changes, and a client that looks at it when the test says so."""

from __future__ import annotations

from typing import Any

import pytest

from multimodel import AsyncClient, Client

__all__ = ["look", "look_twice", "text", "told"]


def text(vendors, chain: str = "first:m, second:m", *, more: str = "", top: str = "", keys: str = "sk-1") -> str:
    return f"""
providers:
  first: {{profile: openai, base_url: "{vendors[0].openai_url}", api_key: "{keys}"}}
  second: {{profile: openai, base_url: "{vendors[1].openai_url}", api_key: sk-2}}
routes:
  chat: {{chain: [{chain}], retry: {{attempts: 1}}{more}}}
{top}"""


def look(client: Client | AsyncClient) -> None:
    """Let a second pass: the next use of the client looks at the file."""
    client._core.reloading._look_at = 0.0
    client.status()


def look_twice(client: Client | AsyncClient) -> None:
    """Let as much time pass as a file needs to be settled."""
    look(client)
    look(client)


def told(caplog: pytest.LogCaptureFixture, event: str) -> list[Any]:
    return [record for record in caplog.records if record.message == f"multimodel.{event}"]
