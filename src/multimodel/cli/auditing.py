"""``audit``."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from ..governance.audit import AuditLog
from .opening import open_to_switch
from .printing import print_json, tell

__all__ = ["audit"]


def audit(args: Namespace) -> int:
    """Verify the log of a policy, or a copy of one, and print its head."""
    if args.file is not None:
        log = AuditLog(Path(args.file))
    else:
        with open_to_switch(args) as client:
            log = client._core.switches.audit  # noqa: SLF001  # for people, so for no other caller
    found = log.verify(args.head)
    if args.json:
        print_json(found)
        return 0
    for number in found.unfinished:
        tell(f"note: line {number} is unfinished: a crash cut it off")
    print(f"whole: {found.entries} entries, head {found.head}")
    return 0
