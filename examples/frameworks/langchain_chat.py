"""langchain-openai over a policy: a chat model, bound tools, structured output, a stream."""

from __future__ import annotations

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from multimodel import Client
from multimodel.compat import openai_client


class Risk(BaseModel):
    title: str
    severity: int


@tool
def stock(article: str) -> int:
    """How many of an article are in stock."""
    return len(article)


def main() -> None:
    with Client() as client:
        sdk = openai_client(client)
        model = ChatOpenAI(model="chat", api_key="-", client=sdk.chat.completions, root_client=sdk)

        print("whole:", model.invoke("Say something.").content)
        print("tool:", model.bind_tools([stock]).invoke("Is article `bolt` in stock?").tool_calls[0]["name"])
        print("typed:", model.with_structured_output(Risk).invoke("Name the main risk."))
        print("streamed:", "".join(chunk.content for chunk in model.stream("Say something.")))


if __name__ == "__main__":
    main()
