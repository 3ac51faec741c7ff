"""Whether a chain can be walked to its end: within the deadline, within the attempts; and whether a hedge ever fires.

A silent target is waited for until its limit, and never so long that the targets after it have nothing left:
``min(limit, time left / min(targets left, 3))``. A target that refuses is asked ``retry.attempts`` times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations

from ...config import Problem, format_duration
from ...engine.limits import MIN_ATTEMPT, SHARES, own_limit
from .subject import Member, Subject

__all__ = ["problems", "waits"]

_THOUGHT = 60.0
"""Seconds that such a model gets where the policy says nothing."""


def problems(subject: Subject) -> Iterator[Problem]:
    """Tell what the limits of a route make impossible."""
    route, members = subject.route, subject.in_play
    if route.deadline < MIN_ATTEMPT:
        message = f"no attempt is begun that has less than {format_duration(MIN_ATTEMPT)}: every call fails"
        yield subject.tell("error", subject.at("deadline"), message, "raise it", code="deadline-too-short")
        return
    if not subject.inherits("deadline", "timeouts", "transfer"):
        yield from _limits(subject, members)
    if not subject.inherits("max_attempts", "retry"):
        yield from _attempts(subject, members)
    if subject.inherits("mid_stream", "hedge", "deadline", "timeouts", "max_attempts"):
        return
    if route.mid_stream == "continue" and not any(member.planned.plan.prefill for member in members[1:]):
        message = "no target after the first is known to go on with an answer: a broken stream ends with an error"
        hint = "set `restart`, or add such a target"
        yield subject.tell("warning", subject.at("mid_stream"), message, hint, code="cannot-continue")
    if route.hedge is not None:
        yield from _hedge(subject, members)


# --- time ---


def waits(limits: Sequence[float], deadline: float) -> list[float]:
    """Return how long each target is waited for when none of them says a word; without those that are not asked.

    >>> waits([10.0, 10.0, 10.0], 24.0), waits([1.0, 10.0], 1.2)
    ([8.0, 8.0, 8.0], [0.6, 0.6])
    """
    found: list[float] = []
    left = deadline
    for index, limit in enumerate(limits):
        if left < MIN_ATTEMPT:
            break
        found.append(min(limit, left / _shares(limits, index)))
        left -= found[-1]
    return found


def _shares(targets: Sequence[object], index: int) -> int:
    return min(len(targets) - index, SHARES)


def _limits(subject: Subject, members: Sequence[Member]) -> Iterator[Problem]:
    """Limits that a target does not get: ever, or once those before it were silent."""
    deadline, which = subject.route.deadline, "first_content" if subject.route.transfer == "stream" else "whole"
    found = waits(list(map(_limit, members)), deadline)
    if len(found) < len(members):
        message = f"the deadline leaves no time for {members[len(found)]} when those before it are silent"
        yield subject.tell("warning", subject.at("deadline"), message, "raise it", code="unreachable-fallback")
        return
    for member, wait in zip(members, found, strict=True):
        if _thinks(member) and wait < _THOUGHT:
            message = f"{member} always thinks before it answers, and gets {_short(wait)} for that"
            yield subject.tell("note", member.path, message, f"give it {_THOUGHT:g}s", code="thinking-cut-short")
    cut = [
        _Cut(member, wait, deadline / _shares(members, index), written=_is_written(subject, member, which))
        for index, (member, wait) in enumerate(zip(members, found, strict=True))
        if wait < _limit(member)
    ]
    told = [one for one in cut if one.written]
    if not told and "deadline" in subject.route.model_fields_set:
        told = [one for one in cut if not _thinks(one.member)]
    for one in sorted(told, key=lambda one: one.most >= _limit(one.member))[:1]:  # of others the same would be said
        yield _told(subject, one, which)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A target that does not get its limit.

    :ivar worst: seconds that it gets when those before it are silent.
    :ivar most: seconds that it gets when it is asked at once.
    :ivar written: whether the limit stands in the policy.
    """

    member: Member
    worst: float
    most: float
    written: bool


def _told(subject: Subject, cut: _Cut, which: str) -> Problem:
    deadline, path, hint = subject.route.deadline, subject.at("deadline"), "raise `deadline`, or lower the limit"
    member, limit = cut.member, _limit(cut.member)
    words = f"`{which}` of {format_duration(limit)}"
    if not cut.written:
        message = f"{member} gets {_short(cut.worst)}, not the usual {words}: the deadline is shared"
        return subject.tell("note", path, message, "raise it, if that is too little", code="deadline-cuts-limit")
    if cut.most >= limit:
        message = f"when those before it are silent, {member} gets {_short(cut.worst)}, not its {words}"
        return subject.tell("note", path, message, hint, code="deadline-cuts-limit")
    if deadline < limit:
        message = f"the deadline of {format_duration(deadline)} is shorter than {words}"
    else:
        message = f"{member} never gets its {words} but {_short(cut.most)}: those after it keep shares of the deadline"
    return subject.tell("warning", path, message, hint, code="deadline-too-short")


def _limit(member: Member) -> float:
    return own_limit(member.planned.plan)


def _thinks(member: Member) -> bool:
    facts = member.planned.account.profile.facts(member.planned.plan.target.model)
    return facts is not None and facts.thinking == "always"


def _is_written(subject: Subject, member: Member, which: str) -> bool:
    own = subject.route.chain[subject.members.index(member)].timeouts
    return which in subject.route.timeouts.model_fields_set or (own is not None and which in own.model_fields_set)


def _short(seconds: float) -> str:
    return f"{round(seconds, 1):g}s"


# --- attempts ---


def _attempts(subject: Subject, members: Sequence[Member]) -> Iterator[Problem]:
    """Targets that the attempts of a call do not reach."""
    most, path = subject.route.max_attempts, subject.at("max_attempts")
    repeats = [member.planned.plan.retry.attempts for member in members]
    before = [0, *accumulate(repeats)]
    enough = before[-2] + 1
    if len(members) > most:
        message = f"{members[most]} is never asked after the others have failed: `max_attempts` is {most}"
        yield subject.tell("warning", path, message, f"raise it to {enough}", code="unreachable-fallback")
        return
    for member, used, repeat in zip(members[1:], before[1:], repeats, strict=False):
        if used < most:
            continue
        message = f"{member} is not asked when those before it fail {used} times: `max_attempts` is {most}"
        hint = f"raise it to {enough}, or lower `retry`"
        if repeat >= most:  # one target alone uses them up
            yield subject.tell("warning", path, message, hint, code="unreachable-fallback")
        else:
            yield subject.tell("note", path, message, hint, code="fallback-after-repeats")
        return


# --- hedge ---


def _hedge(subject: Subject, members: Sequence[Member]) -> Iterator[Problem]:
    why = _never_fires(subject, members)
    if why is not None:
        yield subject.tell("warning", subject.at("hedge"), why[0], why[1], code="hedge-never-fires", at_key=True)


def _never_fires(subject: Subject, members: Sequence[Member]) -> tuple[str, str] | None:
    route, hedge = subject.route, subject.route.hedge
    assert hedge is not None
    plans = [member.planned.plan for member in members]
    if len({plan.target.provider for plan in plans}) < 2:  # noqa: PLR2004  # one beside the other
        return (
            "all targets share one account: nobody can be asked beside the first",
            "add a target of another provider",
        )
    if not any(
        one.credential != other.credential and one.endpoint != other.endpoint for one, other in combinations(plans, 2)
    ):
        return "all targets share one host: nobody can be asked beside the first", "add a target at another host"
    if not hedge.budget:
        return "its budget is 0%: nobody is asked beside the first", "raise `budget`, or remove the hedge"
    if route.max_attempts == 1:
        return "`max_attempts` is 1: nobody is asked beside the first", "raise it, or remove the hedge"
    if hedge.after != "p95":
        begun = [
            min(_limit(member), route.deadline / _shares(members, index)) for index, member in enumerate(members[:-1])
        ]
        if hedge.after >= max(begun):
            message = f"an attempt has ended by then: the first content must come within {_short(max(begun))}"
            return message, "lower `after`, or raise `first_content`"
    return None
