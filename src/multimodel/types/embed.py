"""Texts to vectors: the request of one call, an adapter's answer to it, and what the caller gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import Field, JsonValue, field_validator

from .answers import Report, Target, Usage
from .base import Frozen
from .events import Finished
from .request import Request

__all__ = ["AnyRequest", "EmbedRequest", "Embeddings", "Vector", "Vectors"]

Vector: TypeAlias = tuple[float, ...]


class EmbedRequest(Frozen):
    """Texts to be turned into vectors, validated and ready to be encoded for any target.

    :ivar dimensions: numbers a vector; None leaves it to the model.
    """

    inputs: tuple[str, ...] = Field(min_length=1)
    dimensions: int | None = Field(None, ge=1)
    extra: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)

    @field_validator("inputs", mode="before")
    @classmethod
    def _inputs(cls, value: Any) -> Any:
        if isinstance(value, str):
            return (value,)
        if isinstance(value, bytes) or not isinstance(value, Sequence):
            raise ValueError("give a string or a list of strings")  # noqa: TRY004  # pydantic reports ValueError
        return tuple(value)

    @field_validator("inputs")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(value):
            raise ValueError("an input cannot be empty")
        return value


AnyRequest: TypeAlias = Request | EmbedRequest
"""What an attempt may ask of an adapter that says that it embeds."""


@dataclass(slots=True)
class Vectors(Finished):
    """The whole answer to an :class:`EmbedRequest`, and its only event.

    :ivar rows: the number of an input, from 0, and its vector; in any order.
    """

    rows: tuple[tuple[int, Vector], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of the inputs of one call, in their order, all by the same weights.

    :ivar usage: of all requests together; None when one of them did not say.
    :ivar target: who answered, the last of them where there were several; the report has each.
    :ivar model: the model's name as the vendor gives it.
    """

    vectors: tuple[Vector, ...] = field(repr=False)
    usage: Usage | None
    target: Target
    model: str
    report: Report

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has."""
        return len(self.vectors[0])
