"""The clients: one for callers' threads, one for event loops, over the same core."""

from __future__ import annotations

from .aio import AsyncClient
from .blocking import Client
from .explanation import Explanation
from .streams import AsyncStream, Stream
from .views import Status

__all__ = ["AsyncClient", "AsyncStream", "Client", "Explanation", "Status", "Stream"]
