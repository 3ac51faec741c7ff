"""An ASGI application that streams an answer to a browser as server-sent events.

Run it with any ASGI server: ``uvicorn stream_to_web:app``. When the browser leaves, the vendor's connection is closed.
"""

import asyncio
import json
from typing import Any

from multimodel import AsyncClient, MultimodelError, Restarted, TextDelta

client = AsyncClient()  # one for the whole process


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    question = json.loads((await receive())["body"])["question"]
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]},
    )
    answering = asyncio.create_task(answer(question, send))
    leaving = asyncio.create_task(left(receive))
    await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
    for task in (answering, leaving):
        task.cancel()  # a cancelled answer closes its connection to the vendor
    await asyncio.gather(answering, leaving, return_exceptions=True)


async def answer(question: str, send: Any) -> None:
    try:
        async with client.stream("chat", question) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    await say(send, "text", event.text)
                elif isinstance(event, Restarted):
                    await say(send, "restart", str(event.target))  # the page throws away what it shows
            await say(send, "end", str(stream.completion.target))
    except MultimodelError as error:
        await say(send, "error", type(error).__name__)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def say(send: Any, kind: str, data: str) -> None:
    body = f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def live(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await client.aclose()
    await send({"type": "lifespan.shutdown.complete"})


async def left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
