"""Figures as every report makes and writes them."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

__all__ = ["nearest_rank", "percent"]


def nearest_rank(values: Sequence[float], share: float) -> float:
    """Return a percentile of sorted values: the least of them that so many do not exceed.

    >>> nearest_rank([10.0, 20.0, 30.0], 0.5), nearest_rank([10.0, 20.0, 30.0], 0.95)
    (20.0, 30.0)
    """
    return values[max(0, ceil(share * len(values)) - 1)]


def percent(share: float) -> str:
    """Write a share; what is not all is never written as all, nor what is something as nothing.

    >>> percent(1.0), percent(0.9996), percent(0.25), percent(0.0001), percent(0.0)
    ('100.0%', '> 99.9%', '25.0%', '< 0.1%', '0.0%')
    """
    text = f"{share:.1%}"
    if share < 1.0 and text == "100.0%":
        return "> 99.9%"
    return "< 0.1%" if share > 0.0 and text == "0.0%" else text
