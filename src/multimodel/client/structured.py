"""What a call's answer must be, and what follows when it is not: once more, the next target, or the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import JsonValue
from pydantic_core import from_json

from ..drivers.base import Driver
from ..drivers.transcript import Transcript
from ..engine import Call, End, TargetPlan
from ..errors import BadRequestError, CallError, ContentFilteredError, InvalidResponseError
from ..types import (
    Finished,
    Message,
    Request,
    ResponseFormat,
    Restarted,
    StreamEvent,
    Target,
    TextDelta,
    Tool,
    ToolCall,
)
from ..types.openai_shapes import tool_from_openai
from ..types.schema import MisfitError, Shape, arguments_of, partial_json

__all__ = ["Expected", "Judge", "Partials", "expected", "shape_for"]

_SHOWN = 8
_STEP = 16  # a longer answer is read when it has grown by a sixteenth: seventeen times its length in all


class Expected:
    """What the answer of one call must be.

    :param shape: None for any text.
    :param tools: what the caller offers, as it was given.
    :param others: whether the vendor may have tools of its own.
    """

    def __init__(self, shape: Shape[Any] | None, tools: Sequence[object] = (), *, others: bool = False) -> None:
        self.shape = shape
        self._tools = {_name(tool): tool for tool in tools}
        self._others = others

    def read(self, text: str, calls: Sequence[ToolCall]) -> object:
        """Return the answer as a value; None where no value was asked for, or where it calls tools.

        :raises MisfitError: when the answer or the arguments of a call do not fit.
        """
        problems = [problem for call in calls if (problem := self._problem(call)) is not None]
        if problems:
            raise MisfitError("the answer calls tools with what does not fit them", "; ".join(problems[:_SHOWN]))
        return None if calls or self.shape is None else self.shape.parse(text)

    def _problem(self, call: ToolCall) -> str | None:
        tool = self._tools.get(call.name)
        if tool is None:
            return f"there is no tool `{call.name[:64]}`" if self._tools and not self._others else None
        try:
            text = call.arguments or "{}"
            from_json(text, allow_inf_nan=False)
            _check_of(tool)(text)
        except MisfitError as misfit:
            return f"the arguments of `{call.name}`: {misfit.detail}"
        except ValueError:
            return f"the arguments of `{call.name}` are not JSON"
        return None


def shape_for(response_model: Any, asked: dict[str, Any]) -> Shape[Any] | None:
    """Read the type that the answer must be of, and ask for its schema among the options.

    :raises BadRequestError: when it cannot be asked for.
    """
    if response_model is None:
        return None
    if "response_format" in asked:
        raise BadRequestError("give `response_model` or `response_format`, not both", hint="nothing was sent")
    try:
        shape = Shape.of(response_model)
    except ValueError as error:
        raise BadRequestError(f"`response_model`: {error}", hint="nothing was sent") from error
    asked["response_format"] = ResponseFormat(
        type="json_schema", name=shape.name, json_schema=shape.schema, strict="auto"
    )
    return shape


def expected(request: Request, shape: Shape[Any] | None, tools: object) -> Expected | None:
    """Return what the answer to ``request`` must be; None where any will do.

    :param shape: of the type that was asked for; None leaves it to the request.
    :param tools: as the caller gave them.
    :raises BadRequestError: when the schema that is asked for is none.
    """
    wanted = request.response_format
    if shape is None and wanted is not None and wanted.type == "json_schema" and wanted.json_schema is not None:
        try:
            shape = Shape.from_schema(wanted.name, wanted.json_schema)
        except ValueError as error:
            raise BadRequestError(f"`response_format`: {error}", hint="nothing was sent") from error
    if shape is None and not request.tools:
        return None
    others = any("tools" in own for own in request.extra.values())
    return Expected(shape, tuple(tools) if isinstance(tools, Sequence) else (), others=others)


class Judge:
    """Judges the answers of one call, and says how it goes on.

    :param policy: the route's ``on_invalid_output``.
    :param plans: the targets of the call, in order.
    :param refused: keys of targets that are known to refuse schemas; shared between calls.
    :ivar asked_again: targets that are asked once more.
    :ivar amended: by target, what is said after the conversation when it is asked once more.
    """

    def __init__(
        self,
        call: Call,
        expected: Expected,
        policy: Literal["reask", "next", "stop"],
        plans: Sequence[TargetPlan],
        refused: set[str],
    ) -> None:
        self._call = call
        self._expected = expected
        self._policy = policy
        self._plans = plans
        self._refused = refused
        self._parsed: tuple[object] | None = None
        if expected.shape is not None and expected.shape.unchecked is not None:
            call.note(expected.shape.unchecked)
        self.asked_again: set[Target] = set()
        self.amended: dict[Target, tuple[Message, ...]] = {}

    def partials(self) -> Partials:
        """Return a reader of the answer while it comes."""
        shape = self._expected.shape
        return Partials(partial_json if shape is None else shape.partial)

    def parsed(self, end: End, finished: Finished, said: Transcript) -> object:
        """Return the value of an answer that is not asked for again, and keep it.

        :raises InvalidResponseError: when it does not fit.
        """
        if self._parsed is None:
            error = self._misfit(finished, said)
            if error is not None and end.plan is not None:
                error.target, error.provider = str(end.plan.target), end.plan.target.provider
                error.report = end.report
                raise error
        return self._parsed[0] if self._parsed is not None else None

    def further(self, driver: Driver, said: Transcript, now: float) -> list[TargetPlan]:
        """Judge how a part of the call ended, and return who is asked next; nobody when the call ends with it."""
        end = driver.end
        if end is None:
            return []
        if end.error is not None:
            return self._after_refusal(end.error)
        if end.plan is None or driver.finished is None:
            return []
        error = self._misfit(driver.finished, said)
        if error is None:
            return []
        self._record(end.plan, error)
        plans = self._after_misfit(end.plan, error, said.text)
        if not plans:
            ends = error if self._stops(error) else self._call.failure(now)
            ends.report = self._call.report(ends.kind, now)
            driver.end = End(ends.report, None, ends)
        return plans

    def _misfit(self, finished: Finished, said: Transcript) -> CallError | None:
        """Judge a whole answer; keep its value, or return what is wrong with it."""
        try:
            self._parsed = (self._expected.read(said.text, said.tool_calls),)
        except MisfitError as misfit:
            if finished.reason == "content_filter":
                return ContentFilteredError("the model refused, or moderation cut its answer", detail=misfit.detail)
            cut = "; a limit cut it" if finished.reason == "length" else ""
            return InvalidResponseError(f"{misfit}{cut}", kind="output_invalid", detail=misfit.detail)
        return None

    def _stops(self, error: CallError) -> bool:
        filtered = error.kind == "content_filtered" and self._call.settings.on_content_filter == "stop"
        return self._policy == "stop" or filtered or self._call.settings.effects

    def _after_misfit(self, plan: TargetPlan, error: CallError, said: str) -> list[TargetPlan]:
        if self._stops(error):
            return []
        rest = self._rest(plan)
        if self._policy != "reask" or error.kind == "content_filtered" or plan.target in self.amended:
            return rest
        self.asked_again.add(plan.target)
        self.amended[plan.target] = _once_more(said, error)
        self._call.note(f"{plan.target}: asked once more, its answer did not fit")
        return [plan, *rest]

    def _after_refusal(self, error: CallError) -> list[TargetPlan]:
        """A target that refuses the schema itself is asked once more, with the schema in words."""
        told = f"{error.code or ''} {error.detail or ''}".lower()
        if self._expected.shape is None or error.kind != "bad_request" or not any(word in told for word in _OF_SCHEMAS):
            return []
        plan = next((plan for plan in self._plans if str(plan.target) == error.target), None)
        if plan is None or plan.key in self._refused or "json_schema" in plan.lacks:
            return []
        self._refused.add(plan.key)
        self.asked_again.add(plan.target)
        self._call.note(f"{plan.target}: it refused the schema, and was asked once more with the schema in words")
        return [plan, *self._rest(plan)]

    def _record(self, plan: TargetPlan, error: CallError) -> None:
        """The attempt that brought the answer did not end well after all."""
        error.target, error.provider = str(plan.target), plan.target.provider
        self._call.errors.append(error)
        attempts = self._call.attempts
        place = next(place for place, one in enumerate(attempts) if one.outcome == "ok")
        attempts[place] = replace(attempts[place], outcome=error.kind)

    def _rest(self, plan: TargetPlan) -> list[TargetPlan]:
        """Return who is left: those after ``plan``, then those before it that only lost a race."""
        tried = {one.target for one in self._call.attempts if one.outcome != "lost"}
        lost = {one.target for one in self._call.attempts if one.outcome == "lost"}
        place = self._plans.index(plan)
        left = [*self._plans[place + 1 :], *(other for other in self._plans[:place] if other.target in lost)]
        return [other for other in left if other.target not in tried]


_OF_SCHEMAS = ("response_format", "schema")
"""What a refusal of the schema speaks of, as opposed to one of something else."""


class Partials:
    """Reads an answer while it comes. Reading anew after each piece would cost the square of its length.

    :param read: makes a value of the beginning of an answer.
    """

    def __init__(self, read: Callable[[str], JsonValue]) -> None:
        self._read = read
        self._text: list[str] = []
        self._length = self._next = 0
        self._last: JsonValue = None

    def take(self, event: StreamEvent) -> Iterator[JsonValue]:
        """Take the next event; yield the value as far as it is there, if it has changed."""
        if isinstance(event, Restarted):
            self._text.clear()
            self._length = self._next = 0
            self._last = None
        elif isinstance(event, TextDelta):
            self._text.append(event.text)
            self._length += len(event.text)
        if self._text and (self._length >= self._next or isinstance(event, Finished)):
            self._next = self._length + max(1, self._length // _STEP)
            value = self._read("".join(self._text))
            if value is not None and value != self._last:
                self._last = value
                yield value


def _once_more(said: str, error: CallError) -> tuple[Message, ...]:
    again = Message(
        role="user",
        content=f"Your answer does not fit what was asked for: {error.detail or error.message}. "
        "Answer again, with all of it corrected, in the same form and with nothing else.",
    )
    return (Message(role="assistant", content=said), again) if said.strip() else (again,)


def _name(tool: object) -> str:
    if isinstance(tool, Tool):
        return tool.name
    if isinstance(tool, Mapping):
        return str(tool_from_openai(tool).get("name"))
    return getattr(tool, "__name__", "tool")


def _check_of(tool: object) -> Callable[[str], object]:
    """Return the check of a tool's arguments: its own types, or its schema as far as ``jsonschema`` is installed."""
    if callable(tool):
        return arguments_of(tool)
    schema = tool.parameters if isinstance(tool, Tool) else tool_from_openai(tool).get("parameters")  # type: ignore[arg-type]
    try:
        return Shape.from_schema("arguments", schema or {}).check
    except ValueError:  # the vendor took it all the same
        return from_json
