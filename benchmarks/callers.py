"""The ways of asking that are compared. Each imports its library when it is made, so that a process has one."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

__all__ = ["CALLERS", "MESSAGES", "Caller", "quiet_litellm"]

MESSAGES = [{"role": "user", "content": "Name three risks of a single vendor."}]
KEY = "sk-benchmark"
CONNECTIONS = 4000
LIMIT = 60.0  # seconds for whatever is limited


class Caller(Protocol):
    """One library, asked for a whole answer or for a stream of its text, on a thread or on an event loop."""

    def whole(self) -> str: ...
    async def awhole(self) -> str: ...
    def stream(self, model: str) -> Iterator[str]: ...
    def astream(self, model: str) -> AsyncIterator[str]: ...


class Raw:
    """httpx2 and json alone: what an application would write that needs nothing else."""

    def __init__(self, url: str) -> None:
        import httpx2

        settings: dict[str, Any] = {
            "headers": {"authorization": f"Bearer {KEY}"},
            "timeout": LIMIT,
            "limits": httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=100),
        }
        self._client = httpx2.Client(**settings)
        self._async = httpx2.AsyncClient(**settings)
        self._url = f"{url}/chat/completions"

    def whole(self) -> str:
        response = self._client.post(self._url, json={"model": "fixed", "messages": MESSAGES})
        response.raise_for_status()
        return str(response.json()["choices"][0]["message"]["content"])

    async def awhole(self) -> str:
        response = await self._async.post(self._url, json={"model": "fixed", "messages": MESSAGES})
        response.raise_for_status()
        return str(response.json()["choices"][0]["message"]["content"])

    def stream(self, model: str) -> Iterator[str]:
        with self._client.stream("POST", self._url, json=self._streamed(model)) as response:
            response.raise_for_status()
            for line in response.iter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    choices = json.loads(line[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        yield text

    async def astream(self, model: str) -> AsyncIterator[str]:
        async with self._async.stream("POST", self._url, json=self._streamed(model)) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("data: ") and line != "data: [DONE]":
                    choices = json.loads(line[6:])["choices"]
                    if choices and (text := choices[0]["delta"].get("content")):
                        yield text

    @staticmethod
    def _streamed(model: str) -> dict[str, Any]:
        return {"model": model, "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}


class RawStreamed(Raw):
    """The same, which gathers a whole answer from a stream: what multimodel does on the wire as it comes."""

    def whole(self) -> str:
        return "".join(self.stream("fixed"))

    async def awhole(self) -> str:
        return "".join([text async for text in self.astream("fixed")])


class OpenAI:
    """The SDK of OpenAI, without its repeats."""

    def __init__(self, url: str) -> None:
        import httpx2
        import openai

        limits = httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=100)
        settings: dict[str, Any] = {"base_url": url, "api_key": KEY, "max_retries": 0, "timeout": LIMIT}
        self._client = openai.OpenAI(**settings)
        self._async = openai.AsyncOpenAI(**settings, http_client=openai.DefaultAsyncHttpxClient(limits=limits))

    def whole(self) -> str:
        return _said(self._client.chat.completions.create(model="fixed", messages=MESSAGES))

    async def awhole(self) -> str:
        return _said(await self._async.chat.completions.create(model="fixed", messages=MESSAGES))

    def stream(self, model: str) -> Iterator[str]:
        for chunk in self._client.chat.completions.create(model=model, messages=MESSAGES, **_STREAMED):
            yield from _delta(chunk)

    async def astream(self, model: str) -> AsyncIterator[str]:
        async for chunk in await self._async.chat.completions.create(model=model, messages=MESSAGES, **_STREAMED):
            for text in _delta(chunk):
                yield text


class LiteLLM:
    """``litellm.completion``, without its repeats."""

    def __init__(self, url: str) -> None:
        litellm = quiet_litellm()
        self._call, self._acall = litellm.completion, litellm.acompletion
        self._settings: dict[str, Any] = {"api_base": url, "api_key": KEY, "max_retries": 0, "timeout": LIMIT}
        self._prefix = "openai/"

    def whole(self) -> str:
        return _said(self._call(model=f"{self._prefix}fixed", messages=MESSAGES, **self._settings))

    async def awhole(self) -> str:
        return _said(await self._acall(model=f"{self._prefix}fixed", messages=MESSAGES, **self._settings))

    def stream(self, model: str) -> Iterator[str]:
        for chunk in self._call(model=self._prefix + model, messages=MESSAGES, **_STREAMED, **self._settings):
            yield from _delta(chunk)

    async def astream(self, model: str) -> AsyncIterator[str]:
        name = self._prefix + model
        async for chunk in await self._acall(model=name, messages=MESSAGES, **_STREAMED, **self._settings):
            for text in _delta(chunk):
                yield text


class Router(LiteLLM):
    """``litellm.Router`` over one deployment for each model, without repeats."""

    MODELS = ("fixed", "burst-200", "burst-2200", "paced-100", "paced-600", "together-2000")

    def __init__(self, url: str) -> None:
        litellm = quiet_litellm()
        deployment = {"api_base": url, "api_key": KEY, "max_retries": 0, "timeout": LIMIT}
        models = [
            {"model_name": name, "litellm_params": {"model": f"openai/{name}", **deployment}} for name in self.MODELS
        ]
        router = litellm.Router(model_list=models, num_retries=0)
        self._call, self._acall = router.completion, router.acompletion
        self._settings, self._prefix = {}, ""


class Multimodel:
    """multimodel with a fallback in its chain; whole bodies on the wire, as with the others."""

    transfer = "whole"

    def __init__(self, url: str) -> None:
        from multimodel import AsyncClient, Client

        names = {"first": "sk-benchmark-1", "second": "sk-benchmark-2"}
        limits = {"connect": LIMIT, "first_content": LIMIT}
        policy = {
            "providers": {name: {"profile": "openai", "base_url": url, "api_key": key} for name, key in names.items()},
            "routes": {
                model: {"chain": [f"first:{model}", f"second:{model}"], "transfer": self.transfer, "timeouts": limits}
                for model in Router.MODELS
            },
        }
        self._client, self._async = Client(policy), AsyncClient(policy)

    def whole(self) -> str:
        return self._client.complete("fixed", MESSAGES).text

    async def awhole(self) -> str:
        return (await self._async.complete("fixed", MESSAGES)).text

    def stream(self, model: str) -> Iterator[str]:
        with self._client.stream(model, MESSAGES) as stream:
            yield from stream.text_deltas()

    async def astream(self, model: str) -> AsyncIterator[str]:
        async with self._async.stream(model, MESSAGES) as stream:
            async for text in stream.text_deltas():
                yield text


class MultimodelStreamed(Multimodel):
    """The same as it comes: a whole answer is streamed on the wire, eleven events here."""

    transfer = "stream"


CALLERS: dict[str, type[Any]] = {
    "raw httpx2": Raw,
    "raw httpx2, streamed": RawStreamed,
    "openai SDK": OpenAI,
    "litellm.completion": LiteLLM,
    "litellm.Router": Router,
    "multimodel": MultimodelStreamed,
    "multimodel, `transfer: whole`": Multimodel,
}
_STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


def quiet_litellm() -> Any:
    """Import litellm without its network, its `.env` and its words."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    for name in ("AIOHTTP_CONNECTOR_LIMIT", "AIOHTTP_CONNECTOR_LIMIT_PER_HOST"):
        os.environ.setdefault(name, str(CONNECTIONS))
    warnings.simplefilter("ignore")
    import litellm

    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    litellm.suppress_debug_info = True
    return litellm


def _said(answer: Any) -> str:
    return str(answer.choices[0].message.content)


def _delta(chunk: Any) -> Iterator[str]:
    if chunk.choices and (text := chunk.choices[0].delta.content):
        yield text
