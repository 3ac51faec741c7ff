"""Tools, formats, and the request of one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

from pydantic import Field, JsonValue, field_validator, model_validator

from .base import Frozen
from .messages import Message, ToolResultPart
from .openai_shapes import tool_from_openai

__all__ = [
    "NamedTool",
    "ReasoningEffort",
    "Request",
    "ResponseFormat",
    "Tool",
    "ToolChoice",
    "ToolInput",
]

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


class Tool(Frozen):
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
        """Read name, docstring and annotations of ``function``; it is never called.

        :raises ValueError: its arguments cannot be said as a JSON Schema.
        """
        import inspect

        from pydantic import PydanticUserError, TypeAdapter

        name = getattr(function, "__name__", "tool")
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(function)  # type: ignore[arg-type]  # pydantic takes callables
            schema = adapter.json_schema()
        except (PydanticUserError, ValueError, TypeError):
            raise ValueError(f"the arguments of `{name}` cannot be said as a JSON Schema") from None
        schema.pop("title", None)
        return cls(name=name, description=inspect.getdoc(function) or "", parameters=schema)


ToolInput: TypeAlias = "Tool | Callable[..., Any] | Mapping[str, Any]"


class NamedTool(Frozen):
    """``tool_choice`` that forces one tool."""

    name: str


ToolChoice: TypeAlias = "Literal['auto', 'none', 'required'] | NamedTool"


class ResponseFormat(Frozen):
    """``json_object``, or ``json_schema`` with a schema.

    Answers are checked against the schema. A ``pattern`` that backtracks and ``uniqueItems`` take long for some
    answers; that risk is the caller's.

    :ivar strict: whether the vendor shall enforce the schema, which it may have to be rewritten for; ``auto`` where
        it can.
    """

    type: Literal["text", "json_object", "json_schema"]
    name: str = "answer"
    json_schema: dict[str, Any] | None = None
    strict: bool | Literal["auto"] | None = None

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


class Request(Frozen):
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
        if isinstance(value, Message | Mapping):
            raise ValueError("give a string or a list of messages")  # noqa: TRY004  # pydantic reports ValueError
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
        value = value or ()
        if callable(value) or isinstance(value, Mapping | Tool) or not isinstance(value, Iterable):
            raise ValueError("give a list of tools")  # noqa: TRY004  # pydantic reports ValueError
        return tuple(Tool.from_callable(tool) if callable(tool) else tool for tool in value)

    @field_validator("tool_choice", mode="before")
    @classmethod
    def _tool_choice(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
            return {"name": value["function"].get("name")}
        return value

    @model_validator(mode="after")
    def _tools_agree(self) -> Request:
        if not self.tools and self.tool_choice is None:
            return self
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
