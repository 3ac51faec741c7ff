"""How long attempts and waits may be: the bounds that the engine keeps, and that can be told before a call is made."""

from __future__ import annotations

from .settings import TargetPlan

__all__ = [
    "EDGE",
    "HINT_SPREAD",
    "LONGEST_WAIT",
    "MIN_ATTEMPT",
    "SHARES",
    "backoff_at_most",
    "content_limit",
    "longest_hint",
    "own_limit",
]

MIN_ATTEMPT = 0.5
"""Seconds: nothing starts that could not run this long."""
LONGEST_WAIT = 60.0
"""Seconds that a call sleeps because a vendor asks for it, at most."""
HINT_SPREAD = 1.1
"""A vendor's wait is kept up to this many times over, so that not all come back at once."""
SHARES = 3
"""Targets among which the rest of the time is shared, at most."""
EDGE = 1e-6
"""Seconds by which a call wakes past an instant, not on it."""
_BACKOFF, _BACKOFF_CAP = 0.5, 8.0


def own_limit(plan: TargetPlan) -> float:
    """Return the seconds that a target itself gives its first content, or the whole body."""
    return plan.first_content if plan.stream else plan.whole


def content_limit(now: float, deadline: float, own: float, eligible: int) -> float:
    """Return the instant by which an attempt that begins now must have its first content.

    :param own: seconds that the target's own limit gives.
    :param eligible: targets that may be asked from this one on, up to ``SHARES`` of them.
    """
    return now + min(own, (deadline - now) / eligible)


def backoff_at_most(requests: int) -> float:
    """Return the longest wait in seconds before a repeat on a target that got so many requests."""
    return min(_BACKOFF_CAP, _BACKOFF * 2.0 ** (requests - 1))


def longest_hint(patience: float, *, others: bool) -> float:
    """Return the longest wait that a vendor may ask for before a repeat, in seconds.

    :param others: whether another target could be asked instead.
    """
    return patience if others else LONGEST_WAIT
