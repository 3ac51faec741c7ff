"""Vectors through litellm: the same request and limits as of an answer in words, and another reading of what comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typing_extensions import override

from ..errors import error_for
from ..types import AnswerEvent, Usage, Vectors
from ..wire.embeddings import rows_of
from .litellm_exchange import Exchange, request_id_of

__all__ = ["EmbeddingExchange"]


class EmbeddingExchange(Exchange):
    """The state of one attempt that asks for vectors."""

    @property
    @override
    def _answering(self) -> bool:
        return self._sending.answered  # litellm reads the answer before it returns

    @override
    def opened(self, answer: Any) -> Iterator[AnswerEvent]:
        """Take litellm's answer, which is whole."""
        self._phase = "over"
        self._sending.over = True
        if answer is None or not getattr(answer, "data", None):
            raise error_for("invalid_response", "litellm returned no vectors")
        rows = rows_of((_field(row, "index"), _field(row, "embedding")) for row in answer.data)
        usage = _usage(getattr(answer, "usage", None))
        yield Vectors("stop", usage, answer.model, request_id_of(answer), rows=rows)


def _field(row: Any, name: str) -> Any:
    return row.get(name) if isinstance(row, dict) else getattr(row, name, None)


def _usage(given: Any) -> Usage | None:
    """Tokens as the vendor reports them; litellm writes zeros where it has none."""
    read = getattr(given, "prompt_tokens", None) or getattr(given, "total_tokens", None)
    return None if type(read) is not int or read < 1 else Usage(input_tokens=read, output_tokens=0, total_tokens=read)
