"""Accounts with credentials that views bring along.

1. Credentials of a view are its own: a provider that it has none for is not asked, unless it needs none. The policy's
   keys and the environment's are not looked at.
2. Connections, switches and endpoints are its client's; what is remembered of a credential is the credential's.
3. The last :data:`_KEPT` sets of credentials are kept. What only one that is gone had is closed and forgotten, once no
   view and no call uses it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakSet, finalize

from typing_extensions import override

from ..config import MistakeError, Secret
from ..config.problems import did_you_mean
from ..drivers.base import close
from ..engine.settings import TargetPlan
from ..errors import ConfigurationError
from ..providers.base import Provider, ProviderSetup
from ..providers.registry import adapter
from .targets import Account, Accounts, Planned, plan_route

if TYPE_CHECKING:
    from .core import Core

__all__ = ["Credentials", "Tenant", "Tenants"]

_KEPT = 1000

Credentials: TypeAlias = Mapping[str, str | Secret]
"""Keys by provider."""
_Keys: TypeAlias = tuple[tuple[str, Secret], ...]


class _Uses:
    """How many chains of views use a credential, and what is left of those that nobody uses any more.

    Views may share a key: what is remembered of it is forgotten with the last of them.

    :ivar over: chain members whose account is gone.
    """

    def __init__(self) -> None:
        self.over: deque[tuple[TargetPlan, list[Provider]]] = deque()
        self._count: Counter[str] = Counter()
        self._plans: dict[str, dict[str, TargetPlan]] = {}

    def begin(self, planned: Planned) -> None:
        """Count a chain member, until its account is gone. The caller holds the client's lock."""
        plan = planned.plan
        self._count[plan.credential] += 1
        self._plans.setdefault(plan.credential, {})[plan.key] = plan
        end = finalize(planned.account, self.over.append, (plan, _closable(planned.account)))
        end.atexit = False

    def next_over(self) -> tuple[list[TargetPlan], list[Provider]]:
        """Return what is to be forgotten, and what is to be closed. The caller holds the client's lock."""
        if not self.over:  # another thread was faster
            return [], []
        plan, made = self.over.popleft()
        self._count[plan.credential] -= 1
        if self._count[plan.credential]:
            return [], made
        del self._count[plan.credential]
        return list(self._plans.pop(plan.credential).values()), made


class Tenants:
    """The sets of credentials of one client's views, each resolved once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._kept: OrderedDict[_Keys, Tenant] = OrderedDict()
        self._alive: WeakSet[Tenant] = WeakSet()
        self._uses = _Uses()
        policy = core.policy
        chains = (route.chain for route in policy.routes.values())
        self._providers = {*policy.providers, *(member.provider for chain in chains for member in chain)}

    def of(self, credentials: Credentials) -> Tenant:
        """Return what a set of credentials reaches.

        :raises ConfigurationError: no provider of that name, or no usable key. The key is not in the message.
        """
        keys = tuple((name, self._key(name, credentials[name])) for name in sorted(credentials))
        dropped = None
        with self._core.lock:
            known = self._kept.get(keys)
            if known is not None:
                self._kept.move_to_end(keys)
            else:
                known = self._kept[keys] = Tenant(self._core, dict(keys), self._uses)
                self._alive.add(known)
                dropped = self._kept.popitem(last=False)[1] if len(self._kept) > _KEPT else None
        del dropped  # outside the lock
        self.tidy()
        return known

    def tidy(self) -> None:
        """Close and forget what is left of credentials that are gone."""
        while self._uses.over:
            with self._core.lock:
                plans, made = self._uses.next_over()
                self._core.health.forget(plans)
                self._core.refused_schemas.difference_update(plan.key for plan in plans)
            for provider in made:
                close(provider)

    def made(self) -> list[Provider]:
        """Return the adapters that were built for credentials in use."""
        with self._core.lock:
            alive = list(self._alive)
        return [provider for tenant in alive for provider in tenant.accounts.built()]

    def _key(self, name: str, key: str | Secret) -> Secret:
        if name not in self._providers:
            known = sorted(self._providers)
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


class Tenant:
    """What one set of credentials reaches."""

    def __init__(self, core: Core, keys: Mapping[str, Secret], uses: _Uses) -> None:
        self._core = core
        self._uses = uses
        self._chains: dict[str, tuple[Planned, ...]] = {}
        self.accounts = _Accounts(core.accounts, keys)

    def chain(self, name: str) -> tuple[Planned, ...]:
        """Return a route's resolved targets."""
        known = self._chains.get(name)
        if known is None:
            planned = plan_route(self._core.policy.routes[name], self.accounts)
            with self._core.lock:
                known = self._chains.get(name)
                if known is None:
                    known = self._chains[name] = planned
                    for one in filter(self.accounts.owns, known):
                        self._uses.begin(one)
        return known


class _Accounts(Accounts):
    """The providers of a policy with keys of a view's."""

    def __init__(self, shared: Accounts, keys: Mapping[str, Secret]) -> None:
        self._shared = shared
        self._keys = keys
        self._known = {}

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
        given = shared.providers if shared.given else []
        return replace(
            shared, setup=setup, why_not=why_not, build=build, providers=given, lacks_key=False, given=shared.given
        )


def _closable(account: Account) -> list[Provider]:
    return [] if account.given else account.providers


def _build(shared: Account, setup: ProviderSetup) -> Provider:
    """Build the adapter: over the connections of the client's, where it can share them."""
    builder = adapter(setup.profile.adapter)
    if not hasattr(builder, "with_key"):
        return builder(setup)
    again: Provider = shared.reach().with_key(setup.key)  # type: ignore[union-attr]  # its class has it
    return again
