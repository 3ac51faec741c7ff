"""From ``--config`` to a client."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from ..client import Client
from ..config import find_policy
from .printing import tell

__all__ = ["open_client", "policy_file"]


def policy_file(args: Namespace) -> Path | None:
    """Return the policy file that the arguments or the environment name; None is the built-in policy."""
    return Path(args.config) if args.config else find_policy(os.environ, Path())


def open_client(args: Namespace) -> Client:
    """Build the client; it tells on standard error when it loads weights.

    :raises ConfigurationError: the policy is wrong.
    """
    client = Client(policy_file(args))
    client._core.accounts.progress = lambda model, stage: tell(f"weights of `{model}`: {stage}")  # noqa: SLF001  # for people, so for no other caller
    return client
