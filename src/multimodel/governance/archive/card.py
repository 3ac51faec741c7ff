"""What a folder of weights says of its licence and its author: the model card, the licence text, the GGUF file.

Of the card's front matter (https://huggingface.co/docs/hub/model-cards) only single lines and plain lists are read, by
patterns: whatever else stands there is not parsed at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import ConfigurationError
from ...providers.local.headers import gguf_header
from ...providers.local.manifest import LONGEST_WORD
from ...providers.local.seal import open_plain
from .survey import is_licence

__all__ = ["Says", "licence_text", "read_card", "what_it_says"]

_CARDS = ("README.md", "readme.md", "MODEL_CARD.md", "model_card.md")
_VALUE = 2000  # characters of a value that are looked at
_MOST = 2**20
_MATTER = 64 * 1024
_OTHER = {"other", "unknown"}


@dataclass(frozen=True, slots=True)
class Says:
    """What a folder says of itself; None for what it does not.

    :ivar card: the text of the model card.
    """

    licence: str | None = None
    author: str | None = None
    card: str = ""


def licence_text(paths: Sequence[str]) -> str | None:
    """Return which of the files is the licence text."""
    texts = [path for path in paths if "/" not in path and is_licence(path)]
    return min(texts, key=lambda path: (len(path), path), default=None)


def what_it_says(folder: Path, paths: Sequence[str]) -> Says:
    """Read what a folder says of its licence and author."""
    card = next((read_text(folder / name) for name in _CARDS if name in paths), "")
    facts = read_card(card)
    licence, author = facts.licence, facts.author
    for path in paths:
        if path.lower().endswith(".gguf"):
            with suppress(ConfigurationError):
                told = gguf_header(folder / path).facts
                licence = licence or _word(told.get("general.license"))
                author = author or _word(told.get("general.author")) or _word(told.get("general.organization"))
    return Says(licence, author, card)


def read_card(text: str) -> Says:
    r"""Read the front matter of a model card.

    >>> read_card("---\nlicense: other\nlicense_name: qwen-research\nauthor: Qwen\n---\n# Qwen")
    Says(licence='qwen-research', author='Qwen', card='')
    """
    found = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)\r?\n---", text[:_MATTER], re.DOTALL)
    matter = found[1] if found else ""
    licence = _value(matter, "license")
    named = _value(matter, "license_name")
    if named is not None and (licence is None or licence.lower() in _OTHER):
        licence = named
    keys = ("author", "authors", "developers", "organization")
    author = next((value for value in (_value(matter, key) for key in keys) if value is not None), None)
    return Says(licence, author)


def read_text(file: Path) -> str:
    """Return a text, however damaged; empty when there is none. Of a long one the first mebibyte."""
    try:
        with open_plain(file) as opened:
            return opened.read(_MOST).decode(errors="replace")
    except OSError:
        return ""


def _value(matter: str, key: str) -> str | None:
    """Return what stands behind a key: a scalar, or the entries of a list."""
    found = re.search(rf"^{key}[ \t]*:[ \t]*(.*(?:\r?\n[ \t]*-[ \t]+.*)*)$", matter, re.MULTILINE)
    if found is None:
        return None
    first, *entries = found[1][:_VALUE].splitlines() or [""]
    if not first.strip():
        first = ", ".join(_scalar(entry.strip()[1:]) for entry in entries)
    elif first.strip().startswith("["):
        first = ", ".join(_scalar(entry) for entry in first.strip().strip("[]").split(","))
    return _word(_scalar(first))


def _scalar(text: str) -> str:
    return re.sub(r"\s+#.*", "", text).strip().strip("\"'")


def _word(value: object) -> str | None:
    """Return text that a manifest takes, or None."""
    if not isinstance(value, str) or not value.strip():
        return None
    text = " ".join(value.split())[:LONGEST_WORD]
    return text if text.isprintable() else None
