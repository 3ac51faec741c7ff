"""Settings that are read and checked, but that this version does nothing about yet."""

from __future__ import annotations

from .policy import Policy
from .problems import Problem

__all__ = ["unsupported_settings"]

_WITHOUT_EFFECT: dict[str, tuple[object, ...]] = {
    "residency": (None,),
}
"""A route's setting, and the values that ask for nothing."""


def unsupported_settings(policy: Policy) -> list[Problem]:
    """Name every setting that would be silently without effect. Loading a policy that has one fails."""
    return [*_without_effect(policy), *_unbudgeted(policy)]


def _unbudgeted(policy: Policy) -> list[Problem]:
    """A shadow spends what no budget counts."""
    return [
        policy.origin.problem(
            "error",
            ("routes", name, "shadow"),
            "a `shadow` is not charged to the route's `budget`",
            "remove one of the two",
            at_key=True,
        )
        for name, route in policy.routes.items()
        if route.shadow is not None and route.budget is not None
    ]


def _without_effect(policy: Policy) -> list[Problem]:
    return [
        policy.origin.problem(
            "error",
            ("routes", name, setting),
            f"`{setting}` is not supported by this version",
            f"remove it, or set it to `{idle[0]}`" if idle and isinstance(idle[0], str) else "remove it",
            at_key=True,
        )
        for name, route in policy.routes.items()
        for setting, idle in _WITHOUT_EFFECT.items()
        if setting in route.model_fields_set and getattr(route, setting) not in idle
    ]
