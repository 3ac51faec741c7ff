"""A drill: real calls on a route as it is, then the same calls while one vendor cannot be reached.

1. Each phase has a client of its own: what one learns of a vendor's health is not known to the other.
2. The vendor is blocked below the engine, not switched off: what is tried is what an outage would try.
3. A route's shadow is left out of both phases: it is no part of an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from itertools import cycle, islice

from ..config import OffEntry, Policy
from ..config.policy import OffKind
from ..engine.worst import dearest
from ..errors import ConfigurationError
from ..governance.drill import Pair, Phase
from ..governance.drill_sums import phase
from ..providers.barrier import Barrier
from ..types import AttemptRecord
from .blocking import Client
from .core import Core
from .cost import CostAtMost
from .drill_calls import Asked, ask, pair
from .drill_prompts import BUILT_IN, Prompt
from .targets import Planned, call_settings, ranked

__all__ = ["Drill", "Tried"]

_NOT_SENT = frozenset({"connection.unsent", "policy_denied", "local_overload", "cancelled", "lost"})
"""What becomes of an attempt that has no connection. The last two are of a race that another attempt has won."""


@dataclass(frozen=True)
class Tried:
    """What both phases brought.

    :ivar attempts: those on the blocked targets that the drill's calls report.
    :ivar stopped: those that the barrier stopped.
    :ivar reached: those that had a connection.
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
    :ivar policy: what is drilled, also if its file changes meanwhile.
    :ivar route: the route's own name.
    :ivar prompts: what is asked in each phase, in order.
    :ivar different: how many prompts there are.
    :ivar without: the same as an entry of ``off``.
    :ivar blocked: the targets that cannot be reached.
    :ivar able: the targets that can be asked now, in order.
    :ivar left: those of them that are not blocked.
    :raises ConfigurationError: nobody of that name is on the route, or nobody else; or it is a route for vectors.
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
    ) -> None:
        self.core: Core = client._core  # noqa: SLF001  # it is one of ours
        held = self.core.current()
        self.policy = held.policy
        self.route, _ = held.route(route)
        self.without: OffEntry = self.core.switchboard.meaning(without, kind=kind)
        self.chain = tuple(ranked(held.chain(self.route), held.policy.routes[self.route].traffic))
        self.blocked = tuple(filter(self._is_blocked, self.chain))
        self.able = tuple(planned for planned in self.chain if self.core.ruled_out(planned) is None)
        self.left = tuple(planned for planned in self.able if planned not in self.blocked)
        self.prompts = tuple(islice(cycle(prompts), len(prompts) if calls is None else calls))
        self.different = len(prompts)
        self.concurrency = concurrency
        named = f"{self.without.kind} `{self.without.name}`"
        if not self.blocked:
            known = ", ".join(f"`{planned.plan.target}`" for planned in self.chain)
            raise ConfigurationError(
                f"no target of route `{self.route}` is of {named}", hint=f"its targets are {known}"
            )
        if self.able and all("embeddings" in planned.known for planned in self.able):
            hint = "`multimodel check` and `risk` tell who else makes the same vectors; nothing was sent"
            raise ConfigurationError(f"route `{self.route}` makes vectors, and a drill asks for answers", hint=hint)
        if not self.left:
            raise ConfigurationError(
                f"without {named} no target of route `{self.route}` can be asked",
                hint="add one of another vendor to its chain; nothing was sent",
            )

    def cost_at_most(self) -> tuple[float, tuple[str, ...]]:
        """Return what both phases cost in US dollars, if each attempt that a call may make is billed in full.

        :returns: the amount, and the targets of unknown price, which are not in it.
        """
        total = sum(self._dearest(prompt, able) for prompt in self.prompts for able in (self.able, self.left))
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
        reached = sum(one.outcome not in _NOT_SENT or _answered(one) for one in met)
        pairs = tuple(
            pair(number % self.different + 1, kind, *both)
            for number, (kind, *both) in enumerate(zip(kinds, before, after, strict=True))
        )
        return Tried(begun, pairs, baseline, drill, len(met), barrier.stopped, reached)

    def _dearest(self, prompt: Prompt, able: Sequence[Planned]) -> float:
        """Return what one call costs at most on the targets of known price."""
        route, cost = self.policy.routes[self.route], CostAtMost(prompt.request, able)
        plans = [planned.plan for planned in able if planned.prices]
        again = prompt.kind != "text" and route.on_invalid_output == "reask"
        costs = [cost(plan, goes_on=False) for plan in plans]
        return dearest(plans, call_settings(route, stream=False), costs, 1 + again) or 0.0

    def _is_blocked(self, planned: Planned) -> bool:
        return self.without.covers(planned.plan.target, jurisdiction=planned.plan.jurisdiction, at=datetime.now(UTC))

    def _asked(self, barrier: Barrier | None) -> list[Asked]:
        """Make the calls of one phase, with a client of its own."""
        import_module("tenacity")  # or the first call that fails would pay for it
        with Client(_without_shadow(self.policy, self.route)) as client:
            held = client._core.current()  # noqa: SLF001  # likewise
            held.accounts.barrier, held.accounts.progress = barrier, self.core.accounts.progress
            for planned in held.chain(self.route):
                if planned.why_not is None:
                    with suppress(ConfigurationError):  # the calls will tell
                        planned.account.reach()
            if self.concurrency == 1:
                return [ask(client, self.route, prompt) for prompt in self.prompts]
            with ThreadPoolExecutor(self.concurrency, thread_name_prefix="multimodel-drill") as pool:
                waiting = [pool.submit(ask, client, self.route, prompt) for prompt in self.prompts]
                try:
                    return [one.result() for one in waiting]
                finally:  # whoever interrupts it pays for no further call
                    pool.shutdown(wait=False, cancel_futures=True)


def _answered(attempt: AttemptRecord) -> bool:
    return attempt.status is not None or attempt.first_content is not None


def _without_shadow(policy: Policy, name: str) -> Policy:
    route = policy.routes[name].model_copy(update={"shadow": None})
    return policy.model_copy(update={"routes": {**policy.routes, name: route}})
