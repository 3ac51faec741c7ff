"""What one call can cost, before anybody knows what it does, and what it may."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from json import dumps

from pydantic_core import to_json

from ..config.routes import Budget as BudgetConfig
from ..drivers.transcript import Transcript
from ..engine.budget import BudgetSettings, billionths
from ..engine.settings import TargetPlan
from ..providers.pricing import cost_at_most
from ..types import (
    AnyRequest,
    AudioPart,
    EmbedRequest,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    Request,
    Target,
    VideoPart,
)
from .targets import Planned

__all__ = ["CostAtMost", "budget_settings", "held_to", "tokens_at_most", "told_at_most"]

_OUTPUT = 8192
"""Tokens that an answer may take where neither the call nor the policy says ``max_tokens``, and a budget is kept."""
_LIMITS = ("max_tokens", "max_completion_tokens", "thinking_budget")
"""Vendor options by which a call may ask for more."""
_THOUGHT = 32_768
"""Tokens that are set aside for thinking which no limit of the call bounds, where the catalogue knows no limit."""
_MESSAGE = 16
"""Tokens with which chat templates frame a message."""
_MEDIA = {ImagePart: 8_192, AudioPart: 32_768, VideoPart: 131_072, FilePart: 131_072}
"""Tokens that are set aside for media; how many they are only the vendor knows."""


class CostAtMost:
    """The most that an attempt of one call can cost: its input in full, and an answer as long as it may be.

    :param said: what the caller has seen, with which another target goes on.
    :param amended: by target, what is said after the conversation.
    """

    __slots__ = ("_amended", "_input", "_planned", "_request", "_said")

    def __init__(
        self,
        request: AnyRequest,
        planned: Sequence[Planned],
        said: Transcript | None = None,
        amended: Mapping[Target, Sequence[Message]] | None = None,
    ) -> None:
        self._request = request
        self._planned = planned
        self._said = said
        self._amended = {} if amended is None else amended
        self._input: int | None = None

    def __call__(self, plan: TargetPlan, *, goes_on: bool) -> float | None:
        """Return US dollars; None when nobody knows the price."""
        planned = next(one for one in self._planned if one.plan.target is plan.target)
        if not planned.prices:
            return None
        if self._input is None:
            self._input = tokens_at_most(self._request)
        if not isinstance(self._request, Request):
            return _priced(planned, self._input, 0)
        taken = self._input
        taken += _bytes(self._said.text) if goes_on and self._said is not None else 0
        taken += sum(map(_message, self._amended.get(plan.target, ())))
        return _priced(planned, _with_prompt(planned, taken), _answer(self._request, planned))


def told_at_most(planned: Planned, taken: int, given: int, *, held: bool) -> float | None:
    """Return the most that a request of so many tokens costs in US dollars; None when nobody knows.

    :param given: the call's ``max_tokens``, 0 where it has none.
    :param held: whether a budget holds an answer without one.
    """
    request = Request.model_validate({"messages": [{"role": "user", "content": "-"}], "max_tokens": given or None})
    most = _answer(request, planned, held=held)
    if most >= sys.maxsize and any(price.output or price.thinking_output for price in planned.prices):
        return None
    return _priced(planned, _with_prompt(planned, taken), most)


def _with_prompt(planned: Planned, taken: int) -> int:
    return taken + (_bytes(planned.prompt.text) if planned.prompt is not None else 0)


def _priced(planned: Planned, taken: int, given: int) -> float | None:
    window = planned.plan.window
    return cost_at_most(planned.prices, taken if window is None else min(taken, window), given)


def held_to(request: Request, planned: Planned) -> int | None:
    """Return the limit that a budget puts on the answer's tokens; None where the call, or the policy, has one."""
    if request.max_tokens is not None or any(_limits(request, planned)):
        return None
    return min(planned.max_output, _OUTPUT)


def _answer(request: Request, planned: Planned, *, held: bool = True) -> int:
    """Tokens of the answer, thinking included, at most."""
    own: int | None = request.max_tokens or planned.params.get("max_tokens")
    limits = _limits(request, planned)
    most = max([own or 0, *limits]) or (min(planned.max_output, _OUTPUT) if held else planned.max_output)
    profile = planned.account.profile
    facts = profile.facts(planned.plan.target.model)
    effort = request.reasoning_effort or planned.params.get("reasoning_effort")
    thinks = effort not in (None, "none") or (facts is not None and facts.thinking == "always")
    quirks = {**profile.quirks, **(facts.quirks if facts is not None else {})}
    if thinks and quirks.get("reasoning") == "enable_thinking" and "max_tokens_field" not in quirks:
        most += planned.max_output if planned.max_output < sys.maxsize else _THOUGHT  # `max_tokens` leaves it free
    return most


def _limits(request: Request, planned: Planned) -> list[int]:
    """What the vendor's own options say about the answer's length."""
    said: list[int] = []
    for extra in (request.extra, planned.params.get("extra") or {}):
        for vendor in (planned.plan.target.provider, planned.account.profile.name):
            given = [extra.get(vendor, {}).get(name) for name in _LIMITS]
            said += [limit for limit in given if type(limit) is int and limit > 0]
    return said


def budget_settings(budget: BudgetConfig) -> BudgetSettings:
    """Return a route's budget as the engine wants it."""
    call, day = budget.per_call, budget.per_day
    return BudgetSettings(
        None if call is None else billionths(call),
        None if day is None else billionths(day),
        budget.then == "cheaper",
        budget.alarms,
    )


def tokens_at_most(request: AnyRequest) -> int:
    """Return more tokens than a request has: a token is at least one byte of its text."""
    if isinstance(request, EmbedRequest):
        return sum(_bytes(text) + _MESSAGE for text in request.inputs)
    tools = _bytes(dumps([tool.model_dump() for tool in request.tools], ensure_ascii=False)) if request.tools else 0
    format_ = request.response_format
    schema = len(to_json(format_.json_schema)) if format_ is not None and format_.json_schema is not None else 0
    return tools + schema + sum(map(_message, request.messages))


def _message(message: Message) -> int:
    tokens = _MESSAGE + sum(len(call.name) + _bytes(call.arguments) + _MESSAGE for call in message.tool_calls)
    if isinstance(message.content, str):
        return tokens + _bytes(message.content)
    for part in message.content:
        text = getattr(part, "text", None)
        tokens += _bytes(text) if text is not None else _MEDIA.get(type(part), 0)
        if isinstance(part, ReasoningPart):  # sealed thinking is input as well
            tokens += len(part.signature or "") + (len(to_json(part.data)) if part.data is not None else 0)
    return tokens


def _bytes(text: str) -> int:
    """Count halves of characters too: whoever writes the request refuses them."""
    return len(text.encode("utf-8", "surrogatepass"))
