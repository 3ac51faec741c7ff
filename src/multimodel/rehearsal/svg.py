"""Who answered over time, and how fast, as one SVG file that needs nothing else. It is read without colour.

Each target has a pattern and a letter, each percentile a kind of line and its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import ceil, log10

from .picture import FAILED, clock, letters
from .report import Phase, Rehearsal

__all__ = ["svg"]

_LEFT, _RIGHT, _WIDTH = 64.0, 900.0, 960.0
_SHARES, _LATENCY = (96.0, 296.0), (346.0, 506.0)
_LEGEND = 566.0
_LINE = 20.0
_HEAD = 'xmlns="http://www.w3.org/2000/svg" role="img" font-family="sans-serif" font-size="12" fill="#222"'
_TICKS = 6
_ROOM = 22.0  # for a letter
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
_LINES = (("p50", ""), ("p95", "6 3"), ("p99", "1.5 3"))


def svg(rehearsal: Rehearsal) -> str:
    """Draw a rehearsal."""
    height = _LEGEND + _LINE * len(rehearsal.targets) + _LINE
    out = ", ".join(
        f"{one.name} from {clock(one.start)} to {clock(one.start + one.seconds)}" for one in rehearsal.outages
    )
    whole = rehearsal.whole
    answered = sum(whole.answered.values())
    about = f"{whole.calls:,} calls, {answered:,} answered; out: {out or 'nobody'}"
    parts = [
        f"<title>{escape(f'Route {rehearsal.route}, rehearsed')}</title>",
        f"<desc>{escape(about)}</desc>",
        f"<defs>{''.join(_patterns(len(rehearsal.targets)))}</defs>",
        _rect(0, 0, _WIDTH, height, "#fff"),
        _text(_LEFT, 28, f"Route {rehearsal.route}, rehearsed", ' font-size="18"'),
        _text(_LEFT, 48, about),
        *_shares(rehearsal),
        *_latencies(rehearsal),
        *_legend(rehearsal),
    ]
    size = f'viewBox="0 0 {_WIDTH:g} {height:g}" width="{_WIDTH:g}" height="{height:g}"'
    return f"<svg {_HEAD} {size}>\n{chr(10).join(parts)}\n</svg>\n"


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
    yield _text(_LEFT, top - 28, "Share of the calls by who answered")
    names = [one.target for one in rehearsal.targets]
    for step in rehearsal.timeline:
        left, right = _x(rehearsal, step.start), _x(rehearsal, step.end)
        floor = bottom
        for number, name in enumerate([*names, None]):
            height = (bottom - top) * _share(step, name)
            if height:
                floor -= height
                fill = "nobody" if name is None else f"p{number}"
                yield _rect(left, floor, right - left + 0.2, height, f"url(#{fill})")
    marks = letters(rehearsal)
    for phase in rehearsal.phases:
        left, right, floor = _x(rehearsal, phase.start), _x(rehearsal, phase.end), bottom
        for name in [*names, None]:
            height = (bottom - top) * _share(phase, name)
            if height >= _ROOM and right - left >= _ROOM:
                mark = FAILED if name is None else marks[name]
                halo = ' text-anchor="middle" font-weight="bold" stroke="#fff" stroke-width="4" paint-order="stroke"'
                yield _text((left + right) / 2.0, floor - height / 2.0 + 4.0, mark, halo)
            floor -= height
        if phase.out:
            yield f'<path d="M{left:.1f} {top - 8:g}V{top - 14:g}H{right:.1f}V{top - 8:g}" fill="none" stroke="#222"/>'
            yield _text((left + right) / 2.0, top - 18, f"{', '.join(phase.out)} out", ' text-anchor="middle"')
    for share in (0, 50, 100):
        yield _text(_LEFT - 6, bottom - (bottom - top) * share / 100 + 4, f"{share} %", ' text-anchor="end"')
    yield from _times(rehearsal, bottom)


def _share(phase: Phase, name: str | None) -> float:
    figures = phase.figures
    if not figures.calls:
        return 0.0
    count = figures.calls - sum(figures.answered.values()) if name is None else figures.answered.get(name, 0)
    return count / figures.calls


def _latencies(rehearsal: Rehearsal) -> Iterator[str]:
    top, bottom = _LATENCY
    yield _text(_LEFT, top - 14, "Seconds until the answer was whole")
    most = _ceiling(max((step.figures.p99 or 0.0 for step in rehearsal.timeline), default=0.0))
    for part in (0.0, 0.5, 1.0):
        y = bottom - (bottom - top) * part
        yield f'<path d="M{_LEFT:g} {y:.1f}H{_RIGHT:g}" stroke="#ccc"/>'
        yield _text(_LEFT - 6, y + 4, f"{most * part:g}", ' text-anchor="end"')
    for name, dashes in _LINES:
        points, last = [], None
        for step in rehearsal.timeline:
            value: float | None = getattr(step.figures, name)
            if value is None:
                last = None
                continue
            y = bottom - (bottom - top) * value / most
            points.append(
                f"{'M' if last is None else 'L'}{_x(rehearsal, step.start):.1f} {y:.1f}H{_x(rehearsal, step.end):.1f}"
            )
            last = y
        if points:
            yield (
                f'<path d="{" ".join(points)}" fill="none" stroke="#222" stroke-width="1.4" stroke-dasharray="{dashes}"/>'
            )
        if last is not None:
            yield _text(_RIGHT + 6, last + 4, name)
    yield from _times(rehearsal, bottom)


def _legend(rehearsal: Rehearsal) -> Iterator[str]:
    marks = letters(rehearsal)
    entries = [(f"p{number}", f"{marks[one.target]}  {one.target}") for number, one in enumerate(rehearsal.targets)]
    for number, (fill, text) in enumerate([*entries, ("nobody", f"{FAILED}  nobody: the call failed")]):
        y = _LEGEND + _LINE * number
        yield _rect(_LEFT, y - 12, 24, 14, f"url(#{fill})", ' stroke="#222"')
        yield _text(_LEFT + 34, y, text)


def _times(rehearsal: Rehearsal, bottom: float) -> Iterator[str]:
    for tick in range(_TICKS + 1):
        instant = rehearsal.seconds * tick / _TICKS
        yield _text(_x(rehearsal, instant), bottom + 18, clock(instant), ' text-anchor="middle"')


def _x(rehearsal: Rehearsal, instant: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * instant / rehearsal.seconds


def _ceiling(value: float) -> float:
    """Return a round number that is not less.

    >>> _ceiling(7.1), _ceiling(0.0)
    (8.0, 1.0)
    """
    if value <= 0.0:
        return 1.0
    unit = 10.0 ** ceil(log10(value)) / 10.0
    return float(ceil(value / unit) * unit)


def _rect(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"{more}/>'


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{more}>{escape(text)}</text>'
