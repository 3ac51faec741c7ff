"""From a policy to what the engine needs: plans of targets."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, get_args
from urllib.parse import urlsplit

from ..config import ChainMember, OffEntry, Params, Route
from ..config.prompt import Prompt
from ..config.routes import Hedge, Need
from ..engine.budget import UNPRICED
from ..engine.settings import BreakerSettings, CallSettings, HedgeSettings, RetrySettings, TargetPlan
from ..errors import CallError, ConfigurationError
from ..providers.base import NO_WORD
from ..providers.pricing import list_prices
from ..providers.profile import ModelFacts, Price, Profile
from ..types import Target
from .accounts import Account, Accounts

__all__ = [
    "Planned",
    "call_settings",
    "drawn",
    "draws",
    "plan_route",
    "plan_shadow",
    "ranked",
    "without_keys",
]

_THINKING_FIRST_CONTENT = 60.0
_FIRST_CONTENT = 10.0
_MODALITIES = {"vision": "image", "audio": "audio", "video": "video", "file": "file"}
_VECTORS = "embeddings"


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
    :ivar off: what its policy says is off, whatever a later one says.
    :ivar barred: why its route has no use for it, a word and a detail: vectors that cannot be compared, or a budget and no
        price; None when it has.
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
    off: tuple[OffEntry, ...] = ()
    barred: tuple[str, str] | None = None

    @property
    def measured(self) -> bool:
        """Whether anything is known of how long its prompts and answers may be."""
        return self.room < sys.maxsize or self.max_output < sys.maxsize


def without_keys(errors: Iterable[CallError], planned: Iterable[Planned]) -> None:
    """Take the keys of these targets out of what vendors said: some repeat the key that they refuse."""
    for error in errors:
        for one in planned if error.detail else ():
            key = one.account.setup.key
            if key is not None and error.detail is not None and len(key.reveal()) >= NO_WORD:
                error.detail = error.detail.replace(key.reveal(), "***")


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


def draws(chain: Sequence[Planned], traffic: Mapping[str, int]) -> list[tuple[float, list[Planned]]]:
    """Return every outcome of :func:`drawn` with its probability."""
    weights = [traffic.get(str(planned.plan.target), 0) for planned in chain]
    whole = sum(weights)
    if not whole:
        return [(1.0, list(chain))]
    return [
        (weight / whole, [chain[first], *chain[:first], *chain[first + 1 :]])
        for first, weight in enumerate(weights)
        if weight
    ]


def ranked(chain: Sequence[Planned], traffic: Mapping[str, int]) -> list[Planned]:
    """Return a chain with those first that most calls ask first: whoever goes, the first one left is who is asked then."""
    return sorted(chain, key=lambda planned: -traffic.get(str(planned.plan.target), 0))


def plan_route(route: Route, accounts: Accounts) -> tuple[Planned, ...]:
    """Resolve a chain, in order. A target that cannot be asked stays in it, with the reason."""
    planned = [_plan(route, member, accounts[member.provider]) for member in route.chain]
    return tuple(replace(one, off=accounts.off, barred=_barred(route, one, planned[0])) for one in planned)


def _barred(route: Route, planned: Planned, first: Planned) -> tuple[str, str] | None:
    if _VECTORS in first.known and _VECTORS not in planned.plan.lacks and planned.weights != first.weights:
        return "weights", f"its vectors cannot be compared with those of {first.plan.target}"
    budget = route.budget
    if budget is not None and (budget.per_call, budget.per_day) != (None, None) and not planned.prices:
        return "budget", UNPRICED
    return None


def plan_shadow(route: Route, accounts: Accounts) -> Planned | None:
    """Resolve the target that only listens, if the route has one."""
    if route.shadow is None:
        return None
    member = ChainMember(target=route.shadow.target)
    return replace(_plan(route, member, accounts[member.provider]), off=accounts.off)


def _plan(route: Route, member: ChainMember, account: Account) -> Planned:
    setup, profile = account.setup, account.profile
    facts = profile.facts(member.model)
    why_not, lacks, window = account.why_not, _lacks(facts), facts.window if facts else None
    author = facts.author if facts else None
    if why_not is None and profile.adapter == "local":
        why_not, lacks, window, archived = _describe_local(account, member.model)
        author = author or archived
    timeouts = route.timeouts_for(member)
    retry = route.retry_for(member)
    thinks = facts is not None and facts.thinking == "always"  # a hybrid model thinks when asked, and shows it
    base = setup.base_url or f"{profile.adapter}:{account.name}"
    fingerprint = setup.key.fingerprint if setup.key is not None else "none"
    missing = sorted(need for need in route.requires if need in lacks)
    if why_not is None and missing:
        why_not = f"the route requires {', '.join(missing)}"
    plan = TargetPlan(
        target=Target(account.name, member.model, account.operator, author),
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


def _describe_local(account: Account, model: str) -> tuple[str | None, frozenset[str], int | None, str | None]:
    """Look at the weights themselves: small files only, no torch. The last is their author, as the archive has it."""
    adapter = account.reach()
    describe = getattr(adapter, "describe", None)
    if describe is None:  # an adapter that the application handed in
        return None, frozenset(), None, None
    try:
        embedding = adapter.describe_embedding(model) if hasattr(adapter, "describe_embedding") else None
        if embedding is not None:
            return None, frozenset({*get_args(Need)} - {"embeddings"}), embedding.window, embedding.author
        found = describe(model)
    except ConfigurationError as error:
        return str(error), frozenset(), None, None
    if found is None:
        return f"no weights `{model}` in {account.setup.options.get('archive')}", frozenset(), None, None
    lacks = set(_MODALITIES) | {"embeddings"}
    if not found.tools:
        lacks |= {"tools", "parallel_tools"}
    if not found.thinking:
        lacks.add("reasoning")
    return None, frozenset(lacks), found.window, found.author


def _endpoint(base: str) -> str:
    url = urlsplit(base)
    return url.netloc or base
