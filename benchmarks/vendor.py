"""A vendor of fixed bytes in a process of its own, so cheap that the caller is what a benchmark measures.

What a request gets is told by its model:

=================== =================================================================================
``fixed``           one whole answer, or as a stream the same answer in eight events
``burst-N``         a stream of N events, as fast as the socket takes them
``paced-N``         a stream of N events, one a millisecond: each is a read of its own
``together-N``      a stream that goes on when N of its kind are open, or ends after 30 s
=================== =================================================================================

A port may also be ``silent`` (accepts, never answers) or ``slow`` (answers after 1.5 s); each counts its requests.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from typing_extensions import override

__all__ = ["EVENTS_TOGETHER", "SLOW", "TEXT", "Vendor", "words"]

TEXT = "Three risks of a single vendor: price, silence, law."
EVENTS_TOGETHER = 10
SLOW = 1.5

_PIECES = re.findall(r"\S+\s*", TEXT)[:7]
_PIECES.append(TEXT.removeprefix("".join(_PIECES)))
_PATIENCE = 30.0
_COMMON = {"id": "chatcmpl-1", "created": 1790000000, "model": "fixed-1"}
_USAGE = {"prompt_tokens": 12, "completion_tokens": 10, "total_tokens": 22}
_MODEL = re.compile(rb'"model":\s*"([a-z]+)-?([0-9]*)"')
_STREAM = re.compile(rb'"stream":\s*true')


@dataclass(frozen=True, slots=True)
class Port:
    """Where one vendor of the process listens."""

    number: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.number}/v1"


def words(count: int) -> str:
    """The text of a stream of ``count`` events."""
    return "".join(f"word{number % 10} " for number in range(count))


class Vendor:
    """The process: ``with Vendor("ok", "silent") as vendor`` opens one port for each behaviour."""

    def __init__(self, *behaviours: str) -> None:
        self._behaviours = behaviours

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *self._behaviours], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ports = [Port(number) for number in self._line()]
        return self

    def requests(self) -> list[int]:
        """How many requests have come so far, by port."""
        assert self._process.stdin is not None
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> list[int]:
        assert self._process.stdout is not None
        numbers: list[int] = json.loads(self._process.stdout.readline())
        return numbers

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _head(kind: str, framing: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n".encode()


def _event(delta: dict[str, str], *, finish: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}] if usage is None else []
    answer = {**_COMMON, "object": "chat.completion.chunk", "choices": choices, "usage": usage}
    return _frame(f"data: {json.dumps(answer, separators=(',', ':'))}\n\n")


def _frame(text: str) -> bytes:
    return f"{len(text):x}\r\n{text}\r\n".encode()


def _whole() -> bytes:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    body = json.dumps({**_COMMON, "object": "chat.completion", "choices": choices, "usage": _USAGE}).encode()
    return _head("application/json", f"content-length: {len(body)}") + body


_OPENING = _head("text/event-stream", "transfer-encoding: chunked") + _event({"role": "assistant", "content": ""})
_WORDS = [
    _event({"content": word}) for word in re.findall(r"\S+ ", words(100))
]  # litellm breaks off at one word a hundred times
_CLOSING = _event({}, finish="stop") + _event({}, usage=_USAGE) + _frame("data: [DONE]\n\n") + b"0\r\n\r\n"
_FIXED_STREAM = _OPENING + b"".join(_event({"content": piece}) for piece in _PIECES) + _CLOSING
_FIXED_WHOLE = _whole()


class _Site:
    """One port, and what its connections share."""

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour
        self.requests = 0
        self.waiting = 0
        self.all_there = asyncio.Event()


class _Connection(asyncio.Protocol):
    def __init__(self, site: _Site) -> None:
        self._site = site
        self._taken = bytearray()
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    @override
    def pause_writing(self) -> None:
        self._writable.clear()

    @override
    def resume_writing(self) -> None:
        self._writable.set()

    @override
    def data_received(self, data: bytes) -> None:
        self._taken += data
        head, found, body = self._taken.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._taken.clear()
        self._answer(bytes(body))

    def _answer(self, body: bytes) -> None:
        site = self._site
        site.requests += 1
        model = _MODEL.search(body)
        assert model is not None
        count = int(model[2] or 0)
        if site.behaviour == "silent":
            return
        if site.behaviour == "slow":
            asyncio.get_running_loop().call_later(SLOW, self._fixed, body)
        elif model[1] == b"burst":
            self._task = asyncio.ensure_future(self._words(count, 0.0))
        elif model[1] == b"paced":
            self._task = asyncio.ensure_future(self._words(count, 0.001))
        elif model[1] == b"together":
            self._transport.write(_OPENING)
            self._task = asyncio.ensure_future(self._together(count))
        else:
            self._fixed(body)

    def _fixed(self, body: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_FIXED_STREAM if _STREAM.search(body) else _FIXED_WHOLE)

    async def _words(self, count: int, pause: float) -> None:
        self._transport.write(_OPENING)
        if pause:
            await self._rest(count, pause)
            return
        for _ in range(count // 100):
            await self._writable.wait()
            self._transport.write(b"".join(_WORDS))
        self._transport.write(_CLOSING)

    async def _together(self, count: int) -> None:
        site = self._site
        site.waiting += 1
        if site.waiting == count:
            site.all_there.set()
        try:
            await asyncio.wait_for(site.all_there.wait(), _PATIENCE)
        except TimeoutError:
            self._transport.abort()
            return
        finally:
            site.waiting -= 1
            if not site.waiting:
                site.all_there = asyncio.Event()
        await self._rest(EVENTS_TOGETHER)

    async def _rest(self, count: int, pause: float = 0.02) -> None:
        for number in range(count):
            await asyncio.sleep(pause)
            self._transport.write(_WORDS[number % 100])
        self._transport.write(_CLOSING)


async def _serve(behaviours: list[str]) -> None:
    loop = asyncio.get_running_loop()
    sites = [_Site(behaviour) for behaviour in behaviours]
    servers = [
        await loop.create_server(lambda site=site: _Connection(site), "127.0.0.1", 0, backlog=4096) for site in sites
    ]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps([site.requests for site in sites]), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1:]))
