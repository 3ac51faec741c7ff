"""Real clients of the `openai` SDK over a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..wire.inbound_openai import OpenAIInbound
from .needs import check_async, check_blocking, module
from .transport import PREFIX, async_transport, transport

if TYPE_CHECKING:
    import openai

    from ..client import AsyncClient, Client

__all__ = ["async_openai_client", "openai_client"]

_BASE = f"http://multimodel.invalid{PREFIX}"
_KEY = "no key is needed"


def openai_client(client: Client, **options: Any) -> openai.OpenAI:
    """Return an ``openai.OpenAI`` that the policy answers: chat (whole, streamed, parsed), embeddings, models.

    ``client`` stays yours: closing the one that is returned does not close it.

    :param options: what ``openai.OpenAI`` takes, but ``base_url`` and ``http_client``. ``max_retries`` is 0 unless
        given.
    :raises ConfigurationError: `openai` is not installed, or the client is an ``AsyncClient``.

    >>> from multimodel import Client
    >>> from multimodel.testing import FakeProvider
    >>> policy = {"routes": {"chat": {"chain": ["fake:any"]}}, "aliases": {"gpt-4o": "chat"}}
    >>> client = openai_client(Client(policy, providers={"fake": FakeProvider(["Hello."])}))
    >>> answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
    >>> answer.model, answer.choices[0].message.content
    ('any', 'Hello.')
    """
    check_blocking(client)
    sdk = module("openai")
    http = _http(sdk)
    made: openai.OpenAI = sdk.OpenAI(
        base_url=_BASE,
        http_client=http.Client(transport=transport(http, client, OpenAIInbound())),
        **{"api_key": _KEY, "max_retries": 0, **options},
    )
    return made


def async_openai_client(client: AsyncClient, **options: Any) -> openai.AsyncOpenAI:
    """Return an ``openai.AsyncOpenAI`` that the policy answers: the twin of :func:`openai_client`.

    Cancelling a task that awaits it cancels the call.

    :param options: what ``openai.AsyncOpenAI`` takes, but ``base_url`` and ``http_client``. ``max_retries`` is 0
        unless given.
    :raises ConfigurationError: `openai` is not installed, or the client is a blocking one.

    >>> import asyncio
    >>> from multimodel import AsyncClient
    >>> from multimodel.testing import FakeProvider
    >>> policy = {"routes": {"chat": {"chain": ["fake:any"]}}}
    >>> client = async_openai_client(AsyncClient(policy, providers={"fake": FakeProvider(["Hello."])}))
    >>> async def main() -> str | None:
    ...     answer = await client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "Hi"}])
    ...     return answer.choices[0].message.content
    >>> asyncio.run(main())
    'Hello.'
    """
    check_async(client)
    sdk = module("openai")
    http = _http(sdk)
    made: openai.AsyncOpenAI = sdk.AsyncOpenAI(
        base_url=_BASE,
        http_client=http.AsyncClient(transport=async_transport(http, client, OpenAIInbound())),
        **{"api_key": _KEY, "max_retries": 0, **options},
    )
    return made


def _http(sdk: Any) -> Any:
    """Return the library that the SDK speaks HTTP with: since version 3 that is httpx2."""
    return module("httpx" if str(sdk.__version__).startswith(("1.", "2.")) else "httpx2")
