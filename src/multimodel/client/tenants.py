"""Accounts with credentials that views bring along.

1. Credentials of a view are its own: a provider that it has none for is not asked, unless it needs none. The policy's
   keys and the environment's are not looked at.
2. Connections, switches and endpoints are its client's; what is remembered of a credential is the credential's.
3. The last :data:`_KEPT` sets of credentials are kept. What only one that is gone had is closed and forgotten, once no
   view and no call uses it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from typing_extensions import override

from ..config import MistakeError, Secret
from ..config.problems import did_you_mean
from ..engine.settings import TargetPlan
from ..errors import ConfigurationError
from ..providers.base import Provider, ProviderSetup
from ..providers.registry import adapter
from .accounts import Account, Accounts, Built
from .leftovers import Leftovers, close_all
from .snapshot import Snapshot
from .targets import Planned, plan_route

if TYPE_CHECKING:
    from .core import Core

__all__ = ["Credentials", "Own", "Tenant", "Tenants"]

_KEPT = 1000

Credentials: TypeAlias = Mapping[str, str | Secret]
"""Keys by provider."""
_Keys: TypeAlias = tuple[tuple[str, Secret], ...]


class _Uses:
    """How many sets of credentials use a credential.

    Views may share a key: what is remembered of it is forgotten with the last of them.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._count: Counter[str] = Counter()
        self._plans: dict[str, dict[str, TargetPlan]] = {}

    def begin(self, plans: dict[str, TargetPlan], plan: TargetPlan) -> None:
        """Add a target to those of a set of credentials. The caller holds the client's lock."""
        if not any(known.credential == plan.credential for known in plans.values()):
            self._count[plan.credential] += 1
        plans[plan.key] = plan
        self._plans.setdefault(plan.credential, {})[plan.key] = plan

    def end(self, plans: Mapping[str, TargetPlan]) -> None:
        """Forget what only a set of credentials had that is gone."""
        core = self._core
        with core.lock:
            for credential in {plan.credential for plan in plans.values()}:
                self._count[credential] -= 1
                if not self._count[credential]:
                    del self._count[credential]
                    forgotten = self._plans.pop(credential)
                    core.health.forget(forgotten.values())
                    core.refused_schemas.difference_update(forgotten)


class Tenants:
    """The sets of credentials of one client's views, each resolved once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._kept: OrderedDict[_Keys, Tenant] = OrderedDict()
        self._uses = _Uses(core)

    def of(self, credentials: Credentials) -> Tenant:
        """Return what a set of credentials reaches.

        :raises ConfigurationError: no provider of that name, or no usable key. The key is not in the message.
        """
        providers = self._core.current().providers
        keys = tuple((name, _key(name, credentials[name], providers)) for name in sorted(credentials))
        dropped = None
        with self._core.lock:
            known = self._kept.get(keys)
            if known is not None:
                self._kept.move_to_end(keys)
            else:
                known = self._kept[keys] = Tenant(self._core, dict(keys), self._uses)
                dropped = self._kept.popitem(last=False)[1] if len(self._kept) > _KEPT else None
        del dropped  # outside the lock
        self._core.leftovers.tidy()
        return known


class Tenant:
    """One set of credentials."""

    def __init__(self, core: Core, keys: Mapping[str, Secret], uses: _Uses) -> None:
        self._core = core
        self._keys = keys
        self._uses = uses
        self._plans: dict[str, TargetPlan] = {}
        core.leftovers.when_gone(self, partial(uses.end, self._plans))

    def of(self, snapshot: Snapshot) -> Own:
        """Return what a policy is to it."""
        own = snapshot.own.get(self)
        if own is None:
            accounts = _Accounts(snapshot.accounts, self._keys, self._core.leftovers)
            with self._core.lock:
                own = snapshot.own.setdefault(self, Own(snapshot, accounts, self._core, self._plans, self._uses))
        return own


class Own(Snapshot):
    """A policy with keys of a view's. It does not know its :class:`Tenant`, which it would keep alive."""

    def __init__(
        self, shared: Snapshot, accounts: _Accounts, core: Core, plans: dict[str, TargetPlan], uses: _Uses
    ) -> None:
        super().__init__(shared.policy, accounts)
        self._version = shared.version
        self._core = core
        self._plans = plans
        self._uses = uses
        self._is_own = accounts.owns

    @override
    def chain(self, name: str) -> tuple[Planned, ...]:
        known = self._chains.get(name)
        if known is None:
            planned = plan_route(self.policy.routes[name], self.accounts)
            with self._core.lock:
                known = self._chains.get(name)
                if known is None:
                    known = self._chains[name] = planned
                    for one in filter(self._is_own, known):
                        self._uses.begin(self._plans, one.plan)
        return known

    @override
    def shadow(self, name: str) -> Planned | None:
        """Return the target that only listens: never at the cost of a view's own credentials."""
        return None


class _Accounts(Accounts):
    """The providers of a policy with keys of a view's."""

    def __init__(self, shared: Accounts, keys: Mapping[str, Secret], leftovers: Leftovers) -> None:
        self._shared = shared
        self._keys = keys
        self._leftovers = leftovers
        self._known = {}
        self.off = shared.off

    def owns(self, planned: Planned) -> bool:
        """Whether a target is asked with a key of the view's."""
        return self._is_own(planned.account)

    @override
    def built(self) -> list[Provider]:
        return [one for account in list(self._known.values()) if self._is_own(account) for one in _closable(account)]

    def _is_own(self, account: Account) -> bool:
        return account.setup.key is not None and account is not self._shared[account.name]

    @override
    def _make(self, name: str) -> Account:
        shared, key = self._shared[name], self._keys.get(name)
        if (key is None and shared.needs_no_key) or (key is not None and key == shared.setup.key):
            return shared
        setup = replace(shared.setup, key=key)
        why_not = None if shared.lacks_key else shared.why_not
        if key is None:
            why_not = f"the view has no key of `{name}`"
        elif "headers" in shared.setup.options:
            why_not = "the policy's `headers` for it may be a credential of the client's"
        build = partial(_build, shared, setup)
        given = shared.providers if shared.given else Built()
        made = replace(
            shared, setup=setup, why_not=why_not, build=build, providers=given, lacks_key=False, given=shared.given
        )
        self._leftovers.when_gone(made, partial(close_all, _closable(made)))
        return made


def _key(name: str, key: str | Secret, providers: Collection[str]) -> Secret:
    if name not in providers:
        known = sorted(providers)
        hint = did_you_mean(str(name), known) or f"known are {', '.join(known[:16])}"
        raise ConfigurationError(f"`{str(name)[:100]}` is no provider of the policy", hint=hint)
    if isinstance(key, Secret):
        return key
    if not isinstance(key, str):
        raise ConfigurationError(f"the key of `{name}` is a `{type(key).__name__}`", hint="hand in its text")
    try:
        return Secret(key)
    except MistakeError as mistake:
        raise ConfigurationError(f"`{name}`: {mistake.message}", hint=mistake.hint) from None


def _closable(account: Account) -> list[Provider]:
    return [] if account.given else account.providers


def _build(shared: Account, setup: ProviderSetup) -> Provider:
    """Build the adapter: over the connections of the client's, where it can share them."""
    builder = adapter(setup.profile.adapter)
    if not hasattr(builder, "with_key"):
        return builder(setup)
    again: Provider = shared.reach().with_key(setup.key)  # type: ignore[union-attr]  # its class has it
    return again
