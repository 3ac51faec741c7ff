"""What a policy says, resolved: a client holds one snapshot at a time, and a call keeps the one that it began with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ..config import Policy, Route
from ..config.problems import did_you_mean
from ..engine.settings import CallSettings
from ..errors import ConfigurationError
from ..providers.base import Provider
from ..types import Target
from .accounts import Accounts
from .targets import Planned, call_settings, plan_route, plan_shadow

if TYPE_CHECKING:
    from .tenants import Own, Tenant

__all__ = ["Snapshot", "chosen"]

_TELLING = frozenset({"extra", "reasoning_effort"})


class Snapshot:
    """One policy with its accounts and chains. Chains are resolved on first use; nothing else ever changes.

    :ivar providers: the names of all providers that the policy names.
    :ivar own: what it is to views that bring credentials along.
    """

    def __init__(self, policy: Policy, accounts: Accounts) -> None:
        self.policy = policy
        self.accounts = accounts
        self.providers = frozenset({*policy.providers, *(target.partition(":")[0] for target in _targets(policy))})
        self.own: WeakKeyDictionary[Tenant, Own] = WeakKeyDictionary()
        self._version: str | None = None
        self._chains: dict[str, tuple[Planned, ...]] = {}
        self._shadows: dict[str, Planned | None] = {}
        self._telling: dict[str, tuple[Mapping[str, Any], ...]] = {}
        self._limits: dict[tuple[str, bool], CallSettings] = {}

    @property
    def version(self) -> str:
        """The policy's fingerprint."""
        if self._version is None:
            self._version = self.policy.fingerprint
        return self._version

    def built(self) -> list[Provider]:
        """Return the adapters that exist, those of views included."""
        accounts = [self.accounts, *(own.accounts for own in list(self.own.values()))]
        return [provider for some in accounts for provider in some.built()]

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


def chosen(planned: Planned, only: Sequence[str] | None, avoid: Sequence[str] | None) -> bool:
    """Whether a call's ``only`` and ``avoid`` leave a target."""
    target = planned.plan.target
    return (only is None or any(_means(word, target) for word in only)) and not any(
        _means(word, target) for word in avoid or ()
    )


def _targets(policy: Policy) -> Iterator[str]:
    for route in policy.routes.values():
        yield from (member.target for member in route.chain)
        if route.shadow is not None:
            yield route.shadow.target


def _means(word: str, target: Target) -> bool:
    return word in (str(target), target.provider, target.operator, target.author)
