"""The archive of weights: immutable folders, each with a manifest of what it holds, and of its licence as it stood."""

from __future__ import annotations

from .adding import Added, Facts
from .comparing import Comparison, compare
from .doubts import archive_doubts
from .store import Archive, Stored, Verdict

__all__ = ["Added", "Archive", "Comparison", "Facts", "Stored", "Verdict", "archive_doubts", "compare"]
