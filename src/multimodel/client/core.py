"""What both clients share: what the policy says, and what is remembered between calls."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING
from weakref import WeakSet

from ..config import Policy
from ..config.residency import Residency
from ..config.routes import Budget as BudgetConfig
from ..drivers.base import now
from ..engine.budget import Budget, Spending, Spendings, billionths, dollars
from ..engine.health import Health
from ..governance.switches import Switches
from ..observe import emit
from .accounts import Accounts
from .books import open_ledger
from .cost import budget_settings
from .leftovers import Leftovers
from .reloading import Reloading
from .shadows import Shadows
from .snapshot import Snapshot
from .source import Source
from .switchboard import Switchboard
from .targets import Planned
from .tenants import Tenants
from .views import BudgetStatus, State, Status, TargetStatus

if TYPE_CHECKING:
    from ..governance.ledger import Ledger
    from .explanation import Explanation

__all__ = ["Core"]


class Core:
    """The state of one client, shared between threads, event loops and views.

    :ivar lock: held around each step of the engine, never across I/O.
    :ivar refused_schemas: keys of targets that refused to be asked for a JSON Schema.
    """

    def __init__(self, source: Source, *, reload: bool) -> None:
        self.leftovers = Leftovers()
        self.reloading = Reloading(self, source, automatic=reload)
        policy = self.policy
        self.rng = Random()
        self.lock = threading.RLock()
        self.health = Health(self.rng)
        self.switches = Switches(
            policy.off,
            policy.switches,
            lambda: datetime.now(UTC),
            policy=policy.source,
            on_unreadable=lambda file: emit(logging.ERROR, "multimodel.switch_file_unreadable", file=str(file)),
        )
        self.switchboard = Switchboard(self)
        self._ledgers: WeakSet[Ledger] = WeakSet()  # those of former policies are written to their end
        self.keep_books(policy)
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
        snapshot = self.reloading.current()
        self.leftovers.tidy()
        return snapshot

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

    def keep_books(self, policy: Policy) -> None:
        """Keep the ledger that a policy asks for. Calls keep the one that they began with, whose thread writes them."""
        self.ledger = open_ledger(policy)
        if self.ledger is not None:
            self._ledgers.add(self.ledger)

    def leave(self) -> list[object]:
        """Make no further calls; return what is then to be closed, last one first: the adapters, and the ledgers."""
        self._closed = True
        self.shadows.close()
        self.leftovers.tidy()
        with self.lock:
            return [*self._ledgers, *self.reloading.stop()]

    def obstacle(
        self, planned: Planned, needs: frozenset[str], rule: Residency | None = None
    ) -> tuple[str, str] | None:
        """Say why a target is not eligible for a call with these needs: a word, and a detail for people.

        :param rule: what the call itself says about places, besides the route.
        """
        off = self.switches.against(planned.plan.target, planned.plan.jurisdiction, planned.off)
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

    def ruled_out(self, planned: Planned, needs: frozenset[str] = frozenset()) -> tuple[str, str] | None:
        """Say why a target is not eligible for any such call on its route, whoever else is asked and whatever is spent.

        Only a call itself can ask for other vectors than those of the first target: with ``only`` and ``avoid``.
        """
        why = self.obstacle(planned, needs)
        return planned.barred or why if why is None or why[0] not in ("off", "residency") else why

    def lasting_obstacle(self, planned: Planned) -> tuple[str, str] | None:
        """Say why a target is not eligible, wherever the keys and variables are set that are not set here."""
        why, account = self.ruled_out(planned), planned.account
        missing = account.lacks_key or account.name in self.policy.origin.unset
        return None if why is not None and why[0] == "unavailable" and missing else why

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
        from .explaining import explain

        return explain(self, name, needs)

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
            budgets=tuple(self.budgets(held)),
            audit_head=None if file is None else self.switches.audit.head(),
            policy_hash=held.version,
            reload_error=self.reloading.error,
        )

    def budgets(self, held: Snapshot) -> Iterator[BudgetStatus]:
        """Yield what was spent today on each route that has a limit a day."""
        for name, route in held.policy.routes.items():
            per_day = None if route.budget is None else route.budget.per_day
            if per_day is not None:
                day = self._spending(name)
                spent, reserved = dollars(day.spent), dollars(day.reserved)
                left = max(0.0, per_day - spent - reserved)
                alarmed = tuple(share for of, share in day.alarmed if of == billionths(per_day))
                yield BudgetStatus(name, self.tenant, per_day, spent, reserved, left, alarmed)

    def _status_of(self, planned: Planned) -> TargetStatus:
        why = self.ruled_out(planned)
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
        self.reloading.after_fork()
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
