"""What the checker remembers: of one call, and of the client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ...engine import Call, Health
from ...engine.rules import MAYBE_DONE, RULES
from ...engine.settings import TargetPlan
from ...errors import CallError
from .breakers import Books, Flown
from .gates import Gates
from .violations import Findings, Violation

__all__ = ["DONE", "LAST_RESORT_GAP", "LIMITED_FOR", "MIN_ATTEMPT", "ROUNDING", "TABLE", "Memory", "Trace"]

TABLE = dict(RULES)
"""The rules as they are shipped."""
DONE = frozenset(MAYBE_DONE)
MIN_ATTEMPT = 0.5
LAST_RESORT_GAP = 0.25
LIMITED_FOR = 60.0
"""Seconds for which a refusal may limit how many attempts are under way."""
ROUNDING = 1e-6


class Trace:
    """What is remembered of one call."""

    __slots__ = (
        "call", "committed", "content", "deadline", "done", "fatal", "flying", "idle_since", "last", "last_error", "lost", "number", "outcomes",
        "per_target", "plans", "position", "repeats", "sent", "skips", "spared", "stale", "tool", "unsent", "visited", "whole", "window",
    )  # fmt: skip

    def __init__(self, number: int, call: Call, plans: Sequence[TargetPlan]) -> None:
        self.number = number
        self.call = call
        self.deadline = call.deadline
        self.plans = plans
        self.flying: dict[int, Flown] = {}
        self.visited: list[str] = []
        self.spared: set[str] = set()  # lost to an answer that broke, and have their turn still
        self.per_target: dict[str, int] = {}
        self.outcomes: dict[int, str] = {}
        self.position = -1  # of the last target that was visited in its turn
        self.sent = self.unsent = self.skips = self.repeats = self.stale = 0
        self.last: Flown | None = None
        self.last_error: CallError | None = None
        self.lost: str | None = None  # the race that is under way
        self.fatal: CallError | None = None  # after this, no target may be asked
        self.idle_since = call.started  # since when nothing was under way
        self.committed = self.content = self.tool = self.done = False
        self.whole: TargetPlan | None = None
        self.window: int | None = None


class Memory:
    """What is remembered of a client.

    :ivar under_way: attempts by target.
    :ivar limited_at: when a target last refused for too many requests.
    :ivar earned: tokens for repeats by credential, with those that it began with.
    :ivar repeats: repeats that took one.
    :ivar last_resort: when a target was last asked as the last resort.
    :ivar hedges: what each route has saved for a second attempt.
    """

    def __init__(self, health: Health, tell: Callable[[Violation], None] | None) -> None:
        self.health = health
        self.books = Books(health)
        self.gates = Gates()
        self.findings = Findings(tell)
        self.under_way: Counter[str] = Counter()
        self.limited_at: dict[str, float] = {}
        self.earned: dict[str, float] = {}
        self.repeats: Counter[str] = Counter()
        self.last_resort: dict[str, float] = {}
        self.hedges: dict[str, float] = {}

    def tell(self, law: str, detail: str, trace: Trace, now: float) -> None:
        """Tell of a law that a call broke."""
        self.findings.add(law, detail, trace.number, now)

    def tell_all(self, broken: Iterable[tuple[str, str]], trace: Trace, now: float) -> None:
        """Tell of several."""
        for law, detail in broken:
            self.findings.add(law, detail, trace.number, now)

    def askable(self, trace: Trace, plan: TargetPlan, now: float) -> bool:
        """Whether a target that has not had its turn could be asked now beyond doubt."""
        return (
            plan.key not in trace.visited
            and all(skip.target is not plan.target for skip in trace.call.skipped)
            and self.health.state(plan, now)[0] in ("closed", "half_open")
            and (trace.window is None or plan.window is None or plan.window > trace.window)
            and (plan.prefill or trace.call.settings.mid_stream != "continue")
        )
