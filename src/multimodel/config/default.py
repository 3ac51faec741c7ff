"""The policy that holds when there is no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import ConfigurationError
from ..providers.profile import Profile
from .policy import Policy
from .problems import MistakeError
from .provider import ProviderConfig, key_of, place_of
from .routes import ChainMember, Route

__all__ = ["default_policy"]


def default_policy(environ: Mapping[str, str], profiles: Mapping[str, Profile], local_models: Sequence[str]) -> Policy:
    """Return one route, ``chat``: every vendor whose key is set, in the catalogue's order, then local weights.

    :param local_models: names of local weights, best first; empty when there are none.
    :raises ConfigurationError: when there is neither a key nor local weights.
    """
    targets = [
        f"{name}:{profile.default_model}"
        for name, profile in profiles.items()
        if profile.default_model is not None and _is_usable(profile, environ)
    ]
    targets += [f"local:{model}" for model in local_models]
    if not targets:
        variables = sorted({profile.key[0] for profile in profiles.values() if profile.key and profile.default_model})
        named = " or ".join(f"`{name}`" for name in variables[:3]) or "a vendor's key"
        raise ConfigurationError(
            "there is no policy, no key of a vendor and no local weights",
            hint=f"set {named}, or write `multimodel.yaml`: `routes: {{chat: {{chain: [provider:model]}}}}`",
        )
    chain = tuple(ChainMember(target=target) for target in targets)
    return Policy(routes={"chat": Route(chain=chain, max_attempts=max(6, len(chain) + 1))})


def _is_usable(profile: Profile, environ: Mapping[str, str]) -> bool:
    try:
        place_of(ProviderConfig(), profile)
        return key_of(ProviderConfig(), profile, environ) is not None
    except MistakeError:
        return False
