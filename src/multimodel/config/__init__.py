"""The policy file: strict YAML to frozen models, every mistake with its place and a hint.

Each name is imported on first use, so that the models load without what reads files.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .check import check_policy
    from .default import default_policy
    from .load import find_policy, load_policy
    from .policy import OffEntry, Policy
    from .problems import MistakeError, Problem
    from .provider import ProviderConfig
    from .routes import ChainMember, Params, Route
    from .salvage import salvage_policy
    from .schema import policy_schema
    from .secret import Secret
    from .units import format_duration, parse_duration

__all__ = [
    "ChainMember",
    "MistakeError",
    "OffEntry",
    "Params",
    "Policy",
    "Problem",
    "ProviderConfig",
    "Route",
    "Secret",
    "check_policy",
    "default_policy",
    "find_policy",
    "format_duration",
    "load_policy",
    "parse_duration",
    "policy_schema",
    "salvage_policy",
]

_HOMES = {
    "check": ("check_policy",),
    "default": ("default_policy",),
    "load": ("find_policy", "load_policy"),
    "policy": ("OffEntry", "Policy"),
    "problems": ("MistakeError", "Problem"),
    "provider": ("ProviderConfig",),
    "routes": ("ChainMember", "Params", "Route"),
    "salvage": ("salvage_policy",),
    "schema": ("policy_schema",),
    "secret": ("Secret",),
    "units": ("format_duration", "parse_duration"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
