"""What ``explain`` returns."""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.worst import Turn
from ..types import Report, Target
from .views import BudgetStatus

__all__ = ["ExplainedBudget", "ExplainedCost", "ExplainedLimits", "ExplainedTarget", "Explanation"]


@dataclass(frozen=True, slots=True)
class ExplainedLimits:
    """How long one attempt may take, in seconds, where the deadline leaves that much.

    :ivar content: until its first content, or until the whole body with ``transfer: whole``.
    :ivar idle: between two contents; None for a whole body.
    :ivar hedge: without content, until another target may be asked beside it; None is never.
    """

    connect: float
    content: float
    idle: float | None
    hedge: float | None = None


@dataclass(frozen=True, slots=True)
class ExplainedTarget:
    """One target of a chain, as a call would meet it now.

    :ivar reason: why it would be skipped (``off``, ``residency``, ``unavailable``, ``capability``, ``window``, ``weights``,
        ``breaker``, ``gate``, ``bulkhead``, ``budget``), or None.
    :ivar restricts: what the licence of its weights asks for or forbids, as far as the catalogue knows.
    :ivar share: of the calls, how many ask it first.
    :ivar stored_in: where what it is asked is stored, ISO 3166 codes; None when nobody knows.
    :ivar inference_in: where it runs; None when nobody knows.
    :ivar here: whether these are weights on this machine.
    :ivar prompt: the system text that it gets before the call's own: by which of its names, and the file.
    :ivar prices: US dollars per million tokens of input, and of output; None when nobody knows.
    :ivar cost: of one request, in US dollars, at most; None when nobody knows.
    :ivar limits: of one attempt.
    :ivar turn: when it is asked at the latest; None for one that no call can ask.
    """

    target: Target
    reason: str | None = None
    detail: str = ""
    restricts: str | None = None
    share: float = 0.0
    region: str | None = None
    stored_in: tuple[str, ...] | None = None
    inference_in: tuple[str, ...] | None = None
    here: bool = False
    prompt: tuple[str, str] | None = None
    prices: tuple[float, float] | None = None
    cost: float | None = None
    limits: ExplainedLimits | None = None
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class ExplainedCost:
    """What a call can cost, every request billed.

    :ivar input_tokens: of the prompt; 0 when that was not said.
    :ivar output_tokens: of the answer, at most; 0 leaves it to policy and catalogue.
    :ivar at_most: US dollars; None when nobody knows.
    :ivar unknown: the targets for which nobody knows.
    """

    input_tokens: int
    output_tokens: int
    at_most: float | None
    unknown: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class ExplainedBudget:
    """What may be spent, in US dollars.

    :ivar then: what becomes of a call when a target does not fit: ``cheaper`` goes on with those that do.
    :ivar today: what was spent; None where a day has no limit.
    """

    per_call: float | None
    per_day: float | None
    then: str
    today: BudgetStatus | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a call on a route would do now. ``str()`` is a small table.

    :ivar slowest: seconds after which the call ends at the latest.
    :ivar first: who is asked first, and why.
    :ivar max_attempts: requests over all targets, at most.
    :ivar unanswered: seconds after which a call in which no answer begins has ended at the latest.
    :ivar silent: what becomes of a call when every target stays silent, played by the engine; None when nobody can be
        asked.
    :ivar cost: what it can cost.
    :ivar budget: what it may cost; None is no limit.
    """

    route: str
    targets: tuple[ExplainedTarget, ...]
    slowest: float
    first: str = ""
    max_attempts: int = 0
    unanswered: float = 0.0
    silent: Report | None = None
    cost: ExplainedCost | None = None
    budget: ExplainedBudget | None = None

    def __str__(self) -> str:
        from .explained import told

        return told(self)
