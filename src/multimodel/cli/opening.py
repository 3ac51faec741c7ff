"""From ``--config`` to a client, and files that a command writes."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..client import Client
from ..config import Policy, find_policy, load_policy, salvage_policy
from ..governance.audit import AuditLog
from ..providers.catalogue import profiles
from .parser import MisuseError
from .printing import tell

__all__ = ["audit_log", "check_writable", "open_client", "open_to_look", "open_to_switch", "policy_file"]


def policy_file(args: Namespace) -> Path | None:
    """Return the policy file that the arguments or the environment name; None is the built-in policy.

    :raises MisuseError: the name is empty.
    """
    if args.config == "":
        raise MisuseError("the name of the policy file is empty", "leave it out, or name a file")
    return find_policy(os.environ, Path()) if args.config is None else Path(args.config)


def open_client(args: Namespace, load: Callable[..., Policy] | None = None) -> Client:
    """Build the client; it tells on standard error when it loads weights.

    :param load: how a policy file is read; None is as the library does.
    :raises ConfigurationError: the policy is wrong.
    """
    file = policy_file(args)
    if load is not None and file is not None:
        client = Client(load(file, environ=os.environ, profiles=profiles(os.environ)))
    else:
        client = Client(file)
    client._core.accounts.progress = lambda model, stage: tell(f"weights of `{model}`: {stage}")  # noqa: SLF001  # for people, so for no other caller
    return client


def open_to_look(args: Namespace) -> Client:
    """Build a client that makes no calls: it needs no secrets of the application's."""
    return open_client(args, partial(load_policy, unset="unavailable"))


def open_to_switch(args: Namespace) -> Client:
    """Build a client that makes no calls, with what the policy has besides its mistakes."""
    client = open_client(args, salvage_policy)
    if client.policy.origin.mistakes:
        tell(f"warning: `{policy_file(args)}` has mistakes; what is wrong is left out here")
        tell("hint: `multimodel check` tells them")
    return client


def audit_log(args: Namespace) -> AuditLog:
    """Return the audit log of the policy, whatever is wrong with its other settings or its switch file.

    :raises ConfigurationError: there is none, or it cannot be told where it is.
    """
    file = policy_file(args)
    policy = None if file is None else salvage_policy(file, environ=os.environ, profiles=profiles(os.environ))
    return AuditLog.beside(None if policy is None else policy.switches)


def check_writable(option: str, name: str | None) -> None:
    """Refuse a file that cannot be written, before anything is done for it; None is no file.

    :raises MisuseError: it names the option.
    """
    if name is None:
        return
    file = Path(name)
    if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
        raise MisuseError(f"`{option}`: `{file}` cannot be written", "name a file in a folder that exists")
