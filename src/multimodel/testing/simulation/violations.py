"""What the laws are called, and what is told of one that does not hold."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from ...engine import End, Ended, Event, Start, Step

__all__ = ["LAWS", "Findings", "Violation"]

LAWS: dict[str, str] = {
    "deadline": "nothing starts, sleeps or ends after what the deadline leaves",
    "share": "a first content comes within its target's limit, or its share of what remains",
    "attempts": "no more requests a target and a call than the policy says",
    "order": "each target is visited once, in the order of the chain",
    "skips": "a target is skipped for a true reason, and every skip is recorded",
    "rules": "what may be repeated and what may be tried elsewhere is the table's to say",
    "budget": "repeats on one credential stay within what its first attempts earn",
    "backoff": "a repeat waits as long as the backoff says at most, a fallback not at all",
    "open": "nothing is sent while a breaker is open, but as the last resort",
    "probe": "a half-open breaker admits one probe at a time",
    "opens": "a breaker opens when it must, and only then, for as long as it may",
    "closes": "a breaker closes with the first content of its probe, and only then",
    "stale": "a result from before a breaker's last change changes nothing",
    "neutral": "a result that blames nobody changes no breaker",
    "gate": "nothing is sent on a credential before the instant that its vendor named",
    "last resort": "an open target is asked once when nothing else answers, at most four times a second",
    "commit": "what the caller sees is one attempt's, or begins anew or goes on as declared",
    "success": "an answer is a success if and only if it was whole",
    "ends": "a call ends once, after all of its attempts, with one record for each",
    "permits": "whatever ends gives its permit back",
    "bulkhead": "no more attempts are under way on a target than the policy allows",
    "hedge": "a second attempt goes elsewhere, in time, within its budget; the loser is broken off",
    "effects": "what may have been carried out is not sent again",
}
"""What is checked, by name."""

_TAIL = 400
_SHOWN = 16
_KEPT = 20


@dataclass(frozen=True, slots=True)
class Violation:
    """A law that did not hold.

    :ivar law: its name in ``LAWS``.
    :ivar now: the instant.
    :ivar call: which call, counted from 1.
    :ivar trace: the last that passed between engine and driver in that call.
    """

    law: str
    detail: str
    now: float
    call: int
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n  ".join([f"{self.law}: {self.detail} (call {self.call}, at {self.now:.3f} s)", *self.trace])


class Findings:
    """Remembers the last that passed between engine and driver, and tells of violations.

    :param tell: called with each violation; without it, the first are kept.
    :ivar violations: the first of them.
    :ivar broken: how many there were, by law.
    """

    def __init__(self, tell: Callable[[Violation], None] | None) -> None:
        self.violations: list[Violation] = []
        self.broken: Counter[str] = Counter()
        self.tail: deque[tuple[int, Event | None, Step | End | None]] = deque(maxlen=_TAIL)
        self._tell = tell

    def add(self, law: str, detail: str, call: int, now: float) -> None:
        """Tell of a law that a call broke."""
        self.broken[law] += 1
        if len(self.violations) >= _KEPT:
            return
        passed = [(event, answer) for number, event, answer in self.tail if number == call][-_SHOWN:]
        lines = tuple(f"{_shown(event)} -> {_shown(answer)}" for event, answer in passed)
        violation = Violation(law, detail, now, call, lines)
        self.violations.append(violation)
        if self._tell is not None:
            self._tell(violation)


def _shown(one: Event | Step | End | None) -> str:
    """One line of a trace."""
    if one is None:
        return "begin or give up"
    if isinstance(one, End):
        return f"End({one.error.kind if one.error else one.plan.target if one.plan else None})"
    if isinstance(one, Step):
        do = one.do
        wake = "" if one.wake is None else f", wake at {one.wake:.3f}"
        if isinstance(do, Start):
            limit = do.limits.first_content if do.plan.stream else do.limits.whole
            return f"Start({do.attempt} {do.plan.target} {do.reason} {do.how}, until {limit:.3f}{wake})"
        return f"{'Sleep' if do is None else do}{wake}"
    if isinstance(one, Ended):
        outcome = one.error.kind if one.error else "lost" if one.cancelled else "ok"
        return f"{one.now:.3f} Ended({one.attempt} {outcome})"
    return f"{one.now:.3f} {type(one).__name__}"
