"""instructor over a policy: a value of one's own model, checked."""

from __future__ import annotations

import instructor
from pydantic import BaseModel

from multimodel import Client
from multimodel.compat import openai_client


class Risk(BaseModel):
    title: str
    severity: int


def main() -> None:
    with Client() as client:
        extractor = instructor.from_openai(openai_client(client))
        messages = [{"role": "user", "content": "Name the main risk."}]
        print("typed:", extractor.chat.completions.create(model="chat", messages=messages, response_model=Risk))


if __name__ == "__main__":
    main()
