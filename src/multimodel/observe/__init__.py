"""What an operator sees of a call: log events."""

from __future__ import annotations

from .log import emit

__all__ = ["emit"]
