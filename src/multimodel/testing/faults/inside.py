"""Faults inside the answer: it begins well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...errors import Kind
from ..answer import END, Answer, Move, Script, chunk
from .base import fault, pause

__all__ = [
    "commented",
    "cut",
    "finish_reason",
    "headers_then_silence",
    "in_stream_error",
    "long_line",
    "malformed_event",
    "no_done",
    "no_terminal",
    "not_utf8",
    "pings_forever",
    "reset",
    "second_terminal",
    "shuffled_tool_calls",
    "split",
    "stall",
    "text_after_terminal",
    "tiny_events",
    "unseparated",
    "usage_missing",
]


@fault
def headers_then_silence(answer: Answer, seconds: float | None = None) -> Script:
    """Send the headers at once, and the rest after ``seconds``; never, when that is None."""
    yield from stall(0, seconds).play(answer)


@fault
def cut(answer: Answer, after: int = 1, clean: bool = False) -> Script:  # noqa: FBT001, FBT002  # the fault's own words
    """Send ``after`` events, then FIN; ``clean``: with the proper end of an HTTP body, as a proxy may do."""
    yield from answer.opening(after)
    if clean and answer.stream:
        yield END
    else:
        yield Move.CLOSE


@fault
def reset(answer: Answer, after: int = 1) -> Script:
    """Send ``after`` events and half of the next chunk, then RST."""
    yield from answer.opening(after)
    following = answer.frames()[after:] if answer.stream else []
    if following:
        whole = chunk(following[0])
        yield whole[: len(whole) // 2]
    yield Move.RESET


@fault
def stall(answer: Answer, after: int = 1, seconds: float | None = None) -> Script:
    """Send ``after`` events, and the rest after ``seconds``; never, when that is None."""
    if not answer.stream:
        body = answer.frames()[0]
        cut_at = len(body) // 2 if after else 0
        yield answer.head(len(body)) + body[:cut_at]
        yield from pause(seconds)
        yield body[cut_at:]
        return
    yield from answer.opening(after)
    yield from pause(seconds)
    for frame in answer.frames()[after:]:
        yield chunk(frame)
    yield END


@fault
def split(answer: Answer, size: int = 1, crlf: bool = False) -> Script:  # noqa: FBT001, FBT002  # the fault's own words
    """Send the right answer in chunks of ``size`` bytes, cut through characters and line ends; ``crlf``: lines end in CRLF."""
    body = b"".join(answer.frames())
    if crlf and answer.stream:
        body = body.replace(b"\n", b"\r\n")
    yield answer.head()
    for start in range(0, len(body), size):
        yield chunk(body[start : start + size])
    yield END


@fault
def commented(answer: Answer, comment: str = "ping") -> Script:
    """Send a comment before every event."""
    yield from _reframed(answer, lambda frame: b": %b\n\n%b" % (comment.encode(), frame))


@fault
def unseparated(answer: Answer) -> Script:
    """Leave out the blank lines between the events, as some vendors do."""
    yield from _reframed(answer, lambda frame: frame.removesuffix(b"\n"))


@fault
def not_utf8(answer: Answer, at: int = 1) -> Script:
    """Put a byte that is no UTF-8 into event ``at`` (0 is the first); the rest is right."""
    frames = answer.frames()
    number = at if answer.stream else 0
    frames[number] = frames[number].replace(b'"', b'"\xff', 1)
    yield from _framed(answer, frames)


@fault
def malformed_event(answer: Answer, at: int = 1) -> Script:
    """Break the JSON of event ``at`` (0 is the first); the rest is right."""
    events = list(answer.events)
    number = at if answer.stream else 0
    data = events[number].payload()
    events[number] = replace(events[number], data=data[: len(data) // 2].decode(errors="ignore"))
    yield from answer.with_events(events).script()


@fault
def no_done(answer: Answer) -> Script:
    """Send everything but `[DONE]` and the end of the body, and leave the connection open."""
    if not answer.stream:
        yield from answer.script()
        return
    yield from _without(answer, "done").opening(len(answer.events))
    yield Move.HANG


@fault
def no_terminal(answer: Answer) -> Script:
    """Leave out the event with the finish reason; everything else ends as it should."""
    yield from _without(answer, "finish").script()


@fault
def finish_reason(answer: Answer, reason: str) -> Script:
    """End with another finish reason, for instance ``timeout``."""
    for event in answer.events:
        found = event.data if isinstance(event.data, dict) else {}
        for choice in found.get("choices") or found.get("output", {}).get("choices") or ():
            if event.kind in ("finish", "whole"):
                choice["finish_reason"] = reason
    yield from answer.script()


@fault
def usage_missing(answer: Answer) -> Script:
    """Leave out the usage, wherever the wire has it."""
    events = [
        replace(event, data={name: value for name, value in event.data.items() if name != "usage"})
        if isinstance(event.data, dict)
        else event
        for event in answer.events
        if event.kind != "usage"
    ]
    yield from answer.with_events(events).script()


@fault
def second_terminal(answer: Answer) -> Script:
    """Send the event with the finish reason twice."""
    doubled = [[event, event] if event.kind == "finish" else [event] for event in answer.events]
    yield from answer.with_events([event for group in doubled for event in group]).script()


@fault
def text_after_terminal(answer: Answer, text: str = " And one more thing.") -> Script:
    """Send another piece of text after the event with the finish reason."""
    events = list(answer.events)
    found = next((number for number, event in enumerate(events) if event.kind == "finish"), None)
    if found is not None:
        events.insert(found + 1, answer.wire.text_event(answer.request, text))
    yield from answer.with_events(events).script()


@fault
def shuffled_tool_calls(answer: Answer) -> Script:
    """Send the pieces of several tool calls by turns, the last call first."""
    numbers = sorted({event.call for event in answer.events if event.kind == "tool"}, reverse=True)
    calls = [[event for event in answer.events if event.kind == "tool" and event.call == number] for number in numbers]
    turns = max((len(call) for call in calls), default=0)
    mixed = [call[turn] for turn in range(turns) for call in calls if turn < len(call)]
    rest = iter(mixed)
    yield from answer.with_events([next(rest) if event.kind == "tool" else event for event in answer.events]).script()


@fault
def in_stream_error(answer: Answer, after: int = 1, kind: Kind = "server_error", code: str | None = None) -> Script:
    """Send ``after`` events, then an error inside the stream, and end the body. A whole answer is refused instead.

    :param code: in place of the vendor's usual code for the kind.
    """
    usual = answer.wire.refusal(answer.request, kind)
    given = usual if code is None else replace(usual, code=code, compatible=code)
    if not answer.stream:
        yield from answer.wire.refuse(answer.request, given).script()
        return
    events = [*answer.events[:after], answer.wire.error_event(answer.request, given)]
    yield from answer.with_events(events).script()


@fault
def pings_forever(answer: Answer, after: int = 0, every: float = 0.05) -> Script:
    """Send ``after`` events, then comments for ever, one every ``every`` seconds."""
    yield answer.head()
    for frame in answer.frames()[:after]:
        yield chunk(frame)
    while True:
        yield chunk(b": ping\n\n")
        yield every


@fault
def long_line(answer: Answer, size: int = 200_000_000) -> Script:
    """Send one line of ``size`` bytes in the place of the body."""
    yield answer.head()
    yield chunk(b'data: {"x":"')
    piece = chunk(b"x" * 65536)
    for _ in range(max(1, size // 65536)):
        yield piece
    yield chunk(b'"}\n\n')
    yield END


@fault
def tiny_events(answer: Answer, count: int = 1_000_000) -> Script:
    """Send ``count`` events of one letter before those of the answer."""
    if not answer.stream:
        yield from answer.script()
        return
    first, *others = answer.frames()
    yield answer.head()
    yield chunk(first)
    many = chunk(answer.wire.frame(answer.wire.text_event(answer.request, "x"), 1) * 1000)
    for _ in range(max(1, count // 1000)):
        yield many
    for frame in others:
        yield chunk(frame)
    yield END


def _reframed(answer: Answer, change: Callable[[bytes], bytes]) -> Script:
    yield from _framed(answer, [change(frame) for frame in answer.frames()] if answer.stream else answer.frames())


def _framed(answer: Answer, frames: list[bytes]) -> Script:
    if not answer.stream:
        yield answer.head(len(frames[0])) + frames[0]
        return
    yield answer.head()
    for frame in frames:
        yield chunk(frame)
    yield END


def _without(answer: Answer, kind: str) -> Answer:
    return answer.with_events([event for event in answer.events if event.kind != kind])
