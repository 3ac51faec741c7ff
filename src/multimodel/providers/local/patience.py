"""How long one attempt waits. Loading the weights counts against the deadline only, not against first content."""

from __future__ import annotations

from ...errors import CallError
from ...types import AnyRequest, Attempt
from ..base import CHECK, late

__all__ = ["Patience"]


class Patience:
    """The limits of one attempt: while weights are loaded, until the first content, between contents."""

    def __init__(self, attempt: Attempt[AnyRequest]) -> None:
        self._attempt = attempt
        self._begun = attempt.now()
        self._limit = attempt.limits.deadline
        self._content = False

    def loaded(self) -> None:
        """The weights are there: from now on the attempt's own limits run, later by the time that loading took."""
        limits = self._attempt.limits
        limit = limits.first_content if self._attempt.stream else limits.whole
        self._limit = min(limit + self._attempt.now() - self._begun, limits.deadline)

    def content(self) -> None:
        """Content came.

        :raises PolicyDeniedError: the weights were cut off.
        """
        self._attempt.check()
        self._content = True
        if self._attempt.stream:
            limits = self._attempt.limits
            self._limit = min(self._attempt.now() + limits.idle, limits.deadline)

    @property
    def left(self) -> float:
        """Seconds to wait at most."""
        return min(max(0.0, self._limit - self._attempt.now()), CHECK)

    def late(self) -> CallError | None:
        """Return the error when a limit has passed.

        :raises PolicyDeniedError: the weights were cut off.
        """
        self._attempt.check()
        return None if self._attempt.now() < self._limit else late(self._attempt, content=self._content)
