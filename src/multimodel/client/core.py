"""What both clients share: the policy, the accounts, the health, the chains."""

from __future__ import annotations

import logging
import os
import threading
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, TypeAlias, get_args
from weakref import WeakSet

from ..config import Policy, Route, default_policy, find_policy, load_policy
from ..config.problems import did_you_mean
from ..config.routes import Budget as BudgetConfig
from ..config.routes import Need
from ..drivers.base import now
from ..engine.budget import Budget, Spending, Spendings, dollars
from ..engine.health import Health
from ..engine.settings import CallSettings
from ..errors import ConfigurationError
from ..governance.switches import Switches
from ..observe import emit
from ..providers.base import Provider, ProviderSetup
from ..providers.catalogue import profiles as catalogue
from ..providers.profile import Fact, Profile
from ..types import Target
from .books import open_ledger
from .cost import budget_settings
from .needs import split_needs, too_small
from .shadows import Shadows
from .switchboard import Switchboard
from .targets import Accounts, Planned, call_settings, default_archive, plan_route, plan_shadow
from .tenants import Tenants
from .views import BudgetStatus, ExplainedTarget, Explanation, State, Status, TargetStatus

__all__ = ["Core", "PolicySource", "chosen", "local_models"]

_NEEDS = frozenset(get_args(Need))
_TELLING = frozenset({"extra", "reasoning_effort"})

PolicySource: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any] | Policy | None"


class Core:
    """The state of one client, shared between threads, event loops and views.

    :ivar lock: held around each step of the engine, never across I/O.
    :ivar refused_schemas: keys of targets that refused to be asked for a JSON Schema.
    """

    def __init__(self, policy: PolicySource, providers: Mapping[str, Provider] | None) -> None:
        given = dict(providers or {})
        bare = {name: _bare_profile(name) for name in given}
        profiles: Mapping[str, Profile] = ChainMap(bare, catalogue(os.environ))  # type: ignore[arg-type]  # it is only read
        self.policy = _load(policy, profiles)
        self.profiles = profiles
        self.accounts = Accounts(self.policy, profiles, os.environ, given)
        self.rng = Random()
        self.lock = threading.RLock()
        self.health = Health(self.rng)
        self.switches = Switches(
            self.policy.off,
            self.policy.switches,
            lambda: datetime.now(UTC),
            policy=self.policy.source,
            on_unreadable=lambda file: emit(logging.ERROR, "multimodel.switch_file_unreadable", file=str(file)),
        )
        self.switchboard = Switchboard(self)
        self.ledger = open_ledger(self.policy)
        self.shadows = Shadows(self.switches, self.rng, self.ledger)
        self.refused_schemas: set[str] = set()
        self.spendings = Spendings()
        self.tenants = Tenants(self)
        self.tenant: str | None = None
        self.metadata: Mapping[str, str] = {}
        self._closed = False
        self._chains: dict[str, tuple[Planned, ...]] = {}
        self._shadows: dict[str, Planned | None] = {}
        self._telling: dict[str, tuple[Mapping[str, Any], ...]] = {}
        self._limits: dict[tuple[str, bool], CallSettings] = {}
        _cores.add(self)

    @property
    def closed(self) -> bool:
        """Whether it can make no further calls."""
        return self._closed

    def leave(self) -> list[object]:
        """Make no further calls; return what is then to be closed, last one first: the adapters, and the ledger."""
        self._closed = True
        self.shadows.close()
        self.tenants.tidy()
        ledger = [] if self.ledger is None else [self.ledger]
        return [*ledger, *self.accounts.built(), *self.tenants.made()]

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

    def telling(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """Return the parameters of a route's targets that say more than the calls: of effects, or of thinking."""
        known = self._telling.get(name)
        if known is None:
            params = (planned.params for planned in self.chain(name))
            known = self._telling[name] = tuple(given for given in params if not _TELLING.isdisjoint(given))
        return known

    def limits(self, name: str, *, stream: bool, deadline: float | None) -> CallSettings:
        """Return the limits of one call; a deadline of its own can only shorten the route's."""
        known = self._limits.get((name, stream))
        if known is None:
            known = self._limits[name, stream] = call_settings(self.policy.routes[name], stream=stream)
        return known if deadline is None or deadline >= known.deadline else replace(known, deadline=deadline)

    def shadow(self, name: str) -> Planned | None:
        """Return the target that only listens to a route, or None."""
        if name not in self._shadows:
            self._shadows[name] = plan_shadow(self.policy.routes[name], self.accounts)
        return self._shadows[name]

    def everybody(self) -> Iterator[Planned]:
        """Return the targets of all routes, those that only listen included."""
        for name in self.policy.routes:
            yield from self.chain(name)
            shadow = self.shadow(name)
            if shadow is not None:
                yield shadow

    def selected(self, name: str, only: Sequence[str] | None, avoid: Sequence[str] | None) -> tuple[Planned, ...]:
        """Return a route's targets, restricted by a call's ``only`` and ``avoid``.

        :raises ConfigurationError: when a name means no target of the route.
        """
        chain = self.chain(name)
        if only is None and not avoid:
            return chain
        for word in (*(only or ()), *(avoid or ())):
            if not any(_means(word, planned.plan.target) for planned in chain):
                names = [str(planned.plan.target) for planned in chain]
                raise ConfigurationError(
                    f"`{word[:100]}` is no target, provider, operator or author of route `{name}`",
                    hint=did_you_mean(word, names) or f"its targets are {', '.join(names)}",
                )
        left = tuple(planned for planned in chain if chosen(planned, only, avoid))
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
        missing = (needs & planned.plan.lacks) - {"json_schema"}  # which can be asked for in words
        if missing:
            return "capability", f"it has no {', '.join(sorted(missing))}"
        return None

    def budget(self, name: str, limits: BudgetConfig) -> Budget | None:
        """Return what a call that begins now may spend; None is no limit."""
        if limits.per_call is None and limits.per_day is None:
            return None
        return Budget(budget_settings(limits), self._spending(name))

    def _spending(self, name: str) -> Spending:
        with self.lock:
            return self.spendings.today((self.tenant, name), datetime.now(UTC).toordinal())

    # --- for people ---

    def explain(self, name: str, needs: frozenset[str]) -> Explanation:
        """Say what a call would do now."""
        name, route = self.route(name)
        needs, prompt, answer = split_needs(needs)
        for need in needs - _NEEDS:
            hint = did_you_mean(str(need), sorted(_NEEDS)) or f"known are {', '.join(sorted(_NEEDS))}"
            raise ConfigurationError(f"`{str(need)[:100]}` is nothing that a request can need", hint=hint)
        targets = []
        for planned in self.chain(name):
            why = self.obstacle(planned, needs)
            if why is None and (small := too_small(planned, prompt, answer)) is not None:
                why = small.reason, small.detail
            if why is None:
                moment = now()
                with self.lock:
                    found = self.health.obstacle(planned.plan, moment)
                if found is not None:
                    left = found.until - moment
                    why = found.reason, f"for {left:.1f} s" if left else ""
            facts = planned.account.profile.facts(planned.plan.target.model)
            restricts = facts.restricts if facts is not None else None
            unknown = sorted(needs - planned.known)
            reason, detail = why or (None, f"not known: {', '.join(unknown)}" if unknown else "")
            targets.append(ExplainedTarget(planned.plan.target, reason, detail, restricts))
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
            budgets=tuple(self._budgets()),
            audit_head=None if file is None else self.switches.audit.head(),
        )

    def _budgets(self) -> Iterator[BudgetStatus]:
        for name, route in self.policy.routes.items():
            per_day = None if route.budget is None else route.budget.per_day
            if per_day is not None:
                day = self._spending(name)
                spent, reserved = dollars(day.spent), dollars(day.reserved)
                yield BudgetStatus(name, self.tenant, per_day, spent, reserved, max(0.0, per_day - spent - reserved))

    def _status_of(self, planned: Planned) -> TargetStatus:
        why = self.obstacle(planned, frozenset())
        if why is not None:
            state: State = "off" if why[0] == "off" else "unavailable"
            return TargetStatus(planned.plan.target, state, detail=why[1])
        with self.lock:
            state, seconds = self.health.state(planned.plan, now())
        return TargetStatus(planned.plan.target, state, round(seconds, 3))

    def after_fork(self) -> None:
        """Begin anew in a child: a lock that another thread held would never be released, chance would repeat."""
        self.lock = threading.RLock()
        self.rng.seed()
        self.health.after_fork()
        self.spendings.after_fork()
        self.switchboard = Switchboard(self)
        self.shadows = Shadows(self.switches, self.rng, self.ledger)


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


def chosen(planned: Planned, only: Sequence[str] | None, avoid: Sequence[str] | None) -> bool:
    """Whether a call's ``only`` and ``avoid`` leave a target."""
    target = planned.plan.target
    return (only is None or any(_means(word, target) for word in only)) and not any(
        _means(word, target) for word in avoid or ()
    )


def _means(word: str, target: Target) -> bool:
    return word in (str(target), target.provider, target.operator, target.author)


def _bare_profile(name: str) -> Profile:
    """What is known of an adapter that the application hands in itself: nothing."""
    fact = Fact(source="given to the client", date=datetime.now(UTC).date())
    return Profile(name=name, title=name, operator=None, adapter="given", key_required=False, fact=fact)
