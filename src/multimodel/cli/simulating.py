"""``simulate``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..config import format_duration
from ..rehearsal.figures import Figures
from ..rehearsal.picture import clock, letters, picture
from ..rehearsal.report import OutageFigures, Phase, Rehearsal, TargetFigures, rehearse
from .opening import check_writable, open_to_look
from .printing import plain, print_json, print_table, tell
from .scenarios import read, route_of, scenario_of

__all__ = ["simulate"]

_LONG = 100_000  # calls, of which progress is told


def simulate(args: Namespace) -> int:
    """Play a scenario on a route and print what became of its calls."""
    args.config = args.config if args.policy is None else args.policy
    asked = read(args)
    check_writable("--svg", args.svg)
    with open_to_look(args) as client:
        core = client._core  # noqa: SLF001  # for people, so for no other caller
        route = route_of(args.route, asked, core)
        scenario = scenario_of(asked, core, route)
        if scenario.rate * scenario.seconds > _LONG:
            tell(f"playing about {scenario.rate * scenario.seconds:,.0f} calls")
            scenario = replace(scenario, progress=lambda share: tell(f"{100 * share:.0f} % played"))
        rehearsal = rehearse(core, route, scenario)
    if args.svg is not None:
        from ..rehearsal.svg import svg

        Path(args.svg).write_text(svg(rehearsal), encoding="utf-8")
    if args.json:
        print_json(rehearsal)
    else:
        _print(rehearsal)
    return 0


def _print(rehearsal: Rehearsal) -> None:
    whole, marks = rehearsal.whole, letters(rehearsal)
    print(
        f"route `{rehearsal.route}`: {whole.calls:,} calls, {rehearsal.rate:g} a second "
        f"for {format_duration(rehearsal.seconds)}, seed {rehearsal.seed}"
    )
    print()
    phases = rehearsal.phases if rehearsal.outages else ()
    rows = [_row(_name(phase), clock(phase.start), phase.figures, marks) for phase in phases]
    print_table(_PHASES, [*rows, _row("all", None, whole, marks)])
    for kind, count in whole.failed.items():
        print(f"failed: {count:,} with {kind}" + (_reasons(rehearsal) if kind == "all_targets_failed" else ""))
    if rehearsal.lost != 0.0:
        most = "nobody knows how much" if rehearsal.lost is None else f"{rehearsal.lost:.2f} USD, at most"
        print(f"besides: attempts without an answer may have cost {most}")
    if rehearsal.outages:
        print()
        print_table(_OUTAGES, [row for outage in rehearsal.outages for row in _outage(outage)])
    print()
    print_table(_TARGETS, [_target(one, rehearsal, marks[one.target]) for one in rehearsal.targets])
    print()
    for line in picture(rehearsal):
        print(plain(line))
    print()
    print("assumed")
    for line in rehearsal.assumptions:
        print(plain(f"- {line}"))


_PHASES = ("when", "from", "calls", "answered", "failed", "p50", "p95", "p99", "attempts a call", "USD", "by")
_OUTAGES = ("out", "from", "for", "as", "target", "requests into it", "noticed after", "used again after")
_TARGETS = ("", "target", "answered", "first content", "end", "tokens", "USD an answer")


def _reasons(rehearsal: Rehearsal) -> str:
    told = sorted(rehearsal.reasons.items(), key=lambda item: -item[1])
    return ", where targets met: " + ", ".join(f"{reason} in {number:,}" for reason, number in told)


def _name(phase: Phase) -> str:
    return f"{phase.name}: {', '.join(phase.out)} out" if phase.out else phase.name


def _row(name: str, start: str | None, figures: Figures, marks: Mapping[str, str]) -> Sequence[object]:
    shares = figures.answered
    answered = sum(shares.values())
    return (
        name,
        start,
        f"{figures.calls:,}",
        _percent(answered, figures.calls),
        f"{figures.calls - answered:,}",
        *map(_seconds, (figures.p50, figures.p95, figures.p99)),
        f"{figures.attempts / figures.calls:.3f}" if figures.calls else None,
        _usd(figures),
        ", ".join(f"{marks[key]} {_percent(shares[key], figures.calls)}" for key in marks if key in shares),
    )


def _outage(outage: OutageFigures) -> Iterator[Sequence[object]]:
    for key in outage.targets:
        yield (
            f"{outage.kind} {outage.name}",
            clock(outage.start),
            format_duration(outage.seconds),
            outage.fault,
            key,
            f"{outage.attempts.get(key, 0):,}",
            _seconds(outage.noticed.get(key)),
            _seconds(outage.used_again.get(key)),
        )


def _target(one: TargetFigures, rehearsal: Rehearsal, mark: str) -> Sequence[object]:
    habits = one.habits
    return (
        mark,
        one.target,
        f"{rehearsal.whole.answered.get(one.target, 0):,}",
        format_duration(habits.first),
        format_duration(habits.total),
        f"{habits.prompt:,} + {habits.output:,}",
        "unknown" if one.price is None else f"{one.price:.6f}",
    )


def _seconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds:.2f} s"


def _usd(figures: Figures) -> str:
    known = f"{figures.known_cost:.2f}"
    if not figures.unpriced:
        return known
    return f"{known} + unknown" if figures.known_cost else "unknown"


def _percent(part: int, whole: int) -> str | None:
    """Write a share; what is not all is never written as all, nor what is something as nothing."""
    if not whole:
        return None
    text = f"{100.0 * part / whole:.2f}"
    if part < whole and text == "100.00":
        return "> 99.99 %"
    return "< 0.01 %" if part and text == "0.00" else f"{text.rstrip('0').rstrip('.')} %"
