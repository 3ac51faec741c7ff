"""Whether a budget lets the targets of a route be asked, and holds all that they cost."""

from __future__ import annotations

from collections.abc import Iterator

from ...config import Problem
from ..cost import CostAtMost
from ..request import build_request
from .subject import Subject

__all__ = ["problems"]


def problems(subject: Subject) -> Iterator[Problem]:
    """Tell what is spent besides, and who costs more than may be spent, by what is set aside for the shortest question."""
    budget = subject.route.budget
    if budget is not None and subject.route.shadow is not None and not subject.inherits("budget", "shadow"):
        message, hint = "the copies for the `shadow` are not charged to the route's `budget`", "keep its `share` small"
        yield subject.tell("warning", subject.at("shadow"), message, hint, code="shadow-not-charged", at_key=True)
    if budget is None or subject.inherits("budget", "params"):
        return
    for limit, most in (("per_call", budget.per_call), ("per_day", budget.per_day)):
        if most is None:
            continue
        cost_at_most = CostAtMost(build_request("?", {}), [member.planned for member in subject.in_play])
        for member in subject.in_play:
            cost = cost_at_most(member.planned.plan, goes_on=False)
            if cost is not None and cost > most:
                message = (
                    f"{member} is not asked by calls that say no `max_tokens`: "
                    f"their answers can cost {cost:.4f} USD, and `{limit}` is {most:g} USD"
                )
                hint = f"raise `{limit}`, or set `params: {{max_tokens: …}}`"
                path = subject.at("budget", limit)
                yield subject.tell("warning", path, message, hint, code="budget-too-small")
                break
