"""What crosses the public surface: messages, tools, answers, stream events, reports.

Requests and answers are frozen pydantic models: they are validated once, at the edge, and can be shared
between threads. Stream events are slotted dataclasses, and reports frozen ones.
"""

from __future__ import annotations

from .answers import AttemptReason, AttemptRecord, Completion, FinishReason, Loss, Report, Segment, Skip, Target, Usage
from .attempt import Attempt, Limits
from .embed import AnyRequest, Embeddings, EmbedRequest, Vector, Vectors
from .events import AnswerEvent, Finished, ReasoningDelta, Restarted, StreamEvent, Switched, TextDelta, ToolCallDelta
from .messages import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    MessageInput,
    Messages,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
    ToolResultPart,
    VideoPart,
)
from .request import NamedTool, ReasoningEffort, Request, ResponseFormat, Tool, ToolChoice, ToolInput

__all__ = [
    "AnswerEvent",
    "AnyRequest",
    "Attempt",
    "AttemptReason",
    "AttemptRecord",
    "AudioPart",
    "Completion",
    "EmbedRequest",
    "Embeddings",
    "FilePart",
    "FinishReason",
    "Finished",
    "ImagePart",
    "Limits",
    "Loss",
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
    "Segment",
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
    "Vector",
    "Vectors",
    "VideoPart",
]
