"""A session of aiohttp whose connections end in a policy, in process.

aiohttp has no seam above the bytes of HTTP/1.1, so each of its connections is answered as a server would, without a
socket. One connection serves one request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import h11
from aiohttp.client_proto import ResponseHandler
from typing_extensions import override

from ..wire.inbound import InboundCodec
from .serving import Answer, AsyncBody, HTTPCall, aserve
from .transport import PREFIX

if TYPE_CHECKING:
    from ..client import AsyncClient

__all__ = ["session"]


def session(client: AsyncClient, codec: InboundCodec) -> aiohttp.ClientSession:
    """Return a session that the policy answers, whatever the address."""
    return aiohttp.ClientSession(connector=_Connector(client, codec))


class _Connector(aiohttp.BaseConnector):
    def __init__(self, client: AsyncClient, codec: InboundCodec) -> None:
        super().__init__(force_close=True)
        self._client = client
        self._codec = codec

    @override
    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> ResponseHandler:
        loop = asyncio.get_running_loop()
        protocol = ResponseHandler(loop)
        given = timeout.total if timeout.total is not None else timeout.sock_read
        protocol.connection_made(_Connection(loop, protocol, self._client, self._codec, given))
        return protocol


class _Connection(asyncio.Transport):
    """The server's side of one connection."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: ResponseHandler,
        client: AsyncClient,
        codec: InboundCodec,
        timeout: float | None,
    ) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._client = client
        self._codec = codec
        self._timeout = timeout
        self._http = h11.Connection(h11.SERVER)
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._readable = asyncio.Event()
        self._readable.set()
        self._closing = False

    # --- what aiohttp calls

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._http.receive_data(bytes(data))
        while self._task is None and (event := self._http.next_event()) is not h11.NEED_DATA:
            match event:
                case h11.Request():
                    self._request = event
                case h11.Data():
                    self._body += event.data
                case h11.EndOfMessage():
                    self._task = self._loop.create_task(self._serve())

    @override
    def pause_reading(self) -> None:
        self._readable.clear()

    @override
    def resume_reading(self) -> None:
        self._readable.set()

    @override
    def is_closing(self) -> bool:
        return self._closing

    @override
    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._loop.call_soon(self._protocol.connection_lost, None)

    @override
    def abort(self) -> None:
        self.close()

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    # --- the answer

    async def _serve(self) -> None:
        request = self._request
        assert request is not None
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers}
        path = request.target.decode("ascii").partition("?")[0].partition(PREFIX)[2]
        call = HTTPCall(request.method.decode(), path, headers, bytes(self._body), self._timeout)
        try:
            await self._send(await aserve(self._client, self._codec, call))
        finally:
            self.close()

    async def _send(self, answer: Answer[AsyncBody]) -> None:
        head = list(answer.headers.items())
        self._give(h11.Response(status_code=answer.status, headers=[*head, ("connection", "close")]))
        if isinstance(answer.body, bytes):
            self._give(h11.Data(answer.body))
        else:
            try:
                async for piece in answer.body:
                    await self._readable.wait()
                    self._give(h11.Data(piece))
            finally:
                await answer.body.aclose()
        self._give(h11.EndOfMessage())

    def _give(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._protocol.data_received(data)
