"""One attempt is one request: litellm follows no redirect and does not ask again after a failure.

litellm builds its HTTP clients itself, in another way for each family of vendors, and shares them with everybody in
the process: none can be handed to it for all vendors. So the one method through which they send is wrapped, once a
process, in the classes of httpx, httpx2 and aiohttp. Outside an attempt of this adapter the wrapper does nothing.

1. In an attempt no request follows a redirect, whatever the client or the caller says: the answer 3xx is a failure.
2. Once a POST failed, by its status or by the network, no other one goes to that URL in the same attempt.
3. An attempt that was given up stays bound: litellm may still be at work on it.
4. Where it is known which hosts an attempt may open, no request goes to another one.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from ..errors import error_for

__all__ = ["AskedAgainError", "Sending", "bind_clients", "sending"]


class AskedAgainError(Exception):
    """litellm wanted to repeat a request that failed; the cause is that failure."""


class Sending:
    """What one attempt has sent.

    :param hosts: the hosts that it may open; None is any.
    :ivar answered: whether a POST was answered well.
    """

    def __init__(self, hosts: frozenset[str] | None = None) -> None:
        self._hosts = hosts
        self.over = False
        self.answered = False
        self._failed: dict[str, Exception] = {}

    def before(self, request: Any) -> None:
        """Let a request pass.

        :raises AskedAgainError: if it would repeat one that failed.
        :raises PolicyDeniedError: if it goes to a host that the policy does not allow.
        """
        self.allow(request.url.host)
        failed = self._failed.get(str(request.url)) if request.method == "POST" else None
        if failed is not None:
            raise AskedAgainError from failed

    def allow(self, host: str | None) -> None:
        """Let a request to ``host`` pass.

        :raises PolicyDeniedError: if the policy does not allow it.
        """
        if self._hosts is not None and host not in self._hosts:
            raise error_for("policy_denied", "the host is none that the policy allows for this target", code="host")

    def after(self, request: Any, failed: Exception | None) -> None:
        """Remember how a request ended."""
        if failed is not None:
            self._failed[str(request.url)] = failed
        elif request.method == "POST":
            self.answered = True


sending: ContextVar[Sending | None] = ContextVar("multimodel.litellm.sending", default=None)
"""Whose attempt runs here. Tasks and threads that litellm starts with a copy of the context inherit it."""


def bind_clients() -> None:
    """Wrap the methods through which litellm sends. To be called once a process."""
    import aiohttp
    import httpx
    import httpx2

    for library in (httpx, httpx2):
        library.Client.send = _bound(library.Client.send, library)
        library.AsyncClient.send = _abound(library.AsyncClient.send, library)
    aiohttp.ClientSession.post = _bound_post(aiohttp.ClientSession.post)  # type: ignore[method-assign]  # there is no seam for all sessions


def _bound(send: Any, library: Any) -> Any:
    @wraps(send)
    def bound(client: Any, request: Any, **options: Any) -> Any:
        attempt = _current()
        if attempt is None:
            return send(client, request, **options)
        attempt.before(request)
        try:
            answer = send(client, request, **{**options, "follow_redirects": False})
        except Exception as error:
            attempt.after(request, error)
            raise
        attempt.after(request, _failure(answer, library))
        return answer

    return bound


def _abound(send: Any, library: Any) -> Any:
    @wraps(send)
    async def bound(client: Any, request: Any, **options: Any) -> Any:
        attempt = _current()
        if attempt is None:
            return await send(client, request, **options)
        attempt.before(request)
        try:
            answer = await send(client, request, **{**options, "follow_redirects": False})
        except Exception as error:
            attempt.after(request, error)
            raise
        attempt.after(request, _failure(answer, library))
        return answer

    return bound


def _bound_post(post: Any) -> Any:
    """Only ``aiohttp_openai/`` uses it directly."""

    @wraps(post)
    def bound(session: Any, url: Any, **options: Any) -> Any:
        attempt = _current()
        if attempt is None:
            return post(session, url, **options)
        attempt.allow(urlsplit(str(url)).hostname)
        return post(session, url, **{**options, "allow_redirects": False})

    return bound


def _current() -> Sending | None:
    attempt = sending.get()
    return None if attempt is None or attempt.over else attempt


def _failure(answer: Any, library: Any) -> Exception | None:
    if answer.is_success:
        return None
    failed: Exception = library.HTTPStatusError(f"status {answer.status_code}", request=answer.request, response=answer)
    return failed
