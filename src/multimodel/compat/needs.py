"""What drop-in clients need: a vendor's SDK, and the right colour of client."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import ConfigurationError

__all__ = ["check_async", "check_blocking", "module"]


def module(name: str) -> Any:
    """Import a module that only drop-in clients need.

    :raises ConfigurationError: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and missing.name.partition(".")[0] != name.partition(".")[0]:
            raise
        package = name.partition(".")[0]
        raise ConfigurationError(f"`{package}` is not installed", hint=f"run `pip install {package}`") from None


def check_blocking(client: object) -> None:
    """Refuse a client for event loops.

    :raises ConfigurationError: it is one.
    """
    if hasattr(client, "aclose"):
        raise ConfigurationError(
            "this drop-in client needs a `Client`", hint="an `AsyncClient` goes to the `async` function"
        )


def check_async(client: object) -> None:
    """Refuse a blocking client.

    :raises ConfigurationError: it is one.
    """
    if not hasattr(client, "aclose"):
        raise ConfigurationError(
            "this drop-in client needs an `AsyncClient`", hint="a `Client` goes to the function without `async`"
        )
