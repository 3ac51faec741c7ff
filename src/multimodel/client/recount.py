"""A call that was made, told attempt by attempt: what came of it and why the next one was begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..types import AttemptRecord, Report
from .bars import bar, seconds, usd, wrapped

__all__ = ["RecordedCall", "RecordedStep", "recount"]

_BAR = 30
_SHORT = 0.001
"""Seconds between two attempts that are no wait."""
_ENDS = {"cancelled": "given up by the caller", "lost": "broken off: the other was faster"}


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """One attempt of a call.

    :ivar attempt: its number.
    :ivar why: why it was made.
    :ivar waited: seconds that the call waited before it.
    :ivar wasted: whether it may be billed though it gave no answer.
    """

    attempt: int
    why: str
    waited: float = 0.0
    wasted: bool = False


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call that was made. ``str()`` is its time line.

    :ivar steps: what the attempts of the report mean, in its order.
    :ivar cost: US dollars; None when the cost of one attempt is unknown.
    :ivar cost_estimated: whether a part of it is the most that it can have been.
    :ivar error: the message of the error that the caller got, where the record has it.
    """

    report: Report
    steps: tuple[RecordedStep, ...]
    cost: float | None
    cost_estimated: bool
    error: str | None = None

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def recount(report: Report, error: str | None = None) -> RecordedCall:
    """Say why each attempt of a call was made, and what it waited for."""
    attempts = report.attempts
    steps = tuple(_step(report, one, attempts[:place]) for place, one in enumerate(attempts))
    return RecordedCall(report, steps, report.cost, report.cost_estimated, error)


def _step(report: Report, attempt: AttemptRecord, before: Sequence[AttemptRecord]) -> RecordedStep:
    idle = attempt.started - max((one.ended for one in before), default=attempt.started)
    waited = idle if idle > _SHORT else 0.0
    return RecordedStep(attempt.index, _why(attempt, before, waited), waited, attempt in report.wasted)


def _why(attempt: AttemptRecord, before: Sequence[AttemptRecord], waited: float) -> str:
    after = f"after {seconds(waited)} s" if waited else "at once"
    last = before[-1] if before else None
    cause = "" if last is None else f", because {last.target} ended with `{last.outcome}`"
    slow = next((one for one in reversed(before) if one.ended > attempt.started), last)
    beside = "" if slow is None else f" attempt {slow.index}, which had shown nothing yet"
    reasons: dict[str, str] = {
        "first": "the first that could be asked",
        "retry": f"asked again {after}" + ("" if last is None else f", because of `{last.outcome}`"),
        "fallback": f"the next that could be asked{cause}",
        "hedge": f"asked beside{beside}",
        "probe": f"a probe: its breaker had been open{cause}",
        "last_resort": f"a last resort {after}: nothing else answered",
        "path": "asked once more, where the vendor says that the model lives",
        "reask": "asked once more, because its answer did not fit",
    }
    return reasons.get(attempt.reason, f"{attempt.reason}{cause}")


# --- as text ---


def _lines(call: RecordedCall) -> Iterator[str]:
    report = call.report
    count = len(report.attempts)
    requests = f"{count} request{'s' * (count != 1)}"
    yield f"route `{report.route}`: {report.outcome} after {seconds(report.duration)} s, {requests}, {_total(call)}"
    if report.attempts:
        yield "     # no content yet   = content comes   . waiting to ask again"
    for attempt, step in zip(report.attempts, call.steps, strict=True):
        yield from _attempt(report, attempt, step)
    for skip in report.skipped:
        detail = f": {skip.detail}" if skip.detail else ""
        yield from wrapped(f"not asked: {skip.target}, {skip.reason}{detail}", "   ")
    for note in report.notes:
        yield from wrapped(f"note: {note}", "   ")
    for loss in report.losses:
        yield from wrapped(f"lost: {loss.what} at {loss.target}" + (f", {loss.detail}" if loss.detail else ""), "   ")
    if call.error is not None:
        yield from wrapped(f"the caller got: {call.error}", "   ")


def _total(call: RecordedCall) -> str:
    if call.cost is None:
        return "cost unknown"
    return f"at most {usd(call.cost)} USD" if call.cost_estimated else f"{usd(call.cost)} USD"


def _attempt(report: Report, attempt: AttemptRecord, step: RecordedStep) -> Iterator[str]:
    content = attempt.ended if attempt.first_content is None else attempt.first_content
    pieces = [(attempt.started - step.waited, attempt.started, ".")] if step.waited else []
    pieces.append((attempt.started, content, "#"))
    if attempt.first_content is not None:
        pieces.append((content, attempt.ended, "="))
    whole = max(report.duration, *(one.ended for one in report.attempts))
    times = f"{seconds(attempt.started)} to {seconds(attempt.ended)} s"
    yield f"{attempt.index:>3}. {bar(pieces, whole, _BAR)} {times}  {attempt.outcome}"
    yield from wrapped(f"     {attempt.target}: {step.why}", "     ")
    yield from wrapped("     " + " · ".join([*_facts(attempt), *_price(attempt, step)]), "     ")


def _facts(attempt: AttemptRecord) -> Iterator[str]:
    if attempt.outcome in _ENDS:
        yield _ENDS[attempt.outcome]
    if attempt.first_content is not None:
        yield f"first content after {seconds(attempt.first_content - attempt.started)} s"
    if attempt.status is not None and attempt.outcome != "ok":
        yield f"status {attempt.status}"
    if attempt.code is not None:
        yield f"code {attempt.code}"
    if attempt.request_id is not None:
        yield f"request {attempt.request_id}"
    if attempt.usage is not None:
        yield f"{attempt.usage.input_tokens:,} tokens in, {attempt.usage.output_tokens:,} out"


def _price(attempt: AttemptRecord, step: RecordedStep) -> Iterator[str]:
    if attempt.cost is None:
        yield "cost unknown"
    else:
        yield f"{'at most ' * (attempt.cost_estimated and attempt.cost > 0.0)}{usd(attempt.cost)} USD"
    if step.wasted:
        yield "wasted: it may be billed all the same"
