"""A drill: real calls on a route as it is, then the same calls while one vendor cannot be reached.

1. Each phase has a client of its own: what one learns of a vendor's health is not known to the other.
2. The vendor is blocked below the engine, not switched off: what is tried is what an outage would try.
3. A route's shadow is left out of both phases: it is no part of an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from itertools import cycle, islice
from typing import Literal, NamedTuple, TypeAlias

from pydantic_core import from_json

from ..config import OffEntry, Policy
from ..config.policy import OffKind
from ..drivers.base import now
from ..errors import CallError, ConfigurationError
from ..governance.digest import canonical
from ..governance.drill import Call, Kind, Pair, Phase, phase
from ..providers.barrier import Barrier
from ..providers.base import Provider
from ..types import Completion, Report, ToolCall
from .blocking import Client
from .core import Core
from .cost import CostAtMost
from .drill_prompts import BUILT_IN, Prompt, script_of
from .targets import Planned

__all__ = ["Drill", "Tried"]

_MILLI = 1000
_Tools: TypeAlias = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Tried:
    """What both phases brought.

    :ivar attempts: those on the blocked targets that the drill's calls report.
    :ivar stopped: those that the barrier stopped.
    :ivar reached: those that ended in any other way than without a connection.
    """

    begun: datetime
    pairs: tuple[Pair, ...]
    baseline: Phase
    drill: Phase
    attempts: int
    stopped: int
    reached: int


class Drill:
    """One drill, prepared: nothing is sent before ``run``.

    :param client: whose policy is drilled. It makes no call itself.
    :param without: who cannot be reached; looked up as operator, then author, provider, target.
    :param kind: what ``without`` is; None looks it up.
    :param calls: how many in each phase; None is one for each prompt. The prompts are taken in turn.
    :param providers: ready adapters by provider name, as the client was given them.
    :ivar route: the route's own name.
    :ivar prompts: what is asked in each phase, in order.
    :ivar different: how many prompts there are.
    :ivar without: the same as an entry of ``off``.
    :ivar blocked: the targets that cannot be reached.
    :ivar left: the targets that can be asked all the same, in order.
    :raises ConfigurationError: nobody of that name is on the route, or nobody else.
    """

    def __init__(
        self,
        client: Client,
        route: str,
        without: str,
        *,
        kind: OffKind | None = None,
        prompts: Sequence[Prompt] = BUILT_IN,
        calls: int | None = None,
        concurrency: int = 1,
        providers: Mapping[str, Provider] | None = None,
    ) -> None:
        self.core: Core = client._core  # noqa: SLF001  # it is one of ours
        self.route, _ = self.core.route(route)
        self.without: OffEntry = self.core.switchboard.meaning(without, kind=kind)
        self.chain = self.core.chain(self.route)
        self.blocked = tuple(filter(self._is_blocked, self.chain))
        self.able = tuple(planned for planned in self.chain if self.core.obstacle(planned, frozenset()) is None)
        self.left = tuple(planned for planned in self.able if planned not in self.blocked)
        self.prompts = tuple(islice(cycle(prompts), len(prompts) if calls is None else calls))
        self.different = len(prompts)
        self.concurrency = concurrency
        self._providers = providers
        named = f"{self.without.kind} `{self.without.name}`"
        if not self.blocked:
            known = ", ".join(f"`{planned.plan.target}`" for planned in self.chain)
            raise ConfigurationError(
                f"no target of route `{self.route}` is of {named}", hint=f"its targets are {known}"
            )
        if not self.left:
            raise ConfigurationError(
                f"without {named} no target of route `{self.route}` can be asked",
                hint="add one of another vendor to its chain; nothing was sent",
            )

    def cost_at_most(self) -> tuple[float, tuple[str, ...]]:
        """Return what both phases cost in US dollars, if each attempt that a call may make is billed in full.

        :returns: the amount, and the targets of unknown price, which are not in it.
        """
        most = self.core.policy.routes[self.route].max_attempts
        total = sum(_dearest(prompt, able, most) for prompt in self.prompts for able in (self.able, self.left))
        return total, tuple(str(planned.plan.target) for planned in self.able if not planned.prices)

    def run(self, progress: Callable[[str, Phase], None] = lambda _name, _phase: None) -> Tried:
        """Make the calls of the baseline, then those of the drill.

        :param progress: called with ``baseline`` and ``drill`` when that phase has ended.
        """
        begun = datetime.now(UTC)
        kinds = [prompt.kind for prompt in self.prompts]
        before = self._asked(None)
        baseline = phase([one.call for one in before], kinds)
        progress("baseline", baseline)
        targets = {str(planned.plan.target) for planned in self.blocked}
        accounts = {planned.account.name for planned in self.blocked}
        barrier = Barrier(targets, accounts - {one.account.name for one in self.chain if one not in self.blocked})
        after = self._asked(barrier)
        drill = phase([one.call for one in after], kinds)
        progress("drill", drill)
        met = [one for each in after for one in each.report.attempts if str(one.target) in targets]
        reached = sum(one.outcome != "connection.unsent" for one in met)
        pairs = tuple(
            _pair(number % self.different + 1, kind, *both)
            for number, (kind, *both) in enumerate(zip(kinds, before, after, strict=True))
        )
        return Tried(begun, pairs, baseline, drill, len(met), barrier.stopped, reached)

    def _is_blocked(self, planned: Planned) -> bool:
        return self.without.covers(planned.plan.target, jurisdiction=planned.plan.jurisdiction, at=datetime.now(UTC))

    def _asked(self, barrier: Barrier | None) -> list[_Asked]:
        """Make the calls of one phase, with a client of its own."""
        import_module("tenacity")  # or the first call that fails would pay for it
        with Client(_without_shadow(self.core.policy, self.route), providers=self._providers) as client:
            accounts = client._core.accounts  # noqa: SLF001  # likewise
            accounts.barrier, accounts.progress = barrier, self.core.accounts.progress
            for planned in client._core.chain(self.route):  # noqa: SLF001  # likewise
                if planned.why_not is None:
                    planned.account.reach()
            if self.concurrency == 1:
                return [_ask(client, self.route, prompt) for prompt in self.prompts]
            with ThreadPoolExecutor(self.concurrency, thread_name_prefix="multimodel-drill") as pool:
                waiting = [pool.submit(_ask, client, self.route, prompt) for prompt in self.prompts]
                try:
                    return [one.result() for one in waiting]
                finally:  # whoever interrupts it pays for no further call
                    pool.shutdown(wait=False, cancel_futures=True)


class _Asked(NamedTuple):
    """One call: what is told of it, and what only its pair is compared with."""

    call: Call
    tools: _Tools
    report: Report


def _ask(client: Client, route: str, prompt: Prompt) -> _Asked:
    begun = now()
    try:
        answer = client.complete(route, prompt.messages, **prompt.options)
    except CallError as error:
        report = error.report or Report(route)
        return _Asked(
            Call(
                outcome=error.kind,
                causes=tuple(dict.fromkeys(one.outcome for one in report.attempts)),
                latency=_milliseconds(now() - begun),
                attempts=len(report.attempts),
                cost=report.cost,
                asked_again=_asked_again(report),
            ),
            (),
            report,
        )
    return _Asked(_told(answer, prompt, now() - begun), tuple(map(_tool, answer.tool_calls)), answer.report)


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
    return call.name, canonical(from_json(call.arguments or "{}"))  # which the client has checked to be JSON


def _pair(number: int, kind: Kind, before: _Asked, after: _Asked) -> Pair:
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


def _dearest(prompt: Prompt, able: Sequence[Planned], attempts: int) -> float:
    """Return what one call costs, if it makes all of its attempts, the dearest first."""
    most = CostAtMost(prompt.request, able)
    costs = [
        cost
        for planned in able
        if (cost := most(planned.plan, goes_on=False)) is not None
        for _ in range(planned.plan.retry.attempts)
    ]
    return sum(sorted(costs, reverse=True)[:attempts])


def _without_shadow(policy: Policy, name: str) -> Policy:
    route = policy.routes[name].model_copy(update={"shadow": None})
    return policy.model_copy(update={"routes": {**policy.routes, name: route}})


def _milliseconds(seconds: float) -> float:
    return round(seconds * _MILLI, 3)
