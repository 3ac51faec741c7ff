"""Faults that send something else instead of the answer."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

from ...errors import Kind
from ..answer import Answer, Headers, Move, Script, chunk
from ..refusals import by_status
from .base import fault

__all__ = [
    "arrearage",
    "body",
    "content_length_too_long",
    "content_length_too_short",
    "cut_refusal",
    "empty",
    "endless_refusal",
    "framed_refusal",
    "gzip_bomb",
    "html",
    "refusal",
    "status",
    "wrong_content_type",
]

HeadersInput: TypeAlias = "Mapping[str, str] | Headers"
"""Headers by name, or pairs where a name comes twice."""


@fault
def status(
    answer: Answer, status: int, code: str | None = None, message: str | None = None, headers: HeadersInput = ()
) -> Script:
    """Answer with a status and the body that this vendor sends with it.

    :param code: in place of the vendor's usual code for the status.
    :param message: in place of the vendor's usual words.
    :param headers: for instance ``{"Retry-After": "2"}``.
    """
    usual = answer.wire.refusal(answer.request, by_status(status))
    given = replace(usual, status=status, headers=_pairs(headers))
    if code is not None:
        given = replace(given, code=code, compatible=code)
    if message is not None:
        given = replace(given, message=message)
    yield from answer.wire.refuse(answer.request, given).script()


@fault
def refusal(answer: Answer, kind: Kind, headers: HeadersInput = ()) -> Script:
    """Answer as this vendor answers when ``kind`` happens, for instance ``context_window_exceeded``."""
    usual = answer.wire.refusal(answer.request, kind)
    yield from answer.wire.refuse(answer.request, replace(usual, headers=_pairs(headers))).script()


@fault
def arrearage(answer: Answer) -> Script:
    """The account has not paid: DashScope's HTTP 400 `Arrearage`, OpenAI's 429 `insufficient_quota`."""
    yield from refusal("quota_exhausted").play(answer)


@fault
def framed_refusal(answer: Answer, kind: Kind = "bad_request") -> Script:
    """Refuse with a body that is framed as an event although it is labelled as JSON, as DashScope has been seen to do."""
    given = answer.wire.refusal(answer.request, kind)
    body = answer.wire.frame(answer.wire.error_event(answer.request, given), 1)
    refused = answer.wire.refuse(answer.request, given)
    yield refused.head(len(body)) + body


@fault
def html(answer: Answer, status: int = 200) -> Script:
    """Answer with a page, as a captive portal or a proxy does."""
    body = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
    yield replace(answer, status=status, content_type="text/html; charset=utf-8").head(len(body)) + body


@fault
def body(answer: Answer, text: str, status: int = 200, content_type: str = "application/json") -> Script:
    """Answer with ``text``, whatever it is."""
    data = text.encode()
    yield replace(answer, status=status, content_type=content_type).head(len(data)) + data


@fault
def empty(answer: Answer, status: int = 200) -> Script:
    """Answer with the right headers and no body."""
    yield replace(answer, status=status).head(0)


@fault
def cut_refusal(answer: Answer, status: int = 500, hang: bool = False) -> Script:  # noqa: FBT001, FBT002  # the fault's own word
    """Refuse, send half of the body, then FIN; ``hang``: then nothing."""
    refused = answer.wire.refuse(
        answer.request, replace(answer.wire.refusal(answer.request, by_status(status)), status=status)
    )
    yield from refused.opening(0)
    yield Move.HANG if hang else Move.CLOSE


@fault
def endless_refusal(answer: Answer, status: int = 500) -> Script:
    """Refuse with a body that never ends."""
    yield replace(answer, status=status).head()
    yield chunk(b'{"code":"InternalError","message":"')
    while True:
        yield chunk(b"x" * 1000)


@fault
def wrong_content_type(answer: Answer, content_type: str = "text/plain") -> Script:
    """Send the right answer under another content type."""
    yield from replace(answer, content_type=content_type).script()


@fault
def gzip_bomb(answer: Answer, size: int = 100_000_000) -> Script:
    """Send the answer after ``size`` bytes of white space, compressed although nobody asked for it."""
    body = _bomb(size, b"".join(answer.frames()))
    yield answer.head(len(body), [("content-encoding", "gzip")]) + body


@fault
def content_length_too_long(answer: Answer, by: int = 100) -> Script:
    """Announce more bytes than come, then close."""
    body = b"".join(answer.frames())
    yield answer.head(len(body) + by) + body
    yield Move.CLOSE


@fault
def content_length_too_short(answer: Answer, by: int = 10) -> Script:
    """Announce fewer bytes than come."""
    body = b"".join(answer.frames())
    yield answer.head(max(0, len(body) - by)) + body


def _pairs(headers: HeadersInput) -> tuple[tuple[str, str], ...]:
    return tuple(headers.items() if isinstance(headers, Mapping) else headers)


@lru_cache(maxsize=4)
def _bomb(size: int, rest: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    piece = b" " * 1_000_000
    parts = [packer.compress(piece) for _ in range(max(1, size // len(piece)))]
    return b"".join((*parts, packer.compress(rest), packer.flush()))
