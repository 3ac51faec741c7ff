"""A call as a context manager: inside, its span is the active one; at its end its books are closed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..engine import Call
from ..observe import UNWATCHED, Unwatched, telemetry
from ..types import AnyRequest
from .alarms import tell_alarms
from .books import keep
from .targets import Planned

if TYPE_CHECKING:
    from ..governance.ledger import Verb
    from .core import Core

__all__ = ["Entered"]


class Entered:
    """What every call has, whatever it asks for. It is made before the call begins.

    :ivar span: what OpenTelemetry hears of it.
    """

    def __init__(self, core: Core, verb: Verb) -> None:
        self._core = core
        self._verb = verb
        self._ledger = core.ledger  # before the call begins, or it would be taken for a parent's
        self.span: Unwatched = UNWATCHED

    def _watch(
        self,
        call: Call,
        request: AnyRequest,
        planned: Sequence[Planned],
        content: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """Take the call, now that it is known whom it may ask.

        :param content: tells what was asked and answered, if that is captured.
        """
        self._watched, self._may_ask = call, planned
        heard = telemetry(os.environ)
        if heard is not None:
            from .peers import watched

            self.span = watched(heard, call, request, planned, content)

    def __enter__(self) -> None:
        self.span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.span.__exit__(kind, error, traceback)
        self.over()

    def over(self) -> None:
        """Tell the alarms of its budget, and keep what was put on the wire, however the call ended."""
        tell_alarms(self._core, self._watched)
        keep(self._ledger, self._watched, self._verb, self._may_ask)
