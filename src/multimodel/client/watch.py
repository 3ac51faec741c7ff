"""The span of a call that OpenTelemetry is to hear of, and what is told of its targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..config import Policy
from ..engine import Call
from ..observe import CallSpan, Peer, Telemetry, Unwatched
from ..types import Target
from .targets import Planned

__all__ = ["peers", "watched"]


def watched(
    telemetry: Telemetry,
    operation: str,
    call: Call,
    policy: Policy,
    planned: Sequence[Planned],
    content: Callable[[], Mapping[str, Any]] = dict,
    *,
    stream: bool | None = None,
) -> Unwatched:
    """Return the span of a call that is about to begin.

    :param planned: the targets that may be asked.
    :param content: tells what was asked and answered, if that is captured.
    :param stream: whether answers come piece by piece; None is as the route says.
    """
    return CallSpan(telemetry, operation, call, peers(planned, stream=stream), policy.fingerprint, content)


def peers(planned: Sequence[Planned], *, stream: bool | None = None) -> Callable[[Target], Peer]:
    """Return what tells of the targets of a call."""

    def tell(target: Target) -> Peer:
        one = next(one for one in planned if one.plan.target is target)
        account, plan = one.account, one.plan
        url = urlsplit("" if account.given else account.setup.base_url or "")
        return Peer(
            provider=account.profile.otel or account.profile.name,
            stream=plan.stream if stream is None else stream,
            jurisdiction=plan.jurisdiction,
            address=url.hostname,
            port=url.port or _PORTS.get(url.scheme),
            here=account.profile.adapter == "local",
        )

    return tell


_PORTS = {"https": 443, "http": 80}
