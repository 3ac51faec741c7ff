"""How far the targets of a route are apart: who could take all of them away at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...config import Problem
from .subject import Member, Subject

__all__ = ["problems"]


def problems(subject: Subject) -> Iterator[Problem]:
    """Tell what all targets that may be asked have in common."""
    members = subject.in_play
    if subject.inherits():
        return
    plans = [member.planned.plan for member in members]
    operators = {plan.target.operator for plan in plans}
    jurisdictions = {plan.jurisdiction for plan in plans}
    path = subject.at("chain")
    vectors = any("embeddings" in member.planned.known for member in members)
    others = "another operator that serves the same weights" if vectors else "another operator"
    if len(operators) == 1 and None not in operators:
        left = "" if len(members) == len(subject.members) else " that may be asked"
        message = f"every target of `{subject.name}`{left} is operated by `{operators.pop()}`"
        hint = f"add a target of {others}, or local weights"
        yield subject.tell("warning", path, message, hint, code="single-operator", at_key=True)
    elif len(members) == 1:
        message = f"nobody is asked when {members[0]} fails: it is the only target of `{subject.name}`"
        yield subject.tell("note", path, message, "add another target", code="no-fallback", at_key=True)
    elif len(jurisdictions) == 1 and None not in jurisdictions:
        message = f"every operator of `{subject.name}` has its seat in {jurisdictions.pop()}"
        hint = "add local weights, or an operator elsewhere, if one law must not stop the route"
        yield subject.tell("note", path, message, hint, code="single-jurisdiction", at_key=True)
    if not vectors:  # which only equal weights make
        yield from _author(subject, members)
    yield from _accounts(subject, members)


def _author(subject: Subject, members: Sequence[Member]) -> Iterator[Problem]:
    """Fallbacks to the same house: what makes one of its models useless, or unlawful, may do so to all."""
    authors = {member.planned.plan.target.author for member in members}
    if len(members) == 1 or len(authors) > 1 or None in authors:
        return
    author = authors.pop()
    message = f"the weights of every target of `{subject.name}` are by `{author}`: `off {author} --weights` leaves none"
    own = [member for member in members if member.planned.plan.target.operator is None]
    hint = "add a target with weights by somebody else"
    if own:  # which nobody can take back
        yield subject.tell("note", subject.at("chain"), message, hint, code="single-author", at_key=True)
    else:
        yield subject.tell("warning", subject.at("chain"), message, hint, code="single-author", at_key=True)


def _accounts(subject: Subject, members: Sequence[Member]) -> Iterator[Problem]:
    """Fallbacks to an account that was asked before: what refuses the one target refuses the other."""
    first: dict[str, Member] = {}
    several = len({member.planned.plan.credential for member in members}) > 1
    for member in members:
        other = first.setdefault(member.planned.plan.credential, member)
        name, before = member.planned.account.name, other.planned.account.name
        if name != before:
            message = f"`{name}` has the endpoint and the key of `{before}`: they fail together"
            hint = "give it a key, a region or an endpoint of its own"
            yield subject.tell("warning", member.path, message, hint, code="same-account")
        elif other is not member and several and member.planned.account.profile.adapter != "local":
            message = f"{member} is no help when the account or the host of {other} fails: it shares them"
            hint = "fine, if it is there for failures of the model alone"
            yield subject.tell("note", member.path, message, hint, code="same-account")
