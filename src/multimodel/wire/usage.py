"""Token counts, in the words of OpenAI and of those that differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..types import Usage

__all__ = ["usage_from"]


def usage_from(counts: Mapping[str, Any]) -> Usage | None:
    """Read a ``usage`` object; None when it does not say what went in and what came out.

    Cached input stands in the details of the input tokens (OpenAI, DashScope), beside them (Moonshot), or is
    called ``prompt_cache_hit_tokens`` (DeepSeek).
    """
    taken = _count(counts, "prompt_tokens", "input_tokens")
    given = _count(counts, "completion_tokens", "output_tokens")
    if taken is None or given is None:
        return None
    total = _count(counts, "total_tokens")
    details_in = _details(counts, "prompt_tokens_details", "input_tokens_details")
    details_out = _details(counts, "completion_tokens_details", "output_tokens_details")
    cached = _count(details_in, "cached_tokens")
    return Usage(
        input_tokens=taken,
        output_tokens=given,
        total_tokens=taken + given if total is None else total,
        cached_tokens=cached if cached is not None else _count(counts, "cached_tokens", "prompt_cache_hit_tokens"),
        reasoning_tokens=_count(details_out, "reasoning_tokens"),
    )


def _count(counts: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = counts.get(name)
        if type(value) is int and value >= 0:
            return value
    return None


def _details(counts: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        value = counts.get(name)
        if isinstance(value, dict):
            return value
    return {}
