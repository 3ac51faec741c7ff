"""One attempt under way: its permit, its limits, and the record of how it ended."""

from __future__ import annotations

from ..errors import CallError
from ..types import AttemptRecord
from .call import Call
from .health import Health, Permit
from .rules import NOT_SENT
from .steps import Ended, Start

__all__ = ["Flight"]

_OK = 200
_REFUSED = 400
_EDGE = 1e-3  # a limit that ran out is measured a moment early by some clocks


class Flight:
    """One attempt.

    :param own: seconds that the target's own limit gives its first content.
    :param reserved: what the call's budget sets aside for it.
    :ivar first: when its first content came, or None.
    :ivar shown: whether content of it was handed to the caller.
    """

    __slots__ = ("_call", "_health", "_own", "_permit", "_reserved", "first", "plan", "shown", "start", "started")

    def __init__(self, call: Call, health: Health, start: Start, permit: Permit, own: float, reserved: int = 0) -> None:
        self._call = call
        self._health = health
        self._permit = permit
        self._own = own
        self._reserved = reserved
        self.start = start
        self.plan = start.plan
        self.started = permit.begun
        self.first: float | None = None
        self.shown = False

    def begin_content(self, now: float) -> None:
        """Its first content came."""
        self.first = now
        self._health.first_content(self._permit, self.plan, now, now - self.started)
        if self._health.turns:
            self._take_turns()

    def land(self, ended: Ended, now: float) -> None:
        """Take its end: settle with the target's health, and record it."""
        error = ended.error
        if error is None and ended.cancelled:
            self._health.release(self._permit)
            self._record(now, "lost", ended)
            return
        blame = error is None or self._blamed(error, now)
        self._health.settle(self._permit, self.plan, now, error, blame=blame)
        if self._health.turns:
            self._take_turns()
        if error is not None:
            error.target, error.provider = str(self.plan.target), self.plan.target.provider
            if error.kind in NOT_SENT:
                if self._call.budget is not None:
                    self._call.budget.settle(self._reserved, 0.0)
                self._call.skip(self.plan.target, error.code or error.kind, error.message, error)
                return
            self._call.errors.append(error)
        self._record(now, "ok" if error is None else error.kind, ended)

    def _take_turns(self) -> None:
        self._call.turns += tuple((self.plan.target, turn) for turn in self._health.turns)
        self._health.turns.clear()

    def abandon(self, now: float, outcome: str) -> None:
        """Nobody waits for its end any more."""
        self._health.release(self._permit)
        self._record(now, outcome, None)

    def _blamed(self, error: CallError, now: float) -> bool:
        """A time-out that the caller's haste cut short counts only if the attempt had a fair chance."""
        if error.kind not in ("timeout.first", "timeout.whole", "deadline_exceeded"):
            return True
        if self.first is not None and error.kind == "deadline_exceeded":
            return False
        return now - self.started >= self._health.fair_chance(self.plan, self._own) - _EDGE

    def _estimated(self, error: CallError | None) -> float | None:
        """What it cost in US dollars, of which no vendor says anything: at most all that it could."""
        if error is not None and self.first is None:
            unread = error.kind in ("connection.unsent", "connection.tls", "timeout.connect", "bad_request")
            if unread or (error.status is not None and error.status >= _REFUSED):
                return 0.0  # a refusal is no answer, and tokens are what is paid for
        return self._call.cost_at_most(self.plan, goes_on=self.start.how == "continue")

    def _record(self, now: float, outcome: str, ended: Ended | None) -> None:
        error = ended.error if ended is not None else None
        if outcome == "ok" and ended is not None:
            cost, estimated = None if ended.usage is None else ended.usage.cost, False
        else:
            cost = self._estimated(error)
            estimated = cost is not None
        if self._call.budget is not None:
            self._call.budget.settle(self._reserved, None if estimated and cost != 0.0 else cost)
        source = error or ended
        begun = self._call.started
        status = _OK if ended is not None and not ended.cancelled and self.plan.http else None
        self._call.attempts.append(
            AttemptRecord(
                self.start.attempt,
                self.plan.target,
                self.start.reason,
                outcome,
                self.started - begun,
                now - begun,
                None if self.first is None else self.first - begun,
                status if error is None else error.status,
                None if error is None else error.code,
                None if source is None else source.request_id,
                self.shown,
                None if ended is None else ended.usage,
                cost,
                estimated,
            )
        )
