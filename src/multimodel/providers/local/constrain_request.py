"""Whether a request's answer can be held to a schema while it is written, and by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ...types import Request
from .constrain import ANY_OBJECT, Grammar
from .constrain_tokens import Guide, Vocabulary, is_spelt
from .load import Weights

__all__ = ["guide_for", "schema_for"]


def schema_for(request: Request, tokenizer: Any, note: Callable[[str], None]) -> Mapping[str, Any] | None:
    """Return the schema that the answer is held to; None when it is free.

    :param note: told what of the request is not held to.
    """
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    if request.tools and request.tool_choice != "none":
        note("the answer is not held to its format while it is written, as it may be a tool call")
        return None
    if not is_spelt(tokenizer):
        note("the answer is not held to its format while it is written: the tokenizer is of an unknown kind")
        return None
    schema = ANY_OBJECT if wanted.json_schema is None else wanted.json_schema
    ignored = sorted(Grammar(schema).ignored)
    if ignored:
        note(f"the answer is not held to {', '.join(f'`{word}`' for word in ignored)} while it is written")
    return schema


def guide_for(schema: Mapping[str, Any], weights: Weights, thinking: Callable[[], bool]) -> Guide:
    """Return what holds one answer to a schema.

    :param thinking: whether the model is thinking now.
    """
    size = weights.model.get_output_embeddings().weight.shape[0]
    return Guide(schema, partial(Vocabulary.of, weights.tokenizer, size), weights.ends, thinking)
