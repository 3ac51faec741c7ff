"""From the calls of a drill to its figures, and to whether it was passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import get_args

from .drill import Blocked, Call, Kind, Limits, Pair, Paired, Phase, Shares, Spread, Vendor, Verdict
from .figures import nearest_rank
from .risk.members import Whose
from .risk.shares import divided

__all__ = ["judged", "paired", "phase", "shares", "spread"]

_ANSWERED = ("ok", "output_invalid")


def spread(values: Iterable[float | None]) -> Spread | None:
    """Return percentiles by nearest rank; None of nothing.

    >>> spread([30.0, 10.0, 20.0])
    Spread(p50=20.0, p95=30.0, most=30.0)
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return Spread(p50=nearest_rank(known, 0.5), p95=nearest_rank(known, 0.95), most=known[-1])


def phase(calls: Sequence[Call], kinds: Sequence[Kind]) -> Phase:
    """Sum up the calls of one phase; ``kinds`` are those of their prompts."""
    answered = [call for call in calls if call.outcome in _ANSWERED]
    good = [call for call in answered if call.outcome == "ok"]
    asked = [call for call, kind in zip(calls, kinds, strict=True) if kind == "schema"]
    costs = [call.cost for call in calls if call.cost is not None]
    unchecked = any(call.valid is None for call in asked if call.outcome == "ok")
    return Phase(
        calls=len(calls),
        answered=len(answered),
        success=_share(len(answered), len(calls)),
        misfits=len(answered) - len(good),
        latency=spread(call.latency for call in good),
        detour=spread(call.detour for call in good),
        attempts=sum(call.attempts for call in calls),
        cost=round(sum(costs), 9) if costs else None,
        cost_unknown=len(calls) - len(costs),
        answered_by=_counted(call.target for call in answered),
        failures=_counted(call.outcome for call in calls if call.outcome not in _ANSWERED),
        schemas=len(asked),
        valid=None if unchecked else sum(bool(call.valid) for call in asked),
        asked_again=sum(call.asked_again for call in calls),
        truncated=sum(call.truncated for call in calls),
        empty=sum(call.empty for call in calls),
    )


def paired(pairs: Sequence[Pair]) -> Paired:
    """Sum up the pairs."""
    both = [pair for pair in pairs if pair.added is not None]
    with_tools = [pair for pair in both if pair.tools is not None]
    return Paired(
        pairs=len(both),
        added=spread(pair.added for pair in both),
        tool_pairs=len(with_tools),
        same_tools=sum(pair.tools != "other" for pair in with_tools),
        same_arguments=sum(pair.tools == "same" for pair in with_tools),
        other_script=sum(_changed(pair.baseline.script, pair.drill.script) for pair in both),
    )


def shares(vendors: Sequence[Vendor], baseline: Phase, drill: Phase) -> tuple[Shares, ...]:
    """Return who answered in both phases, by operator, author and jurisdiction."""
    found = []
    for by in get_args(Whose):
        names = {vendor.target: getattr(vendor, by) for vendor in vendors}
        before, after = (
            divided(by, "calls", [(names[target], calls) for target, calls in one.answered_by.items()])
            for one in (baseline, drill)
        )
        found.append(Shares(by=by, baseline=before, drill=after))
    return tuple(found)


def judged(limits: Limits, baseline: Phase, drill: Phase, paired: Paired, blocked: Blocked) -> Verdict:
    """Say whether a drill was passed: nothing reached the vendor, the calls were answered, and as well as before."""
    reasons = []
    if blocked.reached:
        reasons.append(f"{blocked.reached} attempts got past the barrier")
    if not drill.calls or drill.success < limits.success:
        failed = drill.calls - drill.answered
        reasons.append(f"{failed} of {drill.calls} calls were not answered without `{blocked.name}`")
    if drill.misfits > baseline.misfits:
        reasons.append(
            f"the answers to {drill.misfits} calls do not fit what was asked for, as against {baseline.misfits} with it"
        )
    if limits.added is not None and (paired.added is None or paired.added.p95 > limits.added):
        found = "unknown" if paired.added is None else f"{paired.added.p95:,.1f} ms"
        reasons.append(f"the added latency at p95 is {found}, and may be {limits.added:,.1f} ms")
    return Verdict(passed=not reasons, limits=limits, reasons=tuple(reasons))


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _counted(names: Iterable[str | None]) -> dict[str, int]:
    return dict(Counter(name for name in names if name is not None).most_common())


def _changed(before: str | None, after: str | None) -> bool:
    return before is not None and after is not None and before != after
