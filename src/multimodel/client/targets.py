"""From a policy to what the engine needs: plans of targets, and the adapters that reach them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, get_args
from urllib.parse import urlsplit

from ..config import ChainMember, MistakeError, Params, Policy, Route
from ..config.prompt import Prompt
from ..config.provider import Place, key_of, place_of, profile_of
from ..config.residency import Residency, outside
from ..config.routes import Hedge, Need
from ..engine.settings import BreakerSettings, CallSettings, HedgeSettings, RetrySettings, TargetPlan
from ..errors import ConfigurationError
from ..providers.barrier import Barrier
from ..providers.base import Provider, ProviderSetup
from ..providers.pricing import list_prices
from ..providers.profile import ModelFacts, Price, Profile
from ..types import Target

__all__ = [
    "Account",
    "Accounts",
    "Planned",
    "call_settings",
    "default_archive",
    "drawn",
    "plan_route",
    "plan_shadow",
]

_THINKING_FIRST_CONTENT = 60.0
_FIRST_CONTENT = 10.0
_MODALITIES = {"vision": "image", "audio": "audio", "video": "video", "file": "file"}


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
    providers: list[Provider] = field(default_factory=list)
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
        return self.providers[0]


@dataclass(frozen=True, slots=True)
class Planned:
    """One member of a chain, resolved.

    :ivar weights: what tells its weights from others: only equal ones give vectors that can be compared.
    :ivar why_not: why it cannot be asked at all, for people; None when it can.
    :ivar outside: why the route's residency rules it out; None when it does not.
    :ivar params: defaults for the options that a call leaves open.
    :ivar prices: the tiers of its list price; empty when nobody knows it.
    :ivar room: tokens that a prompt has at most, as far as the catalogue knows.
    :ivar fetch_media: whether media that it takes by value only are fetched from their addresses.
    :ivar known: what it is known to be able to do; what is in neither this nor ``plan.lacks`` is not known.
    :ivar max_output: tokens that an answer has at most, as far as the catalogue knows.
    :ivar prompt: the system text that it gets before the call's own.
    :ivar prompt_of: by which of its names it gets that.
    """

    plan: TargetPlan
    account: Account
    weights: str
    params: Mapping[str, Any] = field(default_factory=dict)
    prices: tuple[Price, ...] = ()
    why_not: str | None = None
    max_output: int = sys.maxsize
    prompt: Prompt | None = None
    prompt_of: str = ""
    room: int = sys.maxsize
    fetch_media: bool = False
    known: frozenset[str] = frozenset()
    outside: str | None = None

    @property
    def measured(self) -> bool:
        """Whether anything is known of how long its prompts and answers may be."""
        return self.room < sys.maxsize or self.max_output < sys.maxsize


class Accounts:
    """The providers of a policy, each built once.

    :param given: ready adapters by provider name, as tests hand them in.
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
        self._policy = policy
        self._profiles = profiles
        self._environ = environ
        self._given = given
        self._known: dict[str, Account] = {}
        self.progress: Callable[[str, str], None] | None = None
        self.barrier: Barrier | None = None

    def __getitem__(self, name: str) -> Account:
        known = self._known.get(name)
        return known if known is not None else self._known.setdefault(name, self._make(name))

    def built(self) -> list[Provider]:
        """Return the adapters that exist."""
        return [provider for account in self._known.values() for provider in account.providers]

    def _make(self, name: str) -> Account:
        from ..providers.registry import adapter

        config = self._policy.provider(name)
        profile = profile_of(name, config, self._profiles)
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
            [] if given is None else [given],
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


def call_settings(route: Route, *, stream: bool) -> CallSettings:
    """Return the limits of a route's calls."""
    return CallSettings(
        deadline=route.deadline,
        max_attempts=route.max_attempts,
        mid_stream=route.mid_stream if stream else "unseen",
        on_content_filter=route.on_content_filter,
        hedge=None if route.hedge is None else _hedge(route.hedge),
    )


def _hedge(hedge: Hedge) -> HedgeSettings:
    return HedgeSettings(None if hedge.after == "p95" else hedge.after, hedge.budget)


def drawn(chain: Sequence[Planned], traffic: Mapping[str, int], rng: Random) -> list[Planned]:
    """Return a chain with the target first that a draw by ``traffic``'s weights names; the rest keeps its order."""
    weights = [traffic.get(str(planned.plan.target), 0) for planned in chain]
    if not sum(weights):
        return list(chain)
    (first,) = rng.choices(range(len(chain)), weights)
    return [chain[first], *chain[:first], *chain[first + 1 :]]


def plan_route(route: Route, accounts: Accounts) -> tuple[Planned, ...]:
    """Resolve a chain, in order. A target that cannot be asked stays in it, with the reason."""
    return tuple(_plan(route, member, accounts[member.provider]) for member in route.chain)


def plan_shadow(route: Route, accounts: Accounts) -> Planned | None:
    """Resolve the target that only listens, if the route has one."""
    if route.shadow is None:
        return None
    member = ChainMember(target=route.shadow.target)
    return _plan(route, member, accounts[member.provider])


def _plan(route: Route, member: ChainMember, account: Account) -> Planned:
    setup, profile = account.setup, account.profile
    facts = profile.facts(member.model)
    why_not, lacks, window = account.why_not, _lacks(facts), facts.window if facts else None
    if why_not is None and profile.adapter == "local":
        why_not, lacks, window = _describe_local(account, member.model)
    timeouts = route.timeouts_for(member)
    retry = route.retry_for(member)
    thinks = facts is not None and facts.thinking == "always"  # a hybrid model thinks when asked, and shows it
    base = setup.base_url or f"{profile.adapter}:{account.name}"
    fingerprint = setup.key.fingerprint if setup.key is not None else "none"
    missing = sorted(need for need in route.requires if need in lacks)
    if why_not is None and missing:
        why_not = f"the route requires {', '.join(missing)}"
    plan = TargetPlan(
        target=Target(account.name, member.model, account.operator, facts.author if facts else None),
        key=f"{base} {fingerprint} {member.model}",
        credential=f"{base} {fingerprint}",
        endpoint=_endpoint(base),
        connect=timeouts.connect,
        first_content=timeouts.first_content or (_THINKING_FIRST_CONTENT if thinks else _FIRST_CONTENT),
        idle=timeouts.idle,
        whole=timeouts.whole,
        stream=route.transfer == "stream",
        http=setup.base_url is not None,
        retry=RetrySettings(retry.attempts, retry.budget, retry.patience),
        breaker=BreakerSettings(
            route.breaker.failures, route.breaker.ratio, route.breaker.window, route.breaker.open_at_most
        ),
        lacks=lacks,
        window=window,
        jurisdiction=profile.jurisdiction if account.operator == profile.operator else None,
        prefill=facts is not None and "prefill" in facts.features,
        at_most=route.concurrency if member.concurrency is None else member.concurrency,
    )
    prices = list_prices(profile, member.model, account.region, account.operator)
    weights = member.weights_id or (facts.weights_id if facts else None) or _weights(profile, member.model, base)
    target = plan.target
    prompt_of, prompt = route.prompt_for(str(target), target.provider, target.author, target.operator) or ("", None)
    max_output = facts.max_output if facts is not None and facts.max_output is not None else sys.maxsize
    return Planned(
        plan,
        account,
        weights,
        _given(route.params_for(member)),
        prices,
        why_not,
        max_output,
        prompt,
        prompt_of,
        room=min(window or sys.maxsize, (facts.max_input if facts is not None else None) or sys.maxsize),
        fetch_media=route.fetch_media,
        known=_known(facts),
        outside=account.outside(route.residency),
    )


def _weights(profile: Profile, model: str, base: str) -> str:
    """What tells weights apart of which nothing is known: two endpoints may mean different ones by the same name."""
    return f"{profile.name if profile.facts(model) is not None else base}:{model}"


def _given(params: Params) -> dict[str, Any]:
    return {name: value for name, value in params.given().items() if value is not None}


def _known(facts: ModelFacts | None) -> frozenset[str]:
    """Needs that a model is known to meet."""
    if facts is None:
        return frozenset()
    media = {need for need, modality in _MODALITIES.items() if modality in (facts.modalities or ())}
    return frozenset(facts.features) | media | ({"reasoning"} if facts.thinking in ("hybrid", "always") else set())


def _lacks(facts: ModelFacts | None) -> frozenset[str]:
    """Needs that a model is known not to meet; what is unknown counts as supported."""
    if facts is None:
        return frozenset()
    lacks: set[str] = set(facts.lacks)
    if "embeddings" not in facts.features:  # of these the catalogue lists all
        lacks.add("embeddings")
    if facts.thinking == "none":
        lacks.add("reasoning")
    if facts.modalities is not None:
        lacks |= {need for need, modality in _MODALITIES.items() if modality not in facts.modalities}
    return frozenset(lacks)


def _describe_local(account: Account, model: str) -> tuple[str | None, frozenset[str], int | None]:
    """Look at the weights themselves: small files only, no torch."""
    adapter = account.reach()
    describe = getattr(adapter, "describe", None)
    if describe is None:  # an adapter that the application handed in
        return None, frozenset(), None
    try:
        embedding = adapter.describe_embedding(model) if hasattr(adapter, "describe_embedding") else None
        if embedding is not None:
            return None, frozenset({*get_args(Need)} - {"embeddings"}), embedding.window
        found = describe(model)
    except ConfigurationError as error:
        return str(error), frozenset(), None
    if found is None:
        return f"no weights `{model}` in {account.setup.options.get('archive')}", frozenset(), None
    lacks = set(_MODALITIES) | {"embeddings"}
    if not found.tools:
        lacks |= {"tools", "parallel_tools"}
    if not found.thinking:
        lacks.add("reasoning")
    return None, frozenset(lacks), found.window


def _endpoint(base: str) -> str:
    url = urlsplit(base)
    return url.netloc or base
