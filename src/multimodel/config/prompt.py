"""System texts that stand in files of their own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, PlainSerializer, ValidationInfo, WithJsonSchema

from .fields import filename
from .problems import MistakeError, shown

__all__ = ["Prompt", "PromptFile", "read_prompt"]

_MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Prompt:
    """A system text, as its file had it when the policy was loaded. Line ends after it are removed."""

    file: FilePath
    text: str = field(repr=False)


def _read(value: object, info: ValidationInfo) -> Prompt:
    return read_prompt(filename(value, info), shown(str(value) if isinstance(value, FilePath) else value))


def read_prompt(path: FilePath, name: str) -> Prompt:
    """Read a system text.

    :param name: what messages call the file.
    :raises MistakeError: it cannot be used.
    """
    try:
        if not path.is_file():
            raise MistakeError(f"there is no file {name}", "create it; a path is relative to the policy")
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise MistakeError(f"{name} cannot be read: {error.strerror or error}") from None
    if len(data) > _MAX_BYTES:
        raise MistakeError(f"{name} is larger than {_MAX_BYTES // 1024} KiB", "shorten it")
    try:
        text = data.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise MistakeError(f"{name} is not UTF-8: byte {error.start + 1} does not fit", "save it as UTF-8") from None
    if not text.strip():
        raise MistakeError(f"{name} is empty", "write the text into it, or remove the line")
    return Prompt(path, text)


PromptFile: TypeAlias = Annotated[
    Prompt, BeforeValidator(_read), PlainSerializer(lambda prompt: prompt.file), WithJsonSchema({"type": "string"})
]
"""A file with a system text; its path is relative to the policy file."""
