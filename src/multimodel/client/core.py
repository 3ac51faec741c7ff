"""What both clients share: what the policy says, and what is remembered between calls."""

from __future__ import annotations

import logging
import os
import threading
from collections import ChainMap
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from random import Random
from typing import get_args
from weakref import WeakSet

from ..config import Policy
from ..config.problems import did_you_mean
from ..config.residency import Residency
from ..config.routes import Budget as BudgetConfig
from ..config.routes import Need
from ..drivers.base import now
from ..engine.budget import Budget, Spending, Spendings, dollars
from ..engine.health import Health
from ..errors import ConfigurationError
from ..governance.switches import Switches
from ..observe import emit
from ..providers.base import Provider
from ..providers.catalogue import profiles as catalogue
from ..providers.profile import Fact, Profile
from .cost import budget_settings
from .needs import split_needs, too_small
from .shadows import Shadows
from .snapshot import Snapshot
from .source import PolicySource, load
from .switchboard import Switchboard
from .targets import Accounts, Planned
from .tenants import Tenants
from .views import BudgetStatus, ExplainedTarget, Explanation, State, Status, TargetStatus

__all__ = ["Core"]

_NEEDS = frozenset(get_args(Need))


class Core:
    """The state of one client, shared between threads, event loops and views.

    :ivar lock: held around each step of the engine, never across I/O.
    :ivar refused_schemas: keys of targets that refused to be asked for a JSON Schema.
    """

    def __init__(self, policy: PolicySource, providers: Mapping[str, Provider] | None) -> None:
        self._snapshot = _taken(policy, dict(providers or {}))
        self.rng = Random()
        self.lock = threading.RLock()
        self.health = Health(self.rng)
        self.switches = Switches(
            self._snapshot.policy.off,
            self._snapshot.policy.switches,
            lambda: datetime.now(UTC),
            policy=self._snapshot.policy.source,
            on_unreadable=lambda file: emit(logging.ERROR, "multimodel.switch_file_unreadable", file=str(file)),
        )
        self.switchboard = Switchboard(self)
        self.shadows = Shadows(self.switches, self.rng)
        self.refused_schemas: set[str] = set()
        self.spendings = Spendings()
        self.tenants = Tenants(self)
        self.tenant: str | None = None
        self.metadata: Mapping[str, str] = {}
        self._closed = False
        _cores.add(self)

    def current(self) -> Snapshot:
        """Return what the policy says now. A call asks once, and keeps what it gets."""
        return self._snapshot

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.current().policy

    @property
    def accounts(self) -> Accounts:
        """The accounts in force."""
        return self.current().accounts

    @property
    def closed(self) -> bool:
        """Whether it can make no further calls."""
        return self._closed

    def leave(self) -> list[Provider]:
        """Make no further calls; return the adapters, which are then to be closed."""
        self._closed = True
        self.shadows.close()
        self.tenants.tidy()
        return self._snapshot.built()

    def obstacle(
        self, planned: Planned, needs: frozenset[str], rule: Residency | None = None
    ) -> tuple[str, str] | None:
        """Say why a target is not eligible for a call with these needs: a word, and a detail for people.

        :param rule: what the call itself says about places, besides the route.
        """
        off = self.switches.against(planned.plan.target, planned.plan.jurisdiction)
        if off is not None:
            return "off", f"{off.kind} {off.name}" + (f": {off.reason}" if off.reason else "")
        outside = planned.outside or planned.account.outside(rule)
        if outside is not None:
            return "residency", outside
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
        held = self.current()
        name, route = held.route(name)
        needs, prompt, answer = split_needs(needs)
        for need in needs - _NEEDS:
            hint = did_you_mean(str(need), sorted(_NEEDS)) or f"known are {', '.join(sorted(_NEEDS))}"
            raise ConfigurationError(f"`{str(need)[:100]}` is nothing that a request can need", hint=hint)
        targets = []
        for planned in held.chain(name):
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

        held = self.current()
        source = held.policy.source
        file = self.switches.file
        return Status(
            version=__version__,
            policy=None if source is None else str(source),
            switch_file=None if file is None else str(file),
            routes={name: tuple(map(self._status_of, held.chain(name))) for name in held.policy.routes},
            off=self.switches.entries(),
            budgets=tuple(self._budgets(held)),
            audit_head=None if file is None else self.switches.audit.head(),
        )

    def _budgets(self, held: Snapshot) -> Iterator[BudgetStatus]:
        for name, route in held.policy.routes.items():
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
        self.shadows = Shadows(self.switches, self.rng)


_cores: WeakSet[Core] = WeakSet()


def _restart_cores() -> None:
    for core in _cores:
        core.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_cores)


def _taken(source: PolicySource, given: Mapping[str, Provider]) -> Snapshot:
    """Load a policy, with the environment and the catalogue as they are now."""
    environ = dict(os.environ)
    bare = {name: _bare_profile(name) for name in given}
    profiles: Mapping[str, Profile] = ChainMap(bare, catalogue(environ))  # type: ignore[arg-type]  # it is only read
    policy = load(source, environ, profiles)
    return Snapshot(policy, Accounts(policy, profiles, environ, given))


def _bare_profile(name: str) -> Profile:
    """What is known of an adapter that the application hands in itself: nothing."""
    fact = Fact(source="given to the client", date=datetime.now(UTC).date())
    return Profile(name=name, title=name, operator=None, adapter="given", key_required=False, fact=fact)
