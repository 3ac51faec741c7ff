"""Media by address, fetched for vendors that take bytes only.

1. A name is looked up once; where one of its addresses is not public, nothing is fetched: private, loopback, link-local,
   multicast and reserved ones, and IPv6 that carries an IPv4 address. The connection goes to an address that was
   looked at, at port 80 or 443, with the name of the host for TLS.
2. No redirect is followed, no proxy and no cookie is used, nothing is sent but the request itself.
3. At most 20 MB, and 50 MB a call, of a content type that fits the kind of the part.
4. It takes no longer than the attempt has for its first content; what it takes is taken from the vendor.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import httpcore2

from ..errors import CallError, error_for
from ..types import Attempt, AudioPart, FilePart, ImagePart, VideoPart
from .http_limits import WIRE, Wire, async_pool, blocking_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Medium", "afetch", "fetch", "is_public"]

MOST = 20_000_000
MOST_A_CALL = 50_000_000
_OK = 200
_REDIRECTS = range(300, 400)
_IN_USE = IPv6Network("2000::/3")
"""All of IPv6 that is given out to the internet (RFC 4291); addresses that carry IPv4 lie outside, but for two kinds."""
_NOT_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("168.63.129.16/32", "192.88.99.0/24", "192.0.0.0/24")),  # Azure's host, 6to4 relays, protocols
    *map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),  # protocols, examples, 6to4, examples
)
_UNTYPED = "application/octet-stream"

MediaPart = ImagePart | AudioPart | VideoPart | FilePart


@dataclass(frozen=True, slots=True)
class Medium:
    """What was fetched."""

    data: bytes
    media_type: str


def is_public(address: str) -> bool:
    """Whether an address is one that the whole internet reaches.

    >>> [is_public(one) for one in ("93.184.215.14", "10.0.0.1", "127.0.0.1", "169.254.169.254", "::ffff:8.8.8.8")]
    [True, False, False, False, False]
    """
    try:
        found: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:  # an IPv6 address with a zone is of this machine's own link
        return False
    if isinstance(found, IPv6Address) and (found.scope_id or found not in _IN_USE):
        return False
    if any(found in network for network in _NOT_PUBLIC):
        return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is trusted: all that is public, at the ports of the web, with the system's certificates."""

    allowed: Callable[[str], bool] = is_public
    ca_file: Path | None = None
    ports: Container[int] = (80, 443)


_rules = _Rules()


def fetch(part: MediaPart, attempt: Attempt, fetched: int) -> Medium:
    """Fetch on the caller's thread.

    :param fetched: bytes that the call has fetched already.
    :raises PolicyDeniedError: it cannot, or must not, be had.
    :raises DeadlineExceededError: the call's time is over.
    """
    request, taking = _request(part, attempt, fetched)
    with _failures(attempt), blocking_pool(str(part.url), None, _rules.ca_file, _checked) as pool:
        response = pool.handle_request(request)
        try:
            taking.head(response)
            for chunk in response.iter_stream():
                taking.add(chunk)
        finally:
            response.close()
    return taking.medium()


async def afetch(part: MediaPart, attempt: Attempt, fetched: int) -> Medium:
    """Fetch on the running event loop; the twin of :func:`fetch`."""
    request, taking = _request(part, attempt, fetched)
    with _failures(attempt):
        async with async_pool(str(part.url), None, _rules.ca_file, _checked) as pool:
            response = await pool.handle_async_request(request)
            try:
                taking.head(response)
                async for chunk in response.aiter_stream():
                    taking.add(chunk)
            finally:
                await response.aclose()
    return taking.medium()


class _Taking:
    """One answer as it comes."""

    def __init__(self, part: MediaPart, fetched: int) -> None:
        self._part = part
        self._fetched = fetched
        self._data = bytearray()
        self._type = ""

    def head(self, response: httpcore2.Response) -> None:
        """Take status and headers."""
        headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        if response.status in _REDIRECTS:
            raise _denied("the address only points elsewhere, and no redirect is followed")
        if response.status != _OK:
            raise _denied(f"its server answered with status {response.status}")
        if headers.get(b"content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise _denied("it comes in an encoding that was not asked for")
        self._type = self._fitting(headers.get(b"content-type", "").partition(";")[0].strip().lower())
        length = headers.get(b"content-length", "")
        if length.isdecimal():
            self._limit(int(length))

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._data += chunk
        self._limit(len(self._data))

    def medium(self) -> Medium:
        """Return the whole."""
        return Medium(bytes(self._data), self._type)

    def _limit(self, size: int) -> None:
        if size > MOST:
            raise _denied("it is larger than 20 MB")
        if self._fetched + size > MOST_A_CALL:
            raise _denied("the media of the call are together larger than 50 MB")

    def _fitting(self, stated: str) -> str:
        kind, declared = self._part.type, self._part.media_type
        if stated in ("", _UNTYPED) and declared is not None:
            return declared
        fits = (
            stated.startswith(f"{kind}/")
            if kind != "file"
            else stated not in ("", "text/html", "application/xhtml+xml")
        )
        if not fits:
            raise _denied(f"its content type `{stated[:40]}` is none of a part of type `{kind}`")
        return stated


def _request(part: MediaPart, attempt: Attempt, fetched: int) -> tuple[httpcore2.Request, _Taking]:
    address = part.url or ""
    try:
        url = httpcore2.URL(address)
    except (ValueError, UnicodeError, httpcore2.UnsupportedProtocol, httpcore2.LocalProtocolError):
        url = None
    if (
        url is None
        or url.scheme not in (b"http", b"https")
        or not url.host
        or "@" in address.partition("://")[2].split("/")[0]
    ):
        raise _denied("its address is not one that can be fetched: http or https, without a name and a password")
    if url.port is not None and url.port not in _rules.ports:
        raise _denied("its port is neither 80 nor 443")
    limits = attempt.limits
    WIRE.set(Wire(attempt.now, limits, stream=attempt.stream, given_up=attempt.given_up, check=attempt.check))
    port = b"" if url.port is None else b":%d" % url.port
    host = b"[%b]" % url.host if b":" in url.host else url.host
    headers = {b"host": host + port, b"user-agent": b"multimodel", b"accept": b"*/*", b"accept-encoding": b"identity"}
    timeout = {"connect": limits.connect, "pool": limits.connect, "read": None, "write": None}
    request = httpcore2.Request("GET", url, headers=list(headers.items()), extensions={"timeout": timeout})
    return request, _Taking(part, fetched)


def _checked(addresses: Sequence[str]) -> Sequence[str]:
    """Return the addresses of a name, unless one of them is not public: it may be meant to lead inside."""
    if not addresses or not all(map(_rules.allowed, addresses)):
        raise _denied("the name of its host leads to an address that is not public")
    return addresses


@contextmanager
def _failures(attempt: Attempt) -> Iterator[None]:
    try:
        yield
    except CallError:
        raise
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
        if attempt.now() >= attempt.limits.deadline:
            raise error_for("deadline_exceeded", "the call's deadline passed while a medium was fetched") from None
        late = isinstance(error, httpcore2.TimeoutException)
        raise _denied("it did not come in time" if late else "the connection failed") from None


def _denied(why: str) -> CallError:
    return error_for("policy_denied", f"a medium was not fetched: {why}", code="media")
