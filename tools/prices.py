"""Compare the catalogue's prices with other people's tables: `python tools/prices.py [VENDOR…]`.

For whoever keeps the catalogue; nothing of it runs in the library, and nothing is fetched. litellm's table is read from
the installed package, genai-prices' likewise if it is installed (`pip install genai-prices`; it knows no DashScope).
Only differences are printed, and what a table does not know is counted. It ends with 1 when something differs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from multimodel.providers.catalogue import load_profiles
from multimodel.providers.profile import Price, Profile

DIRECTORY = Path(__file__).resolve().parent.parent / "providers"
FILE = "model_prices_and_context_window_backup.json"
LITELLM = {
    "dashscope": "dashscope/", "fireworks": "fireworks_ai/", "google": "gemini/", "groq": "groq/",
    "mistral": "mistral/", "moonshot": "moonshot/", "openai": "", "anthropic": "", "together": "together_ai/",
    "xai": "xai/", "zhipu": "zai/", "deepseek": "deepseek/", "bedrock": "", "vertex": "vertex_ai/",
}  # fmt: skip
"""What litellm's table puts before a model of each vendor."""
GENAI = {
    "anthropic": "anthropic", "deepseek": "deepseek", "fireworks": "fireworks", "google": "google", "groq": "groq",
    "mistral": "mistral", "moonshot": "moonshotai", "openai": "openai", "together": "together", "xai": "x-ai",
    "zhipu": "zai", "bedrock": "aws",
}  # fmt: skip
"""What genai-prices calls each vendor."""
SAME = 0.005
"""A difference of half a percent is one of rounding."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """US dollars per million tokens; None is unknown."""

    input: float
    output: float | None
    cached_input: float | None = None

    def differs(self, ours: Price) -> bool:
        """Say whether what both know differs."""
        pairs = ((self.input, ours.input), (self.output, ours.output), (self.cached_input, ours.cached_input))
        return any(
            theirs is not None and own is not None and abs(theirs - own) > SAME * max(theirs, own)
            for theirs, own in pairs
        )

    def __str__(self) -> str:
        return " / ".join("?" if one is None else f"{one:g}" for one in (self.input, self.output, self.cached_input))


Table = Callable[[str, str], Amounts | None]
"""Look up the first tier of a model of a vendor of ours."""


def main() -> None:
    """Print what differs."""
    wanted = set(sys.argv[1:])
    profiles = [
        profile for profile in load_profiles(directories=[DIRECTORY]).values() if not wanted or profile.name in wanted
    ]
    differences = 0
    for name, table in tables():
        found = list(compare(profiles, table))
        unknown = sum(theirs is None for _, _, theirs in found)
        print(f"{name}: {len(found) - unknown} prices compared, {unknown} unknown to it")
        for target, ours, theirs in found:
            if theirs is not None and theirs.differs(ours):
                differences += 1
                own = Amounts(ours.input, ours.output, ours.cached_input)
                print(f"  {target}: {own} here ({ours.fact.date}), {theirs} there")
    sys.exit(1 if differences else 0)


def compare(profiles: list[Profile], table: Table) -> Iterator[tuple[str, Price, Amounts | None]]:
    """Yield each model's first price, of the default region, and the other table's."""
    for profile in profiles:
        for model, facts in profile.models.items():
            ours = next((price for price in facts.prices if price.region in (None, profile.region)), None)
            if ours is not None:
                yield f"{profile.name}:{model}", ours, table(profile.name, model)


def tables() -> Iterator[tuple[str, Table]]:
    """Yield the tables that are installed."""
    spec = find_spec("litellm")
    if spec is not None and spec.origin is not None:
        rows = json.loads((Path(spec.origin).parent / FILE).read_text(encoding="utf-8"))
        yield "litellm", lambda vendor, model: of_litellm(rows, vendor, model)
    if find_spec("genai_prices") is not None:
        known = {provider.id: provider for provider in import_module("genai_prices.data").providers}
        yield "genai-prices", lambda vendor, model: of_genai(known, vendor, model)


def of_litellm(rows: dict[str, dict[str, Any]], vendor: str, model: str) -> Amounts | None:
    """Look a model up in litellm's table; it counts single tokens."""
    names = [f"{LITELLM[vendor]}{model}", model] if vendor in LITELLM else []
    row = next((rows[name] for name in names if name in rows), None)
    tiers = row.get("tiered_pricing") if row else None
    first = tiers[0] if tiers else row
    if first is None or "input_cost_per_token" not in first:
        return None
    output, cached = first.get("output_cost_per_token"), first.get("cache_read_input_token_cost")
    return Amounts(first["input_cost_per_token"] * 1e6, _million(output), _million(cached))


def of_genai(known: dict[str, Any], vendor: str, model: str) -> Amounts | None:
    """Look a model up in genai-prices' table: the latest of its prices that depends on the day only."""
    provider = known.get(GENAI.get(vendor, ""))
    short = model.rpartition("/")[2]
    row = next((row for row in provider.models if row.id in (model, short)), None) if provider else None
    if row is None:
        return None
    prices = _in_force(row.prices, datetime.now(UTC).date()) if isinstance(row.prices, list) else row.prices
    given = _base(prices.input_mtok)
    return None if given is None else Amounts(given, _base(prices.output_mtok), _base(prices.cache_read_mtok))


def _in_force(conditional: list[Any], today: date) -> Any:
    """Return the last price that has begun; what holds at some hours of the day only is passed over."""
    begun = [
        one.prices
        for one in conditional
        if one.constraint is None or getattr(one.constraint, "start_date", date.max) <= today
    ]
    return begun[-1]


def _million(cost: float | None) -> float | None:
    return None if cost is None else cost * 1e6


def _base(price: Any) -> float | None:
    price = getattr(price, "base", price)
    return None if price is None else float(price)


if __name__ == "__main__":
    main()
