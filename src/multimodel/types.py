"""What crosses the public surface: messages, tools, answers, stream events, reports.

Requests and answers are frozen pydantic models: they are validated once, at the edge, and can be shared
between threads. Stream events are slotted dataclasses, because there are thousands of them. Reports are
plain frozen dataclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from ._openai_shapes import message_from_openai, tool_from_openai

__all__ = [
    "AnswerEvent",
    "Attempt",
    "AttemptReason",
    "AttemptRecord",
    "AudioPart",
    "Completion",
    "FilePart",
    "FinishReason",
    "Finished",
    "ImagePart",
    "Limits",
    "Message",
    "MessageInput",
    "Messages",
    "NamedTool",
    "Part",
    "ReasoningDelta",
    "ReasoningEffort",
    "ReasoningPart",
    "Report",
    "Request",
    "ResponseFormat",
    "Restarted",
    "Role",
    "Skip",
    "StreamEvent",
    "Switched",
    "Target",
    "TextDelta",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolChoice",
    "ToolInput",
    "ToolResultPart",
    "Usage",
    "VideoPart",
]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
Role = Literal["system", "user", "assistant", "tool"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
ParsedT = TypeVar("ParsedT")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


# --- messages ---------------------------------------------------------------------------------------


class TextPart(_Frozen):
    """A piece of text."""

    type: Literal["text"] = "text"
    text: str


class _Media(_Frozen):
    """Media by reference or by value: exactly one of ``url`` and ``data``."""

    url: str | None = None
    data: bytes | None = None
    media_type: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> _Media:
        if (self.url is None) == (self.data is None):
            raise ValueError("give exactly one of `url` and `data`")
        return self


class ImagePart(_Media):
    """An image: ``url`` (https or data) or ``data`` bytes with a ``media_type`` such as ``image/png``."""

    type: Literal["image"] = "image"


class AudioPart(_Media):
    """A sound: ``url`` or ``data`` bytes with a ``media_type`` such as ``audio/wav``."""

    type: Literal["audio"] = "audio"


class VideoPart(_Media):
    """A film: ``url`` or ``data`` bytes with a ``media_type`` such as ``video/mp4``."""

    type: Literal["video"] = "video"


class FilePart(_Media):
    """A document: ``url`` or ``data`` bytes with a ``media_type`` such as ``application/pdf``."""

    type: Literal["file"] = "file"
    name: str | None = None


class ReasoningPart(_Frozen):
    """What a model thought before it answered. ``origin`` is the target that wrote it."""

    type: Literal["reasoning"] = "reasoning"
    text: str
    origin: str | None = None


class ToolResultPart(_Frozen):
    """The result of one tool call, as text; the same as a message of role ``tool``."""

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: str
    text: str


Part = Annotated[
    TextPart | ImagePart | AudioPart | VideoPart | FilePart | ReasoningPart | ToolResultPart,
    Field(discriminator="type"),
]


class ToolCall(_Frozen):
    """A model's wish to have a tool run. It is returned, never executed.

    :ivar id: unique within the conversation; the tool's result refers to it.
    :ivar arguments: JSON text as the model wrote it; it may be invalid.
    """

    id: str
    name: str
    arguments: str = "{}"

    @property
    def parsed(self) -> JsonValue:
        """The arguments as Python values.

        :raises ValueError: when the model wrote no valid JSON.

        >>> ToolCall(id="1", name="add", arguments='{"a": 1}').parsed
        {'a': 1}
        """
        from pydantic_core import from_json

        value: JsonValue = from_json(self.arguments or "{}", allow_inf_nan=False)
        return value


class Message(_Frozen):
    """One turn of a conversation. OpenAI-shaped dictionaries are accepted wherever a message is.

    >>> Message(role="user", content="Hi").text
    'Hi'
    >>> Message.model_validate({"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}).role
    'system'
    """

    role: Role
    content: str | tuple[Part, ...] = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_openai(cls, value: Any) -> Any:
        return message_from_openai(value) if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _consistent(self) -> Message:
        if self.role == "tool" and self.tool_call_id is None:
            raise ValueError("a message of role `tool` needs `tool_call_id`")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only a message of role `assistant` can have `tool_calls`")
        return self

    @property
    def text(self) -> str:
        """The text of all text parts, joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


MessageInput: TypeAlias = "Message | Mapping[str, Any]"
Messages: TypeAlias = "str | Sequence[MessageInput]"


# --- tools and formats ------------------------------------------------------------------------------


class Tool(_Frozen):
    """A function that the model may ask for. ``parameters`` is a JSON Schema of an object.

    >>> def add(a: int, b: int) -> int:
    ...     "Add two numbers."
    >>> Tool.from_callable(add).parameters["required"]
    ['a', 'b']
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    strict: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_openai(cls, value: Any) -> Any:
        return tool_from_openai(value) if isinstance(value, Mapping) else value

    @classmethod
    def from_callable(cls, function: Callable[..., Any]) -> Tool:
        """Read name, docstring and annotations of ``function``; it is never called."""
        import inspect

        from pydantic import TypeAdapter

        adapter: TypeAdapter[Any] = TypeAdapter(function)  # type: ignore[arg-type]  # pydantic takes callables
        schema = adapter.json_schema()
        schema.pop("title", None)
        return cls(
            name=getattr(function, "__name__", "tool"), description=inspect.getdoc(function) or "", parameters=schema
        )


ToolInput: TypeAlias = "Tool | Callable[..., Any] | Mapping[str, Any]"


class NamedTool(_Frozen):
    """``tool_choice`` that forces one tool."""

    name: str


ToolChoice: TypeAlias = "Literal['auto', 'none', 'required'] | NamedTool"


class ResponseFormat(_Frozen):
    """``json_object``, or ``json_schema`` with a schema."""

    type: Literal["text", "json_object", "json_schema"]
    name: str = "answer"
    json_schema: dict[str, Any] | None = None
    strict: bool = True

    @model_validator(mode="before")
    @classmethod
    def _from_openai(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("json_schema"), Mapping):
            inner = value["json_schema"]
            if isinstance(inner.get("schema"), Mapping):
                given = {"name": inner.get("name"), "strict": inner.get("strict")}
                kept = {key: item for key, item in given.items() if item is not None}
                return {"type": value.get("type"), "json_schema": inner["schema"], **kept}
        return value

    @model_validator(mode="after")
    def _has_schema(self) -> ResponseFormat:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("`json_schema` needs a schema")
        return self


class Request(_Frozen):
    """One request by the application, validated and ready to be encoded for any target.

    The names and ranges of the options are OpenAI's; an option that is None is left to the vendor.
    """

    messages: tuple[Message, ...] = Field(min_length=1)
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    max_tokens: int | None = Field(None, ge=1)
    stop: tuple[str, ...] = ()
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: ReasoningEffort | None = None
    response_format: ResponseFormat | None = None
    extra: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)

    @field_validator("messages", mode="before")
    @classmethod
    def _messages(cls, value: Any) -> Any:
        return ({"role": "user", "content": value},) if isinstance(value, str) else value

    @field_validator("messages")
    @classmethod
    def _split_tool_results(cls, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        if not any(_has_tool_result(message) for message in messages):
            return messages
        return tuple(single for message in messages for single in _tool_results_apart(message))

    @field_validator("stop", mode="before")
    @classmethod
    def _stop(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else (value or ())

    @field_validator("stop")
    @classmethod
    def _stop_not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(value):
            raise ValueError("a stop string cannot be empty")
        return value

    @field_validator("tools", mode="before")
    @classmethod
    def _tools(cls, value: Any) -> Any:
        return tuple(Tool.from_callable(tool) if callable(tool) else tool for tool in value or ())

    @field_validator("tool_choice", mode="before")
    @classmethod
    def _tool_choice(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
            return {"name": value["function"].get("name")}
        return value

    @model_validator(mode="after")
    def _tools_agree(self) -> Request:
        names = [tool.name for tool in self.tools]
        if len(set(names)) != len(names):
            raise ValueError("two tools have the same name")
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.name not in names:
            raise ValueError(f"tool_choice names `{self.tool_choice.name}`, which is not among the tools")
        if self.tool_choice == "required" and not names:
            raise ValueError("tool_choice `required` needs tools")
        return self


def _has_tool_result(message: Message) -> bool:
    return not isinstance(message.content, str) and any(isinstance(part, ToolResultPart) for part in message.content)


def _tool_results_apart(message: Message) -> list[Message]:
    if isinstance(message.content, str):
        return [message]
    results = [
        Message(role="tool", content=part.text, tool_call_id=part.tool_call_id)
        for part in message.content
        if isinstance(part, ToolResultPart)
    ]
    rest = tuple(part for part in message.content if not isinstance(part, ToolResultPart))
    return [*results, message.model_copy(update={"content": rest})] if rest else results


# --- answers ----------------------------------------------------------------------------------------


class Usage(_Frozen):
    """Tokens of one answer, and what they cost. None means unknown, never zero.

    :ivar cached_tokens: part of ``input_tokens`` that the vendor read from its cache.
    :ivar reasoning_tokens: part of ``output_tokens`` spent on thinking.
    :ivar cost: US dollars by the catalogue's list price.
    """

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers: ``str(target)`` is ``provider:model``.

    :ivar operator: who runs the endpoint.
    :ivar author: who made the weights; None when the catalogue does not say.
    """

    provider: str
    model: str
    operator: str | None = None
    author: str | None = None

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


AttemptReason = Literal["first", "retry", "fallback", "probe", "last_resort", "path"]


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One request that was put on the wire. Times are seconds from the start of the call.

    :ivar outcome: ``ok``, ``cancelled``, or the error's kind.
    :ivar first_content: when the first content came, or None.
    :ivar committed: whether any of its content was handed to the caller.
    """

    index: int
    target: Target
    reason: AttemptReason
    outcome: str
    started: float
    ended: float
    first_content: float | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    committed: bool = False
    usage: Usage | None = None

    @property
    def duration(self) -> float:
        """Seconds on the wire."""
        return self.ended - self.started


@dataclass(frozen=True, slots=True)
class Skip:
    """A target that was not tried, and why: ``off``, ``breaker``, ``gate``, ``capability``, ``unavailable``, …."""

    target: Target
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Every attempt and skip of one call, in order, and why it ended.

    :ivar outcome: ``ok``, ``cancelled``, or the kind of the error the caller got.
    :ivar notes: what was changed on the way, for instance an option that a target does not know.
    """

    route: str
    attempts: tuple[AttemptRecord, ...] = ()
    skipped: tuple[Skip, ...] = ()
    notes: tuple[str, ...] = ()
    outcome: str = "ok"
    duration: float = 0.0


class Completion(_Frozen, Generic[ParsedT]):
    """A whole answer.

    :ivar target: who answered; ``str(answer.target)`` is ``provider:model``.
    :ivar model: the model's name as the vendor gives it.
    :ivar finish_reason: ``length`` means that a limit cut the answer: it is complete as far as it goes.
    :ivar parsed: the answer as a value of the model that was asked for, or None.
    """

    text: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: ParsedT | None = None
    finish_reason: FinishReason
    usage: Usage | None = None
    target: Target
    model: str
    request_id: str | None = None
    report: Report

    @property
    def parts(self) -> tuple[ReasoningPart | TextPart, ...]:
        """Reasoning and text as message parts, without the empty ones."""
        thought = (ReasoningPart(text=self.reasoning, origin=str(self.target)),) if self.reasoning else ()
        return thought + ((TextPart(text=self.text),) if self.text else ())

    @property
    def message(self) -> Message:
        """The answer as the next message of the conversation."""
        return Message(role="assistant", content=self.text, tool_calls=self.tool_calls)


# --- stream events ----------------------------------------------------------------------------------


@dataclass(slots=True)
class TextDelta:
    """The next piece of the answer's text."""

    text: str


@dataclass(slots=True)
class ReasoningDelta:
    """The next piece of the model's thinking."""

    text: str


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a tool call. ``id`` and ``name`` come with the first piece of each ``index`` only."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(slots=True)
class Restarted:
    """Throw away all that came before: the answer starts again at ``target``."""

    target: Target


@dataclass(slots=True)
class Switched:
    """The answer goes on, written by ``target``."""

    target: Target


@dataclass(slots=True)
class Finished:
    """The answer is complete."""

    reason: FinishReason
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None


StreamEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Restarted | Switched | Finished
AnswerEvent: TypeAlias = TextDelta | ReasoningDelta | ToolCallDelta | Finished
"""What an adapter yields: content, then exactly one ``Finished``."""


# --- one attempt, as an adapter sees it -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one attempt may take. Instants are on the clock ``now``.

    :ivar connect: seconds to get a connection, TLS included.
    :ivar first_content: instant by which the first content must have come.
    :ivar idle: seconds between two contents.
    :ivar whole: instant by which a whole body must have come (with ``transfer: whole``).
    :ivar deadline: instant at which the call ends, whatever happens.
    """

    connect: float
    first_content: float
    idle: float
    whole: float
    deadline: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to put on the wire.

    :ivar request: what to ask; the defaults of route and target are already in it.
    :ivar model: the vendor's name of the model.
    :ivar stream: whether the answer should come as a stream.
    :ivar limits: see :class:`Limits`.
    :ivar now: the clock that the limits are measured on.
    :ivar note: call it with one sentence to put a remark into the report.
    :ivar path: which of the vendor's paths to use, when the catalogue's choice turned out wrong.
    """

    request: Request
    model: str
    stream: bool
    limits: Limits
    now: Callable[[], float]
    note: Callable[[str], None] = field(default=lambda _text: None)
    path: str | None = None
