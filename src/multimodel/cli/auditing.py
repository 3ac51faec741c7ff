"""``audit``."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..governance.audit import AuditLog
from .opening import audit_log
from .printing import print_json, tell

__all__ = ["audit"]


def audit(args: Namespace) -> int:
    """Verify the log of a policy, or a copy of one, and print its head."""
    log = audit_log(args) if args.file is None else AuditLog(Path(args.file))
    found = log.verify(args.head)
    if args.json:
        print_json(found)
        return 0
    for number in found.unfinished:
        tell(f"note: line {number} is unfinished: a crash cut it off")
    print(f"whole: {found.entries} entries, head {found.head}")
    return 0
