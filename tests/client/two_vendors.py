"""One client and two vendors on real sockets: each call is looked at from both sides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from multimodel import (
    AsyncClient,
    BadRequestError,
    CallError,
    Client,
    Completion,
    Report,
    Restarted,
    StreamInterruptedError,
    Switched,
    TextDelta,
)
from multimodel.testing import FaultyVendor, VendorRequest

MODES = ["restart", "continue", "complete", "error"]
"""``complete()``, or a stream with this value of ``mid_stream``."""
WIRES = ["openai", "dashscope"]
"""The wire of the first vendor. The second is DashScope, on the same kind of wire, so that it can go on with an answer."""
COLOURS = ["sync", "async"]
SECOND_MODEL = "qwen-plus"
WORDS = {name: [f"{name}-{number}" for number in range(60)] for name in ("first", "second")}
QUESTION = "Say sixty words."
NOT_SEEN = ("connection.unsent", "timeout.connect")
"""Attempts that no vendor can have seen."""

Verdict = Literal["pass", "safe"]


@dataclass
class Seen:
    """One call from both sides."""

    begun: float
    text: str = ""
    before: str = ""
    completion: Completion | None = None
    error: CallError | None = None
    report: Report = field(default_factory=lambda: Report("chat"))
    ended: float = 0.0
    requests: list[tuple[str, VendorRequest]] = field(default_factory=list)

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.requests]

    def within(self, seconds: float) -> int:
        """How many requests the vendors saw in the first ``seconds`` of the call."""
        return sum(request.at - self.begun < seconds for _, request in self.requests)

    def answered(self, by: str | None = None) -> str:
        """Assert that the whole answer came, and whose it was; return whose it was."""
        assert self.error is None, repr(self.error)
        assert self.completion is not None
        name = self.completion.target.provider
        assert " ".join(WORDS["first"]).startswith(self.before)
        assert self.text == self.completion.text == self.before + " ".join(WORDS[name][len(self.before.split()) :])
        assert by in (None, name)
        assert self.asked[-1] == name
        return name

    def rescued(self) -> Verdict:
        """Assert that the second vendor gave the whole answer, or that the caller knows that this is not it."""
        if not isinstance(self.error, StreamInterruptedError):
            self.answered("second")
            return "pass"
        assert " ".join(WORDS["first"]).startswith(self.error.partial.rstrip())
        assert self.error.partial == self.text != ""
        assert self.error.target == str(self.report.attempts[0].target)
        assert not isinstance(self.error.__cause__, BadRequestError)
        return "safe"


class World:
    """Two vendors and a client that knows both."""

    def __init__(self, first: FaultyVendor, second: FaultyVendor, ask: Callable[[Seen], None], wire: str) -> None:
        self.first, self.second = first, second
        self._ask = ask
        self._wire = wire

    def events(self, words: int) -> int:
        """How many events of a stream spell so many words: OpenAI's first one carries the role only."""
        return words + (self._wire == "openai")

    def ask(self) -> Seen:
        """Make one call, and assert what holds for every call."""
        seen = Seen(time.monotonic())
        try:
            self._ask(seen)
        except CallError as error:
            seen.error = error
        seen.ended = time.monotonic()
        if seen.error is not None:
            assert len(str(seen.error).encode()) <= 2048
            assert seen.error.report is not None
            seen.report = seen.error.report
        sent = [one for one in seen.report.attempts if one.outcome not in NOT_SEEN]
        self.first.wait_until(lambda: len(self._since(seen.begun)) >= len(sent))
        seen.requests = self._since(seen.begun)
        assert [one.target.provider for one in sent] == seen.asked
        statuses = [(one.status, request.status) for one, (_, request) in zip(sent, seen.requests, strict=True)]
        assert all(told in (None, shown) for told, shown in statuses)
        if seen.completion is not None:
            assert seen.completion.text == seen.text
            assert seen.completion.report == seen.report
        return seen

    def heal(self) -> None:
        for vendor in (self.first, self.second):
            vendor.faults.clear()
            vendor.fault = None

    def _since(self, begun: float) -> list[tuple[str, VendorRequest]]:
        both = [("first", one) for one in list(self.first.log)] + [("second", one) for one in list(self.second.log)]
        return sorted((one for one in both if one[1].at >= begun), key=lambda one: one[1].at)


@contextmanager
def world(
    wire: str, mode: str, colour: str, first_target: Mapping[str, Any], route: Mapping[str, Any]
) -> Iterator[World]:
    """Start two vendors, and open a client that asks them one after the other."""
    with FaultyVendor(answer=says("first")) as first, FaultyVendor(answer=says("second")) as second:
        providers = {
            "openai": (
                {"profile": "openai", "base_url": first.openai_url},
                {"profile": "dashscope", "protocol": "compatible", "base_url": second.compatible_url},
            ),
            "dashscope": (
                {"profile": "dashscope", "base_url": first.dashscope_url},
                {"profile": "dashscope", "base_url": second.dashscope_url},
            ),
        }[wire]
        mid_stream = {} if mode == "complete" else {"mid_stream": mode}
        policy = {
            "providers": {
                name: {**one, "api_key": f"sk-{name}"} for name, one in zip(("first", "second"), providers, strict=True)
            },
            "routes": {"chat": {"chain": [first_target, f"second:{SECOND_MODEL}"], **mid_stream, **route}},
        }
        with (blocking if colour == "sync" else aio)(policy, stream=mode != "complete") as ask:
            yield World(first, second, ask, wire)


def says(name: str) -> Callable[[VendorRequest], str]:
    """Say sixty words of one's own, or as many of them as are missing."""

    def answer(request: VendorRequest) -> str:
        last = request.messages[-1]
        begun = last["content"].split() if last["role"] == "assistant" else []
        return " ".join(WORDS[name][len(begun) :])

    return answer


def spell(seen: Seen, event: object) -> None:
    if isinstance(event, Restarted):
        seen.text = ""
    elif isinstance(event, Switched):
        seen.before = seen.text
    elif isinstance(event, TextDelta):
        seen.text += event.text


@contextmanager
def blocking(policy: dict[str, Any], *, stream: bool) -> Iterator[Callable[[Seen], None]]:
    with Client(policy) as client:

        def ask(seen: Seen) -> None:
            if not stream:
                seen.completion = client.complete("chat", QUESTION)
                seen.text, seen.report = seen.completion.text, seen.completion.report
                return
            with client.stream("chat", QUESTION) as events:
                for event in events:
                    spell(seen, event)
                seen.completion, seen.report = events.completion, events.report

        yield ask


@contextmanager
def aio(policy: dict[str, Any], *, stream: bool) -> Iterator[Callable[[Seen], None]]:
    client = AsyncClient(policy)

    async def ask(seen: Seen) -> None:
        if not stream:
            seen.completion = await client.complete("chat", QUESTION)
            seen.text, seen.report = seen.completion.text, seen.completion.report
            return
        async with client.stream("chat", QUESTION) as events:
            async for event in events:
                spell(seen, event)
            seen.completion, seen.report = events.completion, events.report

    with asyncio.Runner() as runner:
        try:
            yield lambda seen: runner.run(ask(seen))
        finally:
            runner.run(client.aclose())
