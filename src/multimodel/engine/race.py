"""One attempt, or two side by side: whoever's content comes first is the answer, the other is broken off."""

from __future__ import annotations

from ..types import AttemptReason, Limits
from .course import Course
from .flight import Flight
from .health import Health
from .limits import SHARES, content_limit, own_limit
from .rules import NOT_SENT, RULES
from .settings import HedgeSettings, TargetPlan
from .steps import Cancel, Commit, Ended, Event, First, Start, Woke

__all__ = ["Race", "hedge_after"]

_LEASE_GRACE = 5.0
_HEDGE_AFTER = 1.0


def hedge_after(hedge: HedgeSettings, plan: TargetPlan, health: Health) -> float:
    """Return the seconds without content after which a second attempt may join one on ``plan``."""
    if hedge.after is not None:
        return hedge.after
    usual = health.usual_first_content(plan)
    return max(_HEDGE_AFTER, plan.first_content / 2 if usual is None else usual)


class Race:
    """The attempts of one visit that are under way at the same time. It has begun when it is made.

    :ivar do: what the driver shall do now.
    :ivar wake: when a second attempt may join, or None.
    :ivar verdict: the attempt that decides, and how it ended. The race is over when there is one and nobody flies.
    :ivar loser: whose attempt was broken off, though nothing was wrong with it, for one whose content came first.
    """

    __slots__ = ("_course", "_lead", "_refused", "_winner", "do", "flights", "loser", "verdict", "wake")

    def __init__(self, course: Course, plan: TargetPlan, reason: AttemptReason) -> None:
        self._course = course
        self._lead = plan
        self._winner: Flight | None = None
        self._refused: tuple[Flight, Ended] | None = None
        self.verdict: tuple[Flight, Ended] | None = None
        self.loser: TargetPlan | None = None
        self.wake = self._hedge_at(reason)
        self.flights: list[Flight] = []
        self.do: Start | Cancel | Commit | None = self._begin(plan, reason)

    def take(self, event: Event) -> None:
        """Decide what follows from an event."""
        self.do = None
        if isinstance(event, First):
            self._first(self._flight(event.attempt))
        elif isinstance(event, Ended):
            self._landed(self._flight(event.attempt), event)
        elif isinstance(event, Woke):
            self.wake = None
            rival = self._rival()
            if rival is not None:
                self.do = self._begin(rival, "hedge")
        else:
            self._course.final = self._course.final or self._course.committed

    def abandon(self, outcome: str) -> None:
        """Nobody waits for what is under way any more."""
        for flight in self.flights:
            flight.abandon(self._course.now, outcome)

    def _flight(self, number: int) -> Flight:
        for flight in self.flights:
            if flight.start.attempt == number:
                return flight
        raise ValueError(f"attempt {number} is not under way")

    def _first(self, flight: Flight) -> None:
        if self._winner is not None or self.verdict is not None:
            return
        self._winner, self.wake = flight, None
        flight.begin_content(self._course.now)
        if len(self.flights) == 1:
            self.do = self._show(flight)
        else:
            self.do = Cancel(next(other.start.attempt for other in self.flights if other is not flight))

    def _landed(self, flight: Flight, ended: Ended) -> None:
        course, error = self._course, ended.error
        self.flights.remove(flight)
        flight.land(ended, course.now)
        if error is None and ended.cancelled and self._winner is not None:
            self.loser = flight.plan
        if error is not None and RULES[error.kind].next == "window":
            course.window_floor = max(course.window_floor or 0, flight.plan.window or 0)
        if error is not None and error.kind in NOT_SENT and flight.plan is not self._lead:
            course.asked -= {self._lead.key, flight.plan.key}  # the one was alone, the other has its turn still
        if flight is self._winner or (self.verdict is None and not self.flights):
            self.verdict = flight, ended
            if error is not None and self._refused is not None:
                self._stand_by(self._refused)
        elif self._winner is not None:
            self.do = self._show(self._winner)
        elif self.verdict is None and error is not None and flight.plan is not self._lead:
            if course.ends_the_call(error):  # no reason to break the first one off, which may answer all the same
                self._refused = flight, ended
        elif self.verdict is None and (error is None or course.ends_the_call(error)):
            self.verdict = flight, ended
            self.do = Cancel(self.flights[0].start.attempt)

    def _stand_by(self, refused: tuple[Flight, Ended]) -> None:
        """The first one failed as well: what the second was refused is the caller's to see, and nobody else is asked."""
        if self._course.committed:
            self._course.final = True
        else:
            self.verdict = refused

    def _show(self, flight: Flight) -> Commit | None:
        """Decide what becomes of the winner's content, now that its first piece is there."""
        course, mode = self._course, self._course.settings.mid_stream
        course.begun = mode != "error"
        if not course.call.stream:
            return None
        course.committed = flight.shown = True
        course.final = course.final or mode == "error"
        return Commit(flight.start.attempt)

    def _begin(self, plan: TargetPlan, reason: AttemptReason) -> Start:
        course, health = self._course, self._course.health
        course.sent += 1
        probe = health.is_probe(plan, course.now)
        limits, own = self._limits(plan, probe=probe)
        permit = health.admit(plan, course.now, limits.first_content + _LEASE_GRACE)
        how = course.how if course.begun else "fresh"
        if probe and reason != "last_resort":
            reason = "probe"
        start = Start(course.sent, plan, limits, reason, how, health.paths.get(plan.key))
        call = course.call
        reserved = 0
        if call.budget is not None:
            reserved = call.budget.reserve(call.cost_at_most(plan, goes_on=how == "continue"))
        self.flights.append(Flight(call, health, start, permit, own, reserved))
        return start

    def _limits(self, plan: TargetPlan, *, probe: bool) -> tuple[Limits, float]:
        """The attempt's limits, and the target's own limit for its first content in seconds."""
        course = self._course
        own = own_limit(plan)
        if probe:
            own = course.health.fair_chance(plan, own)
        eligible = 1
        for other in course.rest:
            eligible += course.askable(other)  # a target that was asked out of its turn is not
            if eligible == SHARES:
                break
        limit = content_limit(course.now, course.deadline, own, eligible)
        return Limits(plan.connect, limit, plan.idle, limit, course.deadline), own

    # --- a second attempt ---

    def _hedge_at(self, reason: AttemptReason) -> float | None:
        course, plan = self._course, self._lead
        hedge = course.settings.hedge
        if (
            hedge is None
            or not course.rest
            or course.settings.effects
            or course.committed
            or reason in ("retry", "path", "last_resort", "reask")
        ):
            return None
        return course.now + hedge_after(hedge, plan, course.health)

    def _rival(self) -> TargetPlan | None:
        """Choose who is asked beside the first, and take the token for it; None when nobody may be."""
        course, lead = self._course, self._lead
        if course.too_late or len(course.call.attempts) + len(self.flights) >= course.settings.max_attempts:
            return None
        for other in course.rest:
            apart = other.credential != lead.credential and other.endpoint != lead.endpoint
            if not apart or course.too_small(other) or not course.askable(other):
                continue
            if course.health.is_probe(other, course.now):
                continue
            if not course.health.take_hedge(course.call.route):
                return None
            course.asked |= {lead.key, other.key}
            course.health.earn(other)
            return other
        return None
