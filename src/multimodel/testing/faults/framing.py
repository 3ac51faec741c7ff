"""Faults of how an answer is put into HTTP: its content is right."""

from __future__ import annotations

from ..answer import END, Answer, Move, Script, chunk
from .base import fault

__all__ = ["broken_chunk", "close_after_answer", "old_http", "two_lengths", "unasked_answer"]


@fault
def old_http(answer: Answer) -> Script:
    """Answer in HTTP/1.0, without a length: the end of the connection is the end of the body."""
    head = answer.head(0).replace(b"HTTP/1.1", b"HTTP/1.0", 1).replace(b"content-length: 0\r\n", b"", 1)
    yield head + b"".join(answer.frames())
    yield Move.CLOSE


@fault
def close_after_answer(answer: Answer) -> Script:
    """Send the answer, promise to keep the connection, and close it."""
    yield from answer.script()
    yield Move.CLOSE


@fault
def unasked_answer(answer: Answer, text: str = "Nobody asked.") -> Script:
    """Send a second answer that nobody asked for right behind the first, in one write with the first one's end.

    An answer that comes after the next request was sent could be the answer to it: over HTTP/1.1 nobody can tell.
    """
    body = (
        b'{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"%b"}}]}'
        % text.encode()
    )
    *begin, end = answer.script()
    assert isinstance(end, bytes)
    yield from begin
    yield end + answer.head(len(body)) + body


@fault
def broken_chunk(answer: Answer, after: int = 1) -> Script:
    """Send ``after`` events, then a chunk whose size is no number. A whole body is sent in chunks too."""
    yield answer.head()
    for frame in answer.frames()[:after] if answer.stream else ():
        yield chunk(frame)
    yield b"not-a-size\r\n" + END
    yield Move.CLOSE


@fault
def two_lengths(answer: Answer) -> Script:
    """Announce two different lengths of the body."""
    body = b"".join(answer.frames())
    yield answer.head(len(body), [("content-length", str(len(body) - 1))]) + body
