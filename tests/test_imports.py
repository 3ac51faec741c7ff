"""What an import costs is guarded by what it loads, not by milliseconds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

LIST_LOADED = """
import sys
before = set(sys.modules)
{statement}
import json
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded_by(statement: str) -> set[str]:
    code = LIST_LOADED.format(statement=statement)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    return {name.partition(".")[0] for name in json.loads(ran.stdout)}


def third_party(names: set[str]) -> set[str]:
    return {name for name in names if name not in sys.stdlib_module_names and not name.startswith("_")} - {"multimodel"}


def test_import_multimodel_loads_no_third_party_module():
    assert third_party(loaded_by("import multimodel")) == set()


HEAVY = {"httpx2", "httpcore2", "httpx", "tenacity", "structlog", "yaml", "litellm", "torch", "transformers", "rich"}


@pytest.mark.parametrize("name", ["Client", "AsyncClient"])
def test_the_client_loads_none_of_what_only_calls_need(name: str):
    loaded = loaded_by(f"from multimodel import {name}")
    assert loaded.isdisjoint(HEAVY | {"anyio", "ssl"}), loaded & HEAVY


def test_the_client_opens_no_socket():
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(event) if event.startswith('socket.') else None)\n"
        "from multimodel import Client\n"
        "Client({'routes': {'chat': {'chain': ['openai:gpt-4o-mini']}}})\n"
        "print(opened)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert ran.stdout.strip() == "[]"


def test_an_error_class_loads_nothing_but_the_errors():
    assert third_party(loaded_by("from multimodel import RateLimitError")) == set()


def test_a_failure_that_nobody_logs_does_not_load_structlog():
    names = loaded_by(
        "from multimodel import Client, CallError\n"
        "client = Client({'routes': {'chat': {'chain': ['openai:gpt-5']}}, 'providers': "
        "{'openai': {'base_url': 'http://127.0.0.1:9', 'api_key': 'k'}}})\n"
        "try: client.complete('chat', 'Hi')\n"
        "except CallError: pass"
    )
    assert "httpcore2" in names  # the call was made
    assert "structlog" not in names
