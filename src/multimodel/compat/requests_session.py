"""A session of requests whose adapter is a policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override

from ..wire.inbound import InboundCodec
from .serving import Answer, Body, HTTPCall, serve
from .transport import PREFIX

if TYPE_CHECKING:
    from ..client import Client

__all__ = ["session"]


def session(client: Client, codec: InboundCodec) -> requests.Session:
    """Return a session that the policy answers, whatever the address."""
    made = requests.Session()
    made.trust_env = False
    adapter = _Adapter(client, codec)
    for scheme in ("http://", "https://"):
        made.mount(scheme, adapter)
    return made


class _Adapter(HTTPAdapter):
    def __init__(self, client: Client, codec: InboundCodec) -> None:
        super().__init__()
        self._client = client
        self._codec = codec

    @override
    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        body = request.body
        call = HTTPCall(
            request.method or "GET",
            request.path_url.partition("?")[0].partition(PREFIX)[2],
            {name.lower(): str(value) for name, value in request.headers.items()},
            body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b"",
            timeout[-1] if isinstance(timeout, tuple) else timeout,
        )
        answer = serve(self._client, self._codec, call)
        if answer.timed_out:
            raise requests.ReadTimeout("the answer took longer than `timeout`", request=request)
        return self.build_response(request, _Raw(answer))


class _Raw:
    """As much of a response of urllib3 as requests reads."""

    def __init__(self, answer: Answer[Body]) -> None:
        self.status = answer.status
        self.reason = HTTPStatus(answer.status).phrase
        self.headers: Mapping[str, str] = answer.headers
        self._body = answer.body

    def stream(self, amount: int, decode_content: bool) -> Iterator[bytes]:  # noqa: ARG002, FBT001  # urllib3's signature
        return iter((self._body,) if isinstance(self._body, bytes) else self._body)

    def close(self) -> None:
        if not isinstance(self._body, bytes):
            self._body.close()
