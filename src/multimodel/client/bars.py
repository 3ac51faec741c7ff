"""Time lines and lines of text, for terminals of eighty columns: readable without colour, and in every encoding."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from textwrap import wrap

__all__ = ["bar", "seconds", "usd", "wrapped"]

_WIDTH = 80

Piece = tuple[float, float, str]
"""From when, until when, and the character that stands for it."""


def bar(pieces: Iterable[Piece], whole: float, width: int) -> str:
    """Draw pieces of ``whole`` seconds on a line between two marks; each is to be seen, however short.

    >>> bar([(0.0, 5.0, "#"), (5.0, 10.0, "=")], 20.0, 8)
    '|##==    |'
    """
    line = [" "] * width
    for begins, ends, mark in pieces:
        start, end = (min(1.0, at / whole) if whole > 0.0 else 0.0 for at in (begins, ends))
        first = min(width - 1, int(width * start))
        last = min(width, max(first + 1, ceil(width * end - 1e-6)))
        line[first:last] = mark * (last - first)
    return f"|{''.join(line)}|"


def seconds(value: float) -> str:
    """Write seconds to the hundredth below ten, to the tenth above.

    >>> seconds(0.25), seconds(59.5)
    ('0.25', '59.5')
    """
    return f"{value:.2f}" if value < 10.0 else f"{value:.1f}"  # noqa: PLR2004


def usd(amount: float | None) -> str:
    """Write US dollars with the digits that count.

    >>> usd(0.00042), usd(0.9997), usd(1.5), usd(0.0), usd(None)
    ('0.00042', '0.9997', '1.50', '0', 'unknown')
    """
    if amount is None:
        return "unknown"
    if amount >= 1.0:
        return f"{amount:.2f}"
    exact = float(f"{amount:.4g}")
    return f"{exact:.12f}".rstrip("0").rstrip(".")


def wrapped(text: str, indent: str) -> list[str]:
    """Return the lines of a text; those after the first are indented."""
    return wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
