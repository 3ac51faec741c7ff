"""Every example runs as it stands, over loopback vendors."""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from multimodel.config import load_policy
from multimodel.providers.catalogue import profiles
from multimodel.testing import FaultyVendor, Reply

EXAMPLES = Path(__file__).parent.parent / "examples"
POLICY = """
providers:
  dashscope: {{base_url: "{dashscope}", api_key: sk-test}}
  house: {{profile: openai, base_url: "{house}", api_key: sk-test, operator: house}}
routes:
  chat: {{chain: [dashscope:qwen-plus, house:our-model]}}
"""


@pytest.fixture
def vendors(tmp_path, monkeypatch):
    with FaultyVendor() as dashscope, FaultyVendor() as house:
        policy = tmp_path / "multimodel.yaml"
        policy.write_text(POLICY.format(dashscope=dashscope.dashscope_url, house=house.openai_url), encoding="utf-8")
        monkeypatch.setenv("MULTIMODEL_CONFIG", str(policy))
        yield dashscope, house


def run(name: str) -> None:
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_quickstart_calls_and_streams(vendors, capsys):
    vendors[0].answer = "Price, licence, outage."
    run("quickstart.py")
    out = capsys.readouterr().out
    assert out.count("Price, licence, outage.") == 2
    assert "dashscope:qwen-plus" in out


def test_async_backend_answers_all_requests(vendors, capsys):
    vendors[0].answer = "A number."
    run("async_backend.py")
    assert capsys.readouterr().out.count("200 What is") == 20


def test_an_outage_is_rehearsed_without_a_network(capsys):
    run("rehearse_an_outage.py")
    assert "1000 answered, 0 failed" in capsys.readouterr().out


def test_tools_round_trip_runs_the_tool_and_gives_the_result_back(vendors, capsys):
    def answer(request):
        messages = json.dumps(request.body)
        if "sunny" in messages:
            return "It is sunny."
        return Reply(tool_calls=[{"id": "call_1", "name": "weather", "arguments": '{"city": "Hangzhou"}'}])

    vendors[0].answer = answer
    run("tools_round_trip.py")
    out = capsys.readouterr().out
    assert "asks for weather" in out
    assert out.endswith("It is sunny.\n")


def test_leave_a_vendor_is_answered_by_the_other(vendors, capsys):
    run("leave_a_vendor.py")
    out = capsys.readouterr().out
    assert "answered by house:our-model" in out
    assert "not asked: dashscope:qwen-plus, off" in out
    assert vendors[0].log == []


def test_leave_a_vendor_from_a_shell_is_known_tried_done_and_shown(vendors, tmp_path):
    for vendor in vendors:
        vendor.answer = "Nobody answers alone."
    environ = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    command = ["sh", str(EXAMPLES / "leave_a_vendor.sh")]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "passed: 10 of 10 calls answered while `alibaba` could not be reached" in ran.stdout
    assert "whole: 2 entries, head " in ran.stdout
    assert {file.name for file in tmp_path.glob("*.html")} == {"drill.html", "risk.html"}


def test_stream_to_web_streams_and_stops_when_the_browser_leaves(vendors):
    vendors[0].answer = "one two three four"
    module = runpy.run_path(str(EXAMPLES / "stream_to_web.py"))
    sent: list[dict] = []

    async def browser(leave_after: int | None) -> None:
        asked = iter([{"type": "http.request", "body": b'{"question": "Count."}'}])
        gone = asyncio.Event()

        async def receive() -> dict:
            for message in asked:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            sent.append(message)
            if leave_after is not None and len(sent) > leave_after:
                gone.set()

        await module["app"]({"type": "http"}, receive, send)

    async def serve() -> None:
        events = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

        async def receive() -> dict:
            event = next(events)
            if event["type"] == "lifespan.shutdown":
                await browser(None)
                whole.extend(sent)
                vendors[0].answer, vendors[0].pace = "word " * 500, 0.02
                await browser(len(sent) + 3)
            return event

        async def send(_message: dict) -> None:
            pass

        await module["app"]({"type": "lifespan"}, receive, send)

    whole: list[dict] = []
    asyncio.run(serve())
    assert vendors[0].wait_until(lambda: vendors[0].log[-1].client_closed)
    text = b"".join(message.get("body", b"") for message in whole).decode()
    assert "event: end" in text
    words = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert "".join(words[:-1]) == "one two three four"


@pytest.mark.parametrize("file", sorted((EXAMPLES / "policies").glob("*.yaml")), ids=lambda file: file.name)
def test_each_policy_is_one(file: Path):
    environ = {"DASHSCOPE_BATCH_KEY": "sk-1", "HOUSE_KEY": "sk-2"}
    load_policy(file, environ=environ, profiles=profiles({}))


def test_the_plugin_is_a_provider_once_it_is_installed(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), str(EXAMPLES / "plugin")], check=True)
    code = (
        "from multimodel import Client\n"
        "policy = {'providers': {'echo': {'options': {'prefix': '> '}}}, 'routes': {'chat': {'chain': ['echo:any']}}}\n"
        "with Client(policy) as client:\n"
        "    print(client.complete('chat', 'Hello plugin').text)\n"
        "import asyncio\n"
        "from multimodel import AsyncClient\n"
        "async def main():\n"
        "    async with AsyncClient(policy) as client:\n"
        "        return (await client.complete('chat', 'Hello again')).text\n"
        "print(asyncio.run(main()))\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    ran = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines() == ["> Hello plugin", "> Hello again"], ran.stderr
