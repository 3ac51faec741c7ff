"""Transports for clients of httpx2, and of httpx as older SDKs use it, that a policy answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from ..wire.inbound import InboundCodec
from .serving import Answer, AsyncBody, Body, HTTPCall, aserve, serve

if TYPE_CHECKING:
    from ..client import AsyncClient, Client

__all__ = ["PREFIX", "async_transport", "transport"]

PREFIX = "/v1"
"""What ends a base URL: the path of a request is what follows it."""


def transport(http: Any, client: Client, codec: InboundCodec) -> Any:
    """Return a ``BaseTransport`` of ``http``, which is httpx2 or httpx."""
    return type("PolicyTransport", (_Transport, http.BaseTransport), {})(http, client, codec)


def async_transport(http: Any, client: AsyncClient, codec: InboundCodec) -> Any:
    """Return an ``AsyncBaseTransport`` of ``http``, which is httpx2 or httpx."""
    return type("AsyncPolicyTransport", (_AsyncTransport, http.AsyncBaseTransport), {})(http, client, codec)


class _Transport:
    def __init__(self, http: Any, client: Client, codec: InboundCodec) -> None:
        self._http = http
        self._client = client
        self._codec = codec
        self._stream = type("PolicyStream", (_Pieces, http.SyncByteStream), {})

    def handle_request(self, request: Any) -> Any:
        answer = serve(self._client, self._codec, _call(request, request.read()))
        return _response(self._http, request, answer, self._stream)


class _AsyncTransport:
    def __init__(self, http: Any, client: AsyncClient, codec: InboundCodec) -> None:
        self._http = http
        self._client = client
        self._codec = codec
        self._stream = type("AsyncPolicyStream", (_AsyncPieces, http.AsyncByteStream), {})

    async def handle_async_request(self, request: Any) -> Any:
        answer = await aserve(self._client, self._codec, _call(request, await request.aread()))
        return _response(self._http, request, answer, self._stream)


class _Pieces:
    def __init__(self, body: Body) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        self._body.close()


class _AsyncPieces:
    def __init__(self, body: AsyncBody) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._body)

    async def aclose(self) -> None:
        await self._body.aclose()


def _call(request: Any, body: bytes) -> HTTPCall:
    timeout = request.extensions.get("timeout", {}).get("read")
    path = request.url.path.partition(PREFIX)[2]
    return HTTPCall(
        request.method, path, {name.lower(): value for name, value in request.headers.items()}, body, timeout
    )


def _response(http: Any, request: Any, answer: Answer[Any], stream: Any) -> Any:
    if answer.timed_out:
        raise http.ReadTimeout("the answer took longer than the client's `timeout`", request=request)
    if isinstance(answer.body, bytes):
        return http.Response(answer.status, headers=answer.headers, content=answer.body, request=request)
    return http.Response(answer.status, headers=answer.headers, stream=stream(answer.body), request=request)
