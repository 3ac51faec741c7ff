"""From a drill to its report: who is on the route, who could take whose place, and what was found."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from .. import __version__
from ..governance.digest import canonical
from ..governance.drill import Blocked, DrillReport, Limits, Substitute, Vendor
from ..governance.drill_sums import judged, paired, shares
from ..governance.risk import THIS_MACHINE
from ..providers.profile import Fact
from .core import Core
from .drill import Drill, Tried
from .switchboard import user
from .targets import Planned

__all__ = ["reported"]

_HERE = (THIS_MACHINE,)


def reported(drill: Drill, tried: Tried, limits: Limits, prompts: str) -> DrillReport:
    """Return the report of a drill that was run.

    :param prompts: where the prompts come from, for people.
    """
    vendors = tuple(_vendor(drill.core, planned, blocked=planned in drill.blocked) for planned in drill.chain)
    blocked = Blocked(
        kind=drill.without.kind,
        name=drill.without.name,
        targets=tuple(str(planned.plan.target) for planned in drill.blocked),
        attempts=tried.attempts,
        stopped=tried.stopped,
        reached=tried.reached,
    )
    pairs, source = paired(tried.pairs), drill.policy.source
    return DrillReport(
        version=__version__,
        made_at=tried.begun,
        made_by=user(),
        policy=None if source is None else source.name,
        policy_hash=drill.policy.origin.digest,
        route=drill.route,
        prompts=prompts,
        prompts_hash=_hash_of(drill),
        concurrency=drill.concurrency,
        blocked=blocked,
        baseline=tried.baseline,
        drill=tried.drill,
        paired=pairs,
        vendors=vendors,
        concentration=shares(vendors, tried.baseline, tried.drill),
        substitutes=tuple(_substitutes(drill)),
        verdict=judged(limits, tried.baseline, tried.drill, pairs, blocked),
        remarks=tuple(_remarks(drill, tried)),
        calls=tried.pairs,
    )


def _vendor(core: Core, planned: Planned, *, blocked: bool) -> Vendor:
    account, target = planned.account, planned.plan.target
    profile, facts = account.profile, account.profile.facts(target.model)
    place = account.place
    is_here = profile.adapter == "local"
    why = core.ruled_out(planned)
    endpoint = profile.endpoints.get(place.region or "")
    is_theirs = account.operator == profile.operator
    known = [one.fact for one in (profile if is_theirs else None, endpoint, facts) if one is not None]
    return Vendor(
        target=str(target),
        title=profile.title if is_theirs else f"an endpoint of {account.operator}",
        endpoint="this process" if is_here else planned.plan.endpoint if planned.plan.http else None,
        blocked=blocked,
        state="ready" if why is None else ": ".join(filter(None, why)),
        operator=THIS_MACHINE if is_here else target.operator,
        author=target.author,
        jurisdiction=THIS_MACHINE if is_here else planned.plan.jurisdiction,
        region=place.region,
        stored_in=_HERE if is_here else place.stored_in,
        inference_in=_HERE if is_here else place.inference_in,
        licence=facts.licence if facts else None,
        open_weights=facts.open_weights if facts else None,
        sources=tuple(dict.fromkeys(map(_cited, known))),
    )


def _cited(fact: Fact) -> str:
    return f"{fact.source} ({fact.date})"


def _substitutes(drill: Drill) -> Iterator[Substitute]:
    """Say what is left of the route without each of those that run its targets; first, what was tried."""
    named = f"{drill.without.kind} {drill.without.name}"
    yield _without(drill, named, drill.left, tested=True)
    operators = dict.fromkeys(planned.plan.target.operator for planned in drill.able)
    for operator in operators:
        if operator is not None and f"operator {operator}" != named:
            left = tuple(planned for planned in drill.able if planned.plan.target.operator != operator)
            yield _without(drill, f"operator {operator}", left, tested=False)


def _without(drill: Drill, name: str, left: tuple[Planned, ...], *, tested: bool) -> Substitute:
    needs = _known(drill.able) - _known(left)
    return Substitute(
        without=name,
        left=tuple(str(planned.plan.target) for planned in left),
        needs=tuple(sorted(needs)),
        tested=tested,
    )


def _known(some: tuple[Planned, ...]) -> frozenset[str]:
    return frozenset[str]().union(*(planned.known for planned in some))


def _remarks(drill: Drill, tried: Tried) -> Iterator[str]:
    blocked = {str(planned.plan.target) for planned in drill.blocked}
    if blocked.isdisjoint(tried.baseline.answered_by):
        yield (
            f"`{drill.without.name}` answered none of the baseline's calls, so this drill does not show what its absence "
            "changes."
        )
    if tried.baseline.answered < tried.baseline.calls:
        failed = tried.baseline.calls - tried.baseline.answered
        yield f"{failed} of the baseline's calls were not answered either."
    if drill.policy.routes[drill.route].shadow is not None:
        yield "The route's shadow was left out of both phases."
    for one in (tried.baseline, tried.drill):
        if one.schemas and one.valid is None:
            yield "Whether answers fit their schema was not checked: `jsonschema` is not installed."
            break
    unpriced = [str(planned.plan.target) for planned in drill.able if not planned.prices]
    if unpriced:
        yield f"The price of {', '.join(f'`{target}`' for target in unpriced)} is unknown: costs leave it out."


def _hash_of(drill: Drill) -> str:
    asked = [prompt.request.model_dump(mode="json", exclude_defaults=True) for prompt in drill.prompts]
    return sha256(canonical(asked)).hexdigest()
