from __future__ import annotations

from multimodel.providers.local.patience import Patience
from multimodel.types import Attempt, Limits, Request


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def patience(clock: Clock, *, stream: bool = True) -> Patience:
    limits = Limits(connect=3, first_content=110, idle=5, whole=130, deadline=160)
    return Patience(Attempt(Request(messages="Hi"), "m", stream, limits, clock))


def at(clock: Clock, now: float, waits: Patience) -> str | None:
    clock.now = now
    error = waits.late()
    return error.kind if error is not None else None


def test_loading_may_take_until_the_deadline():
    clock = Clock()
    waits = patience(clock)
    assert at(clock, 159, waits) is None
    assert waits.left == 0.5, "then it is asked again whether to go on"
    assert at(clock, 160, waits) == "deadline_exceeded"


def test_the_time_that_loading_took_is_added_to_first_content():
    clock = Clock()
    waits = patience(clock)
    clock.now = 130
    waits.loaded()
    assert at(clock, 139, waits) is None
    assert at(clock, 140, waits) == "timeout.first"


def test_the_pause_is_measured_from_the_last_content():
    clock = Clock()
    waits = patience(clock)
    waits.loaded()
    clock.now = 109
    waits.content()
    assert at(clock, 113.9, waits) is None
    assert at(clock, 114, waits) == "timeout.idle"


def test_a_whole_answer_has_one_limit():
    clock = Clock()
    waits = patience(clock, stream=False)
    waits.loaded()
    waits.content()
    assert at(clock, 129, waits) is None
    assert at(clock, 130, waits) == "timeout.whole"


def test_the_deadline_is_never_moved():
    clock = Clock()
    waits = patience(clock)
    clock.now = 159
    waits.loaded()
    waits.content()
    assert at(clock, 160, waits) == "deadline_exceeded"
