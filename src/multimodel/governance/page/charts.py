"""Charts in SVG: bars, shares and time lines. Their marks scale with the page, their words do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import floor, log10
from typing import TypeAlias, cast

from .markup import Html, tag, text

__all__ = ["PATTERNS", "bars", "shares", "timeline"]

Amounts: TypeAlias = "Mapping[str | None, float] | Mapping[str, float]"

_HEIGHT = 22
_LABELLED = 0.04
"""Of the whole width: a mark that is narrower has no room for its number."""
_FIGURED = 0.16
"""One that is narrower has none for its share beside the number."""
_TICKS = 5

_STROKES = (
    "",
    "M0 8L8 0M-2 2L2 -2M6 10L10 6",
    "",
    "M0 4H8",
    "M0 0L8 8M0 8L8 0",
    "M4 0V8",
    "M0 0L8 8M-2 6L2 10M6 -2L10 2",
)
PATTERNS = len(_STROKES) + 1
"""How many marks can be told apart: filled, five ways of hatching, dotted, empty."""

_Looks: TypeAlias = "dict[str | None, tuple[int, str]]"
"""By name the number of a pattern, and the sign that stands on it."""


def patterns() -> Html:
    """Return the patterns that the charts of a page are filled with."""
    made = [_pattern(0, tag("rect", width=8, height=8, class_="mark"))]
    for number, path in enumerate(_STROKES[1:], 1):
        stroke = tag("path", d=path, class_="stroke") if path else tag("circle", cx=4, cy=4, r=2, class_="mark")
        made.append(_pattern(number, tag("rect", width=8, height=8, class_="paper"), stroke))
    made.append(_pattern(len(_STROKES), tag("rect", width=8, height=8, class_="paper")))
    return tag("svg", tag("defs", *made), width=0, height=0, class_="defs", aria_hidden="true")


def bars(caption: str, rows: Iterable[tuple[str, float | None, object]], *, most: float | None = None) -> Html:
    """Return bars, one below the other.

    :param rows: of each its name, its length and the figure that stands beside it; a length of None is unknown.
    :param most: the length that fills the width; None is the longest.
    """
    rows = list(rows)
    whole = most or max((length or 0.0 for _, length, _ in rows), default=0.0) or 1.0
    lines = []
    for name, length, figure in rows:
        share = min(max((length or 0.0) / whole, 0.0), 1.0)
        mark = tag("rect", width=_percent(share), height="100%", class_="mark")
        lines.append(_line(name, _svg(mark), figure))
    return _figure(caption, tag("ul", *lines, class_="chart"))


def shares(caption: str, rows: Mapping[str, Amounts | None]) -> Html:
    """Return bars that are divided into shares, with one legend for all. The exact figures belong into a table.

    :param rows: by the name of each bar the amounts by name, where None is unknown; None, and nothing, is a bar of which
        nothing is known. Of more names than there are patterns, the smallest are shown together.
    """
    names = _ranked(rows)
    looks: _Looks = {name: (number, str(number + 1)) for number, name in enumerate(names)}
    if any(None in amounts for amounts in rows.values() if amounts):
        looks[None] = PATTERNS - 1, "?"
    lines = []
    for label, amounts in rows.items():
        total = sum(amounts.values()) if amounts else 0.0
        if not amounts or total <= 0:
            lines.append(_line(Html(f"{text(label)}: {text(None)}"), _svg(), ""))
            continue
        marks: list[Html] = []
        at = 0.0
        for name, (pattern, sign) in looks.items():
            share = _amount(cast("Mapping[str | None, float]", amounts), name, names) / total
            figure = f" ({share:.0%})" if share >= _FIGURED else ""
            marks += _mark(at, share, pattern, sign + figure)
            at += share
        lines.append(_line(label, _svg(*marks), ""))
    return _figure(caption, tag("ul", *lines, class_="chart shares"), _legend(looks))


def timeline(caption: str, lanes: Mapping[str, Sequence[tuple[float, float, str]]], *, unit: str = "s") -> Html:
    """Return what happened when, a lane for each name.

    :param lanes: of each lane the beginning, the end and the kind of what happened; kinds have their own patterns.
    :param unit: of the numbers.
    """
    spans = [span for lane in lanes.values() for span in lane]
    kinds = list(dict.fromkeys(kind for _, _, kind in spans))
    if len(kinds) > PATTERNS:
        raise ValueError(f"a time line shows {PATTERNS} kinds at most")
    first = min((start for start, _, _ in spans), default=0.0)
    width = max((end for _, end, _ in spans), default=1.0) - first or 1.0
    lines = []
    for name, lane in lanes.items():
        marks: list[Html] = []
        for start, end, kind in lane:
            number = kinds.index(kind)
            marks += _mark((start - first) / width, (end - start) / width, number, f"{number + 1}", least=0.002)
        lines.append(_line(name, _svg(*marks), ""))
    axis = _svg(
        *(
            tag("text", f"{at:g} {unit}", x=_percent((at - first) / width), y=15, text_anchor=anchor)
            for at, anchor in _ticks(first, width)
        ),
        kind="axis",
    )
    looks: _Looks = {kind: (number, str(number + 1)) for number, kind in enumerate(kinds)}
    return _figure(caption, tag("ul", *lines, _line("", axis, ""), class_="chart shares"), _legend(looks))


def _figure(caption: str, *inside: object) -> Html:
    return tag("figure", tag("figcaption", caption), *inside)


def _line(name: object, mark: Html, figure: object) -> Html:
    return tag("li", tag("span", name, class_="name"), mark, tag("span", figure, class_="figure"))


def _svg(*marks: object, kind: str = "bar") -> Html:
    return tag("svg", *marks, width="100%", height=_HEIGHT, class_=kind, aria_hidden="true")


def _mark(at: float, share: float, number: int, label: str, *, least: float = 0.0) -> Iterable[Html]:
    share = max(share, least)
    if share > 0:
        yield tag("rect", x=_percent(at), width=_percent(share), height="100%", fill=f"url(#p{number})", class_="edge")
    if share >= _LABELLED:
        yield tag("text", label, x=_percent(at + share / 2), y=16, text_anchor="middle", class_="halo")


def _legend(looks: _Looks) -> Html:
    entries = []
    for name, (pattern, sign) in looks.items():
        swatch = tag("rect", width="100%", height="100%", fill=f"url(#p{pattern})", class_="edge")
        look = tag("svg", swatch, width=22, height=14, class_="swatch", aria_hidden="true")
        entries.append(tag("li", look, tag("b", sign), " ", name))
    return tag("ol", *entries, class_="legend")


_OTHERS = "all others"


def _ranked(rows: Mapping[str, Amounts | None]) -> list[str]:
    """All known names, those of the largest shares first; at most as many as there are patterns, but the empty one."""
    weight: dict[str, float] = {}
    for amounts in rows.values():
        total = sum(amounts.values()) if amounts else 0.0
        for name, amount in (amounts or {}).items():
            if name is not None:
                weight[name] = weight.get(name, 0.0) + (amount / total if total > 0 else 0.0)
    names = sorted(weight, key=lambda name: (-weight[name], name))
    return names if len(names) < PATTERNS else [*names[: PATTERNS - 2], _OTHERS]


def _amount(amounts: Mapping[str | None, float], name: str | None, names: Sequence[str]) -> float:
    if name == _OTHERS and name not in amounts:
        return sum(amount for other, amount in amounts.items() if other is not None and other not in names)
    return amounts.get(name, 0.0)


def _ticks(first: float, width: float) -> Iterable[tuple[float, str]]:
    """Round instants along an axis, and how the text of each lies."""
    size: float = 10 ** floor(log10(width / _TICKS))
    step = next(size * factor for factor in (1, 2, 5, 10) if width / (size * factor) <= _TICKS)
    at = -(-first // step) * step
    while at <= first + width * 1.0001:
        share = (at - first) / width
        yield round(at, 9), "start" if share < _LABELLED else "end" if share > 1 - _LABELLED else "middle"
        at += step


def _percent(share: float) -> str:
    return f"{100 * share:.3f}%"


def _pattern(number: int, *inside: Html) -> Html:
    return tag("pattern", *inside, id=f"p{number}", width=8, height=8, patternUnits="userSpaceOnUse")
