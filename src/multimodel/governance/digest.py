"""Documents that carry their own hash: whoever noted it once sees whether anything was changed since.

The hash is the SHA-256 of the document without it, as canonical JSON: UTF-8, keys sorted, no spaces. Without this library:
``jq -cjS 'del(.sha256)' FILE | sha256sum``. It says that a document is unchanged, not who made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from pydantic import JsonValue

__all__ = ["FIELD", "canonical", "digest", "holds", "with_digest"]

FIELD = "sha256"


def canonical(value: object) -> bytes:
    """Return JSON of which there is one form only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(document: Mapping[str, JsonValue]) -> str:
    """Return the hash of a document, whether or not it carries one.

    >>> digest({"b": 1, "a": "é"}) == digest({"a": "é", "b": 1, "sha256": "…"})
    True
    """
    return sha256(canonical({name: value for name, value in document.items() if name != FIELD})).hexdigest()


def with_digest(document: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return a document that carries its hash."""
    return {**document, FIELD: digest(document)}


def holds(document: Mapping[str, JsonValue]) -> bool:
    """Whether a document is as it was when it got its hash."""
    return document.get(FIELD) == digest(document)
