"""Who answered over time, and how fast, as one SVG file that needs nothing else. It is read without colour.

Each target has a pattern and a letter, each percentile a kind of line.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import floor, log10

from .figures import Figures
from .picture import FAILED, clock, letters
from .report import Rehearsal

__all__ = ["svg"]

_LEFT, _RIGHT, _WIDTH = 64.0, 900.0, 940.0
_SHARES, _LATENCY = (124.0, 324.0), (404.0, 564.0)  # top and bottom
_LEGEND, _LINE = 620.0, 20.0
_ROOM = 22.0  # for a letter
_SEAM = 0.4  # by which neighbours overlap
_HEAD = 'xmlns="http://www.w3.org/2000/svg" role="img" font-family="sans-serif" font-size="12" fill="#222"'
_MIDDLE, _END = ' text-anchor="middle"', ' text-anchor="end"'
_HALO = ' font-weight="bold" stroke="#fff" stroke-width="4" paint-order="stroke"' + _MIDDLE
_SHADES = ("#cfe2f3", "#fce5cd", "#d9ead3", "#ead1dc", "#fff2cc", "#d0e0e3")
_STROKES = (
    "",
    '<path d="M0 8 8 0"/>',
    '<circle cx="4" cy="4" r="1.4" fill="#222"/>',
    '<path d="M0 4H8"/>',
    '<path d="M4 0V8"/>',
    '<path d="M0 0 8 8M0 8 8 0"/>',
)
_NOBODY = '<rect width="4" height="4" fill="#222"/><path d="M0 4 4 0" stroke="#fff" stroke-width="0.8"/>'
_DASHES = {"p50": "none", "p95": "6 3", "p99": "1.5 3"}
_TOLD = 2  # outages, in one line
_TICKS = 8  # at most
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_ROUND = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def svg(rehearsal: Rehearsal) -> str:
    """Draw a rehearsal."""
    height = _LEGEND + _LINE * (1 + len(rehearsal.targets))
    whole = rehearsal.whole
    title = escape(f"Route {rehearsal.route}, simulated")
    about = escape(
        f"{whole.calls:,} calls, {rehearsal.rate:g} a second; {sum(whole.answered.values()):,} answered, "
        f"{sum(whole.failed.values()):,} failed; {'; '.join(_outages(rehearsal)) or 'nobody is out'}"
    )
    parts = [
        f'<svg {_HEAD} viewBox="0 0 {_WIDTH:g} {height:g}" width="{_WIDTH:g}" height="{height:g}">',
        f"<title>{title}</title>",
        f"<desc>{about}</desc>",
        f"<defs>{''.join(_patterns(len(rehearsal.targets)))}</defs>",
        f'<rect width="{_WIDTH:g}" height="{height:g}" fill="#fff"/>',
        _text(_LEFT, 30, title, ' font-size="18"'),
        _text(_LEFT, 50, about),
        *_shares(rehearsal),
        *_latencies(rehearsal),
        *_edges(rehearsal),
        *_legend(rehearsal),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _outages(rehearsal: Rehearsal) -> Iterator[str]:
    for one in rehearsal.outages[:_TOLD]:
        yield f"{one.name} is out ({one.fault}) from {clock(one.start)} to {clock(one.start + one.seconds)}"
    if len(rehearsal.outages) > _TOLD:
        yield f"{len(rehearsal.outages) - _TOLD} more"


def _patterns(targets: int) -> Iterator[str]:
    for number in range(targets):
        shade, stroke = _SHADES[number % len(_SHADES)], _STROKES[number % len(_STROKES)]
        yield (
            f'<pattern id="p{number}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="{shade}"/><g stroke="#555" stroke-width="0.8">{stroke}</g></pattern>'
        )
    yield f'<pattern id="nobody" width="4" height="4" patternUnits="userSpaceOnUse">{_NOBODY}</pattern>'


def _shares(rehearsal: Rehearsal) -> Iterator[str]:
    top, bottom = _SHARES
    yield _text(_LEFT, top - 44, "Share of the calls, by who answered")
    for step in rehearsal.timeline:
        left, right = _x(rehearsal, step.start), _x(rehearsal, step.end)
        for fill, _, y, height in _stack(rehearsal, step.figures):
            yield (
                f'<rect x="{left:.1f}" y="{y:.1f}" width="{right - left + _SEAM:.1f}" height="{height:.1f}" '
                f'fill="url(#{fill})" shape-rendering="crispEdges"/>'
            )
    for phase in rehearsal.phases:
        left, right = _x(rehearsal, phase.start), _x(rehearsal, phase.end)
        for _, mark, y, height in _stack(rehearsal, phase.figures):
            if height >= _ROOM and right - left >= _ROOM:
                yield _text((left + right) / 2.0, y + height / 2.0 + 4.0, mark, _HALO)
        if phase.out:
            yield f'<path d="M{left:.1f} {top - 4:g}v-6H{right:.1f}v6" fill="none" stroke="#222"/>'
            yield _text((left + right) / 2.0, top - 16, escape(f"{', '.join(phase.out)} out"), _MIDDLE)
    for share in (0, 50, 100):
        yield _text(_LEFT - 6, bottom - (bottom - top) * share / 100 + 4, f"{share} %", _END)
    yield from _times(rehearsal, bottom)


def _stack(rehearsal: Rehearsal, figures: Figures) -> Iterator[tuple[str, str, float, float]]:
    """Yield pattern, letter, top and height of each who answered, the first target at the bottom."""
    top, bottom = _SHARES
    marks = letters(rehearsal)
    failed = figures.calls - sum(figures.answered.values())
    counts = [(f"p{number}", mark, figures.answered.get(key, 0)) for number, (key, mark) in enumerate(marks.items())]
    for fill, mark, count in (*counts, ("nobody", FAILED, failed)):
        if count:
            height = (_SHARES[1] - top) * count / figures.calls
            bottom -= height
            yield fill, mark, bottom, height


def _latencies(rehearsal: Rehearsal) -> Iterator[str]:
    top, bottom = _LATENCY
    yield _text(_LEFT, top - 16, "Seconds until an answer was whole")
    for place, (name, dashes) in enumerate(_DASHES.items()):
        x = _RIGHT - 80.0 * (len(_DASHES) - place)
        yield f'<path d="M{x + 20:g} {top - 20:g}h28" stroke="#222" stroke-width="1.5" stroke-dasharray="{dashes}"/>'
        yield _text(x + 54, top - 16, name)
    most = _rounded(max((step.figures.p99 or 0.0 for step in rehearsal.timeline), default=0.0))
    for part in (0.0, 0.5, 1.0):
        y = bottom - (bottom - top) * part
        yield f'<path d="M{_LEFT:g} {y:.1f}H{_RIGHT:g}" stroke="#ccc"/>'
        yield _text(_LEFT - 6, y + 4, f"{most * part:g}", _END)
    for name, dashes in _DASHES.items():
        line, move = [], "M"
        for step in rehearsal.timeline:
            value: float | None = getattr(step.figures, name)
            if value is not None:
                y = bottom - (bottom - top) * value / most
                line.append(f"{move}{_x(rehearsal, step.start):.1f} {y:.1f}H{_x(rehearsal, step.end):.1f}")
            move = "M" if value is None else "L"
        yield f'<path d="{"".join(line)}" fill="none" stroke="#222" stroke-width="1.5" stroke-dasharray="{dashes}"/>'
    yield from _times(rehearsal, bottom)


def _edges(rehearsal: Rehearsal) -> Iterator[str]:
    """Yield a line for each start and end of an outage."""
    for phase in rehearsal.phases[1:]:
        x = _x(rehearsal, phase.start)
        for top, bottom in (_SHARES, _LATENCY):
            yield f'<path d="M{x:.1f} {top:g}V{bottom:g}" stroke="#222" stroke-width="0.8" stroke-dasharray="2 4"/>'


def _legend(rehearsal: Rehearsal) -> Iterator[str]:
    entries = [(f"p{number}", mark, key) for number, (key, mark) in enumerate(letters(rehearsal).items())]
    for number, (fill, mark, text) in enumerate([*entries, ("nobody", FAILED, "nobody: the call failed")]):
        y = _LEGEND + _LINE * number
        yield f'<rect x="{_LEFT:g}" y="{y - 12:g}" width="24" height="14" fill="url(#{fill})" stroke="#222"/>'
        yield _text(_LEFT + 34, y, mark, ' font-weight="bold"')
        yield _text(_LEFT + 52, y, escape(text))


def _times(rehearsal: Rehearsal, bottom: float) -> Iterator[str]:
    step = next((one for one in _STEPS if rehearsal.seconds / one <= _TICKS), rehearsal.seconds)
    for tick in range(int(rehearsal.seconds / step) + 1):
        x = _x(rehearsal, tick * step)
        yield f'<path d="M{x:.1f} {bottom:g}v5" stroke="#222"/>'
        yield _text(x, bottom + 18, clock(tick * step), _MIDDLE)


def _x(rehearsal: Rehearsal, instant: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * instant / rehearsal.seconds


def _rounded(value: float) -> float:
    """Return a round number that is not less.

    >>> _rounded(7.1), _rounded(20.3), _rounded(0.0)
    (8.0, 30.0, 1.0)
    """
    if value <= 0.0:
        return 1.0
    unit = 10.0 ** floor(log10(value))
    return next(one for one in _ROUND if one * unit >= value * (1.0 - 1e-9)) * unit


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{text}</text>'
