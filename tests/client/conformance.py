"""What works over which wire: each cell of the table is a request that was made, and an answer that was read.

``python -m tests.client.conformance`` writes ``docs/conformance.md``. The vendors are on this machine and speak the
vendors' formats; the weights are real.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from pydantic import BaseModel
from pydantic_core import from_json

from multimodel import CallError, Client, ImagePart, Message, TextDelta, TextPart, ToolCall, ToolCallDelta
from multimodel.testing import FaultyVendor, Reply

from ..providers.test_local_embeddings import build

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples"))

PAGE = ROOT / "docs" / "conformance.md"
HEAD = """# What works over which wire

Each cell is a call that the tests make: over loopback vendors that speak the vendors' formats byte for byte, and over
real weights (SmolLM2-135M-Instruct; embeddings by a tiny model of random weights). Nothing here is written by hand:
`python -m tests.client.conformance` writes this page, and a test fails when it is not what the calls show.

`yes`: sent in the vendor's own form, and the answer came back in the common one. `by text`: the model is asked for it in
words, and its answer is checked. `constrained`: the weights can write nothing else. `no`: the target is skipped before
anything is sent, for the reason that the report gives.
"""
QUESTION = "What is the capital of France?"
SEEN = "Three risks: price, licence, outage."


class Risk(BaseModel):
    kind: Literal["price", "outage"]
    severity: int


def weather(city: str) -> str:
    """Say what the weather is like in a city."""
    raise AssertionError("a tool is never run")


@dataclass
class Column:
    """One way to reach a model."""

    name: str
    client: Client
    vendor: FaultyVendor | None

    def says(self, reply: Reply | str | None) -> None:
        if self.vendor is not None:
            self.vendor.answer = reply

    def ask(self, messages: object = QUESTION, route: str = "chat", **options: object):
        return self.client.complete(route, messages, **{"max_tokens": 8, **options})

    @property
    def sent(self) -> dict:
        """The body of the last request."""
        assert self.vendor is not None
        return self.vendor.log[-1].body or {}

    @property
    def options(self) -> dict:
        assert self.vendor is not None
        return self.vendor.log[-1].options


# --- the rows: each raises when something does not work, and returns the word for the cell ---


def text(column: Column) -> str:
    column.says(SEEN)
    answer = column.ask()
    assert answer.text == SEEN if column.vendor else "Paris" in answer.text
    return "yes"


def stream(column: Column) -> str:
    column.says(SEEN)
    with column.client.stream("chat", QUESTION, max_tokens=8) as events:
        words = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(words) > 1
    assert "".join(words) == events.completion.text
    return "yes"


def tools(column: Column) -> str:
    call = ToolCall(id="call_1", name="weather", arguments='{"city": "Lima"}')
    column.says(Reply(tool_calls=(call,)))
    answer = column.ask("How is the weather in Lima?", tools=[weather])
    (asked,) = answer.tool_calls
    assert (asked.name, asked.parsed) == ("weather", {"city": "Lima"})
    column.says("It is sunny.")
    said = [
        {"role": "user", "content": "How is the weather in Lima?"},
        answer.message,
        Message(role="tool", content="sunny", tool_call_id=asked.id),
    ]
    assert column.ask(said, tools=[weather]).text == "It is sunny."
    *_, before, result = column.vendor.log[-1].messages
    assert result["tool_call_id"] == before["tool_calls"][0]["id"]
    return "yes"


def parallel_tools(column: Column) -> str:
    calls = tuple(
        ToolCall(id=f"call_{city}", name="weather", arguments=json.dumps({"city": city})) for city in ("Lima", "Rome")
    )
    column.says(Reply(tool_calls=calls))
    answer = column.ask("Lima and Rome?", tools=[weather], parallel_tool_calls=True)
    assert [call.parsed for call in answer.tool_calls] == [{"city": "Lima"}, {"city": "Rome"}]
    assert len({call.id for call in answer.tool_calls}) == 2
    return "yes"


def tool_stream(column: Column) -> str:
    call = ToolCall(id="call_1", name="weather", arguments='{"city": "Ciudad de la Santísima Trinidad"}')
    column.says(Reply(tool_calls=(call,)))
    with column.client.stream("chat", "How is it there?", tools=[weather]) as events:
        deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert len(deltas) > 1
    assert "".join(delta.arguments for delta in deltas) == events.completion.tool_calls[0].arguments
    return "yes"


def json_schema(column: Column) -> str:
    column.says('{"kind": "outage", "severity": 3}')
    answer = column.ask("Name a risk as JSON.", response_model=Risk, max_tokens=60)
    assert isinstance(answer.parsed, Risk)
    if column.vendor is None:
        return "constrained"
    assert answer.parsed == Risk(kind="outage", severity=3)
    wanted = column.options.get("response_format", {}).get("type")
    return {"json_schema": "yes", "json_object": "by json_object", None: "by text"}[wanted]


def json_object(column: Column) -> str:
    column.says('{"title": "outage"}')
    answer = column.ask("Name a risk as JSON.", response_format={"type": "json_object"})
    if column.vendor is None:  # small weights go on for long
        assert isinstance(from_json(answer.text, allow_partial="trailing-strings"), dict)
        return "constrained"
    assert json.loads(answer.text) == {"title": "outage"}
    return "yes" if column.options.get("response_format", {}).get("type") == "json_object" else "by text"


def vision(column: Column) -> str:
    column.says("A white dot.")
    message = Message(
        role="user", content=(TextPart(text="What is this?"), ImagePart(data=_dot(), media_type="image/png"))
    )
    assert column.ask([message]).text == "A white dot."
    assert "data:image/png;base64," in json.dumps(column.sent)
    return "yes"


def reasoning(column: Column) -> str:
    column.says(Reply("Paris.", reasoning="France is a country."))
    answer = column.ask(route="thinking", reasoning_effort="low")
    assert answer.reasoning == "France is a country."
    assert answer.text == "Paris."
    return "yes"


def usage(column: Column) -> str:
    column.says(SEEN)
    found = column.ask().usage
    assert found.input_tokens > 0
    assert found.output_tokens > 0
    assert found.total_tokens == found.input_tokens + found.output_tokens
    return "yes"


def stop(column: Column) -> str:
    column.says(SEEN)
    answer = column.ask(stop=[" France"] if column.vendor is None else ["licence"])
    if column.vendor is None:
        assert "France" not in answer.text
        assert answer.finish_reason == "stop"
    else:
        assert column.options["stop"] == ["licence"]
    return "yes"


def seed(column: Column) -> str:
    column.says(SEEN)
    first = column.ask(seed=7, temperature=1.0)
    if column.vendor is not None:
        assert column.options["seed"] == 7
    else:
        assert column.ask(seed=7, temperature=1.0).text == first.text
    return "yes"


def embeddings(column: Column) -> str:
    found = column.client.embed("vectors", ["one", "two", "one"])
    assert len(found.vectors) == 3
    assert found.vectors[0] == found.vectors[2] != found.vectors[1]
    return "yes"


ROWS: tuple[Callable[[Column], str], ...] = (
    text, stream, tools, parallel_tools, tool_stream, json_schema, json_object, vision, reasoning, usage, stop, seed, embeddings,
)  # fmt: skip


def table() -> str:
    """Make every call, and write the page."""
    with TemporaryDirectory() as folder:
        embedder = Path(folder) / "embedder"
        build(embedder, "qwen")
        with columns(embedder) as opened:
            lines = [
                "| | " + " | ".join(f"`{column.name}`" for column in opened) + " |",
                "|---" * (len(opened) + 1) + "|",
                *(
                    f"| {row.__name__.replace('_', ' ')} | " + " | ".join(cell(row, column) for column in opened) + " |"
                    for row in ROWS
                ),
            ]
    return HEAD + "\n" + "\n".join(lines) + "\n"


def cell(row: Callable[[Column], str], column: Column) -> str:
    """Make the call; a target that was skipped for what it cannot do is a `no`."""
    try:
        return row(column)
    except CallError as error:
        skipped = error.report.skipped if error.report is not None else ()
        if error.report is None or error.report.attempts or [skip.reason for skip in skipped] != ["capability"]:
            raise
        return f"no: {skipped[0].detail}"


@contextmanager
def columns(embedder: Path) -> Iterator[list[Column]]:
    """Open every way to reach a model."""
    from offline import WEIGHTS, weights

    with FaultyVendor() as vendor:
        key = {"api_key": "sk-test"}
        openai = {"profile": "openai", "base_url": vendor.openai_url, **key}
        native = {"profile": "dashscope", "base_url": vendor.dashscope_url, **key}
        compatible = {"profile": "dashscope", "protocol": "compatible", "base_url": vendor.compatible_url, **key}
        litellm = {"profile": "litellm", "base_url": vendor.openai_url, **key}
        qwen = {"chat": "qwen3.7-plus", "thinking": "qwen3.7-plus", "vectors": "text-embedding-v4"}
        gpt = {"chat": "gpt-4o", "thinking": "gpt-5.4-mini", "vectors": "text-embedding-3-small"}
        by_litellm = {
            "chat": "openai/gpt-4o", "thinking": "deepseek/deepseek-reasoner", "vectors": "openai/text-embedding-3-small",
        }  # fmt: skip
        opened = [
            Column("openai_chat", _client(openai, gpt), vendor),
            Column("dashscope (native)", _client(native, qwen), vendor),
            Column("dashscope (compatible)", _client(compatible, qwen), vendor),
            Column("litellm", _client(litellm, by_litellm), vendor),
        ]
        local = {
            "providers": {
                "local": {"archive": str(weights())},
                "tiny": {"profile": "local", "archive": str(embedder.parent)},
            },
            "routes": {
                "chat": {"chain": [f"local:{WEIGHTS}"]},
                "thinking": {"chain": [f"local:{WEIGHTS}"]},
                "vectors": {"chain": [f"tiny:{embedder.name}"]},
            },
        }
        opened.append(Column("local", Client(local), None))
        try:
            yield opened
        finally:
            for column in opened:
                column.client.close()


def _client(account: dict[str, object], models: dict[str, str]) -> Client:
    routes = {route: {"chain": [f"it:{model}"]} for route, model in models.items()}
    return Client({"providers": {"it": account}, "routes": routes})


def _dot() -> bytes:
    """One white pixel as a PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\x00\xff")) + chunk(b"IEND", b"")


if __name__ == "__main__":
    PAGE.write_text(table(), encoding="utf-8")
