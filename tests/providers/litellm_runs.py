"""What the tests of the litellm adapter share: one attempt, in either colour."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from multimodel.config.secret import Secret
from multimodel.errors import CallError
from multimodel.providers.base import ProviderSetup
from multimodel.providers.litellm import LiteLLMProvider
from multimodel.providers.profile import ErrorRow, Fact, Profile
from multimodel.types import AnswerEvent, Attempt, Finished, Limits, Request, TextDelta

MODEL = "openai/gpt-4o-mini"
PROFILE = Profile(
    name="litellm",
    title="litellm",
    adapter="litellm",
    key_required=False,
    errors=(ErrorRow(kind="quota_exhausted", status=429, code="insufficient_quota"),),
    fact=Fact(source="test", date=date(2026, 11, 24)),
)
KEY = Secret("sk-test")
both_colours = pytest.mark.parametrize("colour", ["blocking", "asyncio"])


def provider_at(base_url: str, *, key: Secret | None = KEY, **options: Any) -> LiteLLMProvider:
    return LiteLLMProvider(ProviderSetup("litellm", PROFILE, base_url, None, key, options))


def attempt(
    request: Request | None = None,
    *,
    model: str = MODEL,
    stream: bool = True,
    first: float = 20.0,
    idle: float = 20.0,
    whole: float = 20.0,
    deadline: float = 30.0,
) -> Attempt:
    now = time.monotonic()
    limits = Limits(2.0, now + first, idle, now + whole, now + deadline)
    return Attempt(request or Request(messages="Is it?"), model, stream, limits, time.monotonic)


def run(colour: str, base_url: str, asked: Attempt, *, key: Secret | None = KEY, **options: Any) -> list[AnswerEvent]:
    """Perform one attempt with a provider of its own, and leave nothing open."""
    provider = provider_at(base_url, key=key, **options)
    if colour == "blocking":
        try:
            return list(provider.stream(asked))
        finally:
            provider.close()

    async def main() -> list[AnswerEvent]:
        try:
            return [event async for event in provider.astream(asked)]
        finally:
            await provider.aclose()

    return asyncio.run(main())


def error_of(colour: str, base_url: str, asked: Attempt) -> CallError:
    with pytest.raises(CallError) as caught:
        run(colour, base_url, asked)
    return caught.value


def text_of(events: Iterable[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def end_of(events: list[AnswerEvent]) -> Finished:
    end = events[-1]
    assert isinstance(end, Finished)
    assert not any(isinstance(event, Finished) for event in events[:-1])
    return end


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block takes no longer than this."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds
