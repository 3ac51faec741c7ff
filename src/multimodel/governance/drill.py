"""What a drill found: calls on a route as it is, and the same calls while one vendor cannot be reached.

Nothing of a prompt or an answer is in it. Latencies are milliseconds, costs US dollars by list price, percentiles by
nearest rank. None is unknown, or does not apply.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

from ..types.base import Frozen
from .risk.members import Whose
from .risk.shares import Concentration

__all__ = [
    "Blocked",
    "Call",
    "DrillReport",
    "Kind",
    "Limits",
    "Pair",
    "Paired",
    "Phase",
    "Shares",
    "Spread",
    "Substitute",
    "Vendor",
    "Verdict",
]

Kind: TypeAlias = Literal["text", "schema", "tools"]


class Call(Frozen):
    """One call of a drill.

    :ivar outcome: ``ok``; ``output_invalid`` when there were answers and none fits what was asked for; else the kind of
        the error.
    :ivar causes: why the requests of a call that is not ``ok`` failed, each kind once.
    :ivar target: who answered.
    :ivar latency: until the whole answer.
    :ivar detour: until the target that answered was asked for this answer: time that others took.
    :ivar attempts: requests, those included that the barrier stopped.
    :ivar valid: whether the answer fits the schema that was asked for.
    :ivar asked_again: whether an answer did not fit at first.
    :ivar truncated: whether a limit or a filter cut the answer.
    :ivar script: the script that most letters of the answer belong to.
    """

    outcome: str
    causes: tuple[str, ...] = ()
    target: str | None = None
    latency: float
    detour: float | None = None
    attempts: int = 0
    cost: float | None = None
    valid: bool | None = None
    asked_again: bool = False
    truncated: bool = False
    empty: bool = False
    script: str | None = None


class Pair(Frozen):
    """The same prompt in both phases.

    :ivar prompt: its number, from 1.
    :ivar added: the latency of the drill's call less that of the baseline's; None unless both were answered.
    :ivar tools: whether both asked for the same tools: ``same``, ``arguments`` (the same tools with other arguments),
        ``other``; None where neither asked for one.
    """

    prompt: int
    kind: Kind
    baseline: Call
    drill: Call
    added: float | None = None
    tools: Literal["same", "arguments", "other"] | None = None


class Spread(Frozen):
    """How values are spread."""

    p50: float
    p95: float
    most: float


class Phase(Frozen):
    """All calls of one phase.

    :ivar answered: calls to which an answer came, whether or not it fits what was asked for.
    :ivar success: their share.
    :ivar misfits: those of them to which no answer came that fits.
    :ivar latency: of the calls that are ``ok``.
    :ivar cost: of the calls of which all is known that they cost; None when there are none.
    :ivar cost_unknown: the others: calls that had an attempt of unknown cost.
    :ivar answered_by: calls by the target that answered.
    :ivar failures: calls that were not answered, by the kind of their error.
    :ivar schemas: calls that asked for a schema.
    :ivar valid: those of them that were answered with what fits; None when nothing is installed that can tell.
    """

    calls: int
    answered: int
    success: float
    misfits: int
    latency: Spread | None
    detour: Spread | None
    attempts: int
    cost: float | None
    cost_unknown: int
    answered_by: dict[str, int]
    failures: dict[str, int]
    schemas: int
    valid: int | None
    asked_again: int
    truncated: int
    empty: int


class Paired(Frozen):
    """What the pairs show of which both calls were answered.

    :ivar tool_pairs: pairs in which one asked for a tool.
    :ivar same_tools: those with the same tools in both.
    :ivar same_arguments: those with the same arguments as well, compared as JSON values.
    :ivar other_script: answers in another script than before.
    """

    pairs: int
    added: Spread | None
    tool_pairs: int
    same_tools: int
    same_arguments: int
    other_script: int


class Blocked(Frozen):
    """Who could not be reached.

    :ivar attempts: attempts on its targets that the calls report.
    :ivar stopped: attempts that the barrier stopped.
    :ivar reached: attempts that got past it.
    """

    kind: str
    name: str
    targets: tuple[str, ...]
    attempts: int
    stopped: int
    reached: int


class Vendor(Frozen):
    """One target of the route, and what is known of who is behind it.

    :ivar endpoint: host and port.
    :ivar state: ``ready``, or why it is not asked.
    :ivar operator: who runs it; weights on this machine have none, nor a jurisdiction, but ``this machine``.
    :ivar jurisdiction: of the operator's seat, ISO 3166.
    :ivar stored_in: where data is stored.
    :ivar inference_in: where inference runs.
    :ivar sources: where the facts come from, and of which day they are.
    """

    target: str
    title: str
    endpoint: str | None
    blocked: bool
    state: str
    operator: str | None
    author: str | None
    jurisdiction: str | None
    region: str | None
    stored_in: tuple[str, ...] | None
    inference_in: tuple[str, ...] | None
    licence: str | None
    open_weights: bool | None
    sources: tuple[str, ...]


class Shares(Frozen):
    """How the answers of both phases are divided."""

    by: Whose
    baseline: Concentration
    drill: Concentration


class Substitute(Frozen):
    """What is left of the route without somebody.

    :ivar without: who, as in ``operator alibaba``.
    :ivar left: the targets that would be asked, in order.
    :ivar needs: what none of them is known to be able to do, and one that goes is.
    :ivar tested: whether this drill has tried it.
    """

    without: str
    left: tuple[str, ...]
    needs: tuple[str, ...]
    tested: bool


class Limits(Frozen):
    """What a drill must keep to be passed.

    :ivar success: share of the calls that must be answered.
    :ivar added: milliseconds that the 95th percentile of the added latency may have.
    """

    success: float = 1.0
    added: float | None = None


class Verdict(Frozen):
    """Whether the drill was passed, and why not."""

    passed: bool
    limits: Limits
    reasons: tuple[str, ...] = ()


class DrillReport(Frozen):
    """One drill.

    :ivar prompts_hash: SHA-256 over all prompts: who has them can tell whether it was these.
    :ivar policy_hash: SHA-256 of the policy file, as it was when it was loaded.
    :ivar remarks: what a reader has to know, in sentences.
    """

    format: Literal["multimodel.drill/1"] = "multimodel.drill/1"
    version: str
    made_at: datetime
    made_by: str | None
    policy: str | None
    policy_hash: str | None
    route: str
    prompts: str
    prompts_hash: str
    concurrency: int
    blocked: Blocked
    baseline: Phase
    drill: Phase
    paired: Paired
    vendors: tuple[Vendor, ...]
    concentration: tuple[Shares, ...]
    substitutes: tuple[Substitute, ...]
    verdict: Verdict
    remarks: tuple[str, ...] = ()
    calls: tuple[Pair, ...]
