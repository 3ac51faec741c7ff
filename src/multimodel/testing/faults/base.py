"""What a fault is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, ParamSpec

from ..answer import Answer, Move, Script
from ..door import DoorState

__all__ = ["Fault", "fault", "pause"]

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong. Two faults with the same name are equal.

    :ivar play: makes the script for an answer.
    :ivar door: what the listening socket does while this fault is in force.
    """

    name: str
    play: Callable[[Answer], Script] = field(repr=False, compare=False)
    door: DoorState = "open"

    def __str__(self) -> str:
        return self.name


def fault(play: Callable[Concatenate[Answer, P], Script]) -> Callable[P, Fault]:
    """Make a fault of a generator: the function that is returned takes the arguments after ``answer``."""

    @wraps(play)
    def made(*args: P.args, **kwargs: P.kwargs) -> Fault:
        shown = [repr(value) for value in args] + [f"{name}={value!r}" for name, value in kwargs.items()]
        return Fault(f"{play.__name__}({', '.join(shown)})", lambda answer: play(answer, *args, **kwargs))

    signature = inspect.signature(play)
    first, *rest = signature.parameters.values()
    del first
    made.__signature__ = signature.replace(parameters=rest, return_annotation="Fault")  # type: ignore[attr-defined]  # read by inspect
    return made


def pause(seconds: float | None) -> Script:
    """Wait so long; for ever, when that is None."""
    yield Move.HANG if seconds is None else seconds
