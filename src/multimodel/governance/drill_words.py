"""The figures of a drill as text, for a terminal and for a page alike. None is unknown, or does not apply."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .drill import DrillReport, Paired, Phase, Spread
from .figures import percent

__all__ = ["agreement", "barrier", "both_phases", "count", "milliseconds", "verdict"]

_FINE = 100
"""Milliseconds below which a tenth of one says something."""


def verdict(report: DrillReport) -> str:
    """Return the result in a sentence."""
    word = "passed" if report.verdict.passed else "not passed"
    answered = f"{report.drill.answered:,} of {count(report.drill.calls, 'call')}"
    return f"{word}: {answered} answered while `{report.blocked.name}` could not be reached"


def barrier(report: DrillReport) -> str:
    """Say what became of the attempts on who could not be reached."""
    blocked = report.blocked
    return f"{count(blocked.attempts, 'attempt')} on `{blocked.name}`, {blocked.reached} of which reached it"


def both_phases(report: DrillReport) -> list[tuple[str, str | None, str | None]]:
    """Return the rows of a table: the figure's name, as it is, without the vendor."""
    return [(name, read(report.baseline), read(report.drill)) for name, read in _FIGURES.items()]


def agreement(paired: Paired) -> list[tuple[str, str | None]]:
    """Return the rows of a table of what the pairs show."""
    return [
        ("added latency p50, p95, most", _spread(paired.added, signed=True)),
        ("the same tools asked for", f"{paired.same_tools:,} of {paired.tool_pairs:,}"),
        ("with equal arguments", f"{paired.same_arguments:,} of {paired.tool_pairs:,}"),
        ("answers in another script", f"{paired.other_script:,} of {paired.pairs:,}"),
    ]


def count(number: int, what: str) -> str:
    """Return a number and what it counts.

    >>> count(1, "call"), count(2000, "call")
    ('1 call', '2,000 calls')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def milliseconds(value: float, *, signed: bool = False) -> str:
    """Return a time, or with ``signed`` a difference of times.

    >>> milliseconds(2.34), milliseconds(1234.5, signed=True)
    ('2.3 ms', '+1,234 ms')
    """
    sign, digits = "+" if signed else "", 1 if abs(value) < _FINE else 0
    return f"{value:{sign},.{digits}f} ms"


def _spread(found: Spread | None, *, signed: bool = False) -> str | None:
    if found is None:
        return None
    return ", ".join(milliseconds(value, signed=signed) for value in (found.p50, found.p95, found.most))


def _counts(counts: Mapping[str, int]) -> str:
    """Return the largest first, whatever the order of the names: a report that was read has another than one just made."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {number:,}" for name, number in ordered) or "none"


def _cost(phase: Phase) -> str | None:
    if phase.cost is None:
        return None
    return f"{phase.cost:.6f} USD" + (f", {count(phase.cost_unknown, 'call')} unknown" if phase.cost_unknown else "")


def _schemas(phase: Phase) -> str | None:
    return f"{'unknown' if phase.valid is None else phase.valid} of {phase.schemas}"


_FIGURES: dict[str, Callable[[Phase], str | None]] = {
    "calls answered": lambda phase: f"{phase.answered:,} of {phase.calls:,} ({percent(phase.success)})",
    "with nothing that fits": lambda phase: f"{phase.misfits:,}",
    "answered by": lambda phase: _counts(phase.answered_by),
    "failures": lambda phase: _counts(phase.failures),
    "latency p50, p95, most": lambda phase: _spread(phase.latency),
    "before who answered was asked": lambda phase: _spread(phase.detour),
    "requests": lambda phase: f"{phase.attempts:,}",
    "cost": _cost,
    "answers that fit their schema": _schemas,
    "asked once more for that": lambda phase: f"{phase.asked_again:,}",
    "cut by a limit or a filter": lambda phase: f"{phase.truncated:,}",
    "empty": lambda phase: f"{phase.empty:,}",
}
