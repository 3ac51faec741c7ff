"""The files that belong to a policy: its switches, the log of them, and the ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...config import Problem
from ...errors import ConfigurationError
from ..core import Core

__all__ = ["problems"]


def problems(core: Core) -> Iterator[Problem]:
    """Tell whether something can be switched off here, whether the log of all switches is whole, and calls can be kept."""
    file, tell, path = core.switches.file, core.policy.origin.problem, ("switch_file",)
    ledger = core.policy.ledger
    if ledger is not None and not ledger.parent.is_dir():
        message = f"the folder `{ledger.parent}` does not exist, so no call is kept"
        yield tell("warning", ("ledger",), message, "create it, or name another", code="ledger-missing")
    if file is None:
        return
    if not file.parent.is_dir():
        message = f"the folder `{file.parent}` does not exist, so nothing can be switched off"
        yield tell("error", path, message, "create it, or name another", code="switch-file-missing")
        return
    log = core.switches.audit.file
    shut = [one for one in (file.parent, log) if one.exists() and not _may(one, os.W_OK)]
    if shut:
        message = f"`{shut[0]}` cannot be written by this user, who therefore can switch nothing off"
        hint = "get the right to, or name another `switch_file:`"
        yield tell("warning", path, message, hint, code="switch-file-shut")
    if not log.exists():
        if any(entry not in core.policy.off for entry in core.switches.entries()):
            message = f"`{file}` switches something off, but there is no log `{log.name}` of who did so"
            hint = "find out who removed it, or who wrote the file by hand"
            yield tell("warning", path, message, hint, code="audit-log-missing")
    elif _may(log, os.R_OK):
        try:
            core.switches.audit.verify()
        except ConfigurationError as error:
            yield tell("error", path, error.message, error.hint, code="audit-log-broken")


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
