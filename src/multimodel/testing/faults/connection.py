"""Faults of the listening socket, and of a connection before it has sent headers."""

from __future__ import annotations

from dataclasses import replace

from ..answer import Answer, Move, Script
from .base import Fault, fault, pause

__all__ = [
    "close_before_headers",
    "deaf",
    "endless_headers",
    "garbage",
    "informational",
    "partial_headers",
    "redirect",
    "refuse",
    "reset_before_headers",
    "silent",
    "slow_headers",
    "tls_expired",
    "tls_missing",
    "tls_untrusted",
    "tls_wrong_host",
    "unanswered",
]


def refuse() -> Fault:
    """Refuse connections, as a port where nobody listens. Connections that are idle are closed."""
    return Fault("refuse()", _closes, door="refused")


def unanswered() -> Fault:
    """Never answer a SYN, as a host that is gone (Linux: the queue of connections is kept full)."""
    return Fault("unanswered()", _closes, door="unanswered")


def deaf() -> Fault:
    """Accept connections and never read from them: with https, a handshake that stalls."""
    return Fault("deaf()", _closes, door="deaf")


def tls_expired() -> Fault:
    """Show a certificate that ended yesterday."""
    return Fault("tls_expired()", Answer.script, door="expired")


def tls_wrong_host() -> Fault:
    """Show a certificate of another host."""
    return Fault("tls_wrong_host()", Answer.script, door="wrong_host")


def tls_untrusted() -> Fault:
    """Show a certificate that another authority has signed."""
    return Fault("tls_untrusted()", Answer.script, door="untrusted")


def tls_missing() -> Fault:
    """Speak HTTP on the port of https."""
    return Fault("tls_missing()", Answer.script, door="plain")


def _closes(_answer: Answer) -> Script:
    yield Move.CLOSE


@fault
def silent(answer: Answer, seconds: float | None = None) -> Script:
    """Read the request and answer after ``seconds``; never, when that is None."""
    yield from pause(seconds)
    yield from answer.script()


@fault
def reset_before_headers(answer: Answer) -> Script:  # noqa: ARG001  # nothing of it is sent
    """Read the request, then send RST."""
    yield Move.RESET


@fault
def close_before_headers(answer: Answer) -> Script:  # noqa: ARG001  # nothing of it is sent
    """Read the request, then send FIN."""
    yield Move.CLOSE


@fault
def slow_headers(answer: Answer, every: float = 1.0) -> Script:
    """Send the answer one byte every ``every`` seconds."""
    for action in answer.script():
        for byte in action if isinstance(action, bytes) else b"":
            yield bytes((byte,))
            yield every


@fault
def partial_headers(answer: Answer, hang: bool = False) -> Script:  # noqa: FBT001, FBT002  # the fault's own word
    """Send half of the headers, then FIN; ``hang``: then nothing."""
    head = answer.head()
    yield head[: len(head) // 2]
    yield Move.HANG if hang else Move.CLOSE


@fault
def endless_headers(answer: Answer) -> Script:
    """Send headers and never finish them."""
    yield answer.head()[: -len(b"\r\n")]
    while True:
        yield b"x-filler: " + b"x" * 1000 + b"\r\n"


@fault
def garbage(answer: Answer) -> Script:  # noqa: ARG001  # nothing of it is sent
    """Send bytes that are no HTTP, then close."""
    yield b"\x16\x03\x01\x00\xfe not http at all \x00\xff\r\n\r\n"
    yield Move.CLOSE


@fault
def informational(answer: Answer, count: int = 1000) -> Script:
    """Send ``count`` informational answers (103) before the real one."""
    for _ in range(count):
        yield b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n"
    yield from answer.script()


@fault
def redirect(answer: Answer, to: str = "http://127.0.0.1:9/elsewhere", status: int = 307) -> Script:
    """Point to another place, which a client must not follow with a key."""
    yield replace(answer, status=status).head(0, [("location", to)])
