"""Whether files are what their names say: weights by their headers, JSON that parses, text, and nothing that runs."""

from __future__ import annotations

from pathlib import Path

from pydantic_core import from_json

from ...errors import ConfigurationError
from ...providers.local.folder import check_code, shards_of
from ...providers.local.headers import gguf_header, safetensors_parameters
from ...providers.local.seal import open_plain, shown
from .survey import WEIGHTS, Survey

__all__ = ["examine", "refuse_pickles"]

_RUNS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04", b"\x89HDF", b"\x93NUMPY", b"\x7fELF", b"MZ")
"""How pickles begin, and what may hold them or is a program."""


def refuse_pickles(files: Survey) -> None:
    """Look at how all files begin that are not hidden, those that are left out too.

    :raises ConfigurationError: at a pickle, whatever its name.
    """
    kept = [file.path for file in files.kept]
    for path in (*kept, *(path for path in files.left_out if not path.rpartition("/")[2].startswith("."))):
        with open_plain(files.folder / path) as opened:
            if opened.read(8).startswith(_RUNS):
                raise ConfigurationError(
                    f"`{shown(path)}` can run code when it is loaded: so its first bytes say",
                    hint="remove it; weights are taken from `.safetensors` and `.gguf` files only",
                )


def examine(files: Survey) -> None:
    """Look into the files that are archived; whether this version can load them is another question.

    :raises ConfigurationError: at the first one that is not what it should be, or when there are no weights.
    """
    for file in files.kept:
        _examine(files.folder / file.path, shown(file.path))
    if not any(file.path.lower().endswith(WEIGHTS) for file in files.kept):
        raise ConfigurationError(
            f"`{files.folder.name}` holds no weights", hint="weights are `.safetensors` and `.gguf` files"
        )


def _examine(file: Path, name: str) -> None:
    match file.suffix.lower():
        case ".safetensors":
            safetensors_parameters(file)
        case ".gguf":
            gguf_header(file)
        case ".model":  # of sentencepiece
            return
        case kind:
            content = file.read_bytes()
            if b"\0" in content:
                raise ConfigurationError(f"`{name}` is no text", hint="remove it")
            if kind == ".json":
                _examine_json(file, content, name)


def _examine_json(file: Path, content: bytes, name: str) -> None:
    try:
        value = from_json(content)
    except ValueError:
        raise ConfigurationError(f"`{name}` is no JSON", hint="copy it again from where it came from") from None
    if name.endswith("config.json"):
        check_code(name, value)
    elif name.endswith(".safetensors.index.json"):
        shards_of(file)
