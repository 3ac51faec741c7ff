"""Who answered over time, in letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby, repeat
from math import ceil
from string import ascii_uppercase

from .report import Phase, Rehearsal

__all__ = ["FAILED", "clock", "letters", "picture"]

FAILED = "x"
_WIDTH = 50
_ROWS = 24


def letters(rehearsal: Rehearsal) -> dict[str, str]:
    """Return a letter for each target; some hundreds have one each, all others a plus sign."""
    marks = chain(ascii_uppercase, map(chr, range(0x100, 0x200)), repeat("+"))
    return dict(zip((one.target for one in rehearsal.targets), marks, strict=False))


def picture(rehearsal: Rehearsal) -> Iterator[str]:
    """Yield a line for each part of the time: the shares of its calls by who answered."""
    marks = letters(rehearsal)
    yield f"who answered: {', '.join(f'{mark} {target}' for target, mark in marks.items())}, {FAILED} nobody"
    width = len(clock(rehearsal.seconds))
    for rows in _rows(rehearsal):
        answered = sum((Counter(one.figures.answered) for one in rows), Counter[str]())
        shares = Counter[str]()
        for target, mark in marks.items():
            shares[mark] += answered[target]
        shares[FAILED] = sum(one.figures.calls for one in rows) - answered.total()
        out = f"  {', '.join(rows[0].out)} out" if rows[0].out else ""
        yield f"{clock(rows[0].start):>{width}} |{bar(shares, _WIDTH):<{_WIDTH}}|{out}"


def _rows(rehearsal: Rehearsal) -> Iterator[Sequence[Phase]]:
    """Join steps of the timeline, but not across an edge."""
    for _, some in groupby(rehearsal.timeline, lambda one: one.out):
        steps = list(some)
        number = max(1, round(_ROWS * (steps[-1].end - steps[0].start) / rehearsal.seconds))
        size = ceil(len(steps) / number)
        yield from (steps[at : at + size] for at in range(0, len(steps), size))


def bar(shares: Mapping[str, int], width: int) -> str:
    """Draw shares in letters; whatever there is gets one letter at least.

    >>> bar({"A": 75, "B": 24, "x": 1}, 8)
    'AAAAAABx'
    """
    total = sum(shares.values())
    if not total:
        return ""
    cells = {mark: max(1, int(width * count / total)) for mark, count in shares.items() if count}
    while (spare := width - sum(cells.values())) != 0:
        error = {mark: width * shares[mark] / total - cells[mark] for mark in cells}
        mark = max(error, key=error.__getitem__) if spare > 0 else min(error, key=error.__getitem__)
        cells[mark] += 1 if spare > 0 else -1
    return "".join(mark * count for mark, count in cells.items())


def clock(seconds: float) -> str:
    """Write an instant of a rehearsal.

    >>> clock(3725.4), clock(59.6)
    ('1:02:05', '0:00:59')
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
