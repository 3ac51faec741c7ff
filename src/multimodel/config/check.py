"""What can be told about a policy that has no mistakes, without a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from ..providers.pricing import list_prices
from ..providers.profile import Profile
from ..types import Target
from .conflicts import misplaced
from .facts import doubts
from .policy import Policy
from .problems import MistakeError, Path, Problem, did_you_mean
from .provider import key_of, profile_of
from .routes import ChainMember, Route
from .units import format_duration

__all__ = ["check_policy"]


def check_policy(
    policy: Policy, *, environ: Mapping[str, str], profiles: Mapping[str, Profile], today: date
) -> list[Problem]:
    """Tell what is doubtful about a loaded policy: errors first, then warnings, then notes.

    :param environ: where the profiles' key variables are looked up.
    :param profiles: the catalogue the policy was loaded with.
    :param today: the day by which retired models and ended switches are judged.
    """
    found = list(_Check(policy, environ, profiles, today).problems())
    order = ("error", "warning", "note")
    return sorted(found, key=lambda problem: (order.index(problem.severity), problem.line or 0, problem.column or 0))


@dataclass(frozen=True, slots=True)
class _Use:
    """A target, and where it is used first."""

    target: Target
    profile: Profile
    path: Path

    @property
    def jurisdiction(self) -> str | None:
        same = self.target.operator == self.profile.operator
        return self.profile.jurisdiction if same else None


class _Check:
    def __init__(
        self, policy: Policy, environ: Mapping[str, str], profiles: Mapping[str, Profile], today: date
    ) -> None:
        self.policy = policy
        self.environ = environ
        self.profiles = profiles
        self.today = today
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
            target = Target(member.provider, member.model, operator, facts.author if facts else None)
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
        for use in self.first_uses():
            yield from self.model(use)
        for name, route in self.policy.routes.items():
            yield from self.route(name, route)
            yield from self.weights(name, route)
            yield from self.prices(name, route)
            yield from self.residency(name, route)
        yield from self.off_entries()

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
            yield self.tell("warning", path, message, mistake.hint, at_key=True)
            return
        if key is None and profile.key_required and config.base_url is None:
            hint = f"set {variable}, or `api_key:`" if variable else "set `api_key:`"
            yield self.tell("warning", path, f"`{name}` has no key; its targets are skipped", hint, at_key=True)
        if key is not None and key.stripped:
            yield self.tell("note", path, f"a line end after the key of `{name}` was removed", None, at_key=True)

    def provider(self, name: str) -> Iterator[Problem]:
        """What is written under ``providers``."""
        path: Path = ("providers", name)
        config = self.policy.providers[name]
        profile = profile_of(name, config, self.profiles)
        if profile is None:
            return
        if name not in self.used_providers():
            yield self.tell("note", path, f"no route uses `{name}`", None, at_key=True)
        if config.api_key is not None and (*path, "api_key") not in self.policy.origin.variables:
            hint = 'write `"${NAME}"` and put the key into that variable'
            yield self.tell("warning", (*path, "api_key"), "the key itself stands in the policy", hint)
        if config.base_url is not None:
            yield from self.own_endpoint(name, profile)
        elif config.region is None and profile.region is not None and len(profile.endpoints) > 1:
            message = f"`{name}` has no `region`: `{profile.region}` is used"
            yield self.tell("note", path, message, "set `region:`, if it matters where data goes", at_key=True)

    def own_endpoint(self, name: str, profile: Profile) -> Iterator[Problem]:
        path: Path = ("providers", name, "base_url")
        config = self.policy.providers[name]
        if config.operator is None and profile.operator is not None:
            message = f"`{name}` has its own endpoint and counts as operated by `{profile.operator}`"
            yield self.tell("note", path, message, "set `operator:`, if somebody else runs it")
        if config.api_key is None and any(self.environ.get(variable) for variable in profile.key):
            message = f"`{name}` has its own endpoint, which is sent the key of `{profile.name}`"
            yield self.tell("warning", path, message, "set `api_key:`")

    def model(self, use: _Use) -> Iterator[Problem]:
        """What the catalogue knows of a model."""
        target, profile = use.target, use.profile
        facts = profile.facts(target.model)
        if facts is None:
            if profile.adapter != "local":
                message = f"`{target}` is unverified: the catalogue does not list it"
                yield self.tell("note", use.path, message, did_you_mean(target.model, profile.models))
            return
        found = profile.endpoint(self.policy.provider(target.provider).region or profile.region or "")
        region = found[0] if found else None
        for doubt in doubts(facts, region=region, hosted=target.operator is not None, today=self.today):
            yield self.tell(doubt.severity, use.path, f"`{target}` {doubt.message}", doubt.hint)

    def route(self, name: str, route: Route) -> Iterator[Problem]:
        """What a chain amounts to."""
        uses = self.chains[name]
        operators = {use.target.operator for use in uses}
        if len(operators) == 1 and None not in operators:
            message = f"every target of `{name}` is operated by `{operators.pop()}`"
            hint = "add a target of another operator, or local weights"
            yield self.tell("warning", ("routes", name, "chain"), message, hint, at_key=True)
        first = route.timeouts.first_content
        if first is not None and route.deadline < first:
            message = f"the deadline of {format_duration(route.deadline)} is shorter than `first_content`"
            yield self.tell("warning", ("routes", name, "deadline"), message, "raise one, or lower the other")
        if route.mid_stream == "continue" and not any(map(_goes_on, uses[1:])):
            message = "no target after the first is known to go on with an answer: a broken stream ends with an error"
            yield self.tell("warning", ("routes", name, "mid_stream"), message, "set `restart`, or add such a target")
        if route.hedge is not None and len({use.target.provider for use in uses}) == 1:
            message = "all targets share one account: nobody can be asked beside the first"
            yield self.tell(
                "warning", ("routes", name, "hedge"), message, "add a target of another provider", at_key=True
            )

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
                yield self.tell("warning", use.path, message, "write its price into a profile, or remove the budget")

    def residency(self, name: str, route: Route) -> Iterator[Problem]:
        """Targets that the route's residency leaves out."""
        for index, member in enumerate(route.chain):
            why = misplaced(self.policy, route, member, self.profiles)
            if why is not None:
                message = f"`{member.target}` is never asked: {why}"
                hint = "remove it, or say where it is with `stored_in:` and `inference_in:` of its provider"
                yield self.tell("warning", ("routes", name, "chain", index), message, hint)

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
            yield self.tell("warning", ("routes", name, "chain"), message, hint, at_key=True)

    def off_entries(self) -> Iterator[Problem]:
        """What the entries of ``off`` leave of each route, and whether they name anything."""
        at = datetime(self.today.year, self.today.month, self.today.day, tzinfo=UTC)
        for name, uses in self.chains.items():
            covering = [self.covering(use, at) for use in uses]
            if uses and None not in covering:
                path: Path = ("off", next(index for index in covering if index is not None))
                yield self.tell("error", path, f"`off` leaves `{name}` without a target", "add a target that stays on")
        for index, entry in enumerate(self.policy.off):
            if entry.kind in {"operator", "author"}:
                known = self.known(entry.kind)
                if entry.name not in known:
                    message = f"`{entry.name}` is no {entry.kind} that the policy or the catalogue knows"
                    yield self.tell(
                        "warning", ("off", index, entry.kind), message, did_you_mean(entry.name, sorted(known))
                    )
            if entry.kind == "author":
                for use in self.first_uses():
                    if use.target.author is None:
                        message = f"the author of `{use.target}` is unknown, so it stays on"
                        yield self.tell(
                            "warning", ("off", index, "author"), message, "switch the target off, if it is meant"
                        )

    def covering(self, use: _Use, at: datetime) -> int | None:
        for index, entry in enumerate(self.policy.off):
            if entry.covers(use.target, jurisdiction=use.jurisdiction, at=at):
                return index
        return None

    def known(self, kind: str) -> set[str]:
        profiles = [*self.profiles.values(), *(use.profile for use in self.first_uses())]
        if kind == "author":
            return {facts.author for profile in profiles for facts in profile.models.values() if facts.author}
        named = {config.operator for config in self.policy.providers.values() if config.operator}
        return named | {profile.operator for profile in profiles if profile.operator}


def _goes_on(use: _Use) -> bool:
    facts = use.profile.facts(use.target.model)
    return facts is not None and "prefill" in facts.features
