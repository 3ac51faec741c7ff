"""Thinking that a vendor wants back: collected from an answer, and given back with the turn it belongs to.

Three forms are known. ``thinking_blocks`` are Anthropic's, as litellm hands them out: a text with its signature, or
``redacted_thinking``. ``reasoning_details`` are OpenRouter's; they go back as they came. ``reasoning_content`` is plain
text, which a vendor gets back where the quirk ``preserve_thinking`` says so: true, or ``tools`` for turns with tool
calls only. Whose thinking it is, is for the caller to look at: what stands in a message here is the vendor's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..types import Message, Part, ReasoningPart
from . import Dialect

__all__ = ["Sealed", "given_back"]

_PIECES = ("text", "summary", "data")
_NOT_ASKED_TO_THINK = "signed thinking of earlier turns was left out: the model is not asked to think now"
_NOT_TAKEN_BACK = "the vendor does not take back what was thought in earlier turns"


class Sealed:
    """The sealed thinking of one answer, put together from its pieces. False while there is none."""

    __slots__ = ("_blocks", "_details")

    def __init__(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._details: list[tuple[dict[str, Any], dict[str, list[str]]]] = []  # each with its texts in pieces

    def __bool__(self) -> bool:
        return bool(self._blocks or self._details)

    def take(self, *, blocks: object = None, details: object = None) -> None:
        """Take what one message or delta has. What is none of the known forms is left out."""
        for block in blocks if isinstance(blocks, list) else ():
            if isinstance(block, Mapping):
                self._add_block(block)
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, Mapping):
                self._add_detail(detail)

    def parts(self) -> tuple[ReasoningPart, ...]:
        """Return it as parts of a message. A text without a signature is not sealed, and is left out."""
        if self._details:
            details = [one | {name: "".join(texts) for name, texts in pieces.items()} for one, pieces in self._details]
            return tuple(ReasoningPart(text=str(one.get("text") or ""), data=one) for one in details)
        return tuple(
            ReasoningPart(text="".join(one["text"]), signature=one["signature"], data=one["data"])
            for one in self._blocks
            if one["signature"] or one["data"]
        )

    def _add_block(self, block: Mapping[str, Any]) -> None:
        """A piece goes on with the block before it until that has its signature."""
        text, signature, data = block.get("thinking"), block.get("signature"), block.get("data")
        last = self._blocks[-1] if self._blocks else None
        if last is None or last["signature"] or last["data"] or data:
            last = {"text": [], "signature": None, "data": None}
            self._blocks.append(last)
        last["text"].append(text if isinstance(text, str) else "")
        last["signature"] = signature if isinstance(signature, str) and signature else None
        last["data"] = data if isinstance(data, str) and data else None

    def _add_detail(self, detail: Mapping[str, Any]) -> None:
        """Pieces of one kind with the same index are one; of what is no text the latest holds."""
        last, pieces = self._details[-1] if self._details else (None, {})
        same = ("type", "index")
        if last is None or "index" not in detail or any(last.get(name) != detail.get(name) for name in same):
            self._details.append((dict(detail), {}))
            return
        for name, value in detail.items():
            if name in _PIECES and isinstance(value, str) and isinstance(last.get(name), str):
                pieces.setdefault(name, [last[name]]).append(value)
            elif value is not None:
                pieces.pop(name, None)
                last[name] = value


def given_back(
    message: Message, dialect: Dialect, losses: list[tuple[str, str]], *, thinks: bool = True
) -> dict[str, Any]:
    """Return the fields of a turn that bring its thinking back; add to ``losses`` what the vendor does not take.

    :param thinks: whether the model is asked to think now: Anthropic refuses blocks of thinking where it is not.
    """
    if isinstance(message.content, str) or not (parts := _thoughts(message.content)):
        return {}
    details = [part.data for part in parts if isinstance(part.data, dict)]
    if details:
        return {"reasoning_details": details}
    blocks = [_block(part) for part in parts if part.sealed]
    if blocks and thinks:
        return {"thinking_blocks": blocks}
    wanted = dialect.quirks.get("preserve_thinking")
    if not blocks and (wanted is True or (wanted == "tools" and message.tool_calls)):
        text = "".join(part.text for part in parts)
        return {"reasoning_content": text} if text else {}
    losses.append(("reasoning", _NOT_ASKED_TO_THINK if blocks else _NOT_TAKEN_BACK))
    return {}


def _thoughts(content: Iterable[Part]) -> list[ReasoningPart]:
    return [part for part in content if isinstance(part, ReasoningPart)]


def _block(part: ReasoningPart) -> dict[str, Any]:
    if part.data is not None:
        return {"type": "redacted_thinking", "data": part.data}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}
