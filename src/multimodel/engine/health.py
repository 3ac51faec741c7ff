"""What a client remembers between calls: breakers, gates, bulkheads, retry and hedge buckets, usual times.

Breakers exist only for what has failed, so a healthy call pays for none of this. The caller keeps the lock:
one lock is held around each step of the engine, never across I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from math import ceil, inf
from random import Random
from typing import Literal, TypeAlias, TypeVar

from ..errors import CallError, Kind, Scope
from .breaker import Breaker
from .bulkhead import Bulkhead
from .limits import HINT_SPREAD
from .rules import RULES
from .settings import TargetPlan

__all__ = ["Health", "HealthState", "Obstacle", "Permit", "Turn"]

_SCOPES: tuple[Scope, ...] = ("target", "credential", "credential_model", "endpoint")
_Name: TypeAlias = tuple[Scope, str]
_T = TypeVar("_T")
_BUCKET_START = 10.0
_BUCKET_CAP = 100.0
_LAST_RESORT_GAP = 0.25
_TRIPPED_REST = 60.0
_BLIND_GATE_CAP = 20.0
_SAMPLES = 64
_QUEUE = 100
_ROUNDING = 1e-9

HealthState = Literal["closed", "open", "half_open", "gated", "full"]
_STATES: dict[str, HealthState] = {"breaker": "open", "gate": "gated", "bulkhead": "full"}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a target may not be asked now.

    :ivar until: when that ends by itself.
    :ivar cause: the error that opened the breaker, if any.
    :ivar last_resort: whether it may be asked all the same when nothing else answers.
    """

    reason: Literal["breaker", "gate", "bulkhead"]
    until: float
    cause: CallError | None
    last_resort: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """A breaker that opened or closed.

    :ivar scope: whose breaker: the target's, the credential's, …
    :ivar cause: the kind of the error that opened it.
    :ivar opens_for: seconds until a probe; None of one that closed.
    """

    scope: Scope
    before: Literal["closed", "half_open", "open"]
    after: Literal["closed", "open"]
    now: float
    cause: Kind | None = None
    opens_for: float | None = None


@dataclass(slots=True)
class Permit:
    """The right to report one result.

    :ivar begun: when it was given.
    :ivar epochs: those of the breakers it was given under.
    """

    begun: float
    bulkhead: Bulkhead
    epochs: dict[_Name, int]
    probes: tuple[_Name, ...] = ()


class Health:
    """The state of one client, shared by its calls and views.

    :param rng: chance for pauses; seeded by the caller.
    :ivar turns: the breakers that turned by the last result; whoever takes them clears the list.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._breakers: dict[_Name, Breaker] = {}
        self._known: dict[str, list[tuple[_Name, Breaker]]] = {}  # the breakers of a target
        self._bulkheads: dict[str, Bulkhead] = {}
        self._not_before: dict[str, float] = {}
        self._limited: dict[str, int] = {}
        self._buckets: dict[str, float] = {}
        self._hedges: dict[str, float] = {}
        self._first_content: dict[str, deque[tuple[float, float]]] = {}
        self._last_resort: dict[str, float] = {}
        self.paths: dict[str, str] = {}
        self.turns: list[Turn] = []

    # --- before an attempt ---

    def obstacle(self, plan: TargetPlan, now: float) -> Obstacle | None:
        """Say what forbids asking ``plan`` now, or None."""
        if self._not_before:
            until = self._not_before.get(plan.credential, 0.0)
            if now < until:
                return Obstacle("gate", until, None, last_resort=True)
        if self._breakers:
            closed = self._open(plan, now)
            if closed is not None:
                return closed
        return Obstacle("bulkhead", now, None, last_resort=True) if self.full(plan, now) else None

    def full(self, plan: TargetPlan, now: float) -> bool:
        """Whether as many attempts are under way on ``plan`` as may be."""
        bulkhead = self._bulkheads.get(plan.key)
        if bulkhead is None or (bulkhead.limit is None and plan.at_most is None):
            return False
        return bulkhead.full(now, plan.at_most)

    def _open(self, plan: TargetPlan, now: float) -> Obstacle | None:
        blocked = [breaker for _, breaker in self._of(plan) if breaker.open_until is not None and breaker.blocked(now)]
        if not blocked:
            return None
        worst = max(blocked, key=lambda breaker: breaker.blocked_until)
        rested = all(not breaker.tripped or now - breaker.opened_at >= _TRIPPED_REST for breaker in blocked)
        probing = any(breaker.probe_until is not None and now < breaker.probe_until for breaker in blocked)
        return Obstacle("breaker", worst.blocked_until, worst.cause, last_resort=rested and not probing)

    def clear_at(self, plan: TargetPlan, now: float) -> float:
        """The instant from which ``plan`` may be asked, as far as is known now; nobody knows when a place is free."""
        obstacle = self.obstacle(plan, now)
        if obstacle is None:
            return now
        return inf if obstacle.reason == "bulkhead" else obstacle.until

    def is_probe(self, plan: TargetPlan, now: float) -> bool:
        """Whether an attempt on ``plan`` now would be a breaker's probe."""
        if self._breakers:
            for _, breaker in self._of(plan):
                if breaker.half_open(now):
                    return True
        return False

    def admit(self, plan: TargetPlan, now: float, lease_until: float) -> Permit:
        """Permit one attempt; whatever breaker of ``plan`` is half-open (or overruled) leases its probe to it."""
        bulkhead = self._bulkheads.get(plan.key)
        if bulkhead is None:
            bulkhead = self._bulkheads[plan.key] = Bulkhead()
        bulkhead.flying += 1
        if not self._breakers:
            return Permit(now, bulkhead, {})
        known = self._of(plan)
        probes = tuple(name for name, breaker in known if not breaker.closed)
        for name in probes:
            self._breakers[name].lease(lease_until)
        return Permit(now, bulkhead, {name: breaker.epoch for name, breaker in known}, probes)

    def earn(self, plan: TargetPlan) -> None:
        """Add a first attempt's share to the retry bucket."""
        level = self._buckets.get(plan.credential, _BUCKET_START)
        if level < _BUCKET_CAP:
            self._buckets[plan.credential] = min(_BUCKET_CAP, level + plan.retry.budget)

    def take_retry(self, plan: TargetPlan) -> bool:
        """Take a token for one repeat; False when the bucket is empty. It is not given back."""
        level = self._buckets.get(plan.credential, _BUCKET_START)
        if level < 1.0:
            return False
        self._buckets[plan.credential] = level - 1.0
        return True

    def earn_hedge(self, route: str, share: float) -> None:
        """Add a call's share to the route's hedge bucket, which holds one token at most."""
        self._hedges[route] = min(1.0, self._hedges.get(route, 0.0) + share)

    def take_hedge(self, route: str) -> bool:
        """Take the token for a second attempt; False when there is none."""
        if self._hedges.get(route, 0.0) < 1.0 - _ROUNDING:
            return False
        self._hedges[route] = 0.0
        return True

    def queue(self, plan: TargetPlan) -> bool:
        """Join those that wait for a place in the bulkhead; False when they are too many. Leave with ``dequeue``."""
        bulkhead = self._bulkheads[plan.key]
        if bulkhead.waiting >= _QUEUE:
            return False
        bulkhead.waiting += 1
        return True

    def dequeue(self, plan: TargetPlan) -> None:
        """Leave the queue."""
        self._bulkheads[plan.key].waiting -= 1

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
        return sorted(took for _, took in seen)[ceil(0.95 * len(seen)) - 1] if seen else None

    def fair_chance(self, plan: TargetPlan, own: float) -> float:
        """Seconds within which a healthy target would have begun; its own limit while that was never measured."""
        usual = self.usual_first_content(plan)
        return own if usual is None else min(own, max(1.0, 2.0 * usual))

    @property
    def flying(self) -> int:
        """Attempts under way, over all targets."""
        return sum(bulkhead.flying for bulkhead in self._bulkheads.values())

    def forget(self, plans: Iterable[TargetPlan]) -> None:
        """Forget targets whose credentials nobody uses any more, but not those on which something is under way."""
        for plan in plans:
            bulkhead = self._bulkheads.get(plan.key)
            if bulkhead is not None and (bulkhead.flying or bulkhead.waiting):
                continue
            for by_key in (self._bulkheads, self._first_content, self._last_resort, self.paths):
                by_key.pop(plan.key, None)
            for by_credential in (self._not_before, self._limited, self._buckets):
                by_credential.pop(plan.credential, None)
            for scope in _SCOPES:
                if scope != "endpoint":
                    self._breakers.pop(plan.scope_key(scope), None)
        self._known.clear()

    def after_fork(self) -> None:
        """Forget what is under way: it is the parent's."""
        self._bulkheads = {}

    # --- after an attempt ---

    def first_content(self, permit: Permit, plan: TargetPlan, now: float, took: float) -> None:
        """Content came: remember how long it took, and close the breakers whose probe this was."""
        seen = self._first_content.get(plan.key)
        if seen is None:
            seen = self._first_content[plan.key] = deque(maxlen=_SAMPLES)
        seen.append((now, took))
        if permit.probes:
            for name, breaker in self._probed(permit):
                self._succeed(name, breaker, plan, now)
                permit.epochs[name] = breaker.epoch
            permit.probes = ()

    def settle(self, permit: Permit, plan: TargetPlan, now: float, error: CallError | None, *, blame: bool) -> None:
        """Take an attempt's result. ``blame`` False: the result is neutral."""
        blamed = None
        bulkhead = permit.bulkhead
        if error is None:
            self._limited.pop(plan.credential, None)
            bulkhead.answered()
        else:
            if error.kind == "rate_limited":
                bulkhead.refused(now, permit.begun)
            if error.kind == "rate_limited" or error.retry_after is not None:
                self._shut(plan, now, error)
            if blame:
                blamed = self._blame(permit, plan, now, error)
        bulkhead.flying -= 1
        if not self._breakers:
            return
        answered = error is None or error.status is not None
        for name, breaker in self._of(plan):
            if name == blamed or breaker.epoch != permit.epochs.get(name, 0):
                continue
            if error is None or (answered and name[0] == "endpoint"):
                self._succeed(name, breaker, plan, now)
            elif name in permit.probes:
                breaker.free()

    def _blame(self, permit: Permit, plan: TargetPlan, now: float, error: CallError) -> _Name | None:
        """Count a failure against what it says something about; return the breaker's name."""
        rule = RULES[error.kind]
        if rule.blame not in ("count", "open"):
            return None
        name = plan.scope_key(error.scope or rule.scope)
        breaker = self._breakers.get(name)
        if breaker is None:
            answers = self._first_content.get(plan.key, ())
            breaker = self._breakers[name] = Breaker(plan.breaker.window, [at for at, _ in answers])
            self._known.clear()
        if breaker.epoch == permit.epochs.get(name, 0):
            error = copy(error)  # without its traceback, which holds the whole call
            before, epoch = breaker.state(now), breaker.epoch
            if rule.blame == "open":
                breaker.trip(now, rule.opens_for, error)
            else:
                breaker.fail(now, plan.breaker, self._rng, error)
            if breaker.epoch != epoch:
                self.turns.append(Turn(name[0], before, "open", now, error.kind, breaker.blocked_until - now))
        return name

    def _succeed(self, name: _Name, breaker: Breaker, plan: TargetPlan, now: float) -> None:
        if not breaker.closed:
            self.turns.append(Turn(name[0], breaker.state(now), "closed", now))
        breaker.succeed(now, plan.breaker)

    def release(self, permit: Permit) -> None:
        """Give a permit back without a result, as after a cancellation."""
        permit.bulkhead.flying -= 1
        if permit.probes:
            for _, breaker in self._probed(permit):
                breaker.free()
            permit.probes = ()

    def _probed(self, permit: Permit) -> list[tuple[_Name, Breaker]]:
        """The breakers whose probe an attempt is, as long as they are as they were when it began."""
        known = [(name, self._breakers.get(name)) for name in permit.probes]
        return [(name, one) for name, one in known if one is not None and one.epoch == permit.epochs[name]]

    def _shut(self, plan: TargetPlan, now: float, error: CallError) -> None:
        count = self._limited.get(plan.credential, 0) + (error.kind == "rate_limited")
        self._limited[plan.credential] = count
        if error.retry_after is not None:
            wait = error.retry_after * self._rng.uniform(1.0, HINT_SPREAD)
        else:
            wait = min(_BLIND_GATE_CAP, 2.0 ** min(count - 1, 30)) * self._rng.uniform(0.5, 1.0)
        self._not_before[plan.credential] = max(now + wait, self._not_before.get(plan.credential, 0.0))

    def _of(self, plan: TargetPlan) -> list[tuple[_Name, Breaker]]:
        known = self._known.get(plan.key)
        if known is None:
            names = map(plan.scope_key, _SCOPES)
            known = self._known[plan.key] = [(name, self._breakers[name]) for name in names if name in self._breakers]
        return known

    # --- for people ---

    def copy_for(self, plans: Iterable[TargetPlan], rng: Random) -> Health:
        """Return what is known of some targets, for a rehearsal that changes nothing here.

        :param rng: the rehearsal's own chance.
        """
        plans = tuple(plans)
        keys, credentials = {plan.key for plan in plans}, {plan.credential for plan in plans}
        names = {plan.scope_key(scope) for plan in plans for scope in _SCOPES}
        breakers = {name: self._breakers[name] for name in names if name in self._breakers}
        causes = {id(one.cause): one.cause for one in breakers.values()}  # errors are shared, not copied
        found = Health(rng)
        found._breakers = deepcopy(breakers, causes)
        found._bulkheads = _some(self._bulkheads, keys)
        found._first_content = _some(self._first_content, keys)
        found._last_resort = _some(self._last_resort, keys)
        found.paths = _some(self.paths, keys)
        found._not_before = _some(self._not_before, credentials)
        found._limited = _some(self._limited, credentials)
        found._buckets = _some(self._buckets, credentials)
        found._hedges = dict(self._hedges)
        return found

    def state(self, plan: TargetPlan, now: float) -> tuple[HealthState, float]:
        """What stands between the target and a call, and the seconds until that may change."""
        obstacle = self.obstacle(plan, now)
        if obstacle is not None:
            return _STATES[obstacle.reason], obstacle.until - now
        return ("half_open" if self.is_probe(plan, now) else "closed"), 0.0


def _some(known: Mapping[str, _T], keys: Iterable[str]) -> dict[str, _T]:
    return {key: copy(known[key]) for key in keys if key in known}
