"""An explanation as text, for terminals of eighty columns."""

from __future__ import annotations

from collections.abc import Iterator

from ..types import Target
from .bars import bar, seconds, usd, wrapped
from .explanation import ExplainedBudget, ExplainedTarget, Explanation

__all__ = ["told"]

_BAR = 32


def told(found: Explanation) -> str:
    """Return a small table: who is asked, when at the latest, and what it costs at most."""
    return "\n".join([f"route `{found.route}`, at most {found.slowest:g} s", *_lines(found)])


def _lines(found: Explanation) -> Iterator[str]:
    for number, entry in enumerate(found.targets, 1):
        yield from _target(number, entry)
    yield from wrapped(f"first: {found.first}", "       ")
    if any(entry.turn is not None for entry in found.targets):
        yield ""
        yield from _time(found)
        yield ""
        yield from _cost(found)
    if found.budget is not None:
        yield from wrapped(_budget(found.budget), "        ")


def _target(number: int, entry: ExplainedTarget) -> Iterator[str]:
    fate = "asked" if entry.reason is None else f"skipped: {entry.reason}"
    detail = f" ({entry.detail})" if entry.detail else ""
    yield from wrapped(f"{number:>3}. {entry.target}  {fate}{detail}", "     ")
    facts = [
        f"{word} {value}"
        for word, value in (
            ("operator", entry.target.operator),
            ("author", entry.target.author),
            ("region", entry.region),
            ("stored in", "/".join(entry.stored_in or ())),
            ("inference in", "/".join(entry.inference_in or ())),
        )
        if value
    ]
    if entry.here:
        facts.append("on this machine")
    elif entry.stored_in is None and entry.inference_in is None:
        facts.append("place unknown")
    if entry.prompt is not None:
        facts.append("system text of `{}`, `{}`".format(*entry.prompt))
    yield from wrapped("     " + " · ".join(facts), "     ")
    if entry.restricts is not None:
        yield from wrapped(f"     licence: {entry.restricts}", "     ")


def _time(found: Explanation) -> Iterator[str]:
    requests = f"{found.max_attempts} requests at most"
    yield f"if no answer begins, over after {seconds(found.unanswered)} s; {requests} (seconds)"
    yield "     begins by   over by  requests  limit  if all are silent"
    notes: list[str] = []
    for number, entry in enumerate(found.targets, 1):
        turn = entry.turn
        if turn is None:
            continue
        never = "last" if turn.passed_by else "never"
        begins = never if turn.begins is None else seconds(turn.begins)
        ends = "" if turn.begins is None else seconds(turn.ends)
        limit = "" if entry.limits is None else f"{entry.limits.content:g}"
        times = f"{begins:>9} {ends:>9} {turn.requests or int(turn.passed_by):>9} {limit:>6}"
        yield f"{number:>3}. {times}  {_silence(found, entry.target)}"
        notes += _notes(number, entry, found)
    for note in notes:
        yield from wrapped(note, "   ")
    yield from wrapped("an answer that has begun may take until the deadline", "   ")


def _silence(found: Explanation, target: Target) -> str:
    """When the target is asked while nobody says anything."""
    report = found.silent
    mine = () if report is None else [one for one in report.attempts if one.target == target]
    return bar([(one.started, one.ended, "#") for one in mine], found.slowest, _BAR)


def _notes(number: int, entry: ExplainedTarget, found: Explanation) -> Iterator[str]:
    turn, limits = entry.turn, entry.limits
    assert turn is not None
    if limits is not None and limits.hedge is not None and number < len(found.targets):
        yield f"{number}. another may be asked beside it after {seconds(limits.hedge)} s without content"
    if "max_attempts" in turn.kept_from:
        yield f"{number}. may not be reached: {found.max_attempts} requests may have been sent before"
    if "deadline" in turn.kept_from:
        yield f"{number}. may not be reached: the deadline may leave no time for it"
    if "budget" in turn.kept_from:
        yield f"{number}. may not be reached: the budget may leave too little for it"
    if turn.passed_by and turn.begins is not None:
        yield f"{number}. may be left for last, by what becomes of one before it"


def _cost(found: Explanation) -> Iterator[str]:
    cost = found.cost
    assert cost is not None
    rows = [(number, entry) for number, entry in enumerate(found.targets, 1) if entry.turn is not None]
    tokens = f"for {cost.input_tokens:,} tokens in" if cost.input_tokens else "prompt of unknown length"
    tokens += f" and {cost.output_tokens:,} out" if cost.output_tokens else ""
    yield f"cost at most in USD, list prices, {tokens}"
    yield "       a request  per million tokens in and out"
    for number, entry in rows:
        prices = "unknown" if entry.prices is None else "{:g} and {:g}".format(*entry.prices)
        yield f"{number:>3}. {usd(entry.cost):>11}  {prices}"
    unpriced = [str(entry.target) for _, entry in rows if entry.prices is None and entry.cost is None]
    why = ""
    if cost.at_most is None and unpriced:
        why = f": nobody knows the price of {', '.join(unpriced)}"
    elif cost.at_most is None:
        why = ": say how long it is, as in `input=1000,output=500`"
    yield from wrapped(f"a call, every request billed: {usd(cost.at_most)}{why}", "   ")


def _budget(budget: ExplainedBudget) -> str:
    limits = [
        f"{usd(amount)} USD {span}"
        for amount, span in ((budget.per_call, "a call"), (budget.per_day, "a day"))
        if amount is not None
    ]
    day = ""
    if budget.today is not None:
        day = f"; today {usd(budget.today.spent)} spent, {usd(budget.today.reserved)} set aside, "
        day += f"{usd(budget.today.left)} left"
        gone = ", ".join(f"{100 * share:g}%" for share in budget.today.alarms)
        day += f", alarm at {gone}" if gone else ""
    what = "goes on with a cheaper one" if budget.then == "cheaper" else "ends"
    return f"budget: {', '.join(limits) or 'none'}{day}; a call {what} when a target does not fit"
