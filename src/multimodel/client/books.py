"""From the report of a call to the lines of the ledger."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from os import urandom
from typing import TYPE_CHECKING

from ..config import Policy
from ..drivers.base import now
from ..engine import Call
from ..observe import emit
from .targets import Planned

if TYPE_CHECKING:
    from ..governance.ledger import Ledger, Line, Verb

__all__ = ["keep", "open_ledger"]


def open_ledger(policy: Policy) -> Ledger | None:
    """Return the ledger that a policy asks for; None when it asks for none."""
    file = policy.ledger
    if file is None:
        return None
    from ..governance.ledger import Ledger

    return Ledger(
        file,
        policy=policy.source,
        on_trouble=lambda reason, lost: emit(
            logging.ERROR, "multimodel.ledger_unwritable", file=str(file), reason=reason, lost=lost
        ),
    )


def keep(ledger: Ledger | None, call: Call, verb: Verb, planned: Sequence[Planned]) -> None:
    """Hand over what a call put on the wire, now that it is over.

    :param planned: the targets that it could ask.
    """
    if ledger is not None and call.attempts and call.started >= ledger.began:
        ledger.add(tuple(_lines(call, verb, planned)))


def _lines(call: Call, verb: Verb, planned: Iterable[Planned]) -> Iterator[Line]:
    from ..governance.ledger import Line

    began = datetime.now(UTC).timestamp() - (now() - call.started)
    name = urandom(8).hex()
    seats = {one.plan.target: one.plan.jurisdiction for one in planned}
    for attempt in call.attempts:
        target, usage = attempt.target, attempt.usage
        yield Line(
            time=began + attempt.started,
            call=name,
            verb=verb,
            route=call.route,
            attempt=attempt.index,
            reason=attempt.reason,
            target=str(target),
            operator=target.operator,
            author=target.author,
            jurisdiction=seats.get(target),
            outcome=attempt.outcome,
            input_tokens=None if usage is None else usage.input_tokens,
            output_tokens=None if usage is None else usage.output_tokens,
            cost=attempt.cost,
            cost_estimated=attempt.cost_estimated,
            latency=attempt.duration,
        )
