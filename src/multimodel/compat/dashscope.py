"""Sessions and clients of the `dashscope` SDK, both generations of it, over a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..wire.inbound_dashscope import DashScopeInbound
from .needs import check_async, check_blocking, module
from .transport import PREFIX, async_transport, transport

if TYPE_CHECKING:
    import aiohttp
    import dashscope
    import requests

    from ..client import AsyncClient, Client

__all__ = ["async_dashscope_client", "dashscope_async_session", "dashscope_client", "dashscope_session"]

_BASE = f"http://multimodel.invalid/api{PREFIX}"
_KEY = "no key is needed"


def dashscope_session(client: Client) -> requests.Session:
    """Return a ``requests.Session`` for the first generation's ``session=`` argument, which the policy answers.

    It serves ``Generation``, ``MultiModalConversation`` and ``TextEmbedding``, whatever the SDK's address is. The SDK
    wants an ``api_key``; nobody reads it.

    :raises ConfigurationError: `requests` is not installed, or the client is an ``AsyncClient``.

    >>> import dashscope
    >>> from multimodel import Client
    >>> from multimodel.testing import FakeProvider
    >>> policy = {"routes": {"chat": {"chain": ["fake:any"]}}, "aliases": {"qwen-plus": "chat"}}
    >>> session = dashscope_session(Client(policy, providers={"fake": FakeProvider(["Hello."])}))
    >>> messages = [{"role": "user", "content": "Hi"}]
    >>> dashscope.Generation.call(model="qwen-plus", messages=messages, api_key="-", session=session).output.text
    'Hello.'
    """
    check_blocking(client)
    module("requests")
    from .requests_session import session

    return session(client, DashScopeInbound())


def dashscope_async_session(client: AsyncClient) -> aiohttp.ClientSession:
    """Return an ``aiohttp.ClientSession`` for the first generation's ``session=`` argument, which the policy answers.

    It serves ``AioGeneration`` and ``AioMultiModalConversation``. Call it on the event loop that uses it, and close
    it there.

    :raises ConfigurationError: `aiohttp` is not installed, or the client is a blocking one.
    :raises RuntimeError: no event loop runs.
    """
    check_async(client)
    module("aiohttp")
    from .aiohttp_session import session

    return session(client, DashScopeInbound())


def dashscope_client(client: Client, **options: Any) -> dashscope.Client:
    """Return a ``dashscope.Client``, the second generation's, that the policy answers.

    :param options: what ``dashscope.Client`` takes, but ``base_url`` and ``http_client``. ``max_retries`` is 0 unless
        given.
    :raises ConfigurationError: `dashscope` is not installed, or the client is an ``AsyncClient``.
    """
    check_blocking(client)
    sdk, http = module("dashscope"), module("httpx")
    over = http.Client(base_url=_BASE, transport=transport(http, client, DashScopeInbound()))
    made: dashscope.Client = sdk.Client(
        base_url=_BASE, http_client=over, **{"api_key": _KEY, "max_retries": 0, **options}
    )
    return made


def async_dashscope_client(client: AsyncClient, **options: Any) -> dashscope.AsyncClient:
    """Return a ``dashscope.AsyncClient`` that the policy answers: the twin of :func:`dashscope_client`.

    :raises ConfigurationError: `dashscope` is not installed, or the client is a blocking one.
    """
    check_async(client)
    sdk, http = module("dashscope"), module("httpx")
    over = http.AsyncClient(base_url=_BASE, transport=async_transport(http, client, DashScopeInbound()))
    made: dashscope.AsyncClient = sdk.AsyncClient(
        base_url=_BASE, http_client=over, **{"api_key": _KEY, "max_retries": 0, **options}
    )
    return made
