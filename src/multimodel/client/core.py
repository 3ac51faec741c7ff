"""What both clients share: the policy, the accounts, the health, the switches."""

from __future__ import annotations

import logging
import os
import threading
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, TypeAlias
from weakref import WeakSet

from pydantic import ValidationError

from ..config import OffEntry, Policy, Route, default_policy, find_policy, load_policy
from ..config.policy import OffKind
from ..config.problems import did_you_mean
from ..drivers.base import now
from ..engine.health import Health
from ..errors import ConfigurationError
from ..governance.switches import Switches
from ..observe import emit
from ..providers.base import Provider, ProviderSetup
from ..providers.catalogue import profiles as catalogue
from ..providers.profile import Fact, Profile
from ..types import Target
from .targets import Accounts, Planned, default_archive, plan_route
from .views import ExplainedTarget, Explanation, Impact, State, Status, TargetStatus

__all__ = ["Core", "PolicySource", "local_models"]

PolicySource: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Policy | None"


class Core:
    """The state of one client, shared between threads, event loops and views.

    :ivar lock: held around each step of the engine, never across I/O.
    """

    def __init__(self, policy: PolicySource, providers: Mapping[str, Provider] | None) -> None:
        given = dict(providers or {})
        bare = {name: _bare_profile(name) for name in given}
        profiles: Mapping[str, Profile] = ChainMap(bare, catalogue(os.environ))  # type: ignore[arg-type]  # it is only read
        self.policy = _load(policy, profiles)
        self.profiles = profiles
        self.accounts = Accounts(self.policy, profiles, os.environ, given)
        self.rng = Random()
        self.lock = threading.Lock()
        self._switching = threading.Lock()  # held while the switch file is written
        self.health = Health(self.rng)
        self.switches = Switches(
            self.policy.off,
            self.policy.switches,
            lambda: datetime.now(UTC),
            policy=self.policy.source,
            on_unreadable=lambda file: emit(logging.ERROR, "multimodel.switch_file_unreadable", file=str(file)),
        )
        self.closed = False
        self._chains: dict[str, tuple[Planned, ...]] = {}
        _cores.add(self)

    # --- routes ---

    def route(self, name: str) -> tuple[str, Route]:
        """Find a route by its name or an alias.

        :raises ConfigurationError: names the routes that exist.
        """
        found = self.policy.route(name) if isinstance(name, str) else None
        if found is None:
            known = [*self.policy.routes, *self.policy.aliases]
            hint = did_you_mean(str(name), known) or f"known are {', '.join(f'`{route}`' for route in known[:16])}"
            raise ConfigurationError(f"unknown route `{str(name)[:100]}`", hint=hint)
        return self.policy.aliases.get(name, name), found

    def chain(self, name: str) -> tuple[Planned, ...]:
        """Return a route's resolved targets, those that cannot be asked included."""
        known = self._chains.get(name)
        if known is None:  # of threads that come at the same time all get the first one's
            known = self._chains.setdefault(name, plan_route(self.policy.routes[name], self.accounts))
        return known

    def selected(self, name: str, only: Sequence[str] | None, avoid: Sequence[str] | None) -> tuple[Planned, ...]:
        """Return a route's targets, restricted by a call's ``only`` and ``avoid``.

        :raises ConfigurationError: when a name means no target of the route.
        """
        chain = self.chain(name)
        for word in (*(only or ()), *(avoid or ())):
            if not any(_means(word, planned.plan.target) for planned in chain):
                names = [str(planned.plan.target) for planned in chain]
                raise ConfigurationError(
                    f"`{word[:100]}` is no target, provider, operator or author of route `{name}`",
                    hint=did_you_mean(word, names) or f"its targets are {', '.join(names)}",
                )
        left = tuple(
            planned
            for planned in chain
            if (only is None or any(_means(word, planned.plan.target) for word in only))
            and not any(_means(word, planned.plan.target) for word in avoid or ())
        )
        if not left:
            raise ConfigurationError(f"`only` and `avoid` leave no target of route `{name}`", hint="name fewer")
        return left

    def obstacle(self, planned: Planned, needs: frozenset[str]) -> tuple[str, str] | None:
        """Say why a target is not eligible for a call with these needs: a word, and a detail for people."""
        off = self.switches.against(planned.plan.target, planned.plan.jurisdiction)
        if off is not None:
            return "off", f"{off.kind} {off.name}" + (f": {off.reason}" if off.reason else "")
        if planned.why_not is not None:
            return "unavailable", planned.why_not
        missing = needs & planned.plan.lacks
        if missing:
            return "capability", f"it has no {', '.join(sorted(missing))}"
        return None

    # --- for people ---

    def explain(self, name: str, needs: frozenset[str]) -> Explanation:
        """Say what a call would do now."""
        name, route = self.route(name)
        targets = []
        for planned in self.chain(name):
            why = self.obstacle(planned, needs)
            if why is None:
                state, seconds = self._health_of(planned)
                if state in ("open", "gated"):
                    why = ("breaker" if state == "open" else "gate"), f"for {seconds:.1f} s"
            targets.append(ExplainedTarget(planned.plan.target, *(why or ())))
        return Explanation(name, tuple(targets), route.deadline)

    def status(self) -> Status:
        """Say what is known now."""
        from .. import __version__

        source = self.policy.source
        file = self.switches.file
        return Status(
            version=__version__,
            policy=None if source is None else str(source),
            switch_file=None if file is None else str(file),
            routes={name: tuple(map(self._status_of, self.chain(name))) for name in self.policy.routes},
            off=self.switches.entries(),
        )

    def _health_of(self, planned: Planned) -> tuple[State, float]:
        with self.lock:
            return self.health.state(planned.plan, now())

    def _status_of(self, planned: Planned) -> TargetStatus:
        why = self.obstacle(planned, frozenset())
        if why is not None:
            state: State = "off" if why[0] == "off" else "unavailable"
            return TargetStatus(planned.plan.target, state, detail=why[1])
        state, seconds = self._health_of(planned)
        return TargetStatus(planned.plan.target, state, round(seconds, 3))

    # --- the switch ---

    def off(
        self,
        name: str,
        *,
        reason: str,
        until: datetime | timedelta | None,
        by: str | None,
        weights: bool = False,
        kind: OffKind | None = None,
    ) -> tuple[str, ...]:
        """Switch off; return the routes that have no target left.

        :param kind: what ``name`` is; None looks it up.
        """
        moment = datetime.now(UTC)
        end = None if until is None else _end(until, moment)
        kind = kind or self._kind_of(name, weights=weights)
        entry = _entry(kind, name, reason=reason, by=by or _user(), since=moment, until=end)
        with self._switching, _written(self.switches.file):
            self.switches.throw(entry)
        return self.stranded()

    def impact(self, name: str, *, weights: bool = False, kind: OffKind | None = None) -> Impact:
        """Say what ``off`` would do now, and change nothing."""
        kind = kind or self._kind_of(name, weights=weights)
        entry, moment = _entry(kind, name), datetime.now(UTC)
        stops: dict[Target, None] = {}
        stranded = []
        for route in self.policy.routes:
            live = [planned.plan for planned in self.chain(route) if self._is_live(planned)]
            stopped = [plan for plan in live if entry.covers(plan.target, jurisdiction=plan.jurisdiction, at=moment)]
            stops.update(dict.fromkeys(plan.target for plan in stopped))
            if stopped and len(stopped) == len(live):
                stranded.append(route)
        return Impact(kind, tuple(stops), tuple(stranded))

    def _is_live(self, planned: Planned) -> bool:
        """Whether a target is asked: here, or where the variables are set that are not set here."""
        why = self.obstacle(planned, frozenset())
        return why is None or (why[0] == "unavailable" and planned.account.name in self.policy.origin.unset)

    def on(self, name: str, *, by: str | None) -> tuple[OffEntry, ...]:
        """Switch on; return the entries that were lifted.

        :raises ConfigurationError: when nothing of that name was switched off, or the policy itself says so.
        """
        subjects = [(kind, name) for kind in ("operator", "author", "provider", "target", "jurisdiction")]
        with self._switching, _written(self.switches.file):
            lifted = self.switches.lift(subjects, by=by or _user())
        held = [entry for entry in self.policy.off if entry.name == name]
        if held:
            where = self.policy.source or "the policy"
            also = "; its entry in the switch file was lifted" if lifted else ""
            raise ConfigurationError(
                f"`{name}` is still off: `off:` of {where} says so ({held[0].kind}){also}",
                hint="remove the entry there",
            )
        if not lifted:
            off = ", ".join(f"`{entry.name}`" for entry in self.switches.entries()) or "nothing"
            raise ConfigurationError(f"`{name}` is not switched off", hint=f"switched off now: {off}")
        return lifted

    def stranded(self) -> tuple[str, ...]:
        """Return the routes whose every target is off or unavailable."""
        return tuple(
            name
            for name in self.policy.routes
            if all(self.obstacle(planned, frozenset()) is not None for planned in self.chain(name))
        )

    def _kind_of(self, name: str, *, weights: bool) -> OffKind:
        """Look a name up as operator, author, provider, target, in this order; with ``weights`` as author alone."""
        targets = [planned.plan.target for route in self.policy.routes for planned in self.chain(route)]
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

    def after_fork(self) -> None:
        """Begin anew in a child: a lock that another thread held would never be released, chance would repeat."""
        self.lock = threading.Lock()
        self._switching = threading.Lock()
        self.rng.seed()


_cores: WeakSet[Core] = WeakSet()


def _restart_cores() -> None:
    for core in _cores:
        core.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_cores)


def _load(source: PolicySource, profiles: Mapping[str, Profile]) -> Policy:
    if source is None:
        source = find_policy(os.environ, Path.cwd())
        if source is None:
            return default_policy(os.environ, profiles, local_models(profiles))
    if isinstance(source, os.PathLike):
        source = os.fspath(source)
    if not isinstance(source, str | Mapping | Policy):
        raise ConfigurationError(
            f"a policy is no `{type(source).__name__}`",
            hint="hand in a file's path as a text or a `Path`, a mapping, or a `Policy`",
        )
    return load_policy(source, environ=os.environ, profiles=profiles)


def local_models(profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    """Return the names of the local weights that are there, best first."""
    from ..providers.local import LocalProvider

    setup = ProviderSetup("local", profiles["local"], options={"archive": default_archive(os.environ)})
    return LocalProvider(setup).models()


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


def _means(word: str, target: Target) -> bool:
    return word in (str(target), target.provider, target.operator, target.author)


def _bare_profile(name: str) -> Profile:
    """What is known of an adapter that the application hands in itself: nothing."""
    fact = Fact(source="given to the client", date=datetime.now(UTC).date())
    return Profile(name=name, title=name, operator=None, adapter="given", key_required=False, fact=fact)


def _user() -> str | None:
    import getpass

    with suppress(OSError, KeyError):  # no such user, as in some containers
        return getpass.getuser()
    return None
