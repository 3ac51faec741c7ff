"""What this machine lacks: weights, and packages. Of keys it is told beside the policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...config import Problem
from ...governance.archive import archive_doubts
from ...providers.registry import installed, missing
from .subject import Member, Subject

__all__ = ["problems"]

_SCHEMAS = ("json_schema", "json_object")


def problems(subjects: Sequence[Subject]) -> Iterator[Problem]:
    """Tell of each target once why it cannot be used here, and what cannot be checked."""
    told: set[str] = set()
    for subject in subjects:
        for member in subject.members:
            if str(member) not in told:
                told.add(str(member))
                yield from _target(subject, member)
    wanting = next((one for one in subjects if not set(_SCHEMAS).isdisjoint(one.route.requires)), None)
    if wanting is not None and not installed("jsonschema"):
        message = "`jsonschema` is not installed: answers are checked against types, but not against schemas"
        hint = "pip install 'multimodel[schema]'"
        yield wanting.tell("note", wanting.at("requires"), message, hint, code="schema-unchecked", at_key=True)


def _target(subject: Subject, member: Member) -> Iterator[Problem]:
    planned = member.planned
    adapter, why_not = planned.account.profile.adapter, planned.why_not
    if adapter == "local" and why_not is not None and not member.unmet:
        reason, _, hint = why_not.partition("\nhint: ")
        message, hint = f"{member} is skipped: {reason}", hint or "put them there, or set `archive:` of the provider"
        yield subject.tell("warning", member.path, message, hint, code="weights-unusable")
    elif adapter == "local" and why_not is None:
        for doubt in archive_doubts(planned.account.setup.options["archive"], planned.plan.target.model):
            message = f"{member} {doubt.message}"
            yield subject.tell(doubt.severity, member.path, message, doubt.hint, code=doubt.code)
    elif not planned.account.given and (lacking := missing(adapter)) is not None:
        hint = "pip install 'multimodel[litellm]'" if adapter == "litellm" else "install it"
        yield subject.tell("warning", member.path, f"{member} cannot be asked: {lacking}", hint, code="extra-missing")
