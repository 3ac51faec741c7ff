"""``check`` and ``schema``."""

from __future__ import annotations

import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from ..client import Client
from ..config import Problem, check_policy, policy_schema
from ..config.problems import Severity
from ..config.provider import profile_of
from ..errors import ConfigurationError
from ..governance.archive import archive_doubts
from ..providers.catalogue import profiles
from ..types import Target
from .opening import open_client, policy_file
from .printing import print_json, problem_text, tell

__all__ = ["check", "schema"]


def check(args: Namespace) -> int:
    """Print all that is wrong or doubtful; fail on errors, with ``--strict`` on warnings too."""
    args.config = args.file or args.config
    found = _problems(args)
    counts = Counter(problem.severity for problem in found)
    if args.json:
        print_json({"file": policy_file(args), "problems": found})
    else:
        for problem in found:
            print(problem_text(problem))
    tell(f"{policy_file(args) or 'the built-in policy'}: {_summary(counts)}")
    return 1 if counts["error"] or (args.strict and counts["warning"]) else 0


def schema(_args: Namespace) -> int:
    """Print the schema."""
    print_json(policy_schema())
    return 0


def _problems(args: Namespace) -> list[Problem]:
    try:
        client = open_client(args)
    except ConfigurationError as error:
        problems = [problem for problem in error.problems if isinstance(problem, Problem)]
        if not problems:  # it is not about what stands in the file
            raise
        return problems
    with client:
        today = datetime.now(UTC).date()
        found = check_policy(client.policy, environ=os.environ, profiles=profiles(os.environ), today=today)
        return [*_nowhere_to_switch(client), *found, *_missing(client), *_unarchived(client)]


def _nowhere_to_switch(client: Client) -> Iterator[Problem]:
    file = client.policy.switches
    if file is not None and not file.parent.is_dir():
        message = f"the folder `{file.parent}` does not exist, so nothing can be switched off"
        yield client.policy.origin.problem("error", ("switch_file",), message, "create it, or name another")


def _missing(client: Client) -> Iterator[Problem]:
    """What the machine lacks: weights that cannot be used, and litellm."""
    known = profiles(os.environ)
    told: set[Target] = set()
    for route, states in client.status().routes.items():
        for index, state in enumerate(states):
            target = state.target
            profile = profile_of(target.provider, client.policy.provider(target.provider), known)
            why_not, hint = None, None
            if profile is not None and profile.adapter == "local" and state.state == "unavailable":
                why_not, _, hint = state.detail.partition("\nhint: ")
            elif profile is not None and profile.adapter == "litellm" and find_spec("litellm") is None:
                why_not, hint = "litellm is not installed", "pip install 'multimodel[litellm]'"
            if why_not is not None and target not in told:
                told.add(target)
                place = ("routes", route, "chain", index)
                yield client.policy.origin.problem("warning", place, f"`{target}` is skipped: {why_not}", hint or None)


def _unarchived(client: Client) -> Iterator[Problem]:
    """What can be told of the archive: weights that are not in it, or are not as they were."""
    known = profiles(os.environ)
    told: set[Target] = set()
    for route, states in client.status().routes.items():
        for index, state in enumerate(states):
            target = state.target
            profile = profile_of(target.provider, client.policy.provider(target.provider), known)
            usable = profile is not None and profile.adapter == "local" and state.state != "unavailable"
            if usable and target not in told:
                told.add(target)
                archive = client._core.accounts[target.provider].setup.options["archive"]  # noqa: SLF001  # for people, so for no other caller
                for severity, message, hint in archive_doubts(Path(archive), target.model):
                    place = ("routes", route, "chain", index)
                    yield client.policy.origin.problem(severity, place, f"`{target}` {message}", hint)


def _summary(counts: Counter[Severity]) -> str:
    words: dict[Severity, str] = {"error": "mistake", "warning": "warning", "note": "note"}
    told = [
        f"{counts[severity] or 'no'} {word}{'' if counts[severity] == 1 else 's'}"
        for severity, word in words.items()
        if counts[severity] or severity == "error"
    ]
    return ", ".join(told)
