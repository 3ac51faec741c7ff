"""Written for the `dashscope` SDK, first generation: a question, a tool, an answer."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from dashscope import Generation

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def weather(city: str) -> str:
    return f"It is sunny in {city}."


def main(**over: Any) -> str:
    """Ask; ``over`` is how the vendor is reached, for instance ``session=``."""
    messages: list = [{"role": "user", "content": "How is the weather in Lima?"}]
    for _ in range(4):
        answer = Generation.call(model="qwen-plus", messages=messages, tools=[WEATHER], result_format="message", **over)
        if answer.status_code != HTTPStatus.OK:
            raise RuntimeError(f"{answer.code}: {answer.message}")
        choice = answer.output.choices[0]
        if choice.finish_reason != "tool_calls":
            return choice.message.content
        messages.append(choice.message)
        for call in choice.message.tool_calls:
            result = weather(**json.loads(call["function"]["arguments"]))
            messages.append({"role": "tool", "content": result, "tool_call_id": call["id"]})
    raise RuntimeError("the model goes on asking")


if __name__ == "__main__":
    print(main())
