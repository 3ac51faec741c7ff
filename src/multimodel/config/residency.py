"""Residency: where data may be stored and inference may run. What is not known to be there is not asked.

1. A rule names places: ISO 3166 codes of countries, and ``EU`` for its member states together.
2. A target is eligible if all places where its vendor stores, and all where it infers, are among those of the rule. What
   nobody knows, and words like ``global``, are in no place.
3. Weights in this process are where the application is: no rule is about them.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints

from .fields import Settings

__all__ = ["Places", "Residency", "outside"]

_EU = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905  # shorter
)
"""The member states since 2020-02-01: Treaty on European Union, article 52, less the United Kingdom (OJ L 29, 31.1.2020)."""

Place: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Places: TypeAlias = Annotated[
    tuple[Place, ...], Field(min_length=1), AfterValidator(lambda found: tuple(dict.fromkeys(found)))
]
"""Codes of countries, or ``EU``."""


class Residency(Settings):
    """Where data may be stored and inference may run; None is anywhere.

    >>> rule = Residency(storage=("EU",), inference=("EU", "US"))
    >>> outside(rule, stored_in=("DE",), inference_in=("global",))
    'its inference runs in global, and not in EU, US alone'
    """

    storage: Places | None = None
    inference: Places | None = None


def outside(
    rule: Residency | None, *, stored_in: tuple[str, ...] | None, inference_in: tuple[str, ...] | None
) -> str | None:
    """Say what of a target is, or may be, where the rule does not allow it; None when nothing is.

    :param stored_in: where its vendor stores; None is unknown.
    :param inference_in: where it infers; None is unknown.
    """
    if rule is None:
        return None
    for what, allowed, places in (
        ("its data is stored", rule.storage, stored_in),
        ("its inference runs", rule.inference, inference_in),
    ):
        if allowed is None or (places and _all_of(places) <= _all_of(allowed)):
            continue
        if not places:
            return f"nobody knows where {what}"
        return f"{what} in {', '.join(places)}, and not in {', '.join(allowed)} alone"
    return None


def _all_of(places: tuple[str, ...]) -> frozenset[str]:
    return frozenset(places) | (_EU if "EU" in places else frozenset())
