"""The import of litellm: five seconds and 200 MB on a small machine, so it happens on first use."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import threading
import warnings
from typing import Any

from ..errors import ConfigurationError
from .litellm_once import bind_clients

__all__ = ["load", "loaded"]

_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_NOISE = (
    "`ReadOnly` qualifier",
    "Accessing the.*attribute on the instance is deprecated",
    "conflict with protected namespace",
)
"""Warnings of pydantic about litellm's types, which come when litellm first uses them; litellm mutes the same ones."""

_lock = threading.Lock()
_ready: Any = None
_inherited: list[object] = []
"""Connections of a parent process: closing them would disturb the parent."""


def load() -> Any:
    """Import litellm, quiet and without a network, and return it.

    :raises ConfigurationError: when the extra is not installed.
    """
    with _lock:
        litellm = _ready if _ready is not None else _load()
    for message in _NOISE:
        if ("ignore", re.compile(f".*{message}", re.IGNORECASE), Warning, None, 0) not in warnings.filters:
            warnings.filterwarnings("ignore", message=f".*{message}")
    return litellm


async def loaded() -> Any:
    """Return litellm; its import runs beside the event loop."""
    return load() if _ready is not None else await asyncio.to_thread(load)


def _load() -> Any:
    global _ready  # noqa: PLW0603  # one import a process
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or the import fetches prices
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")  # or the import reads a `.env` file into the environment
    mute = "litellm" not in sys.modules
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [list(logger.handlers) for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import litellm
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        raise ConfigurationError("litellm is not installed", hint="pip install 'multimodel[litellm]'") from error
    if mute:  # an application that imported litellm first has its own idea of its logs
        for logger, own in zip(loggers, before, strict=True):
            logger.handlers[:] = [*own, logging.NullHandler()]
    litellm.suppress_debug_info = True
    litellm.set_verbose = False
    litellm.drop_params = False
    litellm.num_retries = 0
    litellm.model_fallbacks = None
    bind_clients()
    _ready = litellm
    return litellm


def _after_fork() -> None:
    """Wait for no thread of the parent, and leave its connections alone."""
    global _lock  # noqa: PLW0603  # a thread that the child has not may have held it
    _lock = threading.Lock()
    if _ready is not None:
        cache = _ready.in_memory_llm_clients_cache
        _inherited.append(cache)
        _ready.in_memory_llm_clients_cache = type(cache)()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
