"""What is doubtful about the entries of `off`: whether they hold, and whether they name anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

from ..providers.profile import Profile
from ..types import Target
from .policy import OffEntry, OffKind, Policy
from .problems import Path, Problem, did_you_mean

__all__ = ["doubtful_entries"]


def doubtful_entries(
    policy: Policy, targets: Sequence[Target], profiles: Sequence[Profile], today: date
) -> Iterator[Problem]:
    """Tell of each entry what does not do what it seems to.

    :param targets: those of all routes.
    :param profiles: all that an entry may speak of.
    """
    tell, midnight = policy.origin.problem, datetime(today.year, today.month, today.day, tzinfo=UTC)
    for index, entry in enumerate(policy.off):
        path: Path = ("off", index)
        if entry.until is not None and entry.until <= midnight:
            message = f"ended on {entry.until.date()}: `{entry.name}` is asked again"
            yield tell("warning", (*path, "until"), message, "remove the entry", code="off-ended")
            continue
        if entry.since is not None and entry.since.date() > today:
            message = f"`{entry.name}` is off already: `since` only says when that was decided"
            yield tell("warning", (*path, "since"), message, "add the entry on that day", code="off-early")
        known = _known(entry.kind, policy, targets, profiles)
        if known is not None and entry.name not in known:
            whose = "any route" if entry.kind == "target" else "the policy or the catalogue"
            name = policy.origin.shown((*path, entry.kind), entry.name)
            message = f"{name} is no {entry.kind} of {whose}: nothing is off by this"
            hint = did_you_mean(entry.name, sorted(known)) or "correct the name; `multimodel status` shows them"
            yield tell("warning", (*path, entry.kind), message, hint, code="off-names-nothing")
        elif entry.kind == "author":
            yield from _unknown_authors(policy, index, entry, targets)


def _unknown_authors(policy: Policy, index: int, entry: OffEntry, targets: Sequence[Target]) -> Iterator[Problem]:
    for target in targets:
        if target.author is None:
            message = f"the author of `{target}` is unknown, so it stays on when `{entry.name}` is off"
            hint = "switch the target off, if it is meant"
            yield policy.origin.problem("warning", ("off", index, "author"), message, hint, code="off-author-unknown")


def _known(kind: OffKind, policy: Policy, targets: Sequence[Target], profiles: Sequence[Profile]) -> set[str] | None:
    """Return what an entry may name; None where loading has looked already."""
    match kind:
        case "author":
            listed = {facts.author for profile in profiles for facts in profile.models.values() if facts.author}
            return listed | {target.author for target in targets if target.author}
        case "operator":
            named = {config.operator for config in policy.providers.values() if config.operator}
            return named | {profile.operator for profile in profiles if profile.operator}
        case "jurisdiction":
            return {profile.jurisdiction for profile in profiles if profile.jurisdiction}
        case "target":
            return {str(target) for target in targets}
        case "provider":
            return None
