"""What can go wrong with an answer. Each fault is another script for the same answer.

A new one is a generator that takes the healthy :class:`~multimodel.testing.answer.Answer` and yields what to do
instead: bytes to send, seconds to wait, or a :class:`~multimodel.testing.answer.Move`.

>>> from multimodel.testing import Answer, Move, Script
>>> @fault
... def half_a_status_line(answer: Answer) -> Script:
...     "Send the start of the status line, then close."
...     yield b"HTTP/1.1 2"
...     yield Move.CLOSE
>>> half_a_status_line()
Fault(name='half_a_status_line()', door='open')

Where a fault counts events, a negative number counts from the end, and every event of the wire counts: OpenAI's
first one carries the role only. A whole body has no events; it breaks off in the middle.
"""

from __future__ import annotations

from .base import Fault, fault
from .connection import (
    close_before_headers,
    deaf,
    endless_headers,
    garbage,
    informational,
    redirect,
    refuse,
    reset_before_headers,
    silent,
    slow_headers,
    unanswered,
)
from .inside import (
    cut,
    headers_then_silence,
    in_stream_error,
    long_line,
    malformed_event,
    no_done,
    no_terminal,
    pings_forever,
    reset,
    second_terminal,
    shuffled_tool_calls,
    split,
    stall,
    text_after_terminal,
    tiny_events,
    usage_missing,
)
from .instead import (
    arrearage,
    content_length_too_long,
    content_length_too_short,
    empty,
    framed_refusal,
    gzip_bomb,
    html,
    refusal,
    status,
    wrong_content_type,
)

__all__ = [
    "Fault",
    "arrearage",
    "close_before_headers",
    "content_length_too_long",
    "content_length_too_short",
    "cut",
    "deaf",
    "empty",
    "endless_headers",
    "fault",
    "framed_refusal",
    "garbage",
    "gzip_bomb",
    "headers_then_silence",
    "html",
    "in_stream_error",
    "informational",
    "long_line",
    "malformed_event",
    "no_done",
    "no_terminal",
    "pings_forever",
    "redirect",
    "refusal",
    "refuse",
    "reset",
    "reset_before_headers",
    "second_terminal",
    "shuffled_tool_calls",
    "silent",
    "slow_headers",
    "split",
    "stall",
    "status",
    "text_after_terminal",
    "tiny_events",
    "unanswered",
    "usage_missing",
    "wrong_content_type",
]
