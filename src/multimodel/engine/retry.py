"""tenacity decides whether the same target is asked again; its ``__call__`` is a generator of our steps.

Built only after a first failure, so that a healthy call pays nothing for it. tenacity's own clock is never
read: the instants of the retry state are the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random
from typing import Any

from tenacity import BaseRetrying, RetryCallState
from tenacity import DoAttempt as _DoAttempt
from tenacity import DoSleep as _DoSleep
from tenacity.retry import retry_if_result
from tenacity.stop import stop_after_attempt, stop_any, stop_base
from tenacity.wait import wait_base
from typing_extensions import override

from .limits import backoff_at_most
from .steps import Ended, Event, Step

__all__ = ["RetrySteps", "stop_when", "wait_retry_after"]


class wait_retry_after(wait_base):  # noqa: N801  # tenacity's naming for its wait strategies
    """Full jitter, ``U(0, 1) · min(8 s, 0.5 s · 2ⁿ)``, but never before the gate opens.

    :param gate: returns the seconds until the credential's gate opens, 0.0 when it is open.
    """

    def __init__(self, rng: Random, gate: Callable[[Ended], float]) -> None:
        self._rng = rng
        self._gate = gate

    @override
    def __call__(self, retry_state: RetryCallState) -> float:
        ended = _result(retry_state)
        if ended.error is not None and ended.error.kind == "connection.stale":
            return 0.0
        gate = self._gate(ended)
        if gate > 0.0:
            return gate
        return self._rng.random() * backoff_at_most(retry_state.attempt_number)


class stop_when(stop_base):  # noqa: N801  # tenacity's naming for its stop strategies
    """Stop when ``forbidden`` says so of the result and the sleep that would follow."""

    def __init__(self, forbidden: Callable[[Ended, float], bool]) -> None:
        self._forbidden = forbidden

    @override
    def __call__(self, retry_state: RetryCallState) -> bool:
        return self._forbidden(_result(retry_state), retry_state.upcoming_sleep)


class RetrySteps(BaseRetrying):
    """Repeats on one target, as a generator.

    :param attempts: requests in all, the first one counted.
    :param repeatable: whether a result may be repeated at all.
    :param forbidden: whether this result, after this sleep, may not be repeated; asked last, because it takes
        the token.
    :param wait: how long to sleep.
    """

    def __init__(
        self,
        attempts: int,
        repeatable: Callable[[Ended], bool],
        forbidden: Callable[[Ended, float], bool],
        wait: wait_base,
    ) -> None:
        super().__init__(
            stop=stop_any(stop_after_attempt(attempts), stop_when(forbidden)),
            wait=wait,
            retry=retry_if_result(repeatable),
            retry_error_callback=_result,
        )

    @override
    def __call__(  # type: ignore[override]  # a generator instead of a value, as in tenacity's Tornado driver
        self,
        fn: Callable[[], Generator[Step, Event, Ended]],
        first: Ended,
        started: float,
        sleep: Callable[[float], Generator[Step, Event, None]],
        still: Callable[[], bool],
    ) -> Generator[Step, Event, Ended]:
        """Go on after ``first``; return the last result. ``still`` says after a sleep whether a repeat is possible."""
        last = first
        self.begin()
        state = RetryCallState(self, None, (), {})
        state.start_time = started
        _remember(state, first)
        while True:
            do: Any = self.iter(state)
            if isinstance(do, _DoAttempt):
                last = yield from fn()
                _remember(state, last)
            elif isinstance(do, _DoSleep):
                state.prepare_for_next_attempt()
                yield from sleep(float(do))
                if not still():
                    return last
            else:
                ended: Ended = do
                return ended


def _remember(state: RetryCallState, ended: Ended) -> None:
    state.set_result(ended)
    state.outcome_timestamp = ended.now


def _result(state: RetryCallState) -> Ended:
    assert state.outcome is not None  # set by `_remember` before tenacity asks
    ended: Ended = state.outcome.result()
    return ended
