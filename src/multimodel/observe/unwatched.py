"""The span that most calls have: none. All of telemetry loads only where somebody wants to hear of calls."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..types import Finished, Report, Target

if TYPE_CHECKING:
    from ..engine import Call
    from .attempts import Peer

__all__ = ["UNWATCHED", "Unwatched"]


class Unwatched:
    """The span of a call that nobody wants to hear of."""

    def begin(self) -> None:
        """Begin it where it is not entered: the parts of a stream are handed out between steps of the caller's."""

    def end(self, report: Report, finished: Finished | None) -> None:
        """End it as the report says.

        :param finished: the end of the answer, if there is one.
        """

    def give_up(self, error: BaseException | None) -> None:
        """End it if it has not ended: nobody waits for the answer any more."""

    def shadow(self, call: Call, peer: Callable[[Target], Peer]) -> Unwatched:  # noqa: ARG002  # of them nothing is told
        """Return the span of a copy of the call: of a trace of its own, with a link to this one."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass


UNWATCHED = Unwatched()
