"""Many calls over vendors that fail now and then; each outcome is joined with what the vendors saw.

``python -m tests.campaign.ledger --calls 100000 --seed 1`` prints one line of figures, and the first violations if
there are any.

1. A call ends with an answer or an error of ours; whatever else is *lost*.
2. A request that no report names, or a text that is there twice, is *doubled*.
3. A success that is not the whole answer of the request that it reports, from word to word, is *cut*.
4. A healthy request that is reported as a failure, or a broken one as a success, is *misread*.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from multimodel import CallError, Report, StreamInterruptedError
from multimodel.testing import FaultyVendor

from .book import NAMES, WORDS, Book, Entry, places, words
from .callers import AT_ONCE, PATIENCE, WIRES, Outcome, ashift, policy, shift

SHIFT = 250
"""Calls of one client; the next one has forgotten what the vendors did."""


@dataclass(slots=True)
class Ledger:
    """The figures."""

    calls: int = 0
    streams: int = 0
    attempts: int = 0
    faults: int = 0
    answered: int = 0
    errors: int = 0
    restarts: int = 0
    switches: int = 0
    unseen: int = 0
    lost: int = 0
    doubled: int = 0
    cut: int = 0
    misread: int = 0
    sockets: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.cut or self.misread or self.sockets)

    def __str__(self) -> str:
        return (
            f"calls {self.calls}, streams {self.streams}, requests {self.attempts}, faults {self.faults}, "
            f"answered {self.answered}, errors {self.errors}, restarts {self.restarts}, "
            f"switches {self.switches}, attempts that no vendor saw {self.unseen}, lost {self.lost}, doubled {self.doubled}, "
            f"cut as success {self.cut}, misread {self.misread}, sockets left {self.sockets}, "
            f"seconds {self.seconds:.1f}"
        )

    def enter(self, outcome: Outcome, entries: list[Entry]) -> None:
        """Join both views of a call."""
        self.calls += 1
        self.streams += outcome.stream
        self.restarts += outcome.restarts
        self.switches += outcome.switches
        self.attempts += len(entries)
        self.faults += sum(entry.fault is not None for entry in entries)
        if outcome.report is None or not (outcome.error is None or isinstance(outcome.error, CallError)):
            self.lost += 1
            self._violated("lost", outcome, entries)
            return
        if outcome.error is None:
            self.answered += 1
        else:
            self.errors += 1
            self.kinds[type(outcome.error).__name__] += 1
        self._join(outcome, outcome.report, entries)
        if outcome.error is None:
            self._whole(outcome, entries)
        elif isinstance(outcome.error, StreamInterruptedError):
            self._partial(outcome, outcome.error, entries)

    def _join(self, outcome: Outcome, report: Report, entries: list[Entry]) -> None:
        """The report's attempts are the vendors' requests, and their outcomes fit what was done to them."""
        attempts = report.attempts
        unseen = len(attempts) - len(entries)
        if unseen > sum(one.outcome in ("connection.unsent", "connection.stale") for one in attempts):
            self.lost += 1
            self._violated("an attempt that never was", outcome, entries)
        elif unseen > 0:
            self.unseen += unseen
        elif unseen < 0 or [one.target.provider for one in attempts] != [entry.vendor for entry in entries]:
            self.doubled += 1
            self._violated("doubled: a request that no report names", outcome, entries)
        else:
            for one, entry in zip(attempts, entries, strict=True):
                if entry.should_be_ok not in (None, one.outcome == "ok"):
                    self.misread += 1
                    self._violated(f"misread: `{entry.fault}` as {one.outcome}", outcome, entries)

    def _whole(self, outcome: Outcome, entries: list[Entry]) -> None:
        shown = places(outcome.text)
        last = entries[-1].text if entries else ""
        if len(set(shown)) < len(shown):
            self.doubled += 1
            self._violated("doubled: a text that is there twice", outcome, entries)
        elif (
            shown != list(range(WORDS))
            or outcome.text != outcome.said
            or not outcome.text.endswith(last)
            or not _said(outcome.text, entries)
        ):
            self.cut += 1
            self._violated("cut as success", outcome, entries)

    def _partial(self, outcome: Outcome, error: StreamInterruptedError, entries: list[Entry]) -> None:
        shown = places(error.partial)
        if (
            outcome.text != error.partial
            or shown != list(range(len(shown)))
            or not 0 < len(shown) <= WORDS
            or not _said(error.partial, entries)
        ):
            self.doubled += 1
            self._violated("doubled: a part that no vendor said", outcome, entries)

    def _violated(self, what: str, outcome: Outcome, entries: list[Entry]) -> None:
        attempts = outcome.report.attempts if outcome.report else ()
        seen = [f"{entry.vendor} {entry.fault}" for entry in entries]
        told = [f"{one.target.provider} {one.reason} {one.outcome}" for one in attempts]
        self.violations.append(
            f"call {outcome.number}: {what}; seen {seen}; told {told}; {outcome.error!r}; {outcome.text!r}"
        )


def _said(text: str, entries: list[Entry]) -> bool:
    """Whether each word is one that a vendor said in this call."""
    return set(text.split()) <= {word for entry in entries for word in entry.text.split()}


def campaign(calls: int, *, seed: int = 1, share: float = 0.2) -> Ledger:
    """Make ``calls`` calls, of which each request meets a fault with probability ``share``."""
    ledger, book, lock = Ledger(), Book(seed, share), threading.Lock()
    begun = time.monotonic()

    def take(outcome: Outcome) -> None:
        with lock:
            ledger.enter(outcome, book.take(outcome.number))

    with ExitStack() as stack:
        vendors = {name: stack.enter_context(_vendor(name, book)) for name in NAMES}
        todo = iter(_shifts(calls))

        def lane() -> None:
            while True:
                with lock:
                    following = next(todo, None)
                if following is None:
                    return
                wire, colour, numbers = following
                (shift if colour == "sync" else ashift)(policy(vendors, wire), numbers, take)
                for vendor in vendors.values():
                    vendor.log.clear()

        lanes = [threading.Thread(target=lane) for _ in range(2)]
        for one in lanes:
            one.start()
        for one in lanes:
            one.join()
        for name, vendor in vendors.items():
            if not vendor.wait_until(lambda vendor=vendor: vendor.connections.open == 0):
                ledger.sockets += vendor.connections.open
                ledger.violations.append(f"{vendor.connections.open} connections to the {name} vendor are still open")
    if book.left:
        ledger.doubled += book.left
        ledger.violations.append(f"{book.left} requests came after their call was over")
    if ledger.calls < calls:
        ledger.lost += calls - ledger.calls
        ledger.violations.append(f"{calls - ledger.calls} calls did not end within {PATIENCE:g} s")
    ledger.seconds = time.monotonic() - begun
    return ledger


def _vendor(name: str, book: Book) -> FaultyVendor:
    vendor = FaultyVendor(answer=lambda request: words(name, request), fault=book.enter(name))
    vendor.words = 3
    return vendor


def _shifts(calls: int) -> Iterator[tuple[str, str, range]]:
    kinds = [(wire, colour) for wire in WIRES for colour in AT_ONCE]
    for position, start in enumerate(range(0, calls, SHIFT)):
        wire, colour = kinds[position % len(kinds)]
        yield wire, colour, range(start, min(start + SHIFT, calls))


def main() -> int:
    """Run the campaign that the command line asks for; 1 when anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.ledger", description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.2, help="how many requests meet a fault")
    given = parser.parse_args()
    ledger = campaign(given.calls, seed=given.seed, share=given.share)
    print(f"{ledger}, seed {given.seed}")
    for violation in ledger.violations[:20]:
        print(violation, file=sys.stderr)
    return 0 if ledger.clean else 1


if __name__ == "__main__":
    sys.exit(main())
