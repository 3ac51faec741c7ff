"""Written for the `openai` SDK: a value of a model of one's own, shown while it is written."""

from __future__ import annotations

from collections.abc import Callable

import openai
from pydantic import BaseModel


class Risk(BaseModel):
    title: str
    severity: int


def main(make_client: Callable[[], openai.OpenAI]) -> tuple[str, Risk | None]:
    client = make_client()
    said = ""
    with client.chat.completions.stream(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Name the main risk of a single vendor."}],
        response_format=Risk,
    ) as stream:
        for event in stream:
            if event.type == "content.delta":
                said += event.delta
        return said, stream.get_final_completion().choices[0].message.parsed


if __name__ == "__main__":
    print(main(openai.OpenAI))
