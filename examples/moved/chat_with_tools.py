"""Written for the `openai` SDK: a question, two tools, an answer."""

from __future__ import annotations

import json
from collections.abc import Callable

import openai

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "stock",
            "description": "How many of an article are in stock",
            "parameters": {"type": "object", "properties": {"article": {"type": "string"}}, "required": ["article"]},
        },
    },
]


def stock(article: str) -> int:
    return len(article)


def main(make_client: Callable[[], openai.OpenAI]) -> str:
    client = make_client()
    messages: list = [{"role": "user", "content": "Is article `bolt` in stock?"}]
    for _ in range(4):
        choice = client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS).choices[0]
        if choice.finish_reason != "tool_calls":
            return choice.message.content or ""
        messages.append(choice.message)
        for call in choice.message.tool_calls:
            result = stock(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": str(result)})
    raise RuntimeError("the model goes on asking")


if __name__ == "__main__":
    print(main(openai.OpenAI))
