"""The engine's own view of a policy: plain values, resolved before the call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from ..errors import Scope
from ..types import Target

__all__ = ["BreakerSettings", "CallSettings", "HedgeSettings", "RetrySettings", "TargetPlan"]


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """Repeats on one target.

    :ivar attempts: requests a visit, the first one counted.
    :ivar budget: tokens that each first attempt adds to the credential's retry bucket.
    :ivar patience: the longest wait in seconds, asked for by a server, that is worth sleeping while another
        target could be asked.
    """

    attempts: int = 2
    budget: float = 0.1
    patience: float = 3.0


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When to stop asking a target.

    :ivar failures: consecutive failures that open.
    :ivar ratio: share of failures that opens, of at least ten results within ``window`` seconds.
    :ivar open_at_most: seconds, the longest pause before a probe.
    """

    failures: int = 5
    ratio: float = 0.5
    window: float = 60.0
    open_at_most: float = 20.0


@dataclass(frozen=True, slots=True)
class HedgeSettings:
    """A second attempt elsewhere while the first is slow.

    :ivar after: seconds without content; None is what the target is measured to need, at least one.
    :ivar budget: second attempts as a share of the route's calls; nothing is saved up.
    """

    after: float | None = None
    budget: float = 0.05


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """One target of a chain, with all that the engine decides by.

    :ivar key: identity for health: endpoint, credential and model.
    :ivar credential: identity of the credential at its endpoint.
    :ivar endpoint: ``host:port``, or another name for what fails together.
    :ivar http: whether an answer of it has an HTTP status.
    :ivar lacks: needs the target is known not to meet (``tools``, ``vision``, …).
    :ivar window: context window in tokens, None when unknown.
    :ivar prefill: whether it is declared to go on with an answer that another began.
    :ivar at_most: attempts under way at one time; None is no limit but the one that the vendor's refusals teach.
    """

    target: Target
    key: str
    credential: str
    endpoint: str
    connect: float = 3.0
    first_content: float = 10.0
    idle: float = 15.0
    whole: float = 60.0
    stream: bool = True
    http: bool = False
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()
    lacks: frozenset[str] = frozenset()
    window: int | None = None
    jurisdiction: str | None = None
    prefill: bool = False
    at_most: int | None = None

    def scope_key(self, scope: Scope) -> tuple[Scope, str]:
        """Name what a failure of ``scope`` says something about."""
        match scope:
            case "credential":
                return scope, self.credential
            case "credential_model":
                return scope, f"{self.credential} {self.target.model}"
            case "endpoint":
                return scope, self.endpoint
            case "target":
                return scope, self.key
        assert_never(scope)


@dataclass(frozen=True, slots=True)
class CallSettings:
    """The limits of one call.

    :ivar deadline: seconds for everything.
    :ivar max_attempts: requests on the wire over all targets.
    :ivar mid_stream: what happens when an answer breaks after its first content: ``error`` is the caller's to see,
        ``restart`` begins anew at the next target and tells the caller, ``continue`` lets the next target go on from
        there, ``unseen`` is a whole answer, of which the caller has seen nothing yet.
    :ivar on_content_filter: whether another target may be asked what one has refused.
    :ivar hedge: None is no second attempt.
    :ivar effects: the vendor does more than answer (it keeps, runs or queues something), so what may have been
        carried out is not sent again.
    """

    deadline: float = 120.0
    max_attempts: int = 6
    mid_stream: Literal["error", "restart", "continue", "unseen"] = "error"
    on_content_filter: Literal["stop", "next"] = "stop"
    hedge: HedgeSettings | None = None
    effects: bool = False
