"""What is doubtful about a policy that has no mistakes: its accounts, its models, its `off:`, each by itself.

What its routes amount to is told by ``multimodel.client.check``, which knows them as the engine does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches

from ..providers.pricing import list_prices
from ..providers.profile import Profile
from ..types import Target
from .conflicts import misplaced
from .entries import doubtful_entries
from .facts import doubts
from .policy import Policy
from .problems import MistakeError, Path, Problem
from .provider import ProviderConfig, key_of, place_of, profile_of
from .routes import ChainMember, Route

__all__ = ["check_policy", "ordered"]


def check_policy(
    policy: Policy,
    *,
    environ: Mapping[str, str],
    profiles: Mapping[str, Profile],
    today: date,
    authors: Mapping[str, str | None] | None = None,
) -> list[Problem]:
    """Tell what is doubtful about a loaded policy.

    :param environ: where the profiles' key variables are looked up.
    :param profiles: the catalogue the policy was loaded with.
    :param today: the day by which retired models and ended switches are judged.
    :param authors: of targets, where more than the catalogue is known of them.
    """
    return ordered(_Check(policy, environ, profiles, today, authors or {}).problems())


def ordered(problems: Iterable[Problem]) -> list[Problem]:
    """Sort problems: errors first, then warnings, then notes, each by their lines."""
    order = ("error", "warning", "note")
    return sorted(problems, key=lambda problem: (order.index(problem.severity), problem.line or 0, problem.column or 0))


@dataclass(frozen=True, slots=True)
class _Use:
    """A target, and where it is used first."""

    target: Target
    profile: Profile
    path: Path


class _Check:
    def __init__(
        self,
        policy: Policy,
        environ: Mapping[str, str],
        profiles: Mapping[str, Profile],
        today: date,
        authors: Mapping[str, str | None],
    ) -> None:
        self.policy = policy
        self.environ = environ
        self.profiles = profiles
        self.today = today
        self.authors = authors
        self.tell = policy.origin.problem
        self.chains = {name: list(self.uses(name, route)) for name, route in policy.routes.items()}

    def uses(self, name: str, route: Route) -> Iterator[_Use]:
        for index, member in enumerate(route.chain):
            config = self.policy.provider(member.provider)
            profile = profile_of(member.provider, config, self.profiles)
            if profile is None:
                continue
            facts = profile.facts(member.model)
            operator = config.operator or profile.operator
            author = (facts.author if facts else None) or self.authors.get(member.target)
            target = Target(member.provider, member.model, operator, author)
            yield _Use(target, profile, ("routes", name, "chain", index))

    def shadow(self, name: str, route: Route) -> Iterator[_Use]:
        """The target that only listens, if there is one."""
        if route.shadow is not None:
            member = ChainMember(target=route.shadow.target)
            for use in self.uses(name, route.model_copy(update={"chain": (member,)})):
                yield replace(use, path=("routes", name, "shadow", "target"))

    def problems(self) -> Iterator[Problem]:
        for name, profile in self.used_providers().items():
            yield from self.key(name, profile)
        for name in self.policy.providers:
            yield from self.provider(name)
        uses = self.first_uses()
        for use in uses:
            yield from self.model(use)
        for name, route in self.policy.routes.items():
            yield from self.weights(name, route)
            yield from self.prices(name, route)
            yield from self.residency(name, route)
        if self.policy.off:  # for which the whole catalogue is read
            profiles = [*self.profiles.values(), *(use.profile for use in uses)]
            yield from doubtful_entries(self.policy, [use.target for use in uses], profiles, self.today)

    def used_providers(self) -> dict[str, Profile]:
        return {use.target.provider: use.profile for uses in self.everybody() for use in uses}

    def everybody(self) -> Iterator[list[_Use]]:
        """The targets of each route, those that only listen last."""
        yield from self.chains.values()
        for name, route in self.policy.routes.items():
            yield list(self.shadow(name, route))

    def first_uses(self) -> list[_Use]:
        first: dict[str, _Use] = {}
        for uses in self.everybody():
            for use in uses:
                first.setdefault(str(use.target), use)
        return list(first.values())

    def provider_path(self, name: str) -> Path:
        """Where a provider stands: under ``providers``, else where it is used first."""
        if name in self.policy.providers:
            return ("providers", name)
        return next(use.path for use in self.first_uses() if use.target.provider == name)

    def key(self, name: str, profile: Profile) -> Iterator[Problem]:
        """The key of a provider that some route uses."""
        path = self.provider_path(name)
        config = self.policy.provider(name)
        variable = " or ".join(f"`{variable}`" for variable in profile.key)
        try:
            key = key_of(config, profile, self.environ)
        except MistakeError as mistake:
            message = f"{variable}: {mistake.message}; the targets of `{name}` are skipped"
            yield self.tell("warning", path, message, mistake.hint, code="unusable-key", at_key=True)
            return
        if key is None and profile.key_required and config.base_url is None:
            hint = f"set {variable}, or `api_key:`" if variable else "set `api_key:`"
            message = f"`{name}` has no key; its targets are skipped"
            yield self.tell("warning", path, message, hint, code="missing-key", at_key=True)
        if key is not None and key.stripped:
            message = f"a line end after the key of `{name}` was removed"
            yield self.tell("note", path, message, code="key-line-end", at_key=True)

    def provider(self, name: str) -> Iterator[Problem]:
        """What is written under ``providers``."""
        path: Path = ("providers", name)
        config = self.policy.providers[name]
        profile = profile_of(name, config, self.profiles)
        if profile is None:
            return
        if name not in self.used_providers():
            yield self.tell("note", path, f"no route uses `{name}`", code="unused-provider", at_key=True)
        if config.api_key is not None and (*path, "api_key") not in self.policy.origin.variables:
            hint = 'write `"${NAME}"` and put the key into that variable'
            message = "the key itself stands in the policy"
            yield self.tell("warning", (*path, "api_key"), message, hint, code="literal-key")
        if config.base_url is not None:
            yield from self.own_endpoint(name, profile)
        elif config.region is None and profile.region is not None and len(profile.endpoints) > 1:
            message = f"`{name}` has no `region`: `{profile.region}` is used"
            hint = "set `region:`, if it matters where data goes"
            yield self.tell("note", path, message, hint, code="default-region", at_key=True)

    def own_endpoint(self, name: str, profile: Profile) -> Iterator[Problem]:
        path: Path = ("providers", name, "base_url")
        config = self.policy.providers[name]
        if config.operator is None and profile.operator is not None:
            message = f"`{name}` has its own endpoint and counts as operated by `{profile.operator}`"
            hint = "set `operator:`, if somebody else runs it"
            yield self.tell("note", path, message, hint, code="assumed-operator")
        if config.api_key is None and self.usable_key(config, profile):
            message = f"`{name}` has its own endpoint, which is sent the key of `{profile.name}`"
            yield self.tell("warning", path, message, "set `api_key:`", code="vendor-key-elsewhere")
        place = place_of(config, profile)
        is_known = place.stored_in is not None and place.inference_in is not None
        if not is_known and not str(config.base_url).startswith("http:"):  # which is this machine
            message = f"where `{name}` stores data and computes is unknown"
            hint = "say it with `stored_in:` and `inference_in:`, or no route with a `residency` asks it"
            yield self.tell("note", path, message, hint, code="unknown-place")

    def usable_key(self, config: ProviderConfig, profile: Profile) -> bool:
        try:
            return key_of(config, profile, self.environ) is not None
        except MistakeError:
            return False

    def model(self, use: _Use) -> Iterator[Problem]:
        """What the catalogue knows of a model."""
        target, profile = use.target, use.profile
        facts = profile.facts(target.model)
        if facts is None:
            if profile.adapter != "local":
                message = f"`{target}` is unverified: the catalogue does not list it"
                own = self.policy.provider(target.provider).base_url is not None  # which may serve what it likes
                near = [] if own else get_close_matches(target.model, profile.models, n=1, cutoff=0.8)
                hint = f"did you mean `{near[0]}`?" if near else None
                yield self.tell("note", use.path, message, hint, code="unverified-model")
            return
        found = profile.endpoint(self.policy.provider(target.provider).region or profile.region or "")
        region = found[0] if found else None
        for doubt in doubts(facts, region=region, hosted=target.operator is not None, today=self.today):
            message = f"`{target}` {doubt.message}"
            yield self.tell(doubt.severity, use.path, message, doubt.hint, code=doubt.code)

    def prices(self, name: str, route: Route) -> Iterator[Problem]:
        """Targets that a budget leaves out, because nobody knows what they cost."""
        if route.budget is None or (route.budget.per_call is None and route.budget.per_day is None):
            return
        for use in self.chains[name]:
            target, config = use.target, self.policy.provider(use.target.provider)
            region = config.region or use.profile.region
            found = use.profile.endpoint(region) if region is not None and config.base_url is None else None
            if not list_prices(use.profile, target.model, found[0] if found else None, target.operator):
                message = f"the price of `{target}` is unknown: with a budget it is never asked"
                hint = "write its price into a profile, or remove the budget"
                yield self.tell("warning", use.path, message, hint, code="unpriced-target")

    def residency(self, name: str, route: Route) -> Iterator[Problem]:
        """Targets that the route's residency leaves out."""
        for index, member in enumerate(route.chain):
            why = misplaced(self.policy, route, member, self.profiles)
            if why is not None:
                message = f"`{member.target}` is never asked: {why}"
                hint = "remove it, or say where it is with `stored_in:` and `inference_in:` of its provider"
                path = ("routes", name, "chain", index)
                yield self.tell("warning", path, message, hint, code="residency-unmet")

    def weights(self, name: str, route: Route) -> Iterator[Problem]:
        """Whether targets that turn texts into vectors turn them into the same ones."""
        found = set()
        for use in self.chains[name]:
            member = next(one for one in route.chain if one.target == str(use.target))
            facts = use.profile.facts(member.model)
            if facts is not None and "embeddings" in facts.features:
                found.add(member.weights_id or facts.weights_id or f"{use.profile.name}:{member.model}")
        if len(found) > 1:
            message = f"the targets of `{name}` have different weights: for vectors only those of the first are asked"
            hint = "make a route for each, or say with `weights_id` that they are the same"
            yield self.tell("warning", ("routes", name, "chain"), message, hint, code="unlike-vectors", at_key=True)
