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
_DURATION = re.compile(
    r"(?:(?P<h>[0-9]{1,6})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:(?P<ms>[0-9]{1,9})ms)?"
)
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_LIMITED = ("requests", "tokens")
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

    Where both are missing, ``x-ratelimit-reset-requests`` and ``-tokens`` of what is used up (``-remaining-… : 0``),
    as OpenAI and Groq send them (``6m0s``, ``12ms``; https://console.groq.com/docs/rate-limits, 2026-11-24). What is
    negative, infinite, not a number or unreadable is ignored. Of several values the largest counts.
    """
    milliseconds = _longest(headers.get("retry-after-ms"))
    if milliseconds is not None:
        after: float | None = milliseconds / 1000
    else:
        text = headers.get("retry-after")
        after = _longest(text)
        if after is None and text:
            after = _until(text, headers.get("date"))
        if after is None and not text:
            after = _reset(headers)
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


def _reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until what is used up is there again."""
    used_up = [name for name in _LIMITED if headers.get(f"x-ratelimit-remaining-{name}", "").strip() == "0"]
    resets = [headers.get(f"x-ratelimit-reset-{name}", "").strip() for name in used_up]
    found = [_DURATION.fullmatch(text) for text in resets if text]
    return max(
        (
            sum(float(amount) * _UNITS[unit] for unit, amount in match.groupdict().items() if amount)
            for match in found
            if match is not None
        ),
        default=None,
    )
