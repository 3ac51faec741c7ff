"""What a stand-in vendor is told to say, and what it keeps of each request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ..types import FinishReason, ToolCall, Usage

__all__ = ["Outcome", "Reply", "Says", "VendorRequest", "WireName", "as_reply", "fragments", "pieces", "text_of"]

WireName = Literal["openai", "compatible", "dashscope"]
Outcome = Literal["pending", "answered", "client_closed", "vendor_closed"]

_WORD = re.compile(r"\s*\S+\s*")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    :ivar text: the words; they come one by one in a stream.
    :ivar reasoning: the model's thinking, before the text. Left out where the request switches thinking off.
    :ivar tool_calls: calls of tools, after the text.
    :ivar finish_reason: None means ``tool_calls`` when there are any, else ``stop``.
    :ivar usage: None means: a token is a word.

    >>> Reply("It is sunny.").ends_with
    'stop'
    >>> Reply(tool_calls=(ToolCall(id="call_1", name="weather", arguments='{"city": "Lima"}'),)).ends_with
    'tool_calls'
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None

    @property
    def ends_with(self) -> FinishReason:
        """The finish reason that goes over the wire."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")


@dataclass(slots=True, eq=False)
class VendorRequest:
    """One request as the vendor saw it. It goes on changing until ``outcome`` is no longer ``pending``.

    :ivar index: 0 for the first request since the vendor was started.
    :ivar connection: number of the connection it came on.
    :ivar wire: which wire the path belongs to; None for an unknown path.
    :ivar headers: names in lower case.
    :ivar body: the parsed JSON, or None when there was none or it is broken.
    :ivar at: when it had arrived, on ``time.monotonic()``.
    :ivar ended: when the last byte was handed to the network, or either side closed.
    :ivar client_closed: when the client closed the connection before the answer was over, or None.
    :ivar fault: name of the fault it met, for instance ``cut(after=3)``.
    :ivar status: the HTTP status that was meant to be sent.
    """

    index: int
    connection: int
    method: str
    path: str
    wire: WireName | None
    headers: dict[str, str] = field(repr=False)
    body: dict[str, Any] | None = field(repr=False)
    at: float
    bytes_received: int
    stream: bool = False
    bytes_sent: int = 0
    status: int | None = None
    fault: str | None = None
    outcome: Outcome = "pending"
    ended: float | None = None
    client_closed: float | None = None

    @property
    def request_id(self) -> str:
        """What its answer says in ``x-request-id``."""
        return f"00000000-0000-4000-8000-{self.index:012d}" if self.wire == "dashscope" else f"req_{self.index}"

    @property
    def model(self) -> str:
        """The model that is asked for, or an empty text."""
        return str((self.body or {}).get("model") or "")

    @property
    def options(self) -> dict[str, Any]:
        """Where this wire keeps the options: the body itself, or ``parameters``."""
        body = self.body or {}
        found = body.get("parameters") if self.wire == "dashscope" else body
        return found if isinstance(found, dict) else {}

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation; a native ``prompt`` counts as one message."""
        body = self.body or {}
        found: Any = body.get("messages")
        if self.wire == "dashscope":
            given = body.get("input")
            holder = given if isinstance(given, dict) else {}
            found = holder.get("messages")
            if found is None and isinstance(holder.get("prompt"), str):
                found = [{"role": "user", "content": holder["prompt"]}]
        return [message for message in found if isinstance(message, dict)] if isinstance(found, list) else []

    @property
    def text(self) -> str:
        """The text of the last message of the user."""
        users = [message for message in self.messages if message.get("role") == "user"]
        return text_of(users[-1].get("content")) if users else ""


Says: TypeAlias = "str | Reply | Callable[[VendorRequest], str | Reply] | None"
"""What ``FaultyVendor.answer`` takes; None means that the vendor makes something up that fits the request."""


def text_of(content: object) -> str:
    """Return the text of a message's content, whichever wire it came on."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def as_reply(said: str | Reply) -> Reply:
    """Return a text as a reply."""
    return Reply(said) if isinstance(said, str) else said


def pieces(text: str, words: int = 1) -> list[str]:
    """Cut a text into pieces of some words; joined, they are the text again.

    >>> pieces("one two  three", 2)
    ['one two  ', 'three']
    """
    found = _WORD.findall(text) or ([text] if text else [])
    return found if words == 1 else ["".join(found[start : start + words]) for start in range(0, len(found), words)]


def fragments(arguments: str, size: int = 8) -> list[str]:
    """Cut the arguments of a tool call as vendors do: without regard for JSON.

    >>> fragments('{"city":"Lima"}')
    ['{"city":', '"Lima"}']
    """
    return [arguments[start : start + size] for start in range(0, len(arguments), size)]
