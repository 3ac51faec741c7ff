"""System text of the policy's, put before the call's own."""

from __future__ import annotations

from ..types import Message, Request, TextPart

__all__ = ["prompted"]


def prompted(request: Request, text: str) -> Request:
    """Return ``request`` with ``text`` as the beginning of its system message.

    There is one system message, first: many models take no other. The call's own text follows after an empty line.
    """
    first, *rest = request.messages
    if first.role != "system":
        return request.model_copy(update={"messages": (Message(role="system", content=text), *request.messages)})
    content = (
        f"{text}\n\n{first.content}"
        if isinstance(first.content, str)
        else (TextPart(text=f"{text}\n\n"), *first.content)
    )
    return request.model_copy(update={"messages": (first.model_copy(update={"content": content}), *rest)})
