"""Telling that a day's budget goes to its end."""

from __future__ import annotations

import logging
from datetime import date
from typing import TYPE_CHECKING

from ..engine import Call
from ..engine.budget import dollars
from ..observe import emit

if TYPE_CHECKING:
    from .core import Core

__all__ = ["tell_alarms"]


def tell_alarms(core: Core, call: Call) -> None:
    """Tell the alarms of a call's budget that it has set off, now that it is over."""
    budget = call.budget
    if budget is None or budget.settings.per_day is None or not budget.settings.alarms:
        return
    with core.lock:
        day, due = budget.due()
    for share in due:
        emit(
            logging.ERROR if share >= 1.0 else logging.WARNING,
            "multimodel.budget_alarm",
            route=call.route,
            tenant=core.tenant,
            day=date.fromordinal(day.day).isoformat(),
            alarm=share,
            spent=dollars(day.spent),
            per_day=dollars(budget.settings.per_day),
        )
