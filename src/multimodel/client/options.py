"""The options of a call, for both clients and both verbs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from pydantic import JsonValue, ValidationError

from ..config.problems import did_you_mean
from ..config.residency import Residency
from ..errors import BadRequestError
from ..types import NamedTool, ReasoningEffort, ResponseFormat, ToolInput

__all__ = ["CallOptions", "Choices", "split_options"]

MidStream: TypeAlias = Literal["error", "restart", "continue"]


class CallOptions(TypedDict, total=False):
    """What may be said of one call besides route and messages. What is left out is left to route and vendor.

    ``temperature`` (0 to 2), ``top_p`` (above 0, at most 1), ``max_tokens``, ``stop`` (one string or several),
    ``seed``, ``tools`` (callables, :class:`~multimodel.Tool`, or JSON Schema as OpenAI has it), ``tool_choice``
    (``auto``, ``none``, ``required`` or the name of one tool in OpenAI's form), ``parallel_tool_calls``,
    ``reasoning_effort`` (``none`` to ``xhigh``), ``response_format`` (``{"type": "json_object"}`` or OpenAI's
    ``json_schema`` form).

    ``extra``: vendor-only options, ``{"dashscope": {"enable_search": True}}``; other vendors do not get them, and
    the report says so.

    ``deadline``: seconds for the whole call; it can only shorten the route's. ``only``, ``avoid``: targets,
    providers, operators or authors that alone, or not, may be asked. ``metadata``: words of yours for log events.
    ``mid_stream``: what becomes of a stream that breaks after its first content (``error``, ``restart``, ``continue``),
    in place of the route's. ``residency``: where data may be stored and inference may run, as in a route
    (``{"storage": ["EU"]}``); both rules hold.
    """

    temperature: float | None
    top_p: float | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    seed: int | None
    tools: Sequence[ToolInput] | None
    tool_choice: str | NamedTool | Mapping[str, Any] | None
    parallel_tool_calls: bool | None
    reasoning_effort: ReasoningEffort | None
    response_format: ResponseFormat | Mapping[str, Any] | None
    extra: Mapping[str, Mapping[str, JsonValue]] | None
    deadline: float | None
    only: Sequence[str] | None
    avoid: Sequence[str] | None
    metadata: Mapping[str, str] | None
    mid_stream: MidStream | None
    residency: Residency | Mapping[str, Sequence[str]] | None


@dataclass(frozen=True, slots=True)
class Choices:
    """The options that are not the vendor's business."""

    deadline: float | None = None
    only: Sequence[str] | None = None
    avoid: Sequence[str] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    mid_stream: MidStream | None = None
    residency: Residency | None = None


_NO_CHOICES = Choices()
_CHOICES = ("deadline", "only", "avoid", "metadata", "mid_stream", "residency")


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], Choices]:
    """Return the options of the request, and the choices of the call.

    :raises TypeError: an option that does not exist.
    :raises BadRequestError: a choice of the wrong kind, or a deadline that is no positive number of seconds.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if not given:
        return given, _NO_CHOICES
    for name in given:
        if name not in CallOptions.__annotations__:
            hint = did_you_mean(name, CallOptions.__annotations__)
            raise TypeError(f"unknown option `{name}`" + (f"; {hint}" if hint else ""))
    chosen = {name: given.pop(name) for name in _CHOICES if name in given}
    for name in ("only", "avoid"):
        if isinstance(chosen.get(name), str):
            chosen[name] = (chosen[name],)
        words = chosen.get(name, ())
        if not isinstance(words, Sequence | AbstractSet) or not all(isinstance(word, str) for word in words):
            raise BadRequestError(f"`{name}` must be a list of strings", hint="nothing was sent")
    metadata = chosen.get("metadata", {})
    if not isinstance(metadata, Mapping) or not all(isinstance(name, str) for name in metadata):
        raise BadRequestError("`metadata` must be a mapping with names as keys", hint="nothing was sent")
    deadline = chosen.get("deadline")
    if deadline is not None and not (isinstance(deadline, int | float) and 0 < deadline < math.inf):
        raise BadRequestError("`deadline` must be a positive number of seconds", hint="nothing was sent")
    mid_stream = chosen.get("mid_stream")
    if mid_stream is not None and mid_stream not in get_args(MidStream):
        raise BadRequestError("`mid_stream` is `error`, `restart` or `continue`", hint="nothing was sent")
    if "residency" in chosen:
        chosen["residency"] = _residency(chosen["residency"])
    return given, Choices(**chosen)


def _residency(given: object) -> Residency:
    try:
        return Residency.model_validate(given)
    except ValidationError:
        hint = 'write it as in `{"storage": ["EU"], "inference": ["DE", "FR"]}`; nothing was sent'
        raise BadRequestError("`residency` names no places", hint=hint) from None
