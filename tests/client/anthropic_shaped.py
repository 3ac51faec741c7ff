"""A stand-in for Anthropic's Messages on loopback: strict about ids, roles and signatures, and it signs what it thinks."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SIGNATURE = "c2lnbmVkIGJ5IHRoZSBzdGFuZC1pbg=="
_FIELDS = {"model", "messages", "system", "tools", "tool_choice", "max_tokens", "stream", "thinking", "temperature"}


class Messages:
    """What it says next, and what it saw.

    :ivar says: content blocks of the next answers, one list each.
    :ivar complaints: why requests were refused.
    """

    def __init__(self) -> None:
        self.says: list[list[dict[str, Any]]] = []
        self.bodies: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.url = ""

    def complaint(self, body: dict[str, Any]) -> str | None:
        if body.keys() - _FIELDS:
            return f"unknown fields {body.keys() - _FIELDS}"
        before, open_calls, seen = None, set[str](), set[str]()
        for place, message in enumerate(body["messages"]):
            if message["role"] == before or message["role"] not in ("user", "assistant"):
                return f"messages.{place}: roles must alternate"
            before = message["role"]
            content = message["content"]
            blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
            results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
            if results != open_calls:
                return f"messages.{place}: results {results} for calls {open_calls}"
            calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
            if seen & set(calls) or not all(re.fullmatch(r"[a-zA-Z0-9_-]+", one) for one in calls):
                return f"messages.{place}: ids {calls}"
            seen, open_calls = seen | set(calls), set(calls)
            for block in blocks:
                if block["type"] == "thinking" and block.get("signature") != SIGNATURE:
                    return f"messages.{place}: invalid signature"
        return "a call has no result" if open_calls else None


@contextmanager
def anthropic_shaped() -> Iterator[Messages]:
    """Run one."""
    state = Messages()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.bodies.append(body)
            complaint = state.complaint(body)
            if complaint is not None:
                state.complaints.append(complaint)
                error = {"type": "error", "error": {"type": "invalid_request_error", "message": complaint}}
                self._send(400, "application/json", json.dumps(error).encode())
                return
            events = "".join(
                f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _events(body, state.says.pop(0))
            )
            self._send(200, "text/event-stream", events.encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002  # its name in the base class

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def _events(body: dict[str, Any], blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": 10, "output_tokens": 5}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": []}
    yield {"type": "message_start", "message": {**head, "stop_reason": None, "stop_sequence": None, "usage": usage}}
    for index, block in enumerate(blocks):
        start, deltas = _block(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    reason = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


def _block(block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    match block["type"]:
        case "thinking":
            deltas = [
                {"type": "thinking_delta", "thinking": piece} for piece in re.findall(r"\S+\s*", block["thinking"])
            ]
            start = {"type": "thinking", "thinking": "", "signature": ""}
            return start, [*deltas, {"type": "signature_delta", "signature": SIGNATURE}]
        case "tool_use":
            arguments = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            return {**block, "input": {}}, [arguments]
        case "redacted_thinking":
            return block, []
        case _:
            return {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}]
