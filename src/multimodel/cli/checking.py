"""``check`` and ``schema``."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from datetime import UTC, datetime

from ..client.check import check as doubts
from ..config import Problem, policy_schema
from ..config.problems import Severity
from ..errors import ConfigurationError
from .opening import open_client, policy_file
from .printing import print_json, problem_text, tell
from .sarif import sarif

__all__ = ["check", "schema"]


def check(args: Namespace) -> int:
    """Print all that is wrong or doubtful; fail on errors, with ``--strict`` on warnings too."""
    args.config = args.config if args.file is None else args.file
    found = _problems(args)
    counts = Counter(problem.severity for problem in found)
    if args.sarif:
        print_json(sarif(found))
    elif args.json:
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
        return doubts(client._core, today=datetime.now(UTC).date())  # noqa: SLF001  # for people, so for no other caller


def _summary(counts: Counter[Severity]) -> str:
    words: dict[Severity, str] = {"error": "mistake", "warning": "warning", "note": "note"}
    told = [
        f"{counts[severity] or 'no'} {word}{'' if counts[severity] == 1 else 's'}"
        for severity, word in words.items()
        if counts[severity] or severity == "error"
    ]
    return ", ".join(told)
