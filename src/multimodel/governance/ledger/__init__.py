"""The ledger: one line for each request that was put on the wire. Never a prompt, an answer or a key."""

from __future__ import annotations

from .file import Line, Verb
from .reading import Flow, Traffic, read_ledger
from .writer import Ledger

__all__ = ["Flow", "Ledger", "Line", "Traffic", "Verb", "read_ledger"]
