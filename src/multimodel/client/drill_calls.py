"""One call of a drill, and what it has in common with the same call of the other phase."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from pydantic_core import from_json

from ..drivers.base import now
from ..errors import CallError
from ..governance.digest import canonical
from ..governance.drill import Call, Kind, Pair
from ..types import Completion, Report, ToolCall
from .blocking import Client
from .drill_prompts import Prompt, script_of

__all__ = ["Asked", "ask", "pair"]

_MILLI = 1000
_Tools: TypeAlias = tuple[tuple[str, bytes], ...]


class Asked(NamedTuple):
    """One call: what is told of it, and what only its pair is compared with."""

    call: Call
    tools: _Tools
    report: Report


def ask(client: Client, route: str, prompt: Prompt) -> Asked:
    """Make one call; one that fails is told as well."""
    begun = now()
    try:
        answer = client.complete(route, prompt.messages, **prompt.options)
    except CallError as error:
        report = error.report or Report(route)
        misfit = next((one for one in reversed(report.attempts) if one.outcome == "output_invalid"), None)
        return Asked(
            Call(
                outcome=error.kind if misfit is None else "output_invalid",
                target=None if misfit is None else str(misfit.target),
                causes=tuple(dict.fromkeys(one.outcome for one in report.attempts)),
                latency=_milliseconds(now() - begun),
                attempts=len(report.attempts),
                cost=report.cost,
                valid=None if misfit is None else False,
                asked_again=misfit is not None,
            ),
            (),
            report,
        )
    return Asked(_told(answer, prompt, now() - begun), tuple(map(_tool, answer.tool_calls)), answer.report)


def _told(answer: Completion[object], prompt: Prompt, seconds: float) -> Call:
    report = answer.report
    started = next((one.started for one in reversed(report.attempts) if one.outcome == "ok"), None)
    return Call(
        outcome="ok",
        target=str(answer.target),
        latency=_milliseconds(seconds),
        detour=None if started is None else _milliseconds(started),
        attempts=len(report.attempts),
        cost=report.cost,
        valid=prompt.fits(answer.text) if prompt.kind == "schema" else None,
        asked_again=_asked_again(report),
        truncated=answer.finish_reason in ("length", "content_filter"),
        empty=not answer.text.strip() and not answer.tool_calls,
        script=script_of(answer.text),
    )


def _asked_again(report: Report) -> bool:
    return any(one.outcome == "output_invalid" for one in report.attempts)


def _tool(call: ToolCall) -> tuple[str, bytes]:
    """Return name and arguments of a call: two are equal whatever the spaces and the order of their arguments."""
    try:
        return call.name, canonical(from_json(call.arguments or "{}"))
    except ValueError:  # of a tool of the vendor's own
        return call.name, call.arguments.encode()


def pair(number: int, kind: Kind, before: Asked, after: Asked) -> Pair:
    """Compare the calls with the same prompt in both phases."""
    both = before.call.outcome == after.call.outcome == "ok"
    return Pair(
        prompt=number,
        kind=kind,
        baseline=before.call,
        drill=after.call,
        added=round(after.call.latency - before.call.latency, 3) if both else None,
        tools=_agreement(before.tools, after.tools) if both and (before.tools or after.tools) else None,
    )


def _agreement(before: _Tools, after: _Tools) -> Literal["same", "arguments", "other"]:
    if before == after:
        return "same"
    return "arguments" if [name for name, _ in before] == [name for name, _ in after] else "other"


def _milliseconds(seconds: float) -> float:
    return round(seconds * _MILLI, 3)
