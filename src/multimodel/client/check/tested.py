"""What the ledger of real calls tells: fallbacks that have never answered one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...config import Problem
from ...errors import ConfigurationError
from .subject import Subject

__all__ = ["problems"]


def problems(ledger: Path | None, subjects: Sequence[Subject]) -> Iterator[Problem]:
    """Tell of each fallback that answered no call of its route, where a ledger was kept."""
    if ledger is None or not ledger.is_file():
        return
    from ...governance.ledger import read_ledger

    try:
        traffic = read_ledger(ledger)
    except ConfigurationError as error:
        yield subjects[0].policy.origin.problem(
            "warning", ("ledger",), error.message, error.hint, code="ledger-unreadable"
        )
        return
    for subject in subjects:
        for member in subject.in_play[1:]:
            if not traffic.answers(subject.name, str(member.planned.plan.target)):
                message = f"{member} has answered no call of `{subject.name}`, as far as the ledger goes back"
                hint = f"try it before it is needed: `multimodel drill {subject.name} --without …`"
                yield subject.tell("note", member.path, message, hint, code="untested-fallback")
