"""A conversation that began anywhere, as one vendor takes it.

1. Each tool call has an id of its own in the whole conversation, and its result says the same one. An id that a
   vendor refuses is replaced; the beginning of a conversation that has grown keeps its ids, so prompt caches hold.
2. A result follows the turn that asked for it, and each call has one: :func:`unpaired` finds what is not so.
3. What a vendor has no word for is left out and named as a loss.

Quirks that are implemented here:

=================== =====================================================================================
``tool_ids``        ``{min, max, also}``: how long ids are, and which characters besides ASCII letters and digits they
                    may have (without ``also``: any)
``system``          ``first``: system text stands at the beginning only, as one message
``turns``           ``alternate``: no two messages of the same role follow each other
``cache_control``   true: marks for the prompt cache are understood
``file_ids``        true: files kept at the vendor can be named
=================== =====================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from ..types import FilePart, Message, Part, TextPart, ToolCall
from . import Dialect
from .requests import denied

__all__ = ["fitted", "tool_ids", "unpaired"]

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 24
_MOST = 1 << 16
_BETWEEN = "\n\n"

Losses = list[tuple[str, str]]


def unpaired(messages: tuple[Message, ...]) -> str | None:
    """Say which message has a tool's result that no call before it asked for, or a call without its result."""
    open_calls: list[str] = []
    asked = 0
    for place, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                return f"`messages.{place}`: no tool call right before it has the id `{_short(message.tool_call_id)}`"
            open_calls.remove(message.tool_call_id)
            continue
        if open_calls:
            return f"`messages.{asked}`: the tool call `{_short(open_calls[0])}` has no result before the next message"
        if message.tool_calls:
            asked, open_calls = place, [call.id for call in message.tool_calls]
    return f"`messages.{asked}`: the tool call `{_short(open_calls[0])}` has no result" if open_calls else None


def tool_ids(messages: Iterable[Message]) -> frozenset[str]:
    """Return the ids of all tool calls of a conversation."""
    return frozenset(call.id for message in messages for call in message.tool_calls)


def fitted(messages: tuple[Message, ...], dialect: Dialect, losses: Losses) -> tuple[Message, ...]:
    """Return the conversation as the vendor takes it; add to ``losses`` what that leaves out.

    :raises PolicyDeniedError: when the latest turn needs what the vendor has no word for.
    """
    quirks = dialect.quirks
    if len(messages) > 1:
        messages = _with_ids(messages, quirks.get("tool_ids") or {})
        if quirks.get("system") == "first":
            messages = _system_first(messages, losses)
        if quirks.get("turns") == "alternate":
            messages = _alternating(messages, losses)
    if all(isinstance(message.content, str) for message in messages):
        return messages
    latest = max((place for place, message in enumerate(messages) if message.role == "user"), default=0)
    return tuple(_understood(message, quirks, losses, latest=place >= latest) for place, message in enumerate(messages))


# --- ids of tool calls -----------------------------------------------------------------------------


def _with_ids(messages: tuple[Message, ...], rule: Mapping[str, Any]) -> tuple[Message, ...]:
    given = [call.id for message in messages for call in message.tool_calls]
    if not given or (len(set(given)) == len(given) and all(_fits(one, rule) for one in given)):
        return messages
    taken: set[str] = set()
    counts: dict[str, int] = {}
    pending: list[tuple[str, str]] = []  # of the turn that asked last: its ids, and ours
    said: list[Message] = []
    for message in messages:
        if message.tool_calls:
            pending = [(call.id, _named(call.id, rule, taken, counts)) for call in message.tool_calls]
            calls = tuple(_renamed(call, name) for call, (_, name) in zip(message.tool_calls, pending, strict=True))
            said.append(message.model_copy(update={"tool_calls": calls}))
        elif message.role == "tool":
            found = next((pair for pair in pending if pair[0] == message.tool_call_id), None)
            if found is not None:
                pending.remove(found)
                said.append(message.model_copy(update={"tool_call_id": found[1]}))
            else:
                said.append(message)
        else:
            said.append(message)
    return tuple(said)


def _named(identity: str, rule: Mapping[str, Any], taken: set[str], counts: dict[str, int]) -> str:
    """Return the id itself where it fits and is free, else one made of it; it is taken from then on.

    :param counts: by id, the number of the name that was made of it last: none before that is free again.
    """
    name, count = identity if _fits(identity, rule) else _made(identity, rule), counts.get(identity, 1)
    while name in taken:
        count += 1
        name = f"{identity}-{count}"
        if not _fits(name, rule):
            name = _made(name, rule)
    taken.add(name)
    counts[identity] = count
    return name


def _fits(identity: str, rule: Mapping[str, Any]) -> bool:
    if not rule:
        return True
    if not rule.get("min", 1) <= len(identity) <= rule.get("max", _MOST):
        return False
    if "also" not in rule and rule.get("min", 1) == 1:
        return True
    return all(letter in _LETTERS or letter in rule.get("also", "") for letter in identity)


def _made(identity: str, rule: Mapping[str, Any]) -> str:
    """Return letters and digits that follow from an id."""
    number = int.from_bytes(sha256(identity.encode("utf-8", "surrogatepass")).digest())
    letters = []
    for _ in range(min(rule.get("max", _LENGTH), max(rule.get("min", 1), _LENGTH))):
        number, digit = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[digit])
    return "".join(letters)


def _renamed(call: ToolCall, name: str) -> ToolCall:
    return call if call.id == name else call.model_copy(update={"id": name})


def _short(identity: str | None) -> str:
    return (identity or "")[:40]


# --- roles -----------------------------------------------------------------------------------------


def _system_first(messages: tuple[Message, ...], losses: Losses) -> tuple[Message, ...]:
    system = [message for message in messages if message.role == "system"]
    if not system or (len(system) == 1 and messages[0] is system[0]):
        return messages
    if any(message.role == "system" for message in messages[len(system) :]):
        losses.append(("system", "system text of later turns was moved to the beginning of the conversation"))
    first = system[0]
    for message in system[1:]:
        first = _joined(first, message, losses)
    return (first, *(message for message in messages if message.role != "system"))


def _alternating(messages: tuple[Message, ...], losses: Losses) -> tuple[Message, ...]:
    said: list[Message] = []
    for message in messages:
        if said and said[-1].role == message.role != "tool" and not said[-1].tool_calls:
            said[-1] = _joined(said[-1], message, losses)
        else:
            said.append(message)
    return tuple(said)


def _joined(first: Message, then: Message, losses: Losses) -> Message:
    """Return two messages of one role as one."""
    content: str | tuple[Part, ...]
    if isinstance(first.content, str) and isinstance(then.content, str):
        content = _BETWEEN.join(filter(None, (first.content, then.content)))
    else:
        content = (*_parts(first), TextPart(text=_BETWEEN), *_parts(then))
    name = first.name if first.name == then.name else None
    if name != first.name or name != then.name:
        losses.append(("name", "of speakers whose messages had to become one, no name was sent"))
    return then.model_copy(update={"content": content, "name": name})


def _parts(message: Message) -> tuple[Part, ...]:
    if isinstance(message.content, str):
        return (TextPart(text=message.content),) if message.content else ()
    return message.content


# --- parts -----------------------------------------------------------------------------------------


def _understood(message: Message, quirks: Mapping[str, Any], losses: Losses, *, latest: bool) -> Message:
    """Return a message without the marks and references that mean nothing to the vendor."""
    if isinstance(message.content, str):
        return message
    parts: list[Part] = []
    for part in message.content:
        kept: Part | None = part
        if getattr(part, "cache_control", None) is not None and not quirks.get("cache_control"):
            losses.append(("cache_control", "marks for the prompt cache were not sent"))
            kept = part.model_copy(update={"cache_control": None})
        if isinstance(kept, FilePart) and kept.id is not None and not quirks.get("file_ids"):
            kept = _without_id(kept, losses, latest=latest)
        if kept is not None:
            parts.append(kept)
    same = len(parts) == len(message.content) and all(
        one is two for one, two in zip(parts, message.content, strict=True)
    )
    return message if same else message.model_copy(update={"content": tuple(parts)})


def _without_id(part: FilePart, losses: Losses, *, latest: bool) -> FilePart | None:
    """Return the document without the name that another vendor gave it; of an earlier turn nothing may be left."""
    if part.url is not None or part.data is not None:
        return part.model_copy(update={"id": None})
    if latest:
        raise denied("a file that another vendor keeps")
    losses.append(("file_id", "a file of an earlier turn was left out: another vendor keeps it"))
    return None
