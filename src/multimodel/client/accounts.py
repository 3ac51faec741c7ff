"""The providers of a policy: accounts at endpoints, and the adapters that reach them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from ..config import MistakeError, Policy
from ..config.provider import Place, key_of, place_of, profile_of
from ..config.residency import Residency, outside
from ..errors import ConfigurationError
from ..providers.barrier import Barrier
from ..providers.base import Provider, ProviderSetup
from ..providers.profile import Profile

__all__ = ["Account", "Accounts", "Built", "default_archive"]


class Built(list[Provider]):
    """The adapter of an account once it is built, shared with the same account of later policies.

    :ivar retired: whether the policy in force has no such account.
    """

    retired = False


@dataclass(slots=True, weakref_slot=True, eq=False)
class Account:
    """One provider of the policy, and its adapter once it is needed.

    :ivar why_not: why its targets cannot be asked at all, for people; None when they can.
    :ivar place: where it is reached, and where it stores and infers, as far as that is known.
    :ivar given: whether the application handed the adapter in.
    :ivar lacks_key: whether they can be asked with a key.
    """

    name: str
    profile: Profile
    setup: ProviderSetup
    operator: str | None
    region: str | None
    place: Place
    why_not: str | None
    build: Callable[[], Provider]
    providers: Built = field(default_factory=Built)
    given: bool = False
    lacks_key: bool = False

    @property
    def needs_no_key(self) -> bool:
        """Whether its targets can be asked without any credential, also without one that the adapter finds by itself."""
        if self.given:
            return True
        finds = self.profile.adapter == "litellm" or bool(self.profile.variables) or "headers" in self.setup.options
        return self.setup.key is None and self.why_not is None and not finds

    @property
    def hosts(self) -> frozenset[str] | None:
        """The hosts that its attempts may open: of the endpoint, and of the proxy. None: it is not known which it asks."""
        if self.setup.base_url is None:
            return None
        urls = (self.setup.base_url, self.setup.options.get("proxy"))
        return frozenset(host for url in urls if url and (host := urlsplit(url).hostname))

    def outside(self, rule: Residency | None) -> str | None:
        """Say why a rule about places rules it out; None when it does not."""
        if rule is None or self.profile.adapter == "local":
            return None
        if self.hosts is None and not self.given:
            return "it is not known which host it asks"
        return outside(rule, stored_in=self.place.stored_in, inference_in=self.place.inference_in)

    def reach(self) -> Provider:
        """Return the adapter; it is built on first use. Threads that come at the same time all get the first."""
        if not self.providers:
            self.providers.append(self.build())
            if self.providers.retired:  # a call that began before
                self.retire()
        return self.providers[0]

    def is_like(self, other: Account) -> bool:
        """Whether the other one's adapter would do."""
        return self.setup == other.setup and not self.given

    def retire(self) -> None:
        """Let the adapter go: calls that have it end as usual, and leave no connection behind."""
        self.providers.retired = True
        for provider in self.providers:
            retire = getattr(provider, "retire", None)
            if retire is not None:
                with suppress(Exception):  # the policy is in force all the same
                    retire()


class Accounts:
    """The providers of a policy, each built once.

    :param given: ready adapters by provider name, as tests hand them in.
    :ivar off: what the policy says is off.
    :ivar profiles: the catalogue that the policy was loaded with.
    :ivar progress: called with a model and a stage while local weights are loaded; set it before the first call.
    :ivar barrier: what stands before some of the targets, but not before views with keys of their own; set it before
        the first call, too.
    """

    def __init__(
        self,
        policy: Policy,
        profiles: Mapping[str, Profile],
        environ: Mapping[str, str],
        given: Mapping[str, Provider],
    ) -> None:
        self.off = policy.off
        self._policy = policy
        self.profiles = profiles
        self._environ = environ
        self._given = given
        self._known: dict[str, Account] = {}
        self.progress: Callable[[str, str], None] | None = None
        self.barrier: Barrier | None = None

    def __getitem__(self, name: str) -> Account:
        known = self._known.get(name)
        return known if known is not None else self._known.setdefault(name, self._make(name))

    def take_over(self, before: Accounts, names: Iterable[str]) -> list[Account]:
        """Take the adapters of accounts that are as they were before; return the accounts that are not.

        :param names: the providers that both policies have.
        """
        self.progress = before.progress
        kept = {name for name in names if self[name].is_like(before[name])}
        for name in kept:
            self[name].providers = before[name].providers
        for name, account in before._known.items():
            if account.given:
                self._known.setdefault(name, account)  # it is closed with the client
        return [account for name, account in before._known.items() if name not in kept and not account.given]

    def built(self) -> list[Provider]:
        """Return the adapters that exist."""
        return [provider for account in self._known.values() for provider in account.providers]

    def _make(self, name: str) -> Account:
        from ..providers.registry import adapter, missing

        config = self._policy.provider(name)
        profile = profile_of(name, config, self.profiles)
        if profile is None:
            raise ConfigurationError(f"unknown provider `{name}`")
        key, why_not, lacks_key = None, None, False
        try:
            key = key_of(config, profile, self._environ)
        except MistakeError as mistake:
            why_not, lacks_key = mistake.message, True
        unset = self._policy.origin.unset.get(name)
        if unset is not None:
            why_not, lacks_key = f"`{unset}` is not set", False
        place = Place() if unset is not None else place_of(config, profile)
        if config.base_url is not None:
            profile = profile.elsewhere()
        options = config.adapter_options
        if profile.adapter == "local":
            options.setdefault("archive", default_archive(self._environ))
            if self.progress is not None:
                options["progress"] = self.progress
        setup = ProviderSetup(name, profile, place.base_url, place.wire, key, options)
        if why_not is None and key is None and profile.key and profile.key_required and config.base_url is None:
            why_not, lacks_key = f"no key: `{profile.key[0]}` is not set", True
        why_not = why_not or missing(profile.adapter)
        given = self._given.get(name)
        if given is not None and self.barrier is not None:
            given = self.barrier.before(name, given)
        return Account(
            name,
            profile,
            setup,
            config.operator or profile.operator,
            place.region or _region(config.region, profile),
            place,
            None if given is not None else why_not,
            partial(_build, adapter, setup, self.barrier),
            Built() if given is None else Built([given]),
            given is not None,
            lacks_key,
        )

    def vendor(self, name: str) -> tuple[str, str | None] | None:
        """Return profile and operator of a provider by its name; None where the policy knows none."""
        try:
            account = self[name]
        except ConfigurationError:
            return None
        return account.profile.name, account.operator


def default_archive(environ: Mapping[str, str]) -> Path:
    """Return where local weights are looked for when the policy does not say: ``$MULTIMODEL_ARCHIVE``, ``./archive``."""
    return Path(environ.get("MULTIMODEL_ARCHIVE") or "archive")


def _region(name: str | None, profile: Profile) -> str | None:
    found = profile.endpoint(name) if name is not None else None
    return found[0] if found is not None else None


def _build(
    adapter: Callable[[str], Callable[[ProviderSetup], Provider]], setup: ProviderSetup, barrier: Barrier | None
) -> Provider:
    builder = adapter(setup.profile.adapter)
    return builder(setup) if barrier is None else barrier.build(builder, setup)
