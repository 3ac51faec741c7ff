"""The span of a call that OpenTelemetry is to hear of, and what is told of its targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..engine import Call
from ..observe import CallSpan, Peer, Telemetry, Unwatched, conventions
from ..types import AnyRequest, Request, Target
from .request import with_defaults
from .targets import Planned

__all__ = ["peers", "watched"]


def watched(
    telemetry: Telemetry,
    call: Call,
    request: AnyRequest,
    planned: Sequence[Planned],
    content: Callable[[], Mapping[str, Any]] = dict,
) -> Unwatched:
    """Return the span of a call that is about to begin.

    :param planned: the targets that may be asked.
    :param content: tells what was asked and answered, if that is captured.
    """
    operation = "chat" if isinstance(request, Request) else "embeddings"
    return CallSpan(telemetry, operation, call, peers(call, request, planned), call.policy, content)


def peers(call: Call, request: AnyRequest, planned: Sequence[Planned]) -> Callable[[Target], Peer]:
    """Return what tells of the targets of a call."""

    def tell(target: Target) -> Peer:
        one = next(one for one in planned if one.plan.target is target)
        account, plan = one.account, one.plan
        url = urlsplit("" if account.given else account.setup.base_url or "")
        return Peer(
            provider=account.profile.otel or account.profile.name,
            stream=isinstance(request, Request) and (call.stream or plan.stream),
            asked=_asked(with_defaults(request, one.params) if isinstance(request, Request) else request),
            jurisdiction=plan.jurisdiction,
            address=url.hostname,
            port=url.port or _PORTS.get(url.scheme),
            here=account.profile.adapter == "local",
        )

    return tell


def _asked(request: AnyRequest) -> dict[str, str | int | float]:
    said = {name: getattr(request, option, None) for option, name in conventions.REQUEST.items()}
    form = getattr(request, "response_format", None)
    if form is not None:
        said[conventions.OUTPUT_TYPE] = "text" if form.type == "text" else "json"
    return {name: value for name, value in said.items() if value is not None}


_PORTS = {"https": 443, "http": 80}
