"""Whose thinking a conversation holds: it goes back to the vendor and the family of models that wrote it, to no other."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from ..types import Message, Part, ReasoningPart, Request
from .targets import Planned

__all__ = ["VendorOf", "own_thinking"]

VendorOf: TypeAlias = "Callable[[str], tuple[str, str | None] | None]"
Lose: TypeAlias = "Callable[[str, str], None]"

_FAMILY = re.compile(r"[^\d.:_-]*")


def own_thinking(request: Request, planned: Planned, vendor_of: VendorOf, lose: Lose) -> Request:
    """Return a request with that thinking alone which the target, or its like, wrote.

    Plain thinking that does not say whose it is stays: it harms nobody who takes any. Of sealed thinking without an
    origin the text stays: no vendor accepts another's signature.

    :param vendor_of: profile and operator of a provider by its name, None when there is none.
    :param lose: is told of what is left out.
    """
    if all(isinstance(message.content, str) for message in request.messages):
        return request
    messages = tuple(_own(message, planned, vendor_of, lose) for message in request.messages)
    return request if messages == request.messages else request.model_copy(update={"messages": messages})


def _own(message: Message, planned: Planned, vendor_of: VendorOf, lose: Lose) -> Message:
    content = message.content
    if isinstance(content, str) or not any(isinstance(part, ReasoningPart) for part in content):
        return message
    parts: list[Part] = []
    for part in content:
        kept = _kept(part, planned, vendor_of, lose) if isinstance(part, ReasoningPart) else part
        if kept is not None:
            parts.append(kept)
    return message.model_copy(update={"content": tuple(parts)})


def _kept(part: ReasoningPart, planned: Planned, vendor_of: VendorOf, lose: Lose) -> ReasoningPart | None:
    what = "signature" if part.sealed else "reasoning"
    if part.origin is None:
        if not part.sealed:
            return part
        lose(what, "signed or encrypted thinking that does not say whose it is was left out")
        return part.model_copy(update={"signature": None, "data": None}) if part.text else None
    if _alike(part.origin, planned, vendor_of):
        return part
    lose(what, f"what `{part.origin}` thought was left out: it is of use to its vendor and family of models only")
    return None


def _alike(origin: str, planned: Planned, vendor_of: VendorOf) -> bool:
    """Whether a target is of the vendor, and its model of the family, that wrote something."""
    target = planned.plan.target
    if origin == str(target):
        return True
    provider, _, model = origin.partition(":")
    account = planned.account
    if _family(model) != _family(target.model):
        return False
    return provider == target.provider or vendor_of(provider) == (account.profile.name, account.operator)


def _family(model: str) -> tuple[str, str]:
    """Where a model is from, and its name up to the first digit or sign: ``claude`` of ``anthropic/claude-sonnet-4-6``."""
    place, _, name = model.lower().rpartition("/")
    found = _FAMILY.match(name)
    return place, found[0] if found is not None else name
