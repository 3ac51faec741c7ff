"""Scripted vendors: what happens in an attempt, as a function of its start, the instant and chance.

A vendor is any ``(start, now, rng) -> script``; a script is a sequence of ``(seconds, event or error)``. These compose:

>>> from random import Random
>>> from multimodel.testing.simulation import Failing, Healthy, Then
>>> moved = Then(Failing("overloaded"), 60.0, Healthy(first_content=0.4, spread=0.0))
>>> [step for step in moved(None, 61.0, Random(1))][0]
(0.4, TextDelta(text='word '))

Seconds are virtual, and instants count from the start of the simulation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from ..drivers.simulated import Script
from ..engine.steps import Start
from ..errors import Kind, error_for
from ..types import Finished, TextDelta

__all__ = [
    "BrownOut",
    "Cuts",
    "Failing",
    "Flaky",
    "Flap",
    "Healthy",
    "Outage",
    "Quota",
    "RevokedKey",
    "Silent",
    "SlowRamp",
    "Then",
    "Vendor",
]

Vendor: TypeAlias = Callable[[Start, float, Random], Script]

_WORD = TextDelta("word ")
_END = Finished("stop")
_STATUS: dict[str, int] = {
    "authentication": 401,
    "permission_denied": 403,
    "quota_exhausted": 402,
    "rate_limited": 429,
    "overloaded": 503,
    "server_error": 500,
    "bad_request": 400,
    "context_window_exceeded": 400,
    "content_filtered": 400,
    "model_not_found": 404,
}
"""The HTTP status that usually goes with a kind; the others come without an answer."""
_NEVER = 1e12


@dataclass(slots=True)
class Healthy:
    """Answers.

    :ivar first_content: seconds to the first content, on average.
    :ivar spread: how far a single answer is from that, as a share of it.
    :ivar seconds: from the first content to the end.
    """

    first_content: float = 0.4
    spread: float = 0.5
    seconds: float = 1.0

    def __call__(self, _start: Start, _now: float, rng: Random) -> Script:
        """Answer once."""
        first = self.first_content * (1.0 + self.spread * (2.0 * rng.random() - 1.0))
        return (first, _WORD), (self.seconds, _END)


@dataclass(slots=True)
class Failing:
    """Fails, always in the same way.

    :ivar after: seconds until the error is there.
    :ivar retry_after: the wait in seconds that the vendor asks for.
    """

    kind: Kind
    after: float = 0.05
    retry_after: float | None = None

    def __call__(self, _start: Start, _now: float, _rng: Random) -> Script:
        """Fail once."""
        error = error_for(self.kind, status=_STATUS.get(self.kind), retry_after=self.retry_after)
        return ((self.after, error),)


@dataclass(slots=True)
class Silent:
    """Takes the request and never says a word."""

    def __call__(self, _start: Start, _now: float, _rng: Random) -> Script:
        """Say nothing."""
        return ((_NEVER, _WORD),)


@dataclass(slots=True)
class Cuts:
    """Begins an answer and breaks off without a terminal signal.

    :ivar contents: pieces of content before that.
    :ivar share: how many of the answers are cut; the others are ``otherwise``'s.
    """

    contents: int = 1
    share: float = 1.0
    otherwise: Vendor = field(default_factory=Healthy)

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        """Answer, or half of it."""
        if rng.random() >= self.share:
            return self.otherwise(start, now, rng)
        cut = error_for("truncated_stream")
        return (*((0.2, _WORD) for _ in range(self.contents)), (0.2, cut))


@dataclass(slots=True)
class Then:
    """One vendor until an instant, another one from then on."""

    first: Vendor
    at: float
    then: Vendor

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        """Do what the vendor of this instant does."""
        return (self.first if now < self.at else self.then)(start, now, rng)


@dataclass(slots=True)
class Outage:
    """Down from ``start`` to ``end``."""

    start: float
    end: float
    fault: Vendor = field(default_factory=lambda: Failing("connection.unsent"))
    otherwise: Vendor = field(default_factory=Healthy)

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        """Answer, or be down."""
        return (self.fault if self.start <= now < self.end else self.otherwise)(start, now, rng)


@dataclass(slots=True)
class BrownOut:
    """A share of the requests (0…1) fails."""

    share: float
    fault: Vendor = field(default_factory=lambda: Failing("overloaded"))
    otherwise: Vendor = field(default_factory=Healthy)

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        """Answer, or fail."""
        return (self.fault if rng.random() < self.share else self.otherwise)(start, now, rng)


@dataclass(slots=True)
class Flap:
    """Up for ``up`` seconds, down for ``down`` seconds, and so on."""

    up: float
    down: float
    fault: Vendor = field(default_factory=lambda: Failing("server_error"))
    otherwise: Vendor = field(default_factory=Healthy)

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        """Answer, or be down."""
        return (self.otherwise if now % (self.up + self.down) < self.up else self.fault)(start, now, rng)


@dataclass(slots=True)
class SlowRamp:
    """Becomes slower and slower: its first content takes ``least`` seconds at ``start``, ``most`` from ``end`` on."""

    start: float
    end: float
    least: float = 0.4
    most: float = 30.0

    def __call__(self, _start: Start, now: float, _rng: Random) -> Script:
        """Answer as slowly as it is by now."""
        done = min(1.0, max(0.0, (now - self.start) / (self.end - self.start)))
        return (self.least + done * (self.most - self.least), _WORD), (1.0, _END)


@dataclass(slots=True)
class Quota:
    """Takes so many requests in any 60 s and refuses the others, which do not count.

    :ivar hint: whether it says how long to wait.
    """

    calls: int
    hint: bool = True
    otherwise: Vendor = field(default_factory=Healthy)
    _taken: deque[float] = field(default_factory=deque, repr=False)

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        """Answer, or refuse."""
        while self._taken and now - self._taken[0] >= _MINUTE:
            self._taken.popleft()
        if len(self._taken) < self.calls:
            self._taken.append(now)
            return self.otherwise(start, now, rng)
        wait = self._taken[0] + _MINUTE - now if self.hint and self._taken else None
        return Failing("rate_limited", retry_after=wait)(start, now, rng)


_MINUTE = 60.0


@dataclass(slots=True)
class Flaky:
    """A share of the requests fails, each in one of several ways.

    :ivar kinds: how often each kind of failure comes, relative to the others.
    """

    kinds: Mapping[Kind, float]
    share: float = 0.1
    otherwise: Vendor = field(default_factory=Healthy)

    def __call__(self, start: Start, now: float, rng: Random) -> Script:
        """Answer, or fail in one of the ways."""
        if rng.random() >= self.share:
            return self.otherwise(start, now, rng)
        (kind,) = rng.choices(list(self.kinds), list(self.kinds.values()))
        return Failing(kind)(start, now, rng)


def RevokedKey() -> Vendor:  # noqa: N802  # it is used like the classes
    """Refuse the key, always."""
    return Failing("authentication")
