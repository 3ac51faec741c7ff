"""What tokens cost, by the catalogue's list prices."""

from __future__ import annotations

from collections.abc import Sequence

from ..providers.profile import Price
from ..types import Usage

__all__ = ["priced"]

_MILLION = 1_000_000


def priced(usage: Usage, prices: Sequence[Price]) -> Usage:
    """Return ``usage`` with its cost in US dollars; without a price it is returned as it is.

    The tier is chosen by the input tokens of the request and holds for all its tokens.
    """
    if usage.cost is not None or not prices:
        return usage
    tiers = sorted(prices, key=lambda price: price.up_to or float("inf"))
    price = next((tier for tier in tiers if tier.up_to is None or usage.input_tokens <= tier.up_to), None)
    if price is None:
        return usage
    cached = usage.cached_tokens or 0
    cached_price = price.input if price.cached_input is None else price.cached_input
    thought = usage.reasoning_tokens or 0
    output_price = price.thinking_output if thought and price.thinking_output is not None else price.output
    cost = (
        (usage.input_tokens - cached) * price.input + cached * cached_price + usage.output_tokens * output_price
    ) / _MILLION
    return usage.model_copy(update={"cost": cost})
