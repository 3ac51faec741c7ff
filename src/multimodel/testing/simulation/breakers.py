"""When breakers may open and close, judged from the results that were seen."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ...engine import Health, Start, TargetPlan
from ...engine.breaker import Breaker
from ...errors import Scope

__all__ = ["Books", "Flown", "Name", "Result"]

Name: TypeAlias = tuple[Scope, str]
Result = Literal["success", "neutral", "counted", "perhaps", "trips"]
"""What a result says of one breaker. ``perhaps``: a time-out that was cut short, but not by much."""
Broken: TypeAlias = tuple[str, str]
"""A law and what is wrong."""

_SCOPES: tuple[Scope, ...] = ("target", "credential", "credential_model", "endpoint")
_FIRST_PAUSE = 5.0
_LEAST_JITTER = 0.75
_SAMPLES = 10
_SLOT = 0.5  # seconds
_SURE_SHARE = 5.0 / 6.0  # of the window: the oldest sixth may be forgotten
_REST = 60.0
_ROUNDING = 1e-6


class Flown:
    """An attempt, and the state of the breakers when it began.

    :ivar overruled: whether it began although a breaker was open.
    """

    __slots__ = ("begun", "first", "overruled", "plan", "serials", "start")

    def __init__(self, start: Start, now: float) -> None:
        self.start = start
        self.plan = start.plan
        self.begun = now
        self.first: float | None = None
        self.serials: dict[Name, int] | None = None
        self.overruled = False


@dataclass(slots=True)
class _Slot:
    """Results of half a second."""

    at: int
    good: int = 0
    bad: int = 0
    perhaps: int = 0


class _Track:
    """What is known of one breaker: how it was seen last, and the results since then."""

    __slots__ = ("certain", "exists", "longest", "open_until", "opened_at", "openings", "possible", "probe", "results", "serial", "since", "tripped")  # fmt: skip

    def __init__(self, now: float) -> None:
        self.serial = 0  # of its changes
        self.open_until: float | None = None
        self.opened_at = 0.0
        self.openings = 0
        self.tripped = False
        self.probe: Flown | None = None
        self.longest = 0.0
        self.exists = False  # the engine makes a breaker when something first fails
        self.since: float | None = now  # answers before this may count, and are not known here
        self._forget()

    def _forget(self) -> None:
        self.certain = self.possible = 0  # failures in a row
        self.results: deque[_Slot] = deque()

    def add(self, now: float, result: Result) -> None:
        """Remember a result of a closed breaker."""
        at = int(now / _SLOT)
        if not self.results or self.results[-1].at != at:
            self.results.append(_Slot(at))
        slot = self.results[-1]
        if result == "success":
            self.certain = self.possible = 0
            slot.good += 1
        else:
            self.possible += 1
            self.certain += result == "counted"
            slot.bad += result == "counted"
            slot.perhaps += result == "perhaps"

    def verdict(self, plan: TargetPlan, now: float) -> tuple[bool, bool]:
        """Whether it must open now, and whether it may.

        By ratio it must if it would whatever part of the oldest sixth of the window is looked at, and may if it
        would for some part.
        """
        settings = plan.breaker
        if self.certain >= settings.failures:
            return True, True
        oldest, sure = (now - settings.window) / _SLOT - 1.0, (now - _SURE_SHARE * settings.window) / _SLOT
        self.longest = max(self.longest, settings.window)  # targets with other windows share the breaker
        while self.results and self.results[0].at < (now - self.longest) / _SLOT - 1.0:
            self.results.popleft()
        must, may = self.since is None or self.since < now - settings.window, self.possible >= settings.failures
        good = bad = perhaps = 0
        for slot in reversed(self.results):
            if slot.at < oldest:
                break
            if slot.at < sure:
                must = must and _opens(good, bad, settings.ratio) and _opens(good + slot.good, bad, settings.ratio)
                may = may or _may_open(good, bad + perhaps + slot.bad + slot.perhaps, settings.ratio)
            good += slot.good
            bad += slot.bad
            perhaps += slot.perhaps
        return must and _opens(good, bad, settings.ratio), may or _may_open(good, bad + perhaps, settings.ratio)

    def changed(self, now: float, open_until: float | None, *, trips: bool) -> None:
        """Take over what was seen."""
        self.serial += 1
        self.open_until = open_until
        self.opened_at = now
        self.openings = 0 if open_until is None else self.openings + 1
        self.tripped = trips and open_until is not None
        self.probe = self.since = None
        self._forget()


def _opens(good: int, bad: int, ratio: float) -> bool:
    return good + bad >= _SAMPLES and bad >= ratio * (good + bad) - _ROUNDING


def _may_open(good: int, bad: int, ratio: float) -> bool:
    """Answers from before the first failure count, as many as there were: they make up for missing samples."""
    return bad >= ratio * max(_SAMPLES, good + bad) - _ROUNDING


class Books:
    """What is known of all breakers of a client.

    :ivar tracks: those of which something was told; while there are none, nothing needs to be told but a failure.
    """

    def __init__(self, health: Health) -> None:
        self._breakers: dict[Name, Breaker] = health._breakers  # noqa: SLF001  # what opens and closes is seen nowhere else
        self.tracks: dict[Name, _Track] = {}
        self._names: dict[str, tuple[Name, ...]] = {}

    def started(self, flown: Flown, now: float) -> Sequence[Broken]:
        """An attempt began: remember under which breakers, and say what is wrong with that."""
        broken: list[Broken] = []
        reason, target = flown.start.reason, flown.plan.target
        flown.serials = {}
        for name in self.names(flown.plan):
            track = self.tracks.get(name)
            if track is None:
                continue
            flown.serials[name] = track.serial
            if track.open_until is None:
                continue
            if now < track.open_until:
                flown.overruled = True
                if reason != "last_resort":
                    broken.append(("open", f"{target} is asked while {name} is open"))
                elif track.tripped and now - track.opened_at < _REST:
                    broken.append(("open", f"{target} is asked {now - track.opened_at:.3f} s after {name} tripped"))
            elif reason not in ("probe", "last_resort"):
                broken.append(("probe", f"{target} is asked as {reason} while {name} is half-open"))
            if track.probe is not None:
                broken.append(("probe", f"a second probe of {name}"))
            track.probe = flown
        return broken

    def first_content(self, flown: Flown, now: float) -> Iterator[Broken]:
        """Content came: breakers whose probe this is close, others stay as they are."""
        for name in self.names(flown.plan):
            track = self.tracks.get(name)
            if track is None:
                continue
            probing = track.open_until is not None and self._fresh(flown, name, track)
            yield from self._judge(flown, name, track, "success" if probing else "neutral", now, adds=False)
            if probing and flown.serials is not None:
                flown.serials[name] = track.serial

    def landed(
        self, flown: Flown, now: float, result: Result, blamed: Name | None, *, answered: bool, then: TargetPlan | None
    ) -> Iterator[Broken]:
        """An attempt ended.

        :param result: is about ``blamed``, or about all of its breakers when that is None.
        :param then: what is asked next in the same breath.
        """
        for name in self.names(flown.plan):
            mine: Result = result if blamed in (None, name) else "neutral"
            if answered and name[0] == "endpoint" and mine == "neutral":
                mine = "success"
            track = self.tracks.get(name)
            if track is None:
                if name != blamed:
                    continue
                track = self.tracks[name] = _Track(now)
            yield from self._judge(flown, name, track, mine, now, adds=True)
            if track.probe is flown:
                track.probe = None
                breaker = self._breakers.get(name)
                taken = then is not None and name in self.names(then)
                if (
                    not taken
                    and breaker is not None
                    and breaker.open_until is not None
                    and (breaker.probe_until or 0.0) > now
                ):
                    yield "permits", f"the probe of {name} is not given back"

    def blocked(self, plan: TargetPlan, now: float) -> bool:
        """Whether a breaker keeps ``plan`` from being asked."""
        return any(
            track.open_until is not None and (now < track.open_until or track.probe is not None)
            for track in self._of(plan)
        )

    def rested(self, plan: TargetPlan, now: float) -> bool:
        """Whether ``plan`` may be the last resort as far as its breakers go."""
        return all(
            track.open_until is None or (track.probe is None and not (track.tripped and now - track.opened_at < _REST))
            for track in self._of(plan)
        )

    def closed(self, plan: TargetPlan) -> bool:
        """Whether all breakers of ``plan`` are closed."""
        return all(track.open_until is None for track in self._of(plan))

    def held(self, now: float) -> list[Name]:
        """Breakers whose probe is under way, as the engine has it."""
        return [
            name
            for name, breaker in self._breakers.items()
            if breaker.open_until is not None and (breaker.probe_until or 0.0) > now
        ]

    def names(self, plan: TargetPlan) -> tuple[Name, ...]:
        """Name the breakers of ``plan``."""
        known = self._names.get(plan.key)
        if known is None:
            known = self._names[plan.key] = tuple(plan.scope_key(scope) for scope in _SCOPES)
        return known

    def _of(self, plan: TargetPlan) -> list[_Track]:
        return [self.tracks[name] for name in self.names(plan) if name in self.tracks]

    def _fresh(self, flown: Flown, name: Name, track: _Track) -> bool:
        return ((flown.serials or {}).get(name, 0)) == track.serial

    def _judge(
        self, flown: Flown, name: Name, track: _Track, result: Result, now: float, *, adds: bool
    ) -> Iterator[Broken]:
        """Say what is wrong with how a breaker took a result, and take over how it is seen now."""
        breaker = self._breakers.get(name)
        if not track.exists:  # of the answers before its first failure a breaker knows as many as are remembered
            track.exists, track.since = breaker is not None, now
            track.results.clear()
        seen = None if breaker is None else breaker.open_until
        changed, closed, fresh = seen != track.open_until, track.open_until is None, self._fresh(flown, name, track)
        if fresh and closed and adds and result != "neutral":
            track.add(now, result)
        if changed or (fresh and result != "neutral"):  # what changes nothing and should not needs no look
            if not fresh:
                yield "stale", f"{name} changed by a result of {flown.plan.target} from before its last change"
            elif closed:
                yield from self._judge_closed(flown.plan, name, track, result, now, opened=changed)
            else:
                yield from _judge_open(name, result, changed=changed, closed=seen is None)
        if changed:
            if seen is not None and result != "trips":  # how long it is open then is the table's to say
                yield from _judge_pause(flown.plan, name, track.openings, seen - now)
            track.changed(now, seen, trips=result == "trips")

    def _judge_closed(
        self, plan: TargetPlan, name: Name, track: _Track, result: Result, now: float, *, opened: bool
    ) -> Iterator[Broken]:
        if result in ("neutral", "success"):
            if opened:
                yield "neutral", f"{name} opened without a failure"
            return
        must, may = (True, True) if result == "trips" else track.verdict(plan, now)
        if opened and not may:
            yield "opens", f"{name} opened too early"
        elif must and not opened and result != "perhaps":
            yield "opens", f"{name} stays closed"


def _judge_open(name: Name, result: Result, *, changed: bool, closed: bool) -> Iterator[Broken]:
    if result == "neutral":
        yield "neutral", f"{name} changed by a neutral result"
    elif result == "success":
        if not closed:
            yield "closes", f"{name} stays open though its probe was answered"
    elif closed:
        yield "closes", f"{name} closed by a failure"
    elif not changed and result != "perhaps":
        yield "opens", f"{name} is not open again after its probe failed"


def _judge_pause(plan: TargetPlan, name: Name, openings: int, pause: float) -> Iterator[Broken]:
    most = min(plan.breaker.open_at_most, _FIRST_PAUSE * 2.0 ** min(openings, 30))
    if not _LEAST_JITTER * most - _ROUNDING <= pause <= most + _ROUNDING:
        yield "opens", f"{name} is open for {pause:.3f} s, which should be {most:.3f} s at most"
