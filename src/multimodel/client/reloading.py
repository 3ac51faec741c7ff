"""A new policy in the place of the old one, while calls are under way.

1. A new policy is read and checked as at the start, before anything changes; then one reference is set. One that cannot
   be used leaves the old one in force.
2. A call keeps the policy that it began with. What has been switched off since is off for it too.
3. What is remembered of a target is remembered by endpoint, credential and model, so it stays. An account that is as it
   was keeps its adapter, and so its connections and weights. Another's is let go: what is under way on it ends as
   usual, and leaves no connection behind.
4. The file is looked at by the call that happens to come, once a second at the most; others go on meanwhile.
5. The environment and the catalogue are read when the policy is, and at no other time.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING
from weakref import WeakSet

from ..drivers.base import now
from ..errors import ConfigurationError
from ..observe import emit
from .leftovers import close_all
from .watch import Watch

if TYPE_CHECKING:
    from ..config import Policy
    from ..providers.base import Provider
    from .accounts import Account
    from .core import Core
    from .snapshot import Snapshot
    from .source import Source

__all__ = ["Reloading"]

_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_LONG = 2000


class Reloading:
    """Holds the policy in force.

    :param automatic: whether a file is looked at; else only :meth:`reload` reads it again.
    :ivar error: why the policy as it is now is not in force, or None.
    """

    def __init__(self, core: Core, source: Source, *, automatic: bool) -> None:
        self._core = core
        self._source = source
        self._busy = threading.RLock()  # a signal's handler may reload
        self._snapshot = source.load()
        self._file = source.file if automatic else None
        if self._file is not None and not self._file.is_file():  # a pipe has nothing more to say
            self._file = None
        self._left: WeakSet[Account] = WeakSet()
        self._look_at = inf
        self._begin()

    def _begin(self) -> None:
        """Look after the policy that is in force now."""
        self._watch = None
        if self._file is not None:
            self._watch, self._look_at = Watch(self._snapshot.policy, self._file), now() + _PAUSE
        self._restored()

    def _restored(self) -> None:
        """Nothing stands in the way of what the file says."""
        self._told: tuple[str | None, str] | None = None
        self._pause = self._retry_at = 0.0
        self.error: str | None = None

    def current(self) -> Snapshot:
        """Return what is in force; now and then, look first whether that is still what the file says."""
        if now() >= self._look_at:
            self._look()
        return self._snapshot

    def reload(self) -> None:
        """Load the policy again.

        :raises ConfigurationError: it cannot be used, or the client is closed.
        """
        if self._core.closed:
            raise ConfigurationError("the client is closed", hint="make a new one")
        with self._busy:
            try:
                self._take()
            except ConfigurationError as error:
                self._refuse(str(error))
                raise
        self._core.leftovers.tidy()

    def stop(self) -> list[Provider]:
        """Look no more; return all adapters that there are, those that were let go included."""
        self._look_at = inf
        return [*self._snapshot.built(), *(provider for account in list(self._left) for provider in account.providers)]

    def after_fork(self) -> None:
        """Begin anew in a child, where a thread that held a lock, or had seen a change, is no more."""
        self._busy = threading.RLock()
        if self._watch is not None and self._file is not None:
            self._watch = Watch(self._snapshot.policy, self._file)

    def _look(self) -> None:
        """Take the file's policy if it has changed. Never fails, and never waits for a thread that does the same."""
        if self._watch is None or not self._busy.acquire(blocking=False):
            return
        try:
            self._look_at = now() + _PAUSE
            news = self._watch.look()
            if news == "restored":
                self._restored()
            elif news == "changed" or (news == "same" and self.error is not None and now() >= self._retry_at):
                self._take()
        except ConfigurationError as error:
            self._refuse(str(error))
        except Exception as bug:  # noqa: BLE001  # of a plugin, say: no call may fail for it
            self._refuse(type(bug).__name__)
        finally:
            self._busy.release()

    def _take(self) -> None:
        before, after = self._snapshot, self._source.load()
        if self._snapshot is not before:  # a signal's handler came between, and loaded later
            return
        policy = after.policy
        left = after.accounts.take_over(before.accounts, before.providers & after.providers)
        self._core.switches.renew(policy.off, policy.switches, policy.source)
        self._snapshot = after
        if policy.ledger != before.policy.ledger:
            self._core.keep_books(policy)
        for account in left:
            account.retire()
            self._left.add(account)
            self._core.leftovers.when_gone(account, partial(close_all, account.providers))
        self._begin()
        emit(logging.INFO, "multimodel.reloaded", file=_name(policy), policy=after.version, before=before.version)

    def _refuse(self, why: str) -> None:
        """Keep the policy in force, and try again later even if the file stays as it is: what it lacks may follow it."""
        self._pause = min(max(_PAUSE, 2 * self._pause), _LONGEST_PAUSE)
        self._retry_at = now() + self._pause
        self.error = why[:_LONG]
        policy = self._snapshot.policy
        with suppress(ConfigurationError):  # who switches something off does so beside the file as it is now
            self._core.switches.renew(policy.off, policy.switches, policy.source)
        told = (None if self._watch is None else self._watch.digest(), self.error)
        if told == self._told:
            return
        self._told = told
        version = self._snapshot.version
        emit(logging.ERROR, "multimodel.reload_failed", file=_name(policy), error=self.error, policy=version)


def _name(policy: Policy) -> str | None:
    return None if policy.source is None else str(policy.source)
