"""The clients: one for callers' threads, one for event loops, over the same core."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .aio import AsyncClient
from .blocking import Client
from .streams import AsyncStream, Stream
from .views import Status

if TYPE_CHECKING:
    from .explanation import Explanation

__all__ = ["AsyncClient", "AsyncStream", "Client", "Explanation", "Status", "Stream"]


def __getattr__(name: str) -> object:
    if name == "Explanation":
        from .explanation import Explanation

        return Explanation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
