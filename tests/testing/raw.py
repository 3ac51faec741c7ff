"""The vendor as a bare socket sees it."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass

from multimodel.testing import FaultyVendor

PATIENCE = 10.0
"""Seconds to wait for what has to come."""
SILENCE = 0.2
"""Seconds after which a socket counts as silent, where nothing has to come."""

PATHS = {
    "openai": "/v1/chat/completions",
    "compatible": "/compatible-mode/v1/chat/completions",
    "dashscope": "/api/v1/services/aigc/text-generation/generation",
}


@dataclass
class Seen:
    """What came, and how it ended: ``whole``, ``eof``, ``reset`` or ``silence``."""

    data: bytes
    end: str

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        rest = self.data.partition(b"\r\n\r\n")[2]
        return unchunked(rest) if b"transfer-encoding: chunked" in self.head else rest

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def events(self) -> list[bytes]:
        return [event for event in self.body.split(b"\n\n") if event]


def unchunked(rest: bytes) -> bytes:
    found = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size or b"0", 16)
        found, rest = found + rest[:length], rest[length + 2 :]
        if not length:
            break
    return found


def request(
    wire: str = "openai", *, stream: bool = False, text: str = "Hi", headers: str = "", **options: object
) -> bytes:
    messages = [{"role": "user", "content": text}]
    if wire == "dashscope":
        headers += "X-DashScope-SSE: enable\r\n" if stream else ""
        options = {"result_format": "message", "incremental_output": stream, **options}
        body: dict = {"model": "m", "input": {"messages": messages}, "parameters": options}
    else:
        body = {"model": "m", "messages": messages, "stream": stream, **options}
    data = json.dumps(body).encode()
    head = f"POST {PATHS[wire]} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n{headers}\r\n"
    return head.encode() + data


def connect(vendor: FaultyVendor, patience: float = PATIENCE) -> socket.socket:
    return socket.create_connection(("127.0.0.1", vendor.port), timeout=patience)


def read(connection: socket.socket, limit: int = 50_000_000) -> Seen:
    """Read until the answer is whole, or ends otherwise."""
    data = b""
    while len(data) < limit:
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            return Seen(data, "reset")
        except TimeoutError:
            return Seen(data, "silence")
        if not more:
            return Seen(data, "eof")
        data += more
        if whole(data):
            return Seen(data, "whole")
    return Seen(data, "limit")


def whole(data: bytes) -> bool:
    head, found, body = data.partition(b"\r\n\r\n")
    if not found:
        return False
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(length) and len(body) >= int(length)


def ask(vendor: FaultyVendor, wire: str = "openai", *, patience: float = PATIENCE, **options: object) -> Seen:
    """One request on a connection of its own."""
    with connect(vendor, patience) as connection:
        connection.sendall(request(wire, **options))  # type: ignore[arg-type]
        return read(connection)
