"""What goes wrong with each request of a campaign, and what the vendors saw.

1. What goes wrong depends on the seed, the call and how often the call was seen, not on the order of threads.
2. Each request has words of its own, numbered, so a text says whom it is from, and whether it is whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from multimodel.testing import Answer, Fault, Script, VendorRequest, faults

NAMES = ("first", "second", "third")
WORDS = 30


@faults.fault
def malformed(answer: Answer, at: int) -> Script:
    """Break the JSON of event ``at``, or of the last one where there are not so many."""
    yield from faults.malformed_event(at=min(at, len(answer.events) - 1)).play(answer)


HARMFUL = (
    *(faults.status(status) for status in (400, 408, 500, 502, 503, 504, 529)),
    *(faults.refusal(kind) for kind in ("context_window_exceeded", "content_filtered")),
    faults.status(429),
    faults.status(429, headers={"Retry-After": "0.05"}),
    faults.status(429, headers={"Retry-After": "nan"}),
    faults.html(),
    faults.html(status=502),
    faults.empty(),
    faults.empty(status=500),
    faults.wrong_content_type(),
    faults.redirect(),
    faults.garbage(),
    faults.reset_before_headers(),
    faults.close_before_headers(),
    *(faults.cut(after=after) for after in (0, 1, 8, -3)),
    *(faults.cut(after=after, clean=True) for after in (0, 2, 8)),
    *(faults.reset(after=after) for after in (0, 2, 8)),
    *(malformed(at=at) for at in (0, 2, 8)),
    faults.in_stream_error(after=0),
    faults.in_stream_error(after=8),
    faults.in_stream_error(after=4, kind="overloaded"),
)
HARMLESS = (
    faults.no_done(),
    faults.split(size=7),
    faults.split(size=11, crlf=True),
    faults.usage_missing(),
    faults.second_terminal(),
    faults.text_after_terminal(),
    faults.informational(count=10),
)
EITHER = (
    faults.no_terminal(),  # a body in one piece has no event to leave out
    faults.cut(after=-1),  # what the last event is depends on the wire
    faults.reset(after=-1),
    faults.content_length_too_long(),
)
SHUTS_OUT = (*(faults.status(status) for status in (401, 403, 404)), faults.arrearage())
"""They keep a client away from a vendor for a minute or more: at the first vendor only, and seldom."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, as a vendor saw it."""

    at: float
    vendor: str
    fault: Fault | None
    text: str

    @property
    def should_be_ok(self) -> bool | None:
        """Whether the request must be reported as a success; None where that depends."""
        if self.fault is None or self.fault in HARMLESS:
            return True
        begun_elsewhere = places(self.text)[:1] != [0]  # it may have been over before the fault came
        return None if begun_elsewhere or self.fault in EITHER else False


class Book:
    """What the vendors saw, by the number of the call."""

    def __init__(self, seed: int, share: float) -> None:
        self._seed = seed
        self._share = share
        self._lock = threading.Lock()
        self._entries: dict[int, list[Entry]] = {}

    def enter(self, vendor: str) -> Callable[[VendorRequest], Fault | None]:
        """Return what a vendor asks for each request: it is written down, and its fault is drawn."""

        def fault(request: VendorRequest) -> Fault | None:
            number = _number(request)
            with self._lock:
                seen = self._entries.setdefault(number, [])
                drawn = self._draw(Random(f"{self._seed} {number} {len(seen)}"), vendor)
                seen.append(Entry(request.at, vendor, drawn, words(vendor, request)))
            return drawn

        return fault

    def take(self, number: int) -> list[Entry]:
        """Return the requests of a call in their order, and forget them."""
        with self._lock:
            return sorted(self._entries.pop(number, []), key=lambda entry: entry.at)

    @property
    def left(self) -> int:
        """Requests that came after their call was over, or of no call."""
        return sum(map(len, self._entries.values()))

    def _draw(self, rng: Random, vendor: str) -> Fault | None:
        if rng.random() >= self._share:
            return None
        if vendor == NAMES[0] and rng.random() < 0.01:  # once in 500 requests, at a share of 20 %
            return rng.choice(SHUTS_OUT)
        return rng.choice(HARMFUL + HARMLESS + EITHER)


def words(vendor: str, request: VendorRequest) -> str:
    """Say thirty words that no other request is answered with, or those that are missing of an answer that was begun."""
    last = request.messages[-1]
    begun = len(last["content"].split()) if last["role"] == "assistant" else 0
    return " ".join(f"{_number(request)}-{vendor}-{request.index}-{place}" for place in range(begun, WORDS))


def places(text: str) -> list[int]:
    """Return the number that each word of a text has in the whole."""
    return [int(word.rpartition("-")[2]) for word in text.split()]


def _number(request: VendorRequest) -> int:
    return int(request.text.rpartition(" ")[2])
