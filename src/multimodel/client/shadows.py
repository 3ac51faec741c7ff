"""Shadow targets: they get a copy of some calls, and nobody sees their answers.

They have a health of their own and threads of their own, and what is too much at one time is dropped, so that a call
is neither slower nor worse for having a shadow.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING
from weakref import WeakSet

from ..config import Route
from ..drivers.base import now
from ..drivers.blocking import BlockingDriver
from ..drivers.transcript import Transcript
from ..engine import Call, Health, run
from ..governance.switches import Switches
from ..observe import Unwatched, emit
from ..types import Request
from .accounts import Account
from .books import keep
from .leftovers import close_all
from .port import Port
from .targets import Planned, call_settings

if TYPE_CHECKING:
    from ..governance.ledger import Ledger

__all__ = ["Shadows"]

_AT_ONCE = 8


class Shadows:
    """The copies of one client's calls. What became of each is the log event ``multimodel.shadow``."""

    def __init__(self, switches: Switches, rng: Random) -> None:
        self._switches = switches
        self._rng = rng
        self._health = Health(rng)
        self._lock = threading.RLock()
        self._places = threading.Semaphore(_AT_ONCE)
        self._closed = threading.Event()
        self._reached: WeakSet[Account] = WeakSet()

    def offer(
        self,
        name: str,
        route: Route,
        request: Request,
        planned: Planned,
        metadata: Mapping[str, str],
        span: Unwatched,
        ledger: Ledger | None,
    ) -> None:
        """Send a copy, by the share of calls that the route says, if there is room.

        :param span: of the call that it is a copy of.
        :param ledger: where it is kept, if anywhere.
        """
        if route.shadow is None or self._rng.random() >= route.shadow.share:
            return
        target = str(planned.plan.target)
        if self._places.acquire(blocking=False):
            settings = replace(call_settings(route, stream=False), hedge=None)
            self._reached.add(planned.account)
            from .peers import peers

            call = Call(name, settings, now(), stream=False)
            work = (call, request, planned, metadata, span.shadow(call, peers(call, request, [planned])), ledger)
            try:
                threading.Thread(target=self._work, args=work, name="multimodel-shadow", daemon=True).start()
            except RuntimeError:  # the process may have no more threads
                self._places.release()
            else:
                return
        emit(logging.INFO, "multimodel.shadow", route=name, target=target, outcome="dropped")

    def close(self) -> None:
        """Break off what is under way, and close the connections."""
        self._closed.set()
        for account in list(self._reached):
            close_all(account.providers)

    def _work(
        self,
        call: Call,
        request: Request,
        planned: Planned,
        metadata: Mapping[str, str],
        span: Unwatched,
        ledger: Ledger | None,
    ) -> None:
        try:
            with span:
                self._send(call, request, planned, metadata, span)
        except Exception as bug:  # noqa: BLE001  # an adapter's bug: calls would show it
            emit(logging.ERROR, "multimodel.shadow", route=call.route, outcome=type(bug).__name__)
        finally:
            self._places.release()
            keep(ledger, call, "shadow", [planned])

    def _send(
        self, call: Call, request: Request, planned: Planned, metadata: Mapping[str, str], span: Unwatched
    ) -> None:
        port = Port(call, request, [planned], self._switches, Transcript(), given_up=self._closed.is_set)
        driver = BlockingDriver(run(call, [planned.plan], self._health, self._rng), port, self._lock)
        for _ in driver.events():
            pass
        if driver.end is None:
            return
        report = driver.end.report
        span.end(report, driver.finished)
        if self._closed.is_set():
            return
        usage = driver.finished.usage if driver.finished is not None else None
        emit(
            logging.INFO,
            "multimodel.shadow",
            route=call.route,
            target=str(planned.plan.target),
            outcome=report.outcome,
            seconds=round(report.duration, 3),
            first_content=report.attempts[-1].first_content if report.attempts else None,
            input_tokens=None if usage is None else usage.input_tokens,
            output_tokens=None if usage is None else usage.output_tokens,
            cost=None if usage is None else usage.cost,
            metadata=metadata,
        )
