"""Vendors: what they are (profiles, data) and how to talk to them (adapters, code)."""

from __future__ import annotations

from .base import Provider, ProviderSetup

__all__ = ["Provider", "ProviderSetup"]
