"""Documents that carry their own hash: whoever noted it once sees whether anything was changed since.

The hash is the SHA-256 of the document without it, as canonical JSON: UTF-8, keys sorted, two spaces a level, a line end.
Without this library: ``jq -S 'del(.sha256)' FILE | sha256sum``. It says that a document is unchanged, not who made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256

from pydantic import JsonValue

from .page import json_bytes

__all__ = ["FIELD", "canonical", "digest", "without_digest"]

FIELD = "sha256"


def canonical(value: object) -> bytes:
    r"""Return the one form that a JSON value has; ``1.0`` is ``1``.

    >>> canonical({"b": [], "a": "é"}).decode()
    '{\n  "a": "é",\n  "b": []\n}\n'
    """
    return json_bytes(json.loads(json.dumps(value, sort_keys=True, allow_nan=False), parse_float=_number))


def without_digest(document: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return what is hashed of a document."""
    return {name: value for name, value in document.items() if name != FIELD}


def digest(document: Mapping[str, JsonValue]) -> str:
    """Return the hash of a document, whether or not it carries one.

    >>> digest({"b": 1, "a": "é"}) == digest({"a": "é", "b": 1, "sha256": "…"})
    True
    """
    return sha256(canonical(without_digest(document))).hexdigest()


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number
