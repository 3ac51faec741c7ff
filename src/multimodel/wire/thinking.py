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
or a JSON answer (unless the quirk ``json_needs`` is ``any``), and where earlier turns with tool calls must have their
thinking with them and have none: ``all`` of them, or those since the ``latest`` message of the user, as the quirk
``tool_turns`` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..types import NamedTool, ReasoningPart, Request
from . import Dialect
from .requests import denied, is_prefill

__all__ = ["Defaults", "Thinking", "thinking"]

_BUDGETS = {"minimal": 4096, "low": 4096, "medium": 16384}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a format does where a vendor's quirks say nothing.

    :ivar reasoning: the quirk ``reasoning``.
    :ivar switch: the quirk ``thinking_switch`` where ``reasoning`` is ``effort``.
    :ivar efforts: the quirk ``efforts``, under the vendor's own.
    """

    reasoning: str
    switch: str | None = None
    efforts: Mapping[str, Any] = field(default_factory=dict)

    def switch_of(self, dialect: Dialect) -> str | None:
        """Name the field that turns thinking on and off, if there is one."""
        mode = dialect.quirks.get("reasoning", self.reasoning)
        found: str | None = dialect.quirks.get(
            "thinking_switch", self.switch if mode == "effort" else "enable_thinking"
        )
        return found


@dataclass(frozen=True, slots=True)
class Thinking:
    """What to send, and whether the model will think (None: the vendor decides)."""

    fields: Mapping[str, Any]
    on: bool | None = None


def thinking(request: Request, dialect: Dialect, *, defaults: Defaults, losses: list[tuple[str, str]]) -> Thinking:
    """Say how hard to think; add to ``losses`` what the vendor is not asked for.

    :raises PolicyDeniedError: when the model cannot be told so.
    """
    effort = request.reasoning_effort
    wanted = effort is not None and effort != "none"
    quirks, always = dialect.quirks, dialect.thinking == "always"
    mode = quirks.get("reasoning", defaults.reasoning)
    if mode == "none" or dialect.thinking == "none":
        if wanted:
            raise denied("`reasoning_effort`")
        return Thinking({}, on=False if dialect.thinking == "none" else None)
    if always and effort == "none":
        raise denied("`reasoning_effort: none`")
    switch = defaults.switch_of(dialect)
    off = _why_off(request, dialect) if switch is not None else None
    if not always:
        off = off or _foreign_turns(request, dialect)
    if always:
        if off:
            raise denied(f"{off} while the model thinks")
        switch = None
    if effort is None and (switch is None or dialect.thinking != "hybrid"):
        return Thinking({}, on=always or None)
    on = wanted or (effort is None and bool(quirks.get("thinking_default", False)))
    if on and off:
        if wanted:
            losses.append(("reasoning_effort", f"thinking was switched off: the vendor does not think with {off}"))
        on = wanted = False
    fields = _switched(switch, on=on)
    if wanted or (effort == "none" and switch is None):
        fields |= _degree(str(effort), dialect, mode, defaults.efforts)
    return Thinking(fields, on or always)


def _why_off(request: Request, dialect: Dialect) -> str | None:
    """Say why a model whose thinking can be switched must not think, if so."""
    if isinstance(request.tool_choice, NamedTool) or request.tool_choice == "required":
        return "a forced tool"
    if is_prefill(request):
        return "the beginning of an answer"
    wants_json = request.response_format is not None and request.response_format.type != "text"
    if wants_json and dialect.thinking != "always" and dialect.quirks.get("json_needs") != "any":
        return "a JSON answer"
    return None


def _foreign_turns(request: Request, dialect: Dialect) -> str | None:
    """Say whether turns with tool calls lack the thinking that the vendor would refuse to go on without."""
    which = dialect.quirks.get("tool_turns")
    if which is None:
        return None
    for message in reversed(request.messages):
        if message.role == "user" and which == "latest":
            return None
        plain = isinstance(message.content, str)
        if message.tool_calls and (plain or not any(isinstance(part, ReasoningPart) for part in message.content)):
            return "tool calls that another model made"
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
