"""What the headers of weights files say, read without any library: safetensors and GGUF.

Formats: https://github.com/huggingface/safetensors#format and
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import ConfigurationError

__all__ = ["GgufHeader", "gguf_header", "safetensors_parameters"]

_LONGEST = 100_000_000  # bytes of a safetensors header: the format's own limit
_SCALARS = ["B", "b", "H", "h", "I", "i", "f", "?", "", "", "Q", "q", "d"]  # by GGUF's number of the type
_STRING, _ARRAY = 8, 9
_VERSIONS = (2, 3)
_DIMENSIONS = 16  # of a tensor: a product of millions of numbers would take for ever


def safetensors_parameters(file: Path) -> int:
    """Return how many numbers a safetensors file holds.

    :raises ConfigurationError: when it is truncated or no such file.
    """
    try:
        with file.open("rb") as opened:
            return _safetensors(opened, file.stat().st_size)
    except (ValueError, struct.error, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise ConfigurationError(
            f"`{file.name}` is damaged or no safetensors file", hint="copy it again from where it came from"
        ) from None


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says of itself.

    :ivar facts: its metadata, without arrays.
    :ivar parameters: how many numbers it holds.
    """

    facts: dict[str, Any]
    parameters: int

    @property
    def window(self) -> int | None:
        """The context window in tokens."""
        window = self.facts.get(f"{self.facts.get('general.architecture')}.context_length")
        return window if isinstance(window, int) else None

    @property
    def template(self) -> str:
        """The chat template, or an empty text."""
        return str(self.facts.get("tokenizer.chat_template", ""))


def gguf_header(file: Path) -> GgufHeader:
    """Read the header of a GGUF file.

    :raises ConfigurationError: when it is damaged or no such file.
    """
    try:
        with file.open("rb") as opened:
            return _gguf(opened)
    except (ValueError, struct.error, IndexError, MemoryError, OverflowError, RecursionError, OSError):
        raise ConfigurationError(
            f"`{file.name}` is damaged or no GGUF file of version 2 or 3", hint="copy it again from where it came from"
        ) from None


def _safetensors(file: BinaryIO, size: int) -> int:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > min(_LONGEST, size):
        raise ValueError
    tensors: dict[str, Any] = json.loads(file.read(length))
    tensors.pop("__metadata__", None)
    end = max((int(tensor["data_offsets"][1]) for tensor in tensors.values()), default=0)
    if 8 + length + end != size:
        raise ValueError
    return sum(_numbers(tensor["shape"]) for tensor in tensors.values())


def _numbers(shape: Sequence[int]) -> int:
    if len(shape) > _DIMENSIONS:
        raise ValueError
    return math.prod(shape)


def _gguf(file: BinaryIO) -> GgufHeader:
    magic, version, tensors, facts = struct.unpack("<4sIQQ", file.read(24))
    if magic != b"GGUF" or version not in _VERSIONS:
        raise ValueError
    found = {}
    for _ in range(facts):
        name = _string(file)
        value = _value(file, _scalar(file, "I"))
        if value is not None:
            found[name] = value
    parameters = 0
    for _ in range(tensors):
        _string(file)
        dimensions = _scalar(file, "I")
        parameters += _numbers(struct.unpack(f"<{dimensions}Q", file.read(8 * dimensions)))
        file.seek(12, 1)  # type and offset
    return GgufHeader(found, parameters)


def _value(file: BinaryIO, kind: int) -> Any:
    """Read a value; None for an array, which is skipped."""
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        return _scalar(file, _SCALARS[kind])
    inner, count = struct.unpack("<IQ", file.read(12))
    if inner in (_STRING, _ARRAY):
        for _ in range(count):
            _value(file, inner)
    else:
        file.seek(count * struct.calcsize("<" + _SCALARS[inner]), 1)
    return None


def _string(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    text = file.read(length)
    if len(text) != length:
        raise ValueError
    return text.decode(errors="replace")


def _scalar(file: BinaryIO, code: str) -> Any:
    return struct.unpack("<" + code, file.read(struct.calcsize("<" + code)))[0]
