"""What a user's code looks like to a strict type checker. Checked by pyright, never run."""

from __future__ import annotations

from pydantic import BaseModel, TypeAdapter

from multimodel import (
    AllTargetsFailedError,
    AsyncClient,
    Client,
    Completion,
    Message,
    RateLimitError,
    TextDelta,
    Tool,
)


def search(query: str) -> str:
    return query


def blocking(client: Client) -> str:
    answer = client.complete("chat", "Hi", temperature=0.2, max_tokens=10, tools=[search, Tool(name="x")])
    cost: float | None = answer.usage.cost if answer.usage is not None else None
    names: list[str] = [call.name for call in answer.tool_calls]
    attempts: int = len(answer.report.attempts)
    with client.stream("chat", [Message(role="user", content="Hi"), {"role": "user", "content": "Ho"}]) as stream:
        text = "".join(event.text for event in stream if isinstance(event, TextDelta))
    whole: Completion[object] = stream.completion
    left: tuple[str, ...] = client.off("alibaba", reason="drill")
    return f"{text} {cost} {names} {attempts} {whole.text} {left} {answer.target}"


class Risk(BaseModel):
    title: str


def structured(client: Client) -> list[Risk]:
    risk: Completion[Risk] = client.complete("chat", "Hi", response_model=Risk, temperature=0)
    title: str = risk.parsed.title if risk.parsed is not None else ""
    several = client.complete("chat", title, response_model=list[Risk]).parsed
    with client.stream("chat", "Hi", response_model=Risk) as stream:
        for value in stream.partials():
            print(value)
    one: Risk | None = stream.completion.parsed
    either: TypeAdapter[Risk | None] = TypeAdapter(Risk | None)
    maybe = client.complete("chat", "Hi", response_model=either).parsed
    return [*(several or []), *([one] if one is not None else []), *([maybe] if maybe is not None else [])]


async def aio(client: AsyncClient) -> str:
    try:
        answer = await client.complete("chat", "Hi", deadline=3)
    except AllTargetsFailedError as group:
        limited, _rest = group.split(RateLimitError)
        return str(limited)
    async with client.stream("chat", "Hi") as stream:
        async for piece in stream.text_deltas():
            print(piece)
    return answer.text
