"""What a policy's parts say of each other and of the catalogue."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..providers.profile import Profile
from .policy import Policy
from .problems import Path, did_you_mean, shown
from .provider import HTTP_ONLY, LOCAL_ONLY, ProviderConfig, profile_of
from .routes import Route
from .translate import Mistake

__all__ = ["Names", "dangling", "extended"]

MAX_EXTENDS = 4


@dataclass(frozen=True, slots=True)
class Names:
    """The names a policy defines, whether or not what they name is without mistakes."""

    providers: Collection[str]
    routes: Collection[str]


def dangling(policy: Policy, names: Names, profiles: Mapping[str, Profile]) -> Iterator[Mistake]:
    """Yield what refers to nothing, or contradicts what it refers to."""
    return _References(policy, names, profiles).mistakes()


def extended(routes: Mapping[str, Route]) -> Iterator[Mistake]:
    """Yield what is wrong with ``extends``: cycles, and more than four levels."""
    told: set[str] = set()
    for name in routes:
        line = _ancestry(name, routes)
        if line.index(line[-1]) < len(line) - 1:
            cycle = line[line.index(line[-1]) :]
            if told.isdisjoint(cycle):
                told.update(cycle)
                words = " → ".join(f"`{step}`" for step in cycle)
                message = f"routes extend each other: {words}"
                yield Mistake(("routes", cycle[0], "extends"), message, "remove one `extends:`")
        elif len(line) > MAX_EXTENDS:
            message = f"{len(line)} routes extend one another, at most {MAX_EXTENDS} can"
            yield Mistake(("routes", name, "extends"), message, "write the settings out")


def _ancestry(name: str, routes: Mapping[str, Route]) -> list[str]:
    """Follow ``extends`` from a route upwards; ends with a name that is in it already if there is a cycle."""
    line, seen = [name], {name}
    while (parent := routes[line[-1]].extends) is not None and parent in routes:
        line.append(parent)
        if parent in seen:
            break
        seen.add(parent)
    return line


@dataclass(frozen=True, slots=True)
class _References:
    policy: Policy
    names: Names
    profiles: Mapping[str, Profile]

    def mistakes(self) -> Iterator[Mistake]:
        for name, config in self.policy.providers.items():
            yield from self.provider(name, config)
        for name, route in self.policy.routes.items():
            yield from self.route(name, route)
        yield from self.unconfigured()
        for alias, route_name in self.policy.aliases.items():
            path: Path = ("aliases", alias)
            if alias in self.names.routes:
                yield Mistake(path, f"{shown(alias)} is a route already", "remove one of them", at_key=True)
            yield from self.known_route(route_name, path)
        for index, entry in enumerate(self.policy.off):
            if entry.kind in {"provider", "target"}:
                yield from self.known_provider(entry.name.partition(":")[0], ("off", index, entry.kind))

    def provider(self, name: str, config: ProviderConfig) -> Iterator[Mistake]:
        path: Path = ("providers", name)
        profile = profile_of(name, config, self.profiles)
        if profile is None:
            wanted = config.profile if isinstance(config.profile, str) else name
            if config.profile is None:
                hint = _nearest(name, self.profiles) or "set `profile:` to the vendor at which it is an account"
                yield Mistake(path, f"{shown(name)} is no vendor of the catalogue", hint, at_key=True)
            else:
                place = (*path, "profile")
                message = f"unknown profile {self.policy.origin.shown(place, wanted)}"
                yield Mistake(place, message, did_you_mean(wanted, self.profiles))
            return
        yield from self.endpoint(path, config, profile)
        for adapter, settings, whose in (("local", LOCAL_ONLY, "local weights"), ("http", HTTP_ONLY, "HTTP vendors")):
            for setting in config.model_fields_set.intersection(settings) if profile.adapter != adapter else ():
                yield Mistake((*path, setting), f"`{setting}` is a setting of {whose}", "remove it", at_key=True)
        if profile.adapter in {"http", "local"} and config.options:
            yield Mistake(
                (*path, "options"), f"`{profile.name}` has no further options", "remove `options`", at_key=True
            )

    def endpoint(self, path: Path, config: ProviderConfig, profile: Profile) -> Iterator[Mistake]:
        if config.protocol is not None and config.protocol not in profile.protocols:
            place = (*path, "protocol")
            message = f"`{profile.name}` has no protocol {self.policy.origin.shown(place, config.protocol)}"
            yield Mistake(place, message, did_you_mean(config.protocol, profile.protocols))
        if config.base_url is not None:
            if profile.adapter == "local":
                yield Mistake((*path, "base_url"), "local weights have no `base_url`", "remove it", at_key=True)
            return
        region = config.region or profile.region
        if region is None:
            if profile.adapter == "http":
                hint = (
                    f"set `region:` to one of {_listed(profile.endpoints)}" if profile.endpoints else "set `base_url:`"
                )
                yield Mistake(path, f"`{profile.name}` has no endpoint of its own", hint, at_key=True)
            return
        found = profile.endpoint(region)
        if found is None:
            place = (*path, "region")
            message = f"`{profile.name}` has no region {self.policy.origin.shown(place, region)}"
            yield Mistake(place, message, _region_hint(region, profile))
        elif found[1].url is None and config.workspace is None:
            message = f"the region `{found[0]}` of `{profile.name}` is reached through a workspace"
            yield Mistake(path, message, "set `workspace:` to the workspace's id", at_key=True)

    def route(self, name: str, route: Route) -> Iterator[Mistake]:
        path: Path = ("routes", name)
        for index, member in enumerate(route.chain):
            yield from self.known_provider(member.provider, (*path, "chain", index))
        if route.shadow is not None:
            yield from self.known_provider(route.shadow.target.partition(":")[0], (*path, "shadow", "target"))
        if route.traffic and route.chain:
            chain = [member.target for member in route.chain]
            for target in route.traffic.keys() - set(chain):
                message = f"{shown(target)} is not in the chain"
                yield Mistake((*path, "traffic", target), message, did_you_mean(target, chain), at_key=True)
            if not sum(route.traffic.values()):
                yield Mistake((*path, "traffic"), "all weights are 0", "give one target a weight", at_key=True)
        if route.prompts and route.chain:
            yield from self.prompts(name, route)
        if route.extends is not None:
            yield from self.known_route(route.extends, (*path, "extends"))

    def prompts(self, name: str, route: Route) -> Iterator[Mistake]:
        """System texts that no target of the chain would get."""
        known: set[str] = set()
        for member in route.chain:
            config = self.policy.provider(member.provider)
            profile = profile_of(member.provider, config, self.profiles)
            facts = profile.facts(member.model) if profile is not None else None
            operator = config.operator or (profile.operator if profile is not None else None)
            names = (member.target, member.provider, facts.author if facts is not None else None, operator)
            known.update(one for one in names if one is not None)
        for whose in route.prompts:
            if whose not in known:
                message = f"{shown(whose)} is no target, provider, author or operator of the chain"
                yield Mistake(
                    ("routes", name, "prompts", whose), message, did_you_mean(whose, sorted(known)), at_key=True
                )

    def unconfigured(self) -> Iterator[Mistake]:
        """Check the vendors that are used straight from the catalogue, at their first use."""
        seen = set(self.names.providers)
        for name, route in self.policy.routes.items():
            for index, member in enumerate(route.chain):
                profile = self.profiles.get(member.provider)
                if profile is None or member.provider in seen:
                    continue
                seen.add(member.provider)
                for mistake in self.endpoint((), ProviderConfig(), profile):
                    hint = f"under `providers:`, `{member.provider}:`, {mistake.hint}"
                    yield Mistake(("routes", name, "chain", index), mistake.message, hint)

    def known_provider(self, name: str, path: Path) -> Iterator[Mistake]:
        known = [*self.names.providers, *self.profiles]  # names only: no profile is read for them
        if name not in known:
            yield Mistake(path, f"unknown provider {self.policy.origin.shown(path, name)}", did_you_mean(name, known))

    def known_route(self, name: str, path: Path) -> Iterator[Mistake]:
        if name not in self.names.routes:
            message = f"unknown route {self.policy.origin.shown(path, name)}"
            yield Mistake(path, message, did_you_mean(name, self.names.routes))


def _region_hint(region: str, profile: Profile) -> str:
    if not profile.endpoints:
        return "remove it"
    names = [name for known, endpoint in profile.endpoints.items() for name in (known, *endpoint.aliases)]
    near = _nearest(region, names)
    known = f"known are {_listed(profile.endpoints)}"
    return f"{near} {known}" if near else known


def _nearest(name: str, known: Iterable[str]) -> str | None:
    hint = did_you_mean(name, known)
    return hint if hint and hint.startswith("did you mean") else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
