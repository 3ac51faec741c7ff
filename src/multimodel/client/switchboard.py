"""Taking a vendor out, and in again: what a name means, what the switch would do, and writing it down."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ..config import OffEntry
from ..config.policy import OffKind
from ..config.problems import did_you_mean
from ..errors import ConfigurationError
from ..observe import emit
from ..types import Target
from .targets import Planned, ranked
from .views import Impact, RouteImpact

if TYPE_CHECKING:
    from .core import Core

__all__ = ["Switchboard", "user"]


class Switchboard:
    """The switches of one client."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._writing = threading.Lock()

    def off(
        self,
        name: str,
        *,
        reason: str,
        until: datetime | timedelta | None,
        by: str | None,
        weights: bool = False,
        cut: bool = False,
        kind: OffKind | None = None,
    ) -> tuple[str, ...]:
        """Switch off; return the routes that have no target left.

        :param cut: whether attempts that are under way end too.
        :param kind: what ``name`` is; None looks it up.
        """
        moment = datetime.now(UTC)
        end = None if until is None else _end(until, moment)
        kind = kind or self._kind_of(name, weights=weights)
        entry = _entry(kind, name, reason=reason, by=by or user(), since=moment, until=end, cut=cut)
        with self._writing, _written(self._core.switches.file):
            self._core.switches.throw(entry)
        _tell("off", entry, entry.by)
        return self.stranded()

    def impact(self, name: str, *, weights: bool = False, kind: OffKind | None = None) -> Impact:
        """Say what ``off`` would do now, and change nothing."""
        kind = kind or self._kind_of(name, weights=weights)
        entry, moment = _entry(kind, name), datetime.now(UTC)
        held = self._core.current()
        stops: dict[Target, None] = {}  # in order, each once
        stranded, changed = [], []

        def covered(planned: Planned) -> bool:
            return entry.covers(planned.plan.target, jurisdiction=planned.plan.jurisdiction, at=moment)

        for route, settings in held.policy.routes.items():
            live = [
                one for one in ranked(held.chain(route), settings.traffic) if self._core.lasting_obstacle(one) is None
            ]
            left = [planned for planned in live if not covered(planned)]
            here = [planned for planned in live if not planned.account.lacks_key]  # a key may be missing everywhere
            if any(some and all(map(covered, some)) for some in (live, here)):
                stranded.append(route)
            elif len(left) < len(live):
                changed.append(_loss(route, live, left))
        for planned in held.everybody():
            if self._core.lasting_obstacle(planned) is None and covered(planned):
                stops[planned.plan.target] = None
        return Impact(kind, tuple(stops), tuple(stranded), tuple(changed))

    def meaning(self, name: str, *, kind: OffKind | None = None) -> OffEntry:
        """Return what a name means: the entry that ``off`` would write, without a reason."""
        return _entry(kind or self._kind_of(name, weights=False), name)

    def on(self, name: str, *, by: str | None) -> tuple[OffEntry, ...]:
        """Switch on; return the entries that were lifted.

        :raises ConfigurationError: when nothing of that name was switched off, or the policy itself says so.
        """
        subjects = [(kind, name) for kind in ("operator", "author", "provider", "target", "jurisdiction")]
        with self._writing, _written(self._core.switches.file):
            lifted = self._core.switches.lift(subjects, by=by or user())
        for entry in lifted:
            _tell("on", entry, by or user())
        policy = self._core.policy
        fixed = [entry for entry in policy.off if entry.name == name]
        if fixed:
            where = policy.source or "the policy"
            also = "; its entry in the switch file was lifted" if lifted else ""
            raise ConfigurationError(
                f"`{name}` is still off: `off:` of {where} says so ({fixed[0].kind}){also}",
                hint="remove the entry there",
            )
        if not lifted:
            off = ", ".join(f"`{entry.name}`" for entry in self._core.switches.entries()) or "nothing"
            raise ConfigurationError(f"`{name}` is not switched off", hint=f"switched off now: {off}")
        return lifted

    def stranded(self) -> tuple[str, ...]:
        """Return the routes whose every target is off or unavailable."""
        held = self._core.current()
        return tuple(
            name
            for name in held.policy.routes
            if all(self._core.ruled_out(planned) is not None for planned in held.chain(name))
        )

    def _kind_of(self, name: str, *, weights: bool) -> OffKind:
        """Look a name up as operator, author, provider, target, in this order; with ``weights`` as author alone."""
        targets = [planned.plan.target for planned in self._core.current().everybody()]
        looks: dict[OffKind, set[str]] = {
            "operator": {target.operator for target in targets if target.operator},
            "author": {target.author for target in targets if target.author},
            "provider": {target.provider for target in targets},
            "target": {str(target) for target in targets},
        }
        if weights:
            looks = {"author": looks["author"]}
        for kind, names in looks.items():
            if name in names:
                return kind
        known = sorted(set().union(*looks.values()))
        *others, last = looks
        words = f"{', '.join(others)} or {last}" if others else last
        raise ConfigurationError(
            f"`{name[:100]}` is no {words} of this policy",
            hint=did_you_mean(name, known) or f"known are {', '.join(known[:16]) or 'none'}",
        )


def _tell(action: str, entry: OffEntry, by: str | None) -> None:
    subject, until = f"{entry.kind} {entry.name}", None if entry.until is None else entry.until.isoformat()
    from ..observe import conventions, mark

    mark(conventions.SWITCH, {"action": action, "subject": subject, "by": by, "reason": entry.reason, "until": until})
    emit(
        logging.WARNING, "multimodel.switched", action=action, subject=subject, by=by, reason=entry.reason, until=until
    )


def _loss(route: str, live: Sequence[Planned], left: Sequence[Planned]) -> RouteImpact:
    """Compare the targets of a route that are asked now with those that would be left."""
    needs = frozenset[str]().union(*(one.known for one in live)) - frozenset[str]().union(*(one.known for one in left))
    before, after = (max((one.room for one in some if one.room < sys.maxsize), default=0) for some in (live, left))
    old, new = (
        (some[0].prices[0].input, some[0].prices[0].output) if some[0].prices else None for some in (live, left)
    )
    return RouteImpact(
        route,
        tuple(sorted(needs)),
        (before, after) if 0 < after < before else None,
        (old, new) if old is not None and new is not None and old != new else None,
        (here, there) if (here := _place(live[0])) != (there := _place(left[0])) else None,
    )


def _place(planned: Planned) -> str:
    """Say where a target stores and infers."""
    account = planned.account
    if account.profile.adapter == "local":
        return "this machine"
    stored, inferred = account.place.stored_in, account.place.inference_in
    return f"{', '.join(stored or ('unknown',))} (inference: {', '.join(inferred or ('unknown',))})"


def _end(until: datetime | timedelta, now: datetime) -> datetime:
    if not isinstance(until, datetime | timedelta):
        raise ConfigurationError(
            f"`until` is a `{type(until).__name__}`", hint="hand in a `datetime`, a `timedelta` from now, or None"
        )
    try:
        end = now + until if isinstance(until, timedelta) else until.astimezone(UTC)
    except (OverflowError, ValueError):
        raise ConfigurationError("`until` is too far away", hint="leave it out, for good") from None
    if end <= now:
        raise ConfigurationError("`until` is in the past", hint="it is when the switch ends by itself")
    return end


def _entry(kind: OffKind, name: str, **facts: object) -> OffEntry:
    try:
        return OffEntry.model_validate({kind: name, **facts})
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False)
        fact = str(first["loc"][0]) if first["loc"] else kind
        if fact == kind:
            raise ConfigurationError(f"`{str(name)[:100]}` is no {kind}", hint=_NAMES[kind]) from None
        raise ConfigurationError(f"`{fact}` is no text") from None


_NAMES: dict[OffKind, str] = {
    "operator": "write it in small letters, digits and `-`, as in `alibaba`",
    "author": "write it in small letters, digits and `-`, as in `alibaba`",
    "provider": "write its name under `providers:`, or in the catalogue",
    "target": "write `provider:model`",
    "jurisdiction": "write two capital letters, as in `CN`",
}


@contextmanager
def _written(file: Path | None) -> Iterator[None]:
    """Say of a switch that could not be kept where and why."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(
            f"`{error.filename or file}` cannot be written: {error.strerror or error}; nothing was changed",
            hint="name another place with `switch_file:` in the policy, or get the right to write there",
        ) from error


def user() -> str | None:
    """Return the name of whose process this is, as far as it has one."""
    import getpass

    with suppress(OSError, KeyError):  # no such user, as in some containers
        return getpass.getuser()
    return None
