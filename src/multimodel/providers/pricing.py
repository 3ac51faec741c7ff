"""What tokens cost, by the catalogue's list prices: what an answer did cost, and what one can cost at most."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Usage
from .profile import Price, Profile

__all__ = ["cost_at_most", "list_prices", "priced"]

_MILLION = 1_000_000


def list_prices(profile: Profile, model: str, region: str | None, operator: str | None) -> tuple[Price, ...]:
    """Return what ``model`` costs in a region: its tiers, the smallest first; empty when nobody knows.

    A price of the region holds before one that holds for all; a profile's own prices hold for the models that have
    none. Of an endpoint that somebody else operates nothing is known.

    :param operator: who runs the endpoint.
    """
    if operator != profile.operator:
        return ()
    facts = profile.facts(model)
    known = facts.prices if facts is not None and facts.prices else profile.prices
    here = [price for price in known if price.region is not None and price.region == region]
    tiers = here or [price for price in known if price.region is None]
    return tuple(sorted(tiers, key=lambda price: price.up_to or float("inf")))


def priced(usage: Usage, tiers: Sequence[Price]) -> Usage:
    """Return ``usage`` with its cost in US dollars; without a price it is returned as it is.

    The tier is chosen by the input tokens of the request and holds for all its tokens. An answer that was thought
    about costs ``thinking_output`` for all its output. Cached input without a price of its own costs what other input
    does.
    """
    if usage.cost is not None:
        return usage
    price = next((tier for tier in tiers if tier.up_to is None or usage.input_tokens <= tier.up_to), None)
    if price is None:
        return usage
    cached = min(usage.cached_tokens or 0, usage.input_tokens)
    cached_price = price.input if price.cached_input is None else price.cached_input
    output_price = price.output
    if usage.reasoning_tokens and price.thinking_output is not None:
        output_price = price.thinking_output
    cost = (usage.input_tokens - cached) * price.input + cached * cached_price + usage.output_tokens * output_price
    return usage.model_copy(update={"cost": cost / _MILLION})


def cost_at_most(tiers: Sequence[Price], input_tokens: int, output_tokens: int) -> float | None:
    """Return the most that so many tokens cost in US dollars; None when the price is unknown.

    Nothing is taken as cached, and all output as thought about. More input than the highest tier has costs what its
    last token does.
    """
    if not tiers:
        return None
    fits = [tier for tier in tiers if tier.up_to is None or input_tokens <= tier.up_to]
    reached = [*tiers[: len(tiers) - len(fits)], *fits[:1]]
    dearest_input = max(max(tier.input, tier.cached_input or 0.0) for tier in reached)
    dearest_output = max(max(tier.output, tier.thinking_output or 0.0) for tier in reached)
    return (input_tokens * dearest_input + output_tokens * dearest_output) / _MILLION
