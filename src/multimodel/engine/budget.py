"""What calls may spend. Amounts are whole billionths of a US dollar, so that sums are exact.

1. Before an attempt begins, the most that it can cost is set aside; one that does not fit is not begun.
2. When it has ended, what it cost is booked, and all of what was set aside for it is free again. Of an attempt whose
   cost nobody knows, the most that it can have cost is booked: closing a connection does not always stop the bill.
3. As long as no attempt costs more than was set aside for it, what was spent and what is set aside never exceed the
   budget together. One that does is booked as it is.
4. What costs nothing is always allowed. What has no known price never is.
5. A call belongs to the day on which it began.
6. Each alarm is told once a day, and anew of another budget: when its share is spent. That of the whole day is also
   told when a target is left out for want of room: a day is seldom spent to the last billionth.

The caller keeps the lock, as for the rest of the client's memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, inf, isfinite
from typing import Protocol

from .settings import TargetPlan

__all__ = ["UNPRICED", "Budget", "BudgetSettings", "CostAtMost", "Spending", "Spendings", "billionths", "dollars"]


class CostAtMost(Protocol):
    """Knows the most that an attempt can cost."""

    def __call__(self, plan: TargetPlan, *, goes_on: bool) -> float | None:
        """Return US dollars; None when nobody knows.

        :param goes_on: whether it goes on with an answer that another began, which is then input as well.
        """
        ...


UNPRICED = "its price is unknown"
_BILLION = 1_000_000_000


def billionths(amount: float) -> int:
    """Return US dollars in billionths, rounded up."""
    return ceil(round(amount * _BILLION, 3))


def dollars(amount: int) -> float:
    """Return billionths in US dollars."""
    return amount / _BILLION


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """The limits, in billionths of a US dollar.

    :ivar per_call: for all attempts of one call together; None is no limit.
    :ivar per_day: for all calls of a day that share a budget; None is no limit.
    :ivar goes_on: whether the next target is asked when one does not fit.
    :ivar alarms: shares of ``per_day`` that are told when they are spent.
    """

    per_call: int | None = None
    per_day: int | None = None
    goes_on: bool = True
    alarms: tuple[float, ...] = ()


@dataclass(slots=True)
class Spending:
    """One day's spending of those who share a budget.

    :ivar stopped: the largest ``per_day`` that had no room for a target that would have been asked.
    :ivar alarmed: the alarms that were told: of which ``per_day``, and its share.
    """

    day: int
    spent: int = 0
    reserved: int = 0
    stopped: int = 0
    alarmed: tuple[tuple[int, float], ...] = ()


class Spendings:
    """Today's spending, by who shares a budget. Days that have passed are forgotten."""

    def __init__(self) -> None:
        self._day = 0
        self._today: dict[tuple[str | None, str], Spending] = {}

    def today(self, who: tuple[str | None, str], day: int) -> Spending:
        """Return what a tenant has spent on a route on ``day``. A clock that is set back by a day changes nothing."""
        if day > self._day or day < self._day - 1:
            self._day = day
            self._today = {}
        found = self._today.get(who)
        if found is None:
            found = self._today[who] = Spending(self._day)
        return found

    def after_fork(self) -> None:
        """Forget what is set aside: it is the parent's."""
        self._today = {who: replace(known, reserved=0) for who, known in self._today.items()}


class Budget:
    """The budget of one call.

    :param spending: of the day on which it began.
    """

    __slots__ = ("_reserved", "_spending", "_spent", "settings")

    def __init__(self, settings: BudgetSettings, spending: Spending) -> None:
        self.settings = settings
        self._spending = spending
        self._spent = 0
        self._reserved = 0

    def refusal(self, at_most: float | None) -> str | None:
        """Say why an attempt that can cost so many US dollars at most may not begin, or None."""
        if at_most is None or not isfinite(at_most):
            return UNPRICED
        amount, settings, day = billionths(at_most), self.settings, self._spending
        if amount == 0:
            return None
        if settings.per_call is not None:
            left = settings.per_call - self._spent - self._reserved
            if amount > left:
                return f"it may cost {at_most:.6f} USD, and {dollars(max(left, 0)):.6f} USD of the call's are left"
        if settings.per_day is not None:
            left = settings.per_day - day.spent - day.reserved
            if amount > left:
                return f"it may cost {at_most:.6f} USD, and {dollars(max(left, 0)):.6f} USD of the day's are left"
        return None

    def leave_out(self, at_most: float | None) -> None:
        """Take note of a target that was not asked, for what it can cost at most."""
        settings, day = self.settings, self._spending
        if at_most is None or not isfinite(at_most) or settings.per_day is None:
            return
        if 0 < billionths(at_most) > settings.per_day - day.spent - day.reserved:
            day.stopped = max(day.stopped, settings.per_day)

    def due(self) -> tuple[Spending, tuple[float, ...]]:
        """Return the day, and the alarms that are to be told now: each is returned once."""
        per_day, day = self.settings.per_day, self._spending
        if per_day is None:
            return day, ()
        told = {share for of, share in day.alarmed if of == per_day}
        due = tuple(share for share in self.settings.alarms if share not in told and self._reached(share, per_day))
        day.alarmed += tuple((per_day, share) for share in due)
        return day, due

    def _reached(self, share: float, per_day: int) -> bool:
        day = self._spending
        return day.spent >= max(1, round(share * per_day)) or (day.stopped >= per_day and share >= 1.0)

    def reserve(self, at_most: float | None) -> int:
        """Set aside what an attempt can cost at most; hand it back with ``settle``."""
        amount = billionths(at_most) if at_most is not None else 0
        self._reserved += amount
        self._spending.reserved += amount
        return amount

    def settle(self, reserved: int, cost: float | None) -> None:
        """Book what an attempt cost; what is no cost books all that was set aside for it."""
        amount = reserved if cost is None or not 0.0 <= cost < inf else billionths(cost)
        self._reserved -= reserved
        self._spending.reserved -= reserved
        self._spent += amount
        self._spending.spent += amount
