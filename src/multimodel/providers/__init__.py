"""Vendors: what they are (profiles, data) and how to talk to them (adapters, code)."""

from __future__ import annotations

from .base import AsyncStreamProvider, Provider, ProviderSetup, StreamProvider

__all__ = ["AsyncStreamProvider", "Provider", "ProviderSetup", "StreamProvider"]
