"""What a client remembers between calls: breakers, gates, retry buckets, usual times to first content.

Breakers exist only for what has failed, so a healthy call pays for none of this. The caller keeps the lock:
one lock is held around each step of the engine, never across I/O.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from ..errors import CallError
from .breaker import Breaker
from .rules import RULES
from .settings import TargetPlan

__all__ = ["Health", "Obstacle", "Permit"]

_SCOPES = ("target", "credential", "credential_model", "endpoint")
_BUCKET_START = 10.0
_BUCKET_CAP = 100.0
_LAST_RESORT_GAP = 0.25
_TRIPPED_REST = 60.0
_BLIND_GATE_CAP = 20.0
_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a target may not be asked now.

    :ivar until: when that ends by itself.
    :ivar cause: the error that opened the breaker, if any.
    :ivar last_resort: whether it may be asked all the same when nothing else answers.
    """

    reason: Literal["breaker", "gate"]
    until: float
    cause: CallError | None
    last_resort: bool


@dataclass(slots=True)
class Permit:
    """The right to report one result. ``epochs`` are those of the breakers it was given under."""

    epochs: dict[str, int] = field(default_factory=dict)
    probes: tuple[str, ...] = ()


class Health:
    """The state of one client, shared by its calls and views.

    :param rng: chance for pauses; seeded by the caller.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._breakers: dict[str, Breaker] = {}
        self._not_before: dict[str, float] = {}
        self._limited: dict[str, int] = {}
        self._buckets: dict[str, float] = {}
        self._first_content: dict[str, deque[float]] = {}
        self._last_resort: dict[str, float] = {}
        self.paths: dict[str, str] = {}

    # --- before an attempt ---

    def obstacle(self, plan: TargetPlan, now: float) -> Obstacle | None:
        """Say what forbids asking ``plan`` now, or None."""
        if self._not_before:
            until = self._not_before.get(plan.credential, 0.0)
            if now < until:
                return Obstacle("gate", until, None, last_resort=True)
        if not self._breakers:
            return None
        blocked = [breaker for _, breaker in self._of(plan) if breaker.blocked(now)]
        if not blocked:
            return None
        worst = max(blocked, key=lambda breaker: breaker.blocked_until)
        rested = all(not breaker.tripped or now - breaker.opened_at >= _TRIPPED_REST for breaker in blocked)
        probing = any(breaker.probe_until is not None and now < breaker.probe_until for breaker in blocked)
        return Obstacle("breaker", worst.blocked_until, worst.cause, last_resort=rested and not probing)

    def clear_at(self, plan: TargetPlan, now: float) -> float:
        """The instant from which ``plan`` may be asked, as far as is known now."""
        obstacle = self.obstacle(plan, now)
        return now if obstacle is None else obstacle.until

    def is_probe(self, plan: TargetPlan, now: float) -> bool:
        """Whether an attempt on ``plan`` now would be a breaker's probe."""
        return bool(self._breakers) and any(breaker.half_open(now) for _, breaker in self._of(plan))

    def admit(self, plan: TargetPlan, lease_until: float) -> Permit:
        """Permit one attempt; whatever breaker of ``plan`` is half-open (or overruled) leases its probe to it."""
        if not self._breakers:
            return Permit()
        known = self._of(plan)
        probes = tuple(name for name, breaker in known if not breaker.closed)
        for name in probes:
            self._breakers[name].lease(lease_until)
        return Permit({name: breaker.epoch for name, breaker in known}, probes)

    def earn(self, plan: TargetPlan) -> None:
        """Add a first attempt's share to the retry bucket."""
        level = self._buckets.get(plan.credential, _BUCKET_START)
        self._buckets[plan.credential] = min(_BUCKET_CAP, level + plan.retry.budget)

    def take_retry(self, plan: TargetPlan) -> bool:
        """Take a token for one repeat; False when the bucket is empty. It is not given back."""
        level = self._buckets.get(plan.credential, _BUCKET_START)
        if level < 1.0:
            return False
        self._buckets[plan.credential] = level - 1.0
        return True

    def take_last_resort(self, plan: TargetPlan, now: float) -> bool:
        """Whether a last resort may be spent on ``plan``: at most four a second."""
        if now - self._last_resort.get(plan.key, -_LAST_RESORT_GAP) < _LAST_RESORT_GAP:
            return False
        self._last_resort[plan.key] = now
        return True

    def not_before(self, plan: TargetPlan) -> float:
        """The instant before which the credential's gate is shut (0.0 when it is open)."""
        return self._not_before.get(plan.credential, 0.0)

    def usual_first_content(self, plan: TargetPlan) -> float | None:
        """The 95th percentile of the target's healthy times to first content, in seconds; None when unknown."""
        seen = self._first_content.get(plan.key)
        return sorted(seen)[int(0.95 * (len(seen) - 1))] if seen else None

    # --- after an attempt ---

    def first_content(self, permit: Permit, plan: TargetPlan, now: float, took: float) -> None:
        """Content came: remember how long it took, and close the breakers whose probe this was."""
        seen = self._first_content.get(plan.key)
        if seen is None:
            seen = self._first_content[plan.key] = deque(maxlen=_SAMPLES)
        seen.append(took)
        for name in permit.probes:
            breaker = self._breakers[name]
            if permit.epochs[name] == breaker.epoch:
                breaker.succeed(now, plan.breaker)
                permit.epochs[name] = breaker.epoch
        permit.probes = ()

    def settle(self, permit: Permit, plan: TargetPlan, now: float, error: CallError | None, *, blame: bool) -> None:
        """Take an attempt's result. ``blame`` False: the result is neutral."""
        blamed = None
        if error is None:
            self._limited.pop(plan.credential, None)
        else:
            if error.kind == "rate_limited" or error.retry_after is not None:
                self._shut(plan, now, error)
            if blame:
                blamed = self._blame(permit, plan, now, error)
        if not self._breakers:
            return
        answered = error is None or error.status is not None
        for name, breaker in self._of(plan):
            if name == blamed or breaker.epoch != permit.epochs.get(name, 0):
                continue
            if error is None or (answered and name.startswith("endpoint ")):
                breaker.succeed(now, plan.breaker)
            elif name in permit.probes:
                breaker.free()

    def _blame(self, permit: Permit, plan: TargetPlan, now: float, error: CallError) -> str | None:
        """Count a failure against what it says something about; return the breaker's name."""
        rule = RULES[error.kind]
        if rule.blame not in ("count", "open"):
            return None
        name = plan.scope_key(error.scope or rule.scope)
        breaker = self._breakers.setdefault(name, Breaker())
        if breaker.epoch == permit.epochs.get(name, 0):
            if rule.blame == "open":
                breaker.trip(now, rule.opens_for, error)
            else:
                breaker.fail(now, plan.breaker, self._rng, error)
        return name

    def release(self, permit: Permit) -> None:
        """Give a permit back without a result, as after a cancellation."""
        for name in permit.probes:
            breaker = self._breakers[name]
            if breaker.epoch == permit.epochs[name]:
                breaker.free()
        permit.probes = ()

    def _shut(self, plan: TargetPlan, now: float, error: CallError) -> None:
        count = self._limited.get(plan.credential, 0) + (error.kind == "rate_limited")
        self._limited[plan.credential] = count
        if error.retry_after is not None:
            wait = error.retry_after * self._rng.uniform(1.0, 1.1)
        else:
            wait = min(_BLIND_GATE_CAP, 2.0 ** min(count - 1, 30)) * self._rng.uniform(0.5, 1.0)
        self._not_before[plan.credential] = max(now + wait, self._not_before.get(plan.credential, 0.0))

    def _of(self, plan: TargetPlan) -> list[tuple[str, Breaker]]:
        names = (plan.scope_key(scope) for scope in _SCOPES)
        return [(name, self._breakers[name]) for name in names if name in self._breakers]

    # --- for people ---

    def state(self, plan: TargetPlan, now: float) -> tuple[Literal["closed", "open", "half_open", "gated"], float]:
        """``closed``, ``open``, ``half_open`` or ``gated``, and the seconds until that may change."""
        obstacle = self.obstacle(plan, now)
        if obstacle is not None:
            return ("gated" if obstacle.reason == "gate" else "open"), obstacle.until - now
        return ("half_open" if self.is_probe(plan, now) else "closed"), 0.0
