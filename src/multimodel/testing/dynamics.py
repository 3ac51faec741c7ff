"""Faults that come and go: functions of the request, for ``FaultyVendor.fault``.

Time is that of the requests themselves, counted from the first one. Each source keeps its own count: use one for one
vendor. A fault of the listening socket cannot be one of these, because it meets connections.

>>> from multimodel.testing import FaultyVendor, dynamics
>>> with FaultyVendor(fault=dynamics.every(3)) as vendor:
...     vendor.port > 0
True
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count
from math import inf
from random import Random
from typing import TypeAlias

from .faults import Fault, headers_then_silence, refusal
from .reply import VendorRequest

__all__ = ["Source", "brown_out", "every", "flap", "limited", "outage", "probe_trap", "slow_ramp"]

Source: TypeAlias = "Callable[[VendorRequest], Fault | None]"

_OVERLOADED = refusal("overloaded")


def every(n: int, fault: Fault = _OVERLOADED) -> Source:
    """One request in ``n`` meets the fault: the n-th, the 2n-th, and so on."""
    _meets_requests(fault)
    numbers = count(1)
    return lambda _request: fault if next(numbers) % n == 0 else None


def brown_out(share: float, fault: Fault = _OVERLOADED, *, seed: int = 0) -> Source:
    """A share of the requests (0…1) meets the fault; which ones, the seed decides."""
    _meets_requests(fault)
    rng = Random(seed)
    return lambda _request: fault if rng.random() < share else None


def flap(up: float, down: float, fault: Fault = _OVERLOADED) -> Source:
    """Healthy for ``up`` seconds, then faulty for ``down`` seconds, and so on."""
    _meets_requests(fault)
    since = _Since()
    return lambda request: fault if since(request) % (up + down) >= up else None


def outage(seconds: float, fault: Fault = _OVERLOADED) -> Source:
    """Faulty for ``seconds``, healthy from then on: the recovery meets whatever load there is."""
    _meets_requests(fault)
    since = _Since()
    return lambda request: fault if since(request) < seconds else None


def probe_trap(down: int, good: int = 1, fault: Fault = _OVERLOADED) -> Source:
    """Fault ``down`` requests, answer ``good`` ones as if all were well, and be faulty for ever after."""
    _meets_requests(fault)
    numbers = count()
    return lambda _request: None if down <= next(numbers) < down + good else fault


def slow_ramp(step: float, most: float = inf) -> Source:
    """Each answer's first content comes ``step`` seconds later than that of the one before, at most ``most`` late."""
    numbers = count()
    return lambda _request: headers_then_silence(min(most, step * next(numbers)))


def limited(requests: int, seconds: float, fault: Fault | None = None) -> Source:
    """Take ``requests`` requests in any ``seconds`` seconds and refuse the others, which do not count.

    :param fault: None refuses as the vendor does above its rate.
    """
    refused = refusal("rate_limited") if fault is None else fault
    _meets_requests(refused)
    taken: deque[float] = deque(maxlen=requests)

    def source(request: VendorRequest) -> Fault | None:
        if len(taken) == requests and request.at - taken[0] < seconds:
            return refused
        taken.append(request.at)
        return None

    return source


class _Since:
    """Seconds since the first request it was asked about."""

    def __init__(self) -> None:
        self._first: float | None = None

    def __call__(self, request: VendorRequest) -> float:
        if self._first is None:
            self._first = request.at
        return request.at - self._first


def _meets_requests(fault: Fault) -> None:
    if fault.door != "open":
        raise ValueError(f"`{fault}` meets connections, not requests: set `FaultyVendor.fault` to it")
