"""What is rehearsed: who is out, when and how, how many calls come, and what is assumed of the vendors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..config.policy import OffEntry

__all__ = ["FAULTS", "LOCAL_QUEUE", "LOCAL_ROWS", "SPREAD", "Fault", "Habits", "OutageSpan", "Scenario"]

Fault = Literal["503", "refused", "silent", "slow"]
FAULTS: Mapping[Fault, str] = {
    "503": "each request is refused with 503 after 50 ms",
    "refused": "each connection is refused after 1 ms, and none is kept from before",
    "silent": "each request is taken, and nothing comes",
    "slow": "each answer takes ten times as long",
}
"""What an outage may look like, for people."""
SPREAD = 0.4
"""How far single answers are from the median: the sigma of a lognormal distribution."""
LOCAL_ROWS, LOCAL_QUEUE = 16, 64
"""What local weights compute together, and how many wait, where the policy does not say."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What is assumed of a target.

    :ivar first: seconds to the first content, the median.
    :ivar total: seconds to the end of the answer, the median.
    :ivar prompt: tokens of a prompt, as its vendor counts them.
    :ivar output: tokens of an answer.
    :ivar limit: requests that it takes in any minute; None is any number.
    :ivar rows: answers that it writes at a time; None is any number.
    :ivar queue: requests that may wait for that.
    """

    first: float = 0.5
    total: float = 3.0
    prompt: int = 1000
    output: int = 300
    limit: int | None = None
    rows: int | None = None
    queue: int = 0


@dataclass(frozen=True, slots=True)
class OutageSpan:
    """An outage, in seconds from the start.

    :ivar subject: whose: as in ``off:`` of a policy.
    """

    subject: OffEntry
    start: float
    seconds: float
    fault: Fault = "503"

    @property
    def end(self) -> float:
        """When it is over."""
        return self.start + self.seconds


@dataclass(frozen=True, slots=True)
class Scenario:
    """One rehearsal.

    :ivar rate: calls a second on average; they come at random.
    :ivar seconds: how long calls come.
    :ivar habits: what is assumed of a target where it is not as usual, by ``provider:model``.
    :ivar seed: decides everything: the same seed is the same rehearsal.
    :ivar progress: called now and then with the share that is played.
    """

    outages: tuple[OutageSpan, ...] = ()
    rate: float = 10.0
    seconds: float = 600.0
    habits: Mapping[str, Habits] = field(default_factory=dict)
    seed: int = 1
    progress: Callable[[float], None] | None = None
