"""``reasoning_effort`` in the words of vendors.

The quirk ``reasoning`` says which:

``effort``
    ``reasoning_effort``, its values renamed by the quirk ``efforts`` (a value of null leaves the field out).
``enable_thinking`` (or ``budget``)
    ``enable_thinking`` and a ``thinking_budget`` in tokens, from the quirk ``budgets`` over the defaults below.
    ``high`` and ``xhigh`` send no budget: the vendor's own maximum holds.
``none``
    the effort cannot be chosen.

The quirk ``thinking_switch`` names the field that turns thinking on and off, where it is not ``enable_thinking``:
``thinking_type`` is ``{"thinking": {"type": …}}``, ``chat_template`` is ``{"chat_template_kwargs": …}``.
A model whose thinking can be switched is always told: off, unless the request names an effort or the quirk
``thinking_default`` is true. What vendors do when told nothing differs by model, and ``max_tokens`` does not
bound thinking. Thinking is switched off where it would be refused: with a forced tool, the beginning of an answer,
or a JSON answer (unless the quirk ``json_needs`` is ``any``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..types import NamedTool, Request
from . import Dialect
from .requests import denied, is_prefill

__all__ = ["Thinking", "thinking", "why_not_think"]

_BUDGETS = {"minimal": 4096, "low": 4096, "medium": 16384}


@dataclass(frozen=True, slots=True)
class Thinking:
    """What to send, and whether the model will think (None: the vendor decides)."""

    fields: Mapping[str, Any]
    on: bool | None = None


def thinking(
    request: Request, dialect: Dialect, *, mode: str, off: str | None, notes: list[str], efforts: Mapping[str, Any]
) -> Thinking:
    """Say how hard to think.

    ``off`` is why thinking must be off, if it must; ``efforts`` are the values of the format, before the quirk's.

    :raises PolicyDeniedError: when the model cannot be told so.
    """
    effort = request.reasoning_effort
    wanted = effort is not None and effort != "none"
    quirks, always = dialect.quirks, dialect.thinking == "always"
    if mode == "none" or dialect.thinking == "none":
        if wanted:
            raise denied("`reasoning_effort`")
        return Thinking({}, on=False if dialect.thinking == "none" else None)
    if always and effort == "none":
        raise denied("`reasoning_effort: none`")
    if always and off:
        raise denied(f"{off} while the model thinks")
    switch = None if always else quirks.get("thinking_switch", None if mode == "effort" else "enable_thinking")
    if effort is None and (switch is None or dialect.thinking != "hybrid"):
        return Thinking({}, on=always or None)
    on = wanted or (effort is None and bool(quirks.get("thinking_default", False)))
    if on and off and switch is not None:
        if wanted:
            notes.append(f"thinking was switched off: the vendor does not think with {off}")
        on = wanted = False
    fields = _switched(switch, on=on)
    if wanted or (effort == "none" and switch is None):
        fields |= _degree(str(effort), dialect, mode, efforts)
    return Thinking(fields, on or always)


def why_not_think(request: Request, dialect: Dialect, *, json_needs: str) -> str | None:
    """Say why a model whose thinking can be switched must not think, if so. ``json_needs`` is the format's default."""
    if request.tools and (isinstance(request.tool_choice, NamedTool) or request.tool_choice == "required"):
        return "a forced tool"
    if is_prefill(request):
        return "the beginning of an answer"
    wants_json = request.response_format is not None and request.response_format.type != "text"
    if wants_json and dialect.quirks.get("json_needs", json_needs) == "non_thinking" and dialect.thinking != "always":
        return "a JSON answer"
    return None


def _switched(switch: str | None, *, on: bool) -> dict[str, Any]:
    match switch:
        case None:
            return {}
        case "thinking_type":
            return {"thinking": {"type": "enabled" if on else "disabled"}}
        case "chat_template":
            return {"chat_template_kwargs": {"enable_thinking": on}}
        case field:
            return {field: on}


def _degree(effort: str, dialect: Dialect, mode: str, efforts: Mapping[str, Any]) -> dict[str, Any]:
    if "thinking_budget" in dialect.extra or "reasoning_effort" in dialect.extra:
        return {}  # some models refuse both together, and what the caller spells out goes first
    quirks = dialect.quirks
    if mode == "effort":
        word = {**efforts, **quirks.get("efforts", {})}.get(effort, effort)
        return {} if word is None else {"reasoning_effort": word}
    budget = {**_BUDGETS, **quirks.get("budgets", {})}.get(effort)
    return {} if budget is None else {"thinking_budget": budget}
