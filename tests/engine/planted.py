"""Broken engines: each is one small change that the laws must notice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from multimodel.engine import RULES, Ended, ToolShown, breaker, health, limits, race
from multimodel.engine.breaker import Breaker
from multimodel.engine.bulkhead import Bulkhead
from multimodel.engine.course import Course
from multimodel.engine.flight import Flight
from multimodel.engine.health import Health, Obstacle
from multimodel.engine.race import Race
from multimodel.engine.retry import RetrySteps
from multimodel.engine.run import _Run
from multimodel.errors import error_for

__all__ = ["BUGS"]

Bug = Callable[[], AbstractContextManager[None]]


@contextmanager
def changed(owner: Any, **new: Any) -> Iterator[None]:
    """Put something else in the place of an owner's attributes, which it must have."""
    old = {name: getattr(owner, name) for name in new}
    for name, value in new.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in old.items():
            setattr(owner, name, value)


@contextmanager
def ruled(kind: str, **facts: Any) -> Iterator[None]:
    """Change one row of the table."""
    row = RULES[kind]
    RULES[kind] = replace(row, **facts)
    try:
        yield
    finally:
        RULES[kind] = row


@contextmanager
def both(*changes: AbstractContextManager[None]) -> Iterator[None]:
    with ExitStack() as stack:
        for change in changes:
            stack.enter_context(change)
        yield


def around(owner: Any, name: str, wrapper: Callable[..., Any]) -> AbstractContextManager[None]:
    """Call ``wrapper(original, *arguments)`` instead of a method."""
    original = getattr(owner, name)
    return changed(owner, **{name: lambda *args, **facts: wrapper(original, *args, **facts)})


def during(owner: Any, name: str, of: Callable[[Any], Any], **pretended: Any) -> AbstractContextManager[None]:
    """Let a method believe that attributes of ``of(self)`` are others."""

    def wrapper(original, self, *args, **facts):
        with changed(of(self), **pretended):
            return original(self, *args, **facts)

    return around(owner, name, wrapper)


def _with_settings(original, self, now, settings, *rest, **different):
    return original(self, now, replace(settings, **different), *rest)


def _without_epoch(original, self, *args):
    epoch = self.epoch
    original(self, *args)
    self.epoch = epoch


def _close(self):
    self.open_until = self.probe_until = None


def _gate_of_target(original, self, plan, now, error):
    original(self, replace(plan, credential=plan.key), now, error)


def _obstacle_by_target(original, self, plan, now):
    until = self._not_before.get(plan.key, 0.0)
    if now < until:
        return Obstacle("gate", until, None, last_resort=True)
    gates, self._not_before = self._not_before, {}
    try:
        return original(self, plan, now)
    finally:
        self._not_before = gates


def _forgetful(original, self, plan, now, error):
    until = self._not_before.get(plan.credential, 0.0)
    original(self, plan, now, error)
    self._not_before[plan.credential] = until


def _wait_of(share):
    def wrapper(original, self, plan, now, error):
        if error.retry_after is None:
            return original(self, plan, now, error)
        shorter = error_for(error.kind, retry_after=error.retry_after * share)
        return original(self, plan, now, shorter)

    return wrapper


def _lands_as_failure(original, self, ended, now):
    if ended.cancelled and ended.error is None:
        late = error_for("server_error")
        self._health.settle(self._permit, self.plan, now, late, blame=True)
        self._record(now, "lost", ended)
        return
    original(self, ended, now)


def _truncated_is_fine(original, self, landed, ended):
    if ended.error is not None and ended.error.kind == "truncated_stream":
        ended = Ended(ended.now, ended.attempt)
    original(self, landed, ended)


def _shows_at_once(self, landed):
    if self._winner is None:
        self._winner, self.wake = landed, None
        landed.begin_content(self._course.now)
        self.do = self._show(landed)


def _any_rival(original, self):
    found, lead = original(self), self._lead
    if found is not None or not self._course.rest:
        return found
    same = self._course.rest[0]
    if same.credential != lead.credential or self._course.health.obstacle(same, self._course.now) is not None:
        return None
    if not self._course.health.take_hedge(self._course.call.route):
        return None
    self._course.asked |= {lead.key, same.key}
    return same


def _permit_kept(original, self, permit, plan, now, error, *, blame):
    original(self, permit, plan, now, error, blame=blame)
    self._bulkheads[plan.key].flying += error is not None


def _no_tool(original, self, event):
    if isinstance(event, ToolShown):
        self.do = None
    else:
        original(self, event)


def _plans(change):
    return lambda original, self, begun, plans: original(self, begun, change(plans))


def _gives_up(self, _deferred):
    return self._failed_all()
    yield


def _twice(original, self, attempts, *rest):
    original(self, attempts + 1, *rest)


def _anything_goes(original, self, ended):
    if ended.error is None or ended.error.should_retry is not False:
        return original(self, ended)
    bare = error_for(ended.error.kind)
    return original(self, Ended(ended.now, ended.attempt, bare))


def _visits_again(original, self, plan, reason):
    decided, ended = yield from original(self, plan, reason)
    if ended.error is not None and self.course.committed and not self.course.too_late:
        decided, ended = yield from self._attempt(plan, "retry")
    return decided, ended


def _keeps_its_streak(original, self, *args):
    streak = self._streak
    original(self, *args)
    self._streak = streak


def _patient(original, self, plan, ended, sleep):
    return original(self, replace(plan, retry=replace(plan.retry, patience=1e9)), ended, sleep)


def _as_if_it_could(original, self, plan):
    return original(self, replace(plan, prefill=True))


def _counts_the_first_only(original, self, now, settings, *rest):
    if not self._streak and self.open_until is None:
        original(self, now, settings, *rest)


BUGS: dict[str, Bug] = {
    # of breakers, probes and blame
    "half-open admits all": lambda: changed(
        Breaker, blocked=lambda self, now: self.open_until is not None and now < self.open_until
    ),
    "a cancelled probe keeps its place": lambda: around(
        Health, "release", lambda original, self, permit: original(self, replace(permit, probes=()))
    ),
    "a neutral probe keeps its place": lambda: changed(Breaker, free=lambda self: None),
    "no epochs": lambda: both(around(Breaker, "_open", _without_epoch), around(Breaker, "succeed", _without_epoch)),
    "a breaker never closes": lambda: changed(Breaker, succeed=lambda self, now, settings: None),
    "a neutral result closes": lambda: changed(Breaker, free=_close),
    "a failed probe closes": lambda: around(
        Breaker,
        "fail",
        lambda original, self, *args: _close(self) if self.open_until is not None else original(self, *args),
    ),
    "open for longer than the policy says": lambda: around(
        Breaker,
        "_pause",
        lambda original, self, settings, rng: original(self, replace(settings, open_at_most=1e9), rng),
    ),
    "open for a second": lambda: changed(breaker, _FIRST_PAUSE=1.0),
    "opens one failure late": lambda: around(
        Breaker,
        "fail",
        lambda original, self, now, settings, *rest: original(
            self, now, replace(settings, failures=settings.failures + 1), *rest
        ),
    ),
    "the ratio is not looked at": lambda: around(Breaker, "fail", lambda *args: _with_settings(*args, ratio=2.0)),
    "the ratio of fewer than ten": lambda: changed(breaker, _MIN_SAMPLES=2),
    "an answer does not end a streak": lambda: around(Breaker, "succeed", _keeps_its_streak),
    "only the first failure of a streak counts": lambda: around(Breaker, "fail", _counts_the_first_only),
    "the window never moves on": lambda: both(
        *(around(Breaker, name, lambda *args: _with_settings(*args, window=1e9)) for name in ("fail", "succeed"))
    ),
    "a refused key is only counted": lambda: ruled("authentication", blame="count"),
    "a failure of the endpoint is the target's": lambda: ruled("connection.unsent", scope="target"),
    "a bad request is the target's fault": lambda: ruled("bad_request", blame="count"),
    "the caller's haste is the target's fault": lambda: changed(Flight, _blamed=lambda self, error, now: True),
    "a silent probe has all the time": lambda: changed(Health, fair_chance=lambda self, plan, own: own),
    # repeats and their budget
    "no retry budget": lambda: changed(Health, take_retry=lambda self, plan: True),
    "a repeat too many": lambda: around(RetrySteps, "__init__", _twice),
    "a backoff past the deadline": lambda: during(_Run, "_forbidden", lambda self: self.course, deadline=float("inf")),
    "a backoff without a cap": lambda: both(changed(limits, _BACKOFF_CAP=1e9), changed(limits, _BACKOFF=5.0)),
    "should_retry false is not heeded": lambda: around(_Run, "_repeatable", _anything_goes),
    "a bad request is repeated": lambda: ruled("bad_request", same="budget"),
    "a silent target is asked again": lambda: ruled("timeout.first", same="budget"),
    "repeated after content was shown": lambda: around(_Run, "_visit", _visits_again),
    # of gates
    "gates are not heeded": lambda: around(Health, "_shut", _forgetful),
    "a gate for each target": lambda: both(
        around(Health, "_shut", _gate_of_target), around(Health, "obstacle", _obstacle_by_target)
    ),
    "half of Retry-After": lambda: around(Health, "_shut", _wait_of(0.5)),
    "twice Retry-After": lambda: around(Health, "_shut", _wait_of(2.0)),
    "a long wait though another could be asked": lambda: around(_Run, "_forbidden", _patient),
    # the last resort
    "the last resort of a refused key": lambda: changed(health, _TRIPPED_REST=0.0),
    "the last resort without a limit": lambda: changed(Health, take_last_resort=lambda self, plan, now: True),
    "no last resort": lambda: changed(_Run, _last_resort=_gives_up),
    # the chain
    "fallbacks in reverse": lambda: around(_Run, "__init__", _plans(lambda plans: (*plans[:1], *reversed(plans[1:])))),
    "each target twice": lambda: around(_Run, "__init__", _plans(lambda plans: (*plans, *plans))),
    "one request too many": lambda: changed(
        Course, used_up=property(lambda self: len(self.call.attempts) > self.settings.max_attempts)
    ),
    "the first target may take all the time": lambda: during(Race, "_limits", lambda self: self._course, rest=()),
    "begins when it is too late": lambda: changed(Course, too_late=property(lambda self: False)),
    "a bad request is passed on": lambda: ruled("bad_request", next="yes"),
    "what is too long is sent to the same window": lambda: ruled("context_window_exceeded", next="yes"),
    "what was filtered is passed on": lambda: ruled("content_filtered", next="yes"),
    "a skip is not recorded": lambda: changed(_Run, _record_obstacle=lambda self, plan, obstacle: None),
    "an attempt is not recorded": lambda: around(
        Flight,
        "_record",
        lambda original, self, now, outcome, ended: original(self, now, outcome, ended) if outcome == "ok" else None,
    ),
    "effects are not heeded": lambda: changed(sys.modules[_Run.__module__], MAYBE_DONE=frozenset()),
    # what the caller sees
    "begins anew though the caller wants an error": lambda: during(
        _Run, "_goes_on", lambda self: self.course, final=False
    ),
    "begins anew after a tool call": lambda: around(Race, "take", _no_tool),
    "a cut answer is a success": lambda: around(Race, "_landed", _truncated_is_fine),
    "goes on where that is not known to work": lambda: around(_Run, "_skipped", _as_if_it_could),
    "content of two attempts without a word": lambda: during(Race, "_begin", lambda self: self._course, begun=False),
    # two side by side
    "a hedge on the same key": lambda: around(Race, "_rival", _any_rival),
    "hedges without a budget": lambda: changed(Health, take_hedge=lambda self, route: True),
    "hedges are saved up": lambda: changed(
        Health,
        earn_hedge=lambda self, route, share: self._hedges.__setitem__(route, self._hedges.get(route, 0.0) + share),
        take_hedge=lambda self, route: (
            self._hedges.get(route, 0.0) >= 1.0 and not self._hedges.__setitem__(route, self._hedges[route] - 1.0)
        ),
    ),
    "a hedge too early": lambda: changed(race, _HEDGE_AFTER=0.0),
    "the loser is not broken off": lambda: changed(Race, _first=_shows_at_once),
    "the loser is a failure": lambda: around(Flight, "land", _lands_as_failure),
    # permits and places
    "a failure keeps its permit": lambda: around(Health, "settle", _permit_kept),
    "no bulkhead": lambda: changed(Bulkhead, full=lambda self, now, at_most: False),
}
"""By name."""
