"""What the settings of one route, and the facts about its targets, say against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..providers.profile import Profile
from .policy import Policy
from .problems import MistakeError, Problem
from .provider import place_of, profile_of
from .residency import outside
from .routes import ChainMember, Route

__all__ = ["conflicts", "misplaced"]


def conflicts(policy: Policy, profiles: Mapping[str, Profile]) -> list[Problem]:
    """Name what cannot hold at the same time. Loading a policy that has any of it fails.

    :param policy: with all that its routes inherit.
    """
    found = []
    for name, route in policy.routes.items():
        for setting, message, hint in _conflicts(policy, route, profiles):
            found.append(policy.origin.problem("error", ("routes", name, setting), message, hint, at_key=True))
    return found


def _conflicts(policy: Policy, route: Route, profiles: Mapping[str, Profile]) -> Iterator[tuple[str, str, str]]:
    if route.residency is None:
        return
    if route.fetch_media:
        yield "fetch_media", "media are fetched from anywhere, `residency` is not", "remove one of the two"
    reasons = [misplaced(policy, route, member, profiles) for member in route.chain]
    if reasons and None not in reasons:
        told = "; ".join(
            dict.fromkeys(f"`{member.target}`: {why}" for member, why in zip(route.chain, reasons, strict=True))
        )
        hint = "add a target that is there, or `stored_in:` and `inference_in:` to a provider of which you know it"
        yield "residency", f"no target of the chain is where `residency` allows it ({told})", hint


def misplaced(policy: Policy, route: Route, member: ChainMember, profiles: Mapping[str, Profile]) -> str | None:
    """Say why the residency of a route rules a member out; None when it does not."""
    config = policy.provider(member.provider)
    profile = profile_of(member.provider, config, profiles)
    if route.residency is None or profile is None or profile.adapter == "local":
        return None
    try:
        place = place_of(config, profile)
    except MistakeError:  # it is told elsewhere
        return None
    return outside(route.residency, stored_in=place.stored_in, inference_in=place.inference_in)
