"""One conversation over four vendors and local weights, each of which refuses what is not its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from multimodel import Client, Completion, Message
from multimodel.testing import FaultyVendor, Reply, VendorRequest, faults
from multimodel.types import ToolCall

from ..providers.local.conftest import trained
from .anthropic_shaped import SIGNATURE, Messages, anthropic_shaped

TOOL = {"type": "function", "function": {"name": "weather", "description": "", "parameters": {"type": "object"}}}
FACT = {"source": "test", "date": "2026-11-24"}
DEEPSEEK = {
    "name": "thinker",
    "title": "DeepSeek-shaped",
    "operator": "deepseek",
    "protocols": {"chat": {"wire": "openai_chat", "path": "/v1"}},
    "protocol": "chat",
    "quirks": {"thinking_switch": "thinking_type", "preserve_thinking": "tools", "tool_turns": "all"},
    "models": {"thinker-2": {"thinking": "hybrid", "features": ["tools", "reasoning"], "fact": FACT}},
    "fact": FACT,
}
OPENAI_FIELDS = {
    "deepseek": {
        "model",
        "messages",
        "tools",
        "stream",
        "stream_options",
        "max_tokens",
        "thinking",
        "reasoning_effort",
    },
    "mistral": {"model", "messages", "tools", "stream", "stream_options", "max_tokens", "reasoning_effort"},
}
MESSAGE_FIELDS = {"role", "content", "tool_calls", "tool_call_id"}


class Strict:
    """Refuses a request that holds what the vendor did not say, or does not know."""

    def __init__(self, name: str, ids: str = r".+", own: str | None = None) -> None:
        self.vendor = FaultyVendor(fault=self._fault)
        self.complaints: list[str] = []
        self._name, self._ids, self._own = name, ids, own

    def says(self, reply: Reply) -> None:
        self.vendor.answer = reply

    def _fault(self, request: VendorRequest) -> faults.Fault | None:
        complaint = self._complaint(request)
        if complaint is None:
            return None
        self.complaints.append(complaint)
        return faults.refusal("bad_request")

    def _complaint(self, request: VendorRequest) -> str | None:
        unknown = (request.body or {}).keys() - OPENAI_FIELDS.get(self._name, {"model", "input", "parameters"})
        if unknown:
            return f"unknown fields {unknown}"
        seen: set[str] = set()
        open_calls: list[str] = []
        thinks = request.options.get("thinking") == {"type": "enabled"}
        for place, message in enumerate(request.messages):
            if message["role"] == "tool" and message["tool_call_id"] in open_calls:
                open_calls.remove(message["tool_call_id"])
                continue
            if open_calls or message["role"] == "tool":
                return f"messages.{place}: orphaned, after {open_calls}"
            open_calls = [call["id"] for call in message.get("tool_calls") or ()]
            why = self._bad_turn(message, open_calls, thinks=thinks)
            if why is not None or seen & set(open_calls):
                return f"messages.{place}: {why}, {open_calls}"
            seen |= set(open_calls)
        return f"{open_calls} have no result" if open_calls else None

    def _bad_turn(self, message: dict[str, Any], ids: list[str], *, thinks: bool) -> str | None:
        if message.keys() - (MESSAGE_FIELDS | ({"reasoning_content"} if self._own else set())):
            return f"unknown fields among {message.keys()}"
        thought = message.get("reasoning_content")
        if thought not in (None, self._own):
            return f"foreign thinking {thought}"
        if thinks and ids and thought is None:
            return "reasoning_content must be passed back"
        return None if all(re.fullmatch(self._ids, one) for one in ids) else "foreign ids"


class World:
    """The five, a client, and the conversation so far."""

    def __init__(self, client: Client, vendors: dict[str, Strict], messages: Messages) -> None:
        self.client, self.vendors, self.anthropic = client, vendors, messages
        self.history: list[Message | dict[str, Any]] = []

    def turn(self, provider: str, said: str | None, **options: Any) -> Completion[Any]:
        """Say something, or the result of each open call, to one provider; keep the answer."""
        if said is not None:
            self.history.append({"role": "user", "content": said})
        answer = self.client.complete("chat", self.history, only=[provider], **options)
        self.history.append(answer.message)
        self.history += [
            {"role": "tool", "tool_call_id": call.id, "content": f"sunny in {call.name}"} for call in answer.tool_calls
        ]
        return answer

    def complaints(self) -> list[str]:
        return [*self.anthropic.complaints, *(one for vendor in self.vendors.values() for one in vendor.complaints)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    archive = trained("qwen3").parent
    with ExitStack() as stack:
        vendors = {
            "dashscope": Strict("dashscope", own="Qwen thinks so."),
            "thinker": Strict("deepseek", own="DeepSeek thinks so."),
            "mistral": Strict("mistral", ids=r"[a-zA-Z0-9]{9}"),
        }
        for one in vendors.values():
            stack.enter_context(one.vendor)
        messages = stack.enter_context(anthropic_shaped())
        chain = ["dashscope:qwen3.8-max", "thinker:thinker-2", "mistral:mistral-large-4", "anthropic:claude-sonnet-4-5"]
        policy = {
            "providers": {
                "dashscope": {"base_url": vendors["dashscope"].vendor.dashscope_url, "api_key": "k"},
                "thinker": {"profile": DEEPSEEK, "base_url": vendors["thinker"].vendor.openai_url, "api_key": "k"},
                "mistral": {"base_url": vendors["mistral"].vendor.openai_url, "api_key": "k"},
                "anthropic": {"base_url": messages.url, "api_key": "k"},
                "local": {"archive": str(archive)},
            },
            "routes": {"chat": {"chain": [*chain, "local:qwen3"], "timeouts": {"first_content": "60s"}}},
        }
        yield World(stack.enter_context(Client(policy)), vendors, messages)


def lost(answer: Completion[Any]) -> list[str]:
    return [loss.what for loss in answer.report.losses]


def calling(identity: str, thought: str = "") -> Reply:
    return Reply(reasoning=thought, tool_calls=(ToolCall(id=identity, name="weather", arguments='{"city": "Lima"}'),))


def test_ten_turns_over_four_vendors_and_local_weights_lose_only_what_the_report_says(world: World):
    def say(name: str, reply: Reply) -> None:
        world.vendors[name].says(reply)

    tools = {"tools": [TOOL]}
    found: list[list[str]] = []

    say("dashscope", calling("call_1", "Qwen thinks so."))
    first = world.turn("dashscope", "What is the weather?", reasoning_effort="high", **tools)
    assert first.reasoning == "Qwen thinks so."
    found.append(lost(first))

    say("thinker", Reply("It is sunny."))
    found.append(lost(world.turn("thinker", None, reasoning_effort="high", **tools)))

    say("thinker", calling("call_1"))
    again = world.turn("thinker", "And now?", **tools)
    assert again.tool_calls[0].id != first.tool_calls[0].id == "call_1"
    found.append(lost(again))

    say("mistral", Reply("Still sunny."))
    found.append(lost(world.turn("mistral", None, **tools)))

    say("mistral", calling("abc123DEF"))
    found.append(lost(world.turn("mistral", "And tomorrow?", **tools)))

    world.anthropic.says.append([{"type": "text", "text": "Sunny again."}])
    found.append(lost(world.turn("anthropic", None, reasoning_effort="low", **tools)))
    assert "thinking" not in world.anthropic.bodies[-1]

    thinking = {"type": "thinking", "thinking": "Let me ask."}
    call = {"type": "tool_use", "id": "toolu_01", "name": "weather", "input": {"city": "Lima"}}
    world.anthropic.says.append([{"type": "redacted_thinking", "data": "c2VhbGVk"}, thinking, call])
    signed = world.turn("anthropic", "Are you sure?", reasoning_effort="low", **tools)
    assert [(part.text, part.signature, part.data) for part in signed.sealed] == [
        ("", None, "c2VhbGVk"),
        ("Let me ask.", SIGNATURE, None),
    ]
    found.append(lost(signed))

    world.anthropic.says.append([{"type": "text", "text": "Quite sure."}])
    found.append(lost(world.turn("anthropic", None, reasoning_effort="low", **tools)))
    kept = next(one for one in reversed(world.anthropic.bodies[-1]["messages"]) if one["role"] == "assistant")[
        "content"
    ]
    assert [block["type"] for block in kept] == ["redacted_thinking", "thinking", "tool_use"]

    say("dashscope", Reply("Agreed."))
    found.append(lost(world.turn("dashscope", "Everybody agrees?", **tools)))

    last = world.turn("local", "Say hello", max_tokens=4)
    found.append(lost(last))
    assert last.target.provider == "local"

    assert world.complaints() == []
    assert found == [
        [],
        ["reasoning", "reasoning_effort"],
        ["reasoning"],
        ["reasoning"],
        ["reasoning"],
        ["reasoning", "reasoning_effort"],
        ["reasoning"],
        ["reasoning"],
        ["signature", "reasoning"],
        ["reasoning", "signature"],
    ]
