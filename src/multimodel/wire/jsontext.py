"""JSON from vendors, within limits: a whole body has at most 64 levels and no infinities."""

from __future__ import annotations

import re
from math import isfinite
from typing import Any

from pydantic_core import from_json

__all__ = ["is_cut", "json_object", "parse", "parse_cut"]

_DEPTH = 64
_LONG_NUMBER = re.compile(rb"[0-9](?:[eE]\+?[0-9]{3}|[0-9]{308})")


def json_object(text: bytes) -> dict[str, Any] | None:
    """Return the object that ``text`` spells, or None.

    For small texts by the thousand: only the parser's own limit of 200 levels holds, and infinities pass.
    """
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        return None
    return value if type(value) is dict else None


def parse(text: bytes) -> Any:
    """Return the value that a whole body spells.

    :raises ValueError: when it is not JSON, or beyond the limits.
    """
    value = from_json(text, allow_inf_nan=False)
    if text.count(b"[") + text.count(b"{") > _DEPTH and _is_deep(value):
        raise ValueError("nested too deeply")
    if _LONG_NUMBER.search(text) and not _is_finite(value):
        raise ValueError("a number too large")
    return value


def is_cut(text: bytes) -> bool:
    """Whether ``text`` is the beginning of JSON and nothing more."""
    try:
        from_json(text, allow_inf_nan=False)
    except ValueError as error:
        return bool(text) and str(error).startswith("EOF")
    return False


def parse_cut(text: bytes) -> Any:
    """Return what can be read of a text whose end may be missing.

    :raises ValueError: when not even its beginning is JSON.
    """
    return from_json(text, allow_inf_nan=False, allow_partial="trailing-strings")


def _is_deep(value: Any) -> bool:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _DEPTH + 1:
            return True
        level = [item for holder in level for item in _items(holder)]
    return False


def _is_finite(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, float) and not isfinite(item):
            return False
        waiting += _items(item)
    return True


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
