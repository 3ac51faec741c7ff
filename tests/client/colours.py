"""The same test for both clients: one of them, and how to wait for what it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from multimodel import AsyncClient, Client

COLOURS = ["sync", "async"]


class Colour:
    """Opens clients of one colour and makes their calls; an event loop stays until all are closed."""

    def __init__(self, name: str, loop: asyncio.Runner) -> None:
        self._name = name
        self._loop = loop
        self._opened: list[Client | AsyncClient] = []

    def open(self, policy: object, **settings: Any) -> Client | AsyncClient:
        made = (Client if self._name == "sync" else AsyncClient)(policy, **settings)  # type: ignore[arg-type]
        self._opened.append(made)
        return made

    def ask(self, client: Client | AsyncClient, route: str = "chat", messages: object = "Hi", **options: Any) -> Any:
        answer = client.complete(route, messages, **options)  # type: ignore[arg-type]
        return answer if isinstance(client, Client) else self._loop.run(answer)  # type: ignore[arg-type]

    def embed(self, client: Client | AsyncClient, *args: Any, **options: Any) -> Any:
        answer = client.embed(*args, **options)
        return answer if isinstance(client, Client) else self._loop.run(answer)  # type: ignore[arg-type]

    def stream(self, client: Client | AsyncClient, **options: Any) -> Any:
        if isinstance(client, Client):
            with client.stream("chat", "Hi", **options) as stream:
                list(stream)
                return stream.completion

        async def read() -> Any:
            async with client.stream("chat", "Hi", **options) as stream:
                async for _ in stream:
                    pass
                return stream.completion

        return self._loop.run(read())

    def close(self, client: Client | AsyncClient) -> None:
        if isinstance(client, Client):
            client.close()
        else:
            self._loop.run(client.aclose())

    def close_all(self) -> None:
        for client in self._opened:
            self.close(client)


@contextmanager
def colour_of(name: str) -> Iterator[Colour]:
    with asyncio.Runner() as loop:
        colour = Colour(name, loop)
        try:
            yield colour
        finally:
            colour.close_all()
