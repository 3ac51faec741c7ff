"""One attempt, as an adapter sees it. Nothing here is ever changed; freezing it would cost each call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic

from typing_extensions import TypeVar

from .embed import AnyRequest
from .request import Request

__all__ = [
    "Attempt",
    "Limits",
]

AskedT_co = TypeVar("AskedT_co", bound=AnyRequest, default=Request, covariant=True)


@dataclass(slots=True)
class Limits:
    """How long one attempt may take. Instants are on the clock ``now``.

    :ivar connect: seconds to get a connection, TLS included.
    :ivar first_content: instant by which the first content must have come.
    :ivar idle: seconds between two contents.
    :ivar whole: instant by which a whole body must have come (with ``transfer: whole``).
    :ivar deadline: instant at which the call ends, whatever happens.
    """

    connect: float
    first_content: float
    idle: float
    whole: float
    deadline: float


@dataclass(slots=True)
class Attempt(Generic[AskedT_co]):
    """One request to put on the wire.

    :ivar request: what to ask; the defaults of route and target are already in it. An adapter that embeds may be
        asked for an :class:`~multimodel.types.EmbedRequest`, and is of ``Attempt[AnyRequest]``.
    :ivar model: the vendor's name of the model.
    :ivar stream: whether the answer should come as a stream.
    :ivar limits: see :class:`Limits`.
    :ivar now: the clock that the limits are measured on.
    :ivar note: call it with one sentence to put a remark into the report.
    :ivar check: raises once the attempt must end, because its vendor was cut off while it was under way; whoever waits for
        an answer calls it about once a second.
    :ivar hosts: the hosts that may be opened; None is any.
    :ivar lose: call it with a name and a sentence for what of the request the vendor does not get: see
        :class:`~multimodel.Loss`.
    :ivar path: which of the vendor's paths to use, when the catalogue's choice turned out wrong.
    :ivar given_up: on a thread of its own, whether nobody waits for the answer any more; None where closing the
        iterator says so.
    """

    request: AskedT_co
    model: str
    stream: bool
    limits: Limits
    now: Callable[[], float]
    note: Callable[[str], None] = field(default=lambda _text: None)
    path: str | None = None
    given_up: Callable[[], bool] | None = None
    lose: Callable[[str, str], None] = field(default=lambda _what, _detail: None)
    check: Callable[[], None] = field(default=lambda: None)
    hosts: frozenset[str] | None = None
