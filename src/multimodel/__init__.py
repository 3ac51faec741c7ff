"""One completion interface over many model vendors, so that an application can leave any of them.

``import multimodel`` loads none of its dependencies: every name below is looked up on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from . import compat, testing
    from .client import AsyncClient, AsyncStream, Client, Explanation, Status, Stream
    from .client.options import CallOptions
    from .config import Policy
    from .errors import (
        AllTargetsFailedError,
        AttemptTimeoutError,
        AuthenticationError,
        BadRequestError,
        CallError,
        ConfigurationError,
        ConnectionFailedError,
        ContentFilteredError,
        ContextWindowExceededError,
        DeadlineExceededError,
        InvalidResponseError,
        LocalOverloadError,
        ModelNotFoundError,
        MultimodelError,
        OverloadedError,
        PermissionDeniedError,
        PolicyDeniedError,
        QuotaExhaustedError,
        RateLimitError,
        ServerError,
        StreamInterruptedError,
        TruncatedStreamError,
    )
    from .types import (
        AttemptRecord,
        AudioPart,
        Completion,
        Embeddings,
        FilePart,
        Finished,
        ImagePart,
        Loss,
        Message,
        ReasoningDelta,
        ReasoningPart,
        Report,
        Restarted,
        Segment,
        Skip,
        StreamEvent,
        Switched,
        Target,
        TextDelta,
        TextPart,
        Tool,
        ToolCall,
        ToolCallDelta,
        ToolResultPart,
        Usage,
        VideoPart,
    )

__all__ = [
    "AllTargetsFailedError",
    "AsyncClient",
    "AsyncStream",
    "AttemptRecord",
    "AttemptTimeoutError",
    "AudioPart",
    "AuthenticationError",
    "BadRequestError",
    "CallError",
    "CallOptions",
    "Client",
    "Completion",
    "ConfigurationError",
    "ConnectionFailedError",
    "ContentFilteredError",
    "ContextWindowExceededError",
    "DeadlineExceededError",
    "Embeddings",
    "Explanation",
    "FilePart",
    "Finished",
    "ImagePart",
    "InvalidResponseError",
    "LocalOverloadError",
    "Loss",
    "Message",
    "ModelNotFoundError",
    "MultimodelError",
    "OverloadedError",
    "PermissionDeniedError",
    "Policy",
    "PolicyDeniedError",
    "QuotaExhaustedError",
    "RateLimitError",
    "ReasoningDelta",
    "ReasoningPart",
    "Report",
    "Restarted",
    "Segment",
    "ServerError",
    "Skip",
    "Status",
    "Stream",
    "StreamEvent",
    "StreamInterruptedError",
    "Switched",
    "Target",
    "TextDelta",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolCallDelta",
    "ToolResultPart",
    "TruncatedStreamError",
    "Usage",
    "VideoPart",
    "__version__",
    "compat",
    "testing",
]

# In this order, so that no name imports more than it needs.
_HOMES = ("errors", "types", "client", "client.options", "config")


def __getattr__(name: str) -> object:
    if name in ("compat", "testing"):
        return import_module(f".{name}", __name__)
    if name in __all__:
        for home in _HOMES:
            module = import_module(f".{home}", __name__)
            if name in module.__all__:
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
