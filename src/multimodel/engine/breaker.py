"""The circuit breaker: closed, open, half-open with one probe.

1. Every transition increments ``epoch``; a result that was permitted in another epoch is dropped.
2. Half-open admits one probe at a time; its lease ends by itself, so that a lost probe cannot wedge it.
3. A neutral result frees the probe and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Literal

from ..errors import CallError
from .settings import BreakerSettings

__all__ = ["Breaker"]

_SLOT = 0.5  # seconds; the same whoever counts, since targets with other windows may share a breaker
_MIN_SAMPLES = 10
_FIRST_PAUSE = 5.0


class Breaker:
    """One breaker. All times are the engine's.

    :param window: seconds over which ``answers`` count.
    :param answers: when answers came before the first failure, as far as they are remembered.
    """

    __slots__ = (
        "_counts",
        "_longest",
        "_openings",
        "_streak",
        "cause",
        "epoch",
        "open_until",
        "opened_at",
        "probe_until",
        "tripped",
    )

    def __init__(self, window: float = 60.0, answers: Iterable[float] = ()) -> None:
        self.epoch = 0
        self.open_until: float | None = None  # None: closed
        self.opened_at = 0.0
        self.tripped = False  # opened at once, for a failure that waiting seldom cures
        self.probe_until: float | None = None
        self.cause: CallError | None = None
        self._openings = 0
        self._streak = 0
        self._counts: dict[int, list[int]] = {}
        self._longest = window
        for at in answers:
            self._bucket(at, window)[0] += 1

    def blocked(self, now: float) -> bool:
        """Whether nothing may be sent now: open, or half-open with its probe under way."""
        if self.open_until is None:
            return False
        return now < self.open_until or (self.probe_until is not None and now < self.probe_until)

    def half_open(self, now: float) -> bool:
        """Whether a probe may be sent now."""
        return self.open_until is not None and not self.blocked(now)

    @property
    def blocked_until(self) -> float:
        """The instant from which a request may pass, as far as is known now."""
        return max(self.open_until or 0.0, self.probe_until or 0.0)

    @property
    def closed(self) -> bool:
        """Whether requests pass freely."""
        return self.open_until is None

    def state(self, now: float) -> Literal["closed", "half_open", "open"]:
        """Say what it is; half-open, with a probe under way or not."""
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def lease(self, until: float) -> None:
        """Take the probe's place until it reports, at the latest until ``until``."""
        self.probe_until = until

    def free(self) -> None:
        """Give the probe's place back without a verdict."""
        self.probe_until = None

    def succeed(self, now: float, settings: BreakerSettings) -> None:
        """Count a success; it closes a breaker that is not closed."""
        self._streak = 0
        if self.open_until is None:
            self._bucket(now, settings.window)[0] += 1
            return
        self.epoch += 1
        self.open_until = self.probe_until = self.cause = None
        self._openings = 0
        self._counts.clear()

    def fail(self, now: float, settings: BreakerSettings, rng: Random, cause: CallError) -> None:
        """Count a failure; it may open, and re-opens a half-open breaker."""
        if self.open_until is not None:
            self._open(now, self._pause(settings, rng), cause)
            return
        self._streak += 1
        self._bucket(now, settings.window)[1] += 1
        since = now - max(settings.window, _SLOT)
        recent = [bucket for slot, bucket in self._counts.items() if slot * _SLOT > since]
        good, bad = (sum(bucket[side] for bucket in recent) for side in (0, 1))
        by_ratio = good + bad >= _MIN_SAMPLES and bad >= settings.ratio * (good + bad)
        if self._streak >= settings.failures or by_ratio:
            self._open(now, self._pause(settings, rng), cause)

    def trip(self, now: float, opens_for: tuple[float, float], cause: CallError) -> None:
        """Open at once, for longer each time, for a failure that waiting seldom cures."""
        first, most = opens_for
        self._open(now, min(most, first * 2.0 ** min(self._openings, 30)), cause)
        self.tripped = True

    def _pause(self, settings: BreakerSettings, rng: Random) -> float:
        grown = _FIRST_PAUSE * 2.0 ** min(self._openings, 30)
        return min(settings.open_at_most, grown) * rng.uniform(0.75, 1.0)

    def _open(self, now: float, pause: float, cause: CallError) -> None:
        self.epoch += 1
        self._openings += 1
        self._streak = 0
        self._counts.clear()
        self.open_until = now + pause
        self.opened_at = now
        self.tripped = False
        self.probe_until = None
        self.cause = cause

    def _bucket(self, now: float, window: float) -> list[int]:
        """The counter of this moment; those that have left every window are forgotten."""
        self._longest = max(self._longest, window)
        slot = int(now // _SLOT)
        bucket = self._counts.get(slot)
        if bucket is None:
            for old in [known for known in self._counts if known * _SLOT <= now - self._longest]:
                del self._counts[old]
            bucket = self._counts[slot] = [0, 0]
        return bucket
