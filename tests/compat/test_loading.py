"""Drop-in clients cost nothing until they are made, and their examples run."""

from __future__ import annotations

import doctest
import importlib
import json
import subprocess
import sys

import pytest


def test_the_package_loads_no_sdk_and_no_http_library():
    code = "import json, sys, multimodel; multimodel.compat.openai_client; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    loaded = {name.partition(".")[0] for name in json.loads(ran.stdout)}
    assert loaded.isdisjoint({"openai", "dashscope", "requests", "aiohttp", "httpx2", "httpx", "h11", "tenacity"})


def test_a_call_opens_no_socket_between_the_sdk_and_the_policy():
    code = (
        "import sys, openai\n"
        "from multimodel import Client, compat\n"
        "from multimodel.testing import FakeProvider\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(event) if event.startswith('socket.') else None)\n"
        "client = Client({'routes': {'chat': {'chain': ['fake:any']}}}, providers={'fake': FakeProvider()})\n"
        "sdk = compat.openai_client(client)\n"
        "sdk.chat.completions.create(model='chat', messages=[{'role': 'user', 'content': 'Hi'}])\n"
        "print(opened)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, encoding="utf-8")
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["openai", "dashscope"])
def test_the_examples_in_the_docstrings_run(name: str):
    result = doctest.testmod(importlib.import_module(f"multimodel.compat.{name}"))
    assert result.attempted
    assert not result.failed
