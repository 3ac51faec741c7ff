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
    partial_headers,
    redirect,
    refuse,
    reset_before_headers,
    silent,
    slow_headers,
    tls_expired,
    tls_missing,
    tls_untrusted,
    tls_wrong_host,
    unanswered,
)
from .framing import broken_chunk, close_after_answer, old_http, two_lengths, unasked_answer
from .inside import (
    commented,
    cut,
    finish_reason,
    headers_then_silence,
    in_stream_error,
    long_line,
    malformed_event,
    no_done,
    no_terminal,
    not_utf8,
    pings_forever,
    reset,
    second_terminal,
    shuffled_tool_calls,
    split,
    stall,
    text_after_terminal,
    tiny_events,
    unseparated,
    usage_missing,
)
from .instead import (
    arrearage,
    body,
    content_length_too_long,
    content_length_too_short,
    cut_refusal,
    empty,
    endless_refusal,
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
    "body",
    "broken_chunk",
    "close_after_answer",
    "close_before_headers",
    "commented",
    "content_length_too_long",
    "content_length_too_short",
    "cut",
    "cut_refusal",
    "deaf",
    "empty",
    "endless_headers",
    "endless_refusal",
    "fault",
    "finish_reason",
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
    "not_utf8",
    "old_http",
    "partial_headers",
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
    "tls_expired",
    "tls_missing",
    "tls_untrusted",
    "tls_wrong_host",
    "two_lengths",
    "unanswered",
    "unasked_answer",
    "unseparated",
    "usage_missing",
    "wrong_content_type",
]
