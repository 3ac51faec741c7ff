"""Shadow targets: they get a copy of some calls, and nobody sees their answers.

They have a health of their own and threads of their own, and what does not fit their queue is dropped, so that a
call is neither slower nor worse for having a shadow.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

from ..config import Route
from ..drivers.base import close, now
from ..drivers.blocking import BlockingDriver
from ..drivers.transcript import Transcript
from ..engine import Call, Health, run
from ..observe import emit
from ..types import Request
from .port import Port
from .targets import Planned, call_settings

if TYPE_CHECKING:
    from .core import Core

__all__ = ["Shadows"]

_THREADS = 2
_QUEUE = 32
_Copy = tuple[Call, Request, Planned, Mapping[str, str]]


class Shadows:
    """The copies of one client's calls. What became of each is the log event ``multimodel.shadow``."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._health = Health(core.rng)
        self._lock = threading.Lock()
        self._copies: Queue[_Copy | None] = Queue(_QUEUE)
        self._threads: list[threading.Thread] = []

    def offer(
        self, name: str, route: Route, request: Request, needs: frozenset[str], metadata: Mapping[str, str]
    ) -> None:
        """Send a copy, by the share of calls that the route says, if the target is eligible and there is room."""
        planned = self._core.shadow(name)
        if planned is None or route.shadow is None or self._core.rng.random() >= route.shadow.share:
            return
        if self._core.obstacle(planned, needs) is not None:
            return
        call = Call(name, call_settings(route, stream=False, deadline=None), now(), stream=False)
        try:
            self._copies.put_nowait((call, request, planned, metadata))
        except Full:
            emit(logging.INFO, "multimodel.shadow", route=name, target=str(planned.plan.target), outcome="dropped")
            return
        if not self._threads:
            with self._lock:
                if not self._threads:
                    self._threads = [
                        threading.Thread(target=self._work, name="multimodel-shadow", daemon=True)
                        for _ in range(_THREADS)
                    ]
                    for thread in self._threads:
                        thread.start()

    def close(self) -> None:
        """Send no more copies, and close the connections of those under way."""
        if not self._threads:
            return
        while not self._copies.empty():
            with suppress(Empty):
                self._copies.get_nowait()
        for _ in self._threads:
            self._copies.put_nowait(None)
        for provider in self._core.accounts.built():
            close(provider)

    def _work(self) -> None:
        while (copy := self._copies.get()) is not None:
            try:
                self._send(*copy)
            except Exception as bug:  # noqa: BLE001  # an adapter's bug must not end the thread; calls would show it
                emit(logging.ERROR, "multimodel.shadow", route=copy[0].route, outcome=type(bug).__name__)

    def _send(self, call: Call, request: Request, planned: Planned, metadata: Mapping[str, str]) -> None:
        call.started = now()
        port = Port(call, request, [planned], self._core.switches, Transcript())
        driver = BlockingDriver(run(call, [planned.plan], self._health, self._core.rng), port, self._lock)
        for _ in driver.events():
            pass
        if driver.end is None:
            return
        report = driver.end.report
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
