"""Messages and their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, Field, JsonValue, model_validator
from typing_extensions import override

from .base import Frozen
from .openai_shapes import message_from_openai

__all__ = [
    "AudioPart",
    "FilePart",
    "ImagePart",
    "Message",
    "MessageInput",
    "Messages",
    "Part",
    "ReasoningPart",
    "Role",
    "TextPart",
    "ToolCall",
    "ToolResultPart",
    "VideoPart",
]

Role = Literal["system", "user", "assistant", "tool"]


class _Markable(Frozen):
    """What a prompt cache can be told to keep the conversation up to; vendors without such marks do not get them."""

    cache_control: dict[str, JsonValue] | None = None


class TextPart(_Markable):
    """A piece of text."""

    type: Literal["text"] = "text"
    text: str


class _Media(_Markable):
    """Media by reference or by value: exactly one of ``url`` and ``data``."""

    url: str | None = None
    data: bytes | None = None
    media_type: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        self._check_source()
        return self

    def _check_source(self) -> None:
        if (self.url is None) == (self.data is None):
            raise ValueError("give exactly one of `url` and `data`")


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
    """A document: ``url`` or ``data`` bytes with a ``media_type`` such as ``application/pdf``.

    ``id`` is the name under which one vendor keeps it; alone, without the document itself, it is of use to that vendor
    only.
    """

    type: Literal["file"] = "file"
    name: str | None = None
    id: str | None = None

    @override
    def _check_source(self) -> None:
        if self.id is None or (self.url is not None and self.data is not None):
            super()._check_source()


class ReasoningPart(Frozen):
    """What a model thought before it answered.

    :ivar origin: the target that wrote it, ``provider:model``. Only its vendor gets it back, for the same family of
        models.
    :ivar signature: the vendor's proof that the text is its own.
    :ivar data: what the vendor sent instead of, or around, the text, to be given back as it is.
    """

    type: Literal["reasoning"] = "reasoning"
    text: str = ""
    origin: str | None = None
    signature: str | None = None
    data: JsonValue = None

    @property
    def sealed(self) -> bool:
        """Whether the vendor signed or encrypted it, so that it is of no use to any other."""
        return self.signature is not None or self.data is not None


class ToolResultPart(Frozen):
    """The result of one tool call, as text; the same as a message of role ``tool``."""

    type: Literal["tool_result"] = "tool_result"
    tool_call_id: str
    text: str


Part = Annotated[
    TextPart | ImagePart | AudioPart | VideoPart | FilePart | ReasoningPart | ToolResultPart,
    Field(discriminator="type"),
]


class ToolCall(Frozen):
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


class Message(Frozen):
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
        if isinstance(value, BaseModel) and not isinstance(value, Message):  # as the openai SDK returns them
            value = value.model_dump(exclude_none=True)
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
