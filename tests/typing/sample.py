"""What a user's code looks like to a strict type checker. Checked by pyright, never run."""

from __future__ import annotations

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
