"""The optional packages that local weights need: looked for without importing them."""

from __future__ import annotations

from importlib.metadata import version

from ...errors import ConfigurationError
from ..registry import installed

__all__ = ["require"]

_LOAD = ("torch", "transformers", "safetensors", "tokenizers", "jinja2")
_CONVERT = ("gguf", "accelerate")
_TRANSFORMERS = (5, 5)  # older ones run code that a configuration names: CVE-2026-4372, CVE-2026-5241
_HINT = "pip install 'multimodel[local]'"


def require(*, convert: bool = False) -> None:
    """Check that the extra is installed.

    :param convert: whether GGUF is to be converted.
    :raises ConfigurationError: when a package is missing or too old.
    """
    missing = [name for name in (*_LOAD, *(_CONVERT if convert else ())) if not installed(name)]
    if missing:
        raise ConfigurationError(f"local weights need {', '.join(f'`{name}`' for name in missing)}", hint=_HINT)
    found = version("transformers")
    if tuple(int(part) for part in found.split(".")[:2]) < _TRANSFORMERS:
        raise ConfigurationError(f"`transformers` {found} is too old for local weights", hint=_HINT)
