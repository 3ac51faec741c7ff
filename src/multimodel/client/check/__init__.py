"""What ``check`` tells of a policy that has no mistakes, without a network.

Errors are what no call can survive, whatever the machine; what only this machine lacks is a warning. The policy by
itself is judged by :func:`~multimodel.config.check_policy`; here it is what its routes amount to, as the engine sees
them, and the files that belong to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date

from ...config import Problem, check_policy
from ...config.check import ordered
from ...providers.catalogue import profiles
from ..core import Core
from . import files, machine, money, reach, spread, tested, usable
from .subject import Subject, subjects

__all__ = ["check"]


def check(core: Core, *, today: date) -> list[Problem]:
    """Tell what is doubtful: errors first, then warnings, then notes.

    :param today: the day by which models that go and entries that have ended are judged.
    """
    routes = list(subjects(core))
    authors = {str(one.plan.target): one.plan.target.author for one in core.current().everybody()}
    found = [
        *files.problems(core),
        *check_policy(core.policy, environ=os.environ, profiles=profiles(os.environ), today=today, authors=authors),
        *machine.problems(routes),
        *tested.problems(core.policy.ledger, routes),
    ]
    for subject in routes:
        found += _route(subject)
    return ordered(found)


def _route(subject: Subject) -> Iterator[Problem]:
    yield from usable.problems(subject)
    if not subject.in_play:  # of a route that is stranded, nothing else matters
        return
    yield from spread.problems(subject)
    yield from reach.problems(subject)
    yield from money.problems(subject)
