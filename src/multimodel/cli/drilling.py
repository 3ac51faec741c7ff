"""``drill``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..client.drill import Drill
from ..client.drill_prompts import BUILT_IN, Prompt, read_prompts
from ..client.drill_report import reported
from ..config import MistakeError, parse_duration
from ..config.units import parse_percentage
from ..errors import ConfigurationError
from ..governance.drill import DrillReport, Limits, Phase
from ..governance.drill_file import hash_of, json_of, page_of, read_report
from ..governance.drill_words import agreement, barrier, both_phases, count, milliseconds, verdict
from .opening import audit_log, check_writable, open_client, policy_file
from .parser import MisuseError
from .printing import agreed, plain, print_table, tell

__all__ = ["drill"]

ReadT = TypeVar("ReadT")


def drill(args: Namespace) -> int:
    """Tell what it may cost, ask on a terminal, make the calls, and print what they showed."""
    if args.file is not None:
        return _verify(args)
    limits, prompts = _checked(args)
    with open_client(args) as client:
        prepared = Drill(
            client,
            args.route,
            args.without,
            kind=args.kind,
            prompts=prompts,
            calls=args.calls,
            concurrency=args.concurrency,
        )
        _tell_plan(prepared)
        if sys.stdin.isatty() and not args.yes and not agreed("make these calls?"):
            tell("nothing was sent")
            return 1
        tried = prepared.run(_tell_phase)
        report = reported(prepared, tried, limits, args.prompts or "built in")
        _print(report, data=args.json != "-")
        _witness(prepared, report)
        _write(args, report)
    return 0 if report.verdict.passed else 1


def _checked(args: Namespace) -> tuple[Limits, tuple[Prompt, ...]]:
    """Refuse what makes no sense before anything is paid for."""
    if args.without is None and args.route == "verify":
        raise MisuseError("there is no report to verify", "write its file behind `verify`")
    if args.without is None:
        raise MisuseError("`--without` is missing", "name an operator, author, provider or target of the route")
    if args.concurrency < 1 or (args.calls is not None and args.calls < 1):
        raise MisuseError("`--calls` and `--concurrency` are at least 1")
    check_writable("--json", None if args.json == "-" else args.json)
    check_writable("--html", args.html)
    added = _read("--max-added-latency", args.max_added_latency, parse_duration)
    success = _read("--min-success", args.min_success, parse_percentage)
    if success is not None and success > 1.0:
        raise MisuseError(f"`--min-success`: `{args.min_success}` is more than all", "write a share, as in `95%`")
    limits = Limits(success=1.0 if success is None else success, added=None if added is None else added * 1000)
    return limits, tuple(BUILT_IN) if args.prompts is None else read_prompts(Path(args.prompts))


def _read(option: str, text: str | None, read: Callable[[str], ReadT]) -> ReadT | None:
    try:
        return None if text is None else read(text)
    except MistakeError as mistake:
        raise MisuseError(f"`{option}`: {mistake.message}", mistake.hint) from None


def _tell_plan(prepared: Drill) -> None:
    named = f"{prepared.without.kind} `{prepared.without.name}`"
    blocked = ", ".join(f"`{planned.plan.target}`" for planned in prepared.blocked)
    left = ", ".join(f"`{planned.plan.target}`" for planned in prepared.left)
    tell(f"{named}: {blocked} cannot be reached; {left} can")
    calls, (most, unpriced) = count(len(prepared.prompts), "real call"), prepared.cost_at_most()
    cost = f"at most {most:.4f} USD" if len(unpriced) < len(prepared.able) else "nobody knows at what cost"
    tell(f"{calls} on `{prepared.route}` as it is, then as many without {named}: {cost}")
    if unpriced and len(unpriced) < len(prepared.able):
        tell(f"warning: the price of {', '.join(f'`{target}`' for target in unpriced)} is unknown, and not in this")


def _tell_phase(name: str, phase: Phase) -> None:
    median = "" if phase.latency is None else f", p50 {milliseconds(phase.latency.p50)}"
    tell(f"{name}: {phase.answered} of {phase.calls} answered{median}")


def _print(report: DrillReport, *, data: bool) -> None:
    say = print if data else tell
    print_table(("", "as it is", f"without {report.blocked.name}"), both_phases(report), data=data)
    say("")
    print_table((f"in {count(report.paired.pairs, 'pair')}", ""), agreement(report.paired), data=data)
    say("")
    say(barrier(report))
    for note in report.remarks:
        tell(f"note: {note}")
    for reason in report.verdict.reasons:
        tell(f"failed: {reason}")
    say(verdict(report))


# --- the report as a file ---


def _write(args: Namespace, report: DrillReport) -> None:
    if args.json == "-":
        print(json_of(report).decode(), end="")
    elif args.json is not None:
        Path(args.json).write_bytes(json_of(report))
        tell(f"report: {args.json}")
    if args.html is not None:
        Path(args.html).write_text(page_of(report), encoding="utf-8")
        tell(f"page: {args.html}")


def _witness(prepared: Drill, report: DrillReport) -> None:
    """Say the hash, and write it into the audit log of the policy, if there is one."""
    found, switches = hash_of(report), prepared.core.switches
    tell(f"sha256: {found}")
    if switches.file is None:
        tell("note: there is no policy file, so no audit log tells of this drill")
        return
    try:
        switches.witness(
            "drill",
            route=report.route,
            **{report.blocked.kind: report.blocked.name},
            passed=report.verdict.passed,
            sha256=found,
        )
    except OSError as error:
        tell(f"warning: the audit log cannot be written, so it does not tell of this drill: {error.strerror}")


def _verify(args: Namespace) -> int:
    """Say whether a report is as it was when it was made, and whether the audit log tells of it."""
    if args.route != "verify":
        raise MisuseError("a FILE is for `drill verify`", "name the vendor with `--without`")
    report = read_report(Path(args.file))
    found = hash_of(report)
    print(plain(f"unchanged: `{report.route}` on {report.made_at:%Y-%m-%d %H:%MZ}, {verdict(report)}"))
    print(f"sha256: {found}")
    if policy_file(args) is None:
        tell("note: there is no policy file here, so no audit log to compare it with")
        return 0
    log = audit_log(args)
    entry = log.find(action="drill", sha256=found)
    if entry is None and not log.file.exists():
        tell("note: there is no audit log here to compare it with")
        return 0
    if entry is None:
        raise ConfigurationError(
            f"{log.file} does not tell of a drill with this hash", hint="it was made elsewhere, or anew"
        )
    log.verify()
    print(f"{log.file} tells of it, on {entry['time']}, and its chain holds")
    return 0
