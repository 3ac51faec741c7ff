"""What the headers of an answer say beside its status: when to try again, and the request's id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

__all__ = ["Hints", "hints", "request_id"]

_NUMBER = re.compile(r"[0-9]{0,20}\.?[0-9]{1,20}(?:[eE][+-]?[0-9]{1,4})?")
_IDENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+=-]{0,127}")
_MAX_HEADER = 200
_REQUEST_IDS = ("x-request-id", "request-id")


@dataclass(frozen=True, slots=True)
class Hints:
    """What the server asks for.

    :ivar retry_after: seconds until the next try makes sense, as given, however long; None when nothing usable came.
    :ivar should_retry: the vendor's ``x-should-retry``.
    """

    retry_after: float | None = None
    should_retry: bool | None = None


def hints(headers: Mapping[str, str]) -> Hints:
    """Read ``retry-after-ms``, then ``retry-after`` (seconds, or a date compared with the answer's own ``date``).

    What is negative, infinite, not a number or unreadable is ignored. Of several values the largest counts.
    """
    milliseconds = _longest(headers.get("retry-after-ms"))
    if milliseconds is not None:
        after: float | None = milliseconds / 1000
    else:
        text = headers.get("retry-after")
        after = _longest(text)
        if after is None and text:
            after = _until(text, headers.get("date"))
    should = {"true": True, "false": False}.get(headers.get("x-should-retry", "").strip().lower())
    return Hints(after, should)


def request_id(headers: Mapping[str, str], stated: str | None = None) -> str | None:
    """Return the id that the vendor's support asks for; ``stated`` is what the body says."""
    for given in (*(headers.get(name) for name in _REQUEST_IDS), stated):
        if given and _IDENTITY.fullmatch(given):
            return given
    return None


def _longest(text: str | None) -> float | None:
    if not text or len(text) > _MAX_HEADER:
        return None
    values = [piece.strip() for piece in text.split(",")]
    numbers = [float(value) for value in values if _NUMBER.fullmatch(value)]
    finite = [number for number in numbers if isfinite(number)]
    return max(finite, default=None)


def _until(text: str, date: str | None) -> float | None:
    """Seconds from the answer's own date to the one given, so that our clock does not matter."""
    from email.utils import parsedate_to_datetime

    if not date or len(text) > _MAX_HEADER or len(date) > _MAX_HEADER:
        return None
    try:
        seconds = (parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return seconds if seconds >= 0 else None
