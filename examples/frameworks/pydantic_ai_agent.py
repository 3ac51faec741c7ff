"""pydantic-ai over a policy: an agent with a tool and a typed answer, sync and streamed."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from multimodel import AsyncClient
from multimodel.compat import async_openai_client


class Risk(BaseModel):
    title: str
    severity: int


async def main() -> None:
    async with AsyncClient() as client:
        provider = OpenAIProvider(openai_client=async_openai_client(client))
        model = OpenAIChatModel("chat", provider=provider)

        agent = Agent(model)

        @agent.tool_plain
        def stock(article: str) -> int:
            """How many of an article are in stock."""
            return len(article)

        print("tool:", (await agent.run("Is article `bolt` in stock?")).output)
        print("typed:", (await Agent(model, output_type=Risk).run("Name the main risk.")).output)
        async with Agent(model).run_stream("Say something.") as answer:
            print("streamed:", "".join([piece async for piece in answer.stream_text(delta=True)]))


if __name__ == "__main__":
    asyncio.run(main())
