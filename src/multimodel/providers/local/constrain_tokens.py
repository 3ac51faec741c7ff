"""Which tokens may come next: a schema's matcher over what a tokenizer's tokens spell."""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pydantic_core import to_json

from .constrain import TEXT, Grammar, State

__all__ = ["Guide", "Vocabulary", "is_spelt"]

_GRAMMARS = 16
_MASKS = 256
_ItemT = TypeVar("_ItemT")

_known: WeakKeyDictionary[Any, Vocabulary] = WeakKeyDictionary()
_one_at_a_time = Lock()


class Vocabulary:
    """What the tokens of one tokenizer spell, sorted, so that tokens which begin alike are looked at together.

    :param tokenizer: a fast tokenizer of transformers.
    :param size: how many logits a step has.
    """

    def __init__(self, tokenizer: Any, size: int) -> None:
        import torch

        added = set(tokenizer.added_tokens_decoder)
        spell = _speller(tokenizer)
        spelt = sorted(
            (text, number)
            for token, number in tokenizer.get_vocab().items()
            if number not in added and number < size and (text := spell(token))
        )
        self.size = size
        self._all = spelt
        self._spellings = {number: text for text, number in spelt}
        self._special = [one for one in spelt if not _is_plain(one[0])]
        self._plain = torch.zeros(size, dtype=torch.bool)
        self._plain[[number for text, number in spelt if _is_plain(text)]] = True
        self._grammars: OrderedDict[bytes, Grammar] = OrderedDict()
        self._masks: OrderedDict[tuple[bytes, State], Any] = OrderedDict()

    @classmethod
    def of(cls, tokenizer: Any, size: int) -> Vocabulary:
        """Return the vocabulary of a tokenizer; it is made once."""
        with _one_at_a_time:
            found = _known.get(tokenizer)
            if found is None or found.size != size:
                found = _known[tokenizer] = cls(tokenizer, size)
            return found

    def reading(self, schema: Mapping[str, Any]) -> tuple[bytes, Grammar]:
        """Return the matcher of a schema, and what tells it from others."""
        key = sha256(to_json(schema)).digest()
        return key, _kept(self._grammars, key, lambda: Grammar(schema), _GRAMMARS)

    def mask(self, key: bytes, state: State, make: Callable[[], Any]) -> Any:
        """Return the mask of a state of the matcher ``key``; those used last are kept, whichever matcher they are of."""
        return _kept(self._masks, (key, state), make, _MASKS)

    def allowed(self, grammar: Grammar, state: State) -> Any:
        """Return a mask of the tokens that may come next."""
        import torch

        inside = any(stack[-1:] == (TEXT,) for stack in state)  # there a plain token may follow, whatever else may
        mask = self._plain.clone() if inside else torch.zeros(self.size, dtype=torch.bool)
        numbers = list(_walk(grammar, state, self._special if inside else self._all))
        if numbers:
            mask[numbers] = True
        return mask

    def spelling(self, number: int) -> bytes:
        """Return what a token spells; nothing for those that stand for themselves."""
        return self._spellings.get(number, b"")


class Guide:
    """Holds one answer to a schema while it is written.

    :param vocabulary: makes it, at the first token: that takes a moment.
    :param ends: tokens that end an answer.
    :param thinking: whether the model is thinking now, which is not held to anything.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        vocabulary: Callable[[], Vocabulary],
        ends: Iterable[int],
        thinking: Callable[[], bool],
    ) -> None:
        self._schema = schema
        self._make = vocabulary
        self._ends = sorted(ends)
        self._thinking = thinking
        self._vocabulary: Vocabulary | None = None
        self._grammar: Grammar
        self._key: bytes
        self._state: State | None = None

    def hold(self, logits: Any) -> Any:
        """Return the logits with those of tokens that may not come next at minus infinity."""
        if self._thinking():
            return logits
        if self._vocabulary is None:
            self._vocabulary = self._make()
            self._key, self._grammar = self._vocabulary.reading(self._schema)
            self._state = self._grammar.start
        state = self._state
        if state is None:
            return logits
        mask = self._vocabulary.mask(self._key, state, lambda: self._mask(state))
        return logits.masked_fill(~mask.to(logits.device), -float("inf"))

    def take(self, token: int) -> None:
        """Take the token that was picked."""
        if self._vocabulary is None or self._state is None:
            return
        for byte in self._vocabulary.spelling(token) if token not in self._ends else b"":
            self._state = self._grammar.step(self._state, byte)
            if self._state is None:
                return

    def _mask(self, state: State) -> Any:
        assert self._vocabulary is not None
        mask = self._vocabulary.allowed(self._grammar, state)
        if self._grammar.complete(state) or not bool(mask.any()):  # where nothing may follow, the check will tell
            mask[self._ends] = True
        return mask


def is_spelt(tokenizer: Any) -> bool:
    """Whether it is known how the tokens of a tokenizer are spelt."""
    return _spelling_of(tokenizer) is not None


def _walk(grammar: Grammar, state: State, spelt: list[tuple[bytes, int]]) -> Iterator[int]:
    """Yield the tokens that may follow. What tokens have in common at their beginning is looked at once."""
    path, states = b"", [state]
    place = 0
    while place < len(spelt):
        text, number = spelt[place]
        shared = _shared(path, text)
        path, states = text, states[: shared + 1]
        for at in range(len(states) - 1, len(text)):
            after = grammar.step(states[-1], text[at])
            if after is None:
                path = text[:at]
                place = _behind(spelt, text[: at + 1], place)
                break
            states.append(after)
        else:
            yield number
            place += 1


def _shared(one: bytes, other: bytes) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _behind(spelt: list[tuple[bytes, int]], beginning: bytes, place: int) -> int:
    """Return the first place behind all tokens that begin so."""
    last = beginning.rstrip(b"\xff")
    if not last:
        return len(spelt)
    return bisect_left(spelt, (last[:-1] + bytes((last[-1] + 1,)),), place)


def _is_plain(text: bytes) -> bool:
    """Whether a token is text and nothing more, wherever in a text it stands."""
    if b'"' in text or b"\\" in text or min(text) < 0x20:  # noqa: PLR2004  # the first that is no control
        return False
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _kept(cache: OrderedDict[Any, _ItemT], key: Any, make: Callable[[], _ItemT], most: int) -> _ItemT:
    found = cache.get(key)
    if found is None:
        found = cache[key] = make()
        if len(cache) > most:
            cache.popitem(last=False)
    else:
        cache.move_to_end(key)
    return found


# --- spelling ---


def _spelling_of(tokenizer: Any) -> str | None:
    """Say how tokens are spelt: by a character for each byte (GPT-2, Qwen), or by ``▁`` and ``<0x0A>`` (Llama, Gemma)."""
    decoder = tokenizer.backend_tokenizer.decoder
    if decoder is None:
        return None
    described = json.loads(decoder.__getstate__())
    steps = {step["type"] for step in (described, *described.get("decoders", ()))}
    if "ByteLevel" in steps:
        return "bytes"
    return "words" if "ByteFallback" in steps else None


def _speller(tokenizer: Any) -> Callable[[str], bytes]:
    if _spelling_of(tokenizer) == "words":
        return _word
    bytes_of = _byte_characters()
    return lambda token: bytes(bytes_of[character] for character in token) if bytes_of.keys() >= set(token) else b""


def _word(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):  # noqa: PLR2004  # `<0x0A>`
        return bytes.fromhex(token[3:5])
    return token.replace("▁", " ").encode()


def _byte_characters() -> dict[str, int]:
    """Return GPT-2's table: a printable byte is its own character, the others follow from 256 on."""
    own = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    table = {chr(byte): byte for byte in own}
    others = (byte for byte in range(0x100) if byte not in own)
    return table | {chr(0x100 + place): byte for place, byte in enumerate(others)}


def _after_fork() -> None:
    global _one_at_a_time  # noqa: PLW0603  # a thread that the child has not may have held it
    _one_at_a_time = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
