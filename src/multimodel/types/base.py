"""The base of all values that cross the public surface."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Validated once, at the edge; never changed; unknown fields are refused; its schema is built on first use."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
