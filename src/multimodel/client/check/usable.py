"""Who of a route can be asked at all: by the switches, by what the route requires, and here."""

from __future__ import annotations

from collections.abc import Iterator

from ...config import Problem
from .subject import Member, Subject

__all__ = ["problems"]

_FORMATS = frozenset({"json_object", "json_schema"})


def problems(subject: Subject) -> Iterator[Problem]:
    """Tell who cannot be asked, and whether anybody is left."""
    if not subject.inherits():
        for member in subject.members:
            yield from _requires(subject, member)
        yield from _stranded(subject)
        yield from _kinds(subject)
    if not subject.inherits("traffic"):
        yield from _traffic(subject)
    if not subject.inherits("params"):
        yield from _longest_answer(subject)


def _requires(subject: Subject, member: Member) -> Iterator[Problem]:
    if member.unmet:
        message = f"{member} is never asked: `{subject.name}` requires {', '.join(member.unmet)}, which it lacks"
        hint = "take it out of the chain, or change `requires`"
        yield subject.tell("warning", member.path, message, hint, code="requires-unmet")
        return
    is_local = member.planned.account.profile.adapter == "local"
    if is_local and "tools" in subject.route.requires and not _FORMATS.isdisjoint(subject.route.requires):
        message = f"{member} is not held to a schema while it writes, where tools are offered as well"
        hint = "its answers are checked all the same, and asked for once more; or make a route without tools"
        yield subject.tell("note", member.path, message, hint, code="schema-not-held")
    unknown = sorted(set(subject.route.requires) - member.planned.known)
    if unknown and not is_local:  # whose lacks are read from the weights
        message = f"nobody knows whether {member} has {', '.join(unknown)}, so it is asked"
        yield subject.tell("note", member.path, message, "try it once", code="requires-unverified")


def _stranded(subject: Subject) -> Iterator[Problem]:
    name, path = subject.name, subject.at("chain")
    if not subject.in_play:
        entries = [member.off for member in subject.members]
        written = [entry for entry in subject.policy.off if entry in entries]
        if None not in entries and written:
            path = ("off", subject.policy.off.index(written[0]))
            message = f"`off` leaves `{name}` without a target"
        else:
            message = f"no target of `{name}` may be asked: {_reasons(subject)}"
        yield subject.tell("error", path, message, "add a target that stays on", code="stranded", at_key=True)
    elif all(member.why is not None for member in subject.members):
        message = f"no target of `{name}` can be asked on this machine: {_reasons(subject)}"
        hint = "set a key, install what is missing, or add a target"
        yield subject.tell("warning", path, message, hint, code="stranded-here", at_key=True)


def _reasons(subject: Subject) -> str:
    return ", ".join(f"{member} {member.reason}" for member in subject.members)


def _kinds(subject: Subject) -> Iterator[Problem]:
    """Models that make vectors beside models that answer: each call is one too many for one of them."""
    vectors = [member for member in subject.in_play if "embeddings" in member.planned.known]
    answers = [member for member in subject.in_play if "embeddings" in member.planned.plan.lacks]
    if vectors and answers:
        odd = vectors[0] if len(vectors) <= len(answers) else answers[0]
        does, rest = ("makes vectors", "answer") if odd is vectors[0] else ("answers", "make vectors")
        message = f"{odd} {does}, while others of `{subject.name}` {rest}"
        yield subject.tell("warning", odd.path, message, "make a route for each", code="mixed-kinds")


def _traffic(subject: Subject) -> Iterator[Problem]:
    """Weights of targets that are not asked: the draw is made among the others."""
    for member in subject.members:
        target = str(member.planned.plan.target)
        if subject.route.traffic.get(target) and not member.in_play:
            message = f"the weight of {member}, which {member.reason}, goes to the others"
            path = subject.at("traffic", target)
            yield subject.tell("note", path, message, code="idle-traffic", at_key=True)


def _longest_answer(subject: Subject) -> Iterator[Problem]:
    for member in subject.in_play:
        asked, most = member.planned.params.get("max_tokens") or 0, member.planned.max_output
        if asked > most:
            message = f"{member} is never asked for {asked} tokens: it answers with {most} at most"
            hint = "lower `max_tokens`, or give the target `params` of its own"
            yield subject.tell("warning", member.path, message, hint, code="answer-too-long")
