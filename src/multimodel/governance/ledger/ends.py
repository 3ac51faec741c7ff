"""What a ledger must know of its process: that it forks, and that it ends."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["watch"]


class _Watched(Protocol):
    def close(self) -> None: ...

    def before_fork(self) -> bool: ...

    def after_fork(self, *, child: bool, left: bool) -> None: ...


_watched: WeakSet[_Watched] = WeakSet()
_forking = threading.local()  # several threads may fork at one time
_is_told = False


def watch(ledger: _Watched) -> None:
    """Tell a ledger before and after each fork, and close it when the process ends."""
    _watched.add(ledger)
    _watch_worker()


def _watch_worker() -> None:
    """See to the workers of multiprocessing, which end without ``atexit``."""
    global _is_told  # noqa: PLW0603  # once a process
    util = sys.modules.get("multiprocessing.util")
    if util is not None and not _is_told:
        _is_told = True
        util.Finalize(None, _close_all, exitpriority=0)
        util.register_after_fork(_watched, _worker_began)


def _worker_began(_watched: object) -> None:
    """Begin anew in a worker, which has forgotten what its parent wanted to be done at the end."""
    sys.modules["multiprocessing.util"].Finalize(None, _close_all, exitpriority=0)


def _before_fork() -> None:
    _watch_worker()
    _forking.left = [(ledger, ledger.before_fork()) for ledger in list(_watched)]


def _after_fork(*, child: bool) -> None:
    for ledger, left in _forking.left:
        ledger.after_fork(child=child, left=left)
    del _forking.left


def _close_all() -> None:
    for ledger in list(_watched):
        ledger.close()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(child=False),
        after_in_child=lambda: _after_fork(child=True),
    )
