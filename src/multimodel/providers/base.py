"""What an adapter is: one verb, a stream of events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from ..errors import CallError, error_for
from ..types import AnswerEvent, AnyRequest, Attempt
from .profile import Profile

__all__ = ["CHECK", "NO_WORD", "AsyncStreamProvider", "Key", "Provider", "ProviderSetup", "StreamProvider", "late"]

CHECK = 0.5
"""Seconds of one wait at most: then it is looked whether the vendor was cut off meanwhile."""


class StreamProvider(Protocol):
    """How to talk to one account at one endpoint, on the caller's thread.

    ``stream`` sends one request and yields its content, then exactly one ``Finished``. It raises
    :class:`~multimodel.errors.CallError` and nothing else for what a vendor or a network can do; it never
    retries. Closing the iterator early closes the connection at once. An adapter may also have ``close()``, called
    by ``Client.close()``, and ``aclose()``, called by ``AsyncClient.aclose()``; and ``retire()``, called on any thread
    when a policy is loaded that has no such account: it is to leave no connection behind once the calls that have it
    end. One without it is closed after them. An adapter's class that has
    ``with_key(key)`` returns from it the same for another credential, over the same connections, which that one does not
    close: views of a client then need none of their own.

    An adapter that also turns texts into vectors has the attribute ``embeds = True``. It is then asked for
    :class:`~multimodel.types.EmbedRequest` as well, and answers it with exactly one
    :class:`~multimodel.types.Vectors`. One without it is not asked.
    """

    def stream(self, attempt: Attempt) -> Iterator[AnswerEvent]:
        """Perform one attempt."""
        ...


class AsyncStreamProvider(Protocol):
    """The same on the running event loop."""

    def astream(self, attempt: Attempt) -> AsyncIterator[AnswerEvent]:
        """Perform one attempt."""
        ...


Provider: TypeAlias = StreamProvider | AsyncStreamProvider
"""An adapter has ``stream``, ``astream`` or both; whichever is missing is derived from the other."""


NO_WORD = 8
"""Characters of a key; what is shorter is `none`, `EMPTY` and the like, and no secret."""


class Key(Protocol):
    """A credential that does not show itself."""

    @property
    def fingerprint(self) -> str:
        """A few hexadecimal digits that tell keys apart without showing them."""
        ...

    def reveal(self) -> str:
        """Return the text itself; only where it is sent."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderSetup:
    """What an adapter is built from.

    :ivar name: the provider's name in the policy.
    :ivar profile: what the vendor is.
    :ivar base_url: the endpoint, without a trailing slash; None for adapters that need none.
    :ivar wire: the wire format's name; None for adapters that need none.
    :ivar key: the credential, or None.
    :ivar options: what else the policy says of this provider.
    """

    name: str
    profile: Profile
    base_url: str | None = None
    wire: str | None = None
    key: Key | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)  # a proxy's password may be in it


def late(attempt: Attempt[AnyRequest], *, content: bool) -> CallError:
    """Return what it means that the present limit of an attempt has passed.

    :param content: whether content came already.
    """
    limits = attempt.limits
    if attempt.now() >= limits.deadline:
        return error_for("deadline_exceeded", "the call's deadline passed during the attempt")
    if not attempt.stream:
        return error_for("timeout.whole", "no whole answer in time")
    if content:
        return error_for("timeout.idle", f"no content for {limits.idle:g} s")
    return error_for("timeout.first", "no content in time")
