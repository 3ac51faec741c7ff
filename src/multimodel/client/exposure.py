"""The targets of a policy as the risk report wants to know them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..config import Route
from ..governance.risk import Member, RoutePlan
from .accounts import Account
from .targets import Planned, draws, ranked

if TYPE_CHECKING:
    from .core import Core

__all__ = ["exposures"]


def exposures(core: Core) -> Iterator[RoutePlan]:
    """Yield each route with what is known of its targets. No key is in it."""
    keys: dict[str, str] = {}
    held = core.current()
    for name, route in held.policy.routes.items():
        why_not = {one.plan.target: _why_not(core, one, route) for one in held.chain(name)}
        counted = [one for one in held.chain(name) if why_not[one.plan.target] is None]
        shares = {order[0].plan.target: share for share, order in draws(counted, route.traffic) if order}
        members = [
            _member(core, one, why_not[one.plan.target], shares.get(one.plan.target, 0.0), keys)
            for one in ranked(held.chain(name), route.traffic)
        ]
        shadow = held.shadow(name)
        if shadow is not None:
            members.append(_member(core, shadow, "it only listens, as the route's shadow", 0.0, keys))
        yield RoutePlan(name, tuple(members))


def _why_not(core: Core, planned: Planned, route: Route) -> str | None:
    """Say why a target is not asked, here and wherever the keys are."""
    missing = sorted(planned.plan.lacks.intersection(route.requires))
    if missing:
        return f"the route requires {', '.join(missing)}"
    why = core.lasting_obstacle(planned)
    if why is None:
        return None
    said = {"off": "switched off: ", "budget": "the route has a budget, and "}
    return said.get(why[0], "") + why[1].partition("\n")[0]


def _member(core: Core, planned: Planned, why_not: str | None, weight: float, keys: dict[str, str]) -> Member:
    plan, account = planned.plan, planned.account
    base = account.setup.base_url or core.policy.provider(account.name).base_url
    tier = planned.prices[0] if planned.prices else None
    return Member(
        target=str(plan.target),
        operator=plan.target.operator,
        author=plan.target.author,
        jurisdiction=plan.jurisdiction,
        credential=_credential(account, keys),
        host=urlsplit(base).netloc if base else None,
        local=account.profile.adapter == "local",
        why_not=why_not,
        weight=weight,
        able=planned.known,
        lacks=plan.lacks,
        room=_known(planned.room),
        longest=_known(planned.max_output),
        price=None if tier is None else (tier.input, tier.output),
    )


def _credential(account: Account, keys: dict[str, str]) -> str | None:
    """Name a key by the first provider that has it; empty where none is needed, None where nobody knows which it is.

    :param keys: those that were met, by what tells them apart.
    """
    if account.given:
        return None
    if account.needs_no_key:
        return ""
    key, variables = account.setup.key, account.profile.key
    if key is not None:
        return keys.setdefault(key.fingerprint, account.name)
    return keys.setdefault(f"${variables[0]}", account.name) if variables and account.lacks_key else None


def _known(limit: int) -> int | None:
    return None if limit == sys.maxsize else limit
