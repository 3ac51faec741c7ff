"""One call's own memory: what was tried, what was skipped, what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import AllTargetsFailedError, CallError, DeadlineExceededError, PolicyDeniedError
from ..types import AttemptRecord, Loss, Report, Skip, Target
from .budget import Budget, CostAtMost
from .health import Turn
from .settings import CallSettings, TargetPlan

__all__ = ["Call"]


def _unknown(plan: TargetPlan, *, goes_on: bool) -> float | None:  # noqa: ARG001  # nothing is known of either
    return None


@dataclass(slots=True)
class Call:
    """One call by the application. It belongs to the caller, so its report survives a cancellation.

    :ivar started: the instant it began.
    :ivar stream: whether content is handed out as it comes.
    :ivar cost_at_most: what an attempt on a target can cost at most, in US dollars; None when nobody knows.
    :ivar budget: what it may spend; None is no limit.
    :ivar policy: the version of the policy that it is made by.
    :ivar turns: the breakers that its attempts opened or closed, and by which target.
    """

    route: str
    settings: CallSettings
    started: float
    stream: bool
    attempts: list[AttemptRecord] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    errors: list[CallError] = field(default_factory=list)
    cost_at_most: CostAtMost = _unknown
    budget: Budget | None = None
    policy: str = ""
    turns: tuple[tuple[Target, Turn], ...] = ()

    @property
    def deadline(self) -> float:
        """The instant at which it ends, whatever happens."""
        return self.started + self.settings.deadline

    def note(self, text: str) -> None:
        """Put a remark into the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def lose(self, target: Target, what: str, detail: str) -> None:
        """Record what of the request a target does not get, once."""
        loss = Loss(target, what, detail)
        if loss not in self.losses:
            self.losses.append(loss)

    def skip(self, target: Target, reason: str, detail: str = "", cause: CallError | None = None) -> None:
        """Record a target that is not tried. The error of a skip is of the class of what caused it."""
        self.skipped.append(Skip(target, reason, detail))
        message = f"skipped: {reason}" + (f", {detail}" if detail else "")
        error = type(cause)(message) if cause is not None else PolicyDeniedError(message)
        error.target, error.provider = str(target), target.provider
        if cause is not None:
            error.kind, error.status, error.code, error.hint = cause.kind, cause.status, cause.code, cause.hint
            error.retry_after, error.retryable = cause.retry_after, cause.retryable
        self.errors.append(error)

    def report(self, outcome: str, now: float) -> Report:
        """Return what happened so far."""
        return Report(
            self.route,
            tuple(self.attempts if len(self.attempts) == 1 else sorted(self.attempts, key=_begun)),
            tuple(self.skipped),
            tuple(self.notes),
            outcome,
            now - self.started,
            self._lost() if self.losses else (),
            self.policy,
        )

    def _lost(self) -> tuple[Loss, ...]:
        """The losses at targets that were asked, not at those that were left out in the end."""
        left_out = {skip.target for skip in self.skipped} - {attempt.target for attempt in self.attempts}
        return tuple(loss for loss in self.losses if loss.target not in left_out)

    def failure(self, now: float) -> AllTargetsFailedError:
        """Return the error of a chain that gave no answer: one error per attempt and per skip."""
        errors = self.errors or [PolicyDeniedError("the chain has no target")]
        tried = f"attempts: {len(self.attempts)}, skipped: {len(self.skipped)}"
        group = AllTargetsFailedError(f"no target of route `{self.route}` answered: {tried}", errors)
        group.report = self.report(group.kind, now)
        return group

    def out_of_time(self, now: float) -> DeadlineExceededError:
        """Return the error of a call whose deadline passed."""
        deadline = f"the deadline of {self.settings.deadline:g} s"
        tried = len(self.attempts)
        error = DeadlineExceededError(
            f"{deadline} passed; attempts: {tried}" if tried else f"{deadline} leaves no time for an attempt",
            hint="give the call more time" if not tried else None,
        )
        error.report = self.report(error.kind, now)
        if self.errors:
            error.__cause__ = self.failure(now)
        return error


def _begun(attempt: AttemptRecord) -> int:
    return attempt.index
