"""Reads answers as the adapter does, and says what came out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from multimodel.errors import CallError
from multimodel.types import AnswerEvent, Finished, ReasoningDelta, Request, TextDelta, ToolCallDelta
from multimodel.wire import Dialect, codec_for

RECORDED = Path(__file__).parent / "recorded"
STREAM = {"content-type": "text/event-stream; charset=utf-8"}
JSON = {"content-type": "application/json"}


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def read(
    wire: str,
    chunks: bytes | Iterable[bytes],
    headers: Mapping[str, str] = STREAM,
    dialect: Dialect = Dialect(),  # noqa: B008  # frozen
) -> tuple[list[AnswerEvent], CallError | None]:
    """All events of an answer, and the error that ended it."""
    events: list[AnswerEvent] = []
    try:
        for event in _events(wire, chunks, headers, dialect):
            events.append(event)  # those before an error are kept
    except CallError as error:
        return events, error
    return events, None


def _events(
    wire: str, chunks: bytes | Iterable[bytes], headers: Mapping[str, str], dialect: Dialect
) -> Iterator[AnswerEvent]:
    decoder = codec_for(wire).decoder(dialect, headers)
    for chunk in (chunks,) if isinstance(chunks, bytes) else chunks:
        yield from decoder.feed(chunk)
        if decoder.done:
            break
    yield from decoder.close()


def answer(wire: str, chunks: bytes | Iterable[bytes], headers: Mapping[str, str] = STREAM) -> list[AnswerEvent]:
    events, error = read(wire, chunks, headers)
    assert error is None, error
    return events


def failure(
    wire: str, chunks: bytes | Iterable[bytes], headers: Mapping[str, str] = STREAM, **kwargs: Any
) -> CallError:
    error = read(wire, chunks, headers, **kwargs)[1]
    assert error is not None
    return error


def text_of(events: list[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def thought_of(events: list[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, ReasoningDelta))


def finish_of(events: list[AnswerEvent]) -> Finished:
    assert isinstance(events[-1], Finished)
    return events[-1]


def calls_of(events: list[AnswerEvent]) -> dict[int, tuple[str | None, str | None, str]]:
    calls: dict[int, tuple[str | None, str | None, str]] = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            identity, name, arguments = calls.get(event.index, (None, None, ""))
            calls[event.index] = (event.id or identity, event.name or name, arguments + event.arguments)
    return calls


def sse(*payloads: object, end: str = "\n\n") -> bytes:
    """Events, each a ``data`` line: text as it is, anything else as JSON."""
    lines = [item if isinstance(item, str) else to_json(item).decode() for item in payloads]
    return "".join(f"data: {line}{end}" for line in lines).encode()


def chunk(content: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chunk of an OpenAI stream."""
    said = {"content": content, **delta} if content is not None or delta else {}
    return {"id": "chatcmpl-9", "model": "m-1", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def frame(content: Any = "", finish: str | None = "null", **message: Any) -> dict[str, Any]:
    """One frame of a DashScope stream."""
    said = {"role": "assistant", "content": content, **message}
    return {"output": {"choices": [{"message": said, "finish_reason": finish}]}, "request_id": "r-9"}


def encoded(
    wire: str, request: Request, *, stream: bool = True, path: str | None = None, **facts: Any
) -> dict[str, Any]:
    """The body of a request as JSON."""
    sent = codec_for(wire).encode(request, "m-1", Dialect(**facts), stream=stream, path=path)
    body: dict[str, Any] = from_json(sent.body)
    return body
