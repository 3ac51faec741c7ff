"""A recorded call, read back: the JSON of a completion, of a report, or of what ``complete --json`` says of a failure.

What is not known here is left out, and what a later version added stands in for nothing: only what a call cannot be told
without must be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from ..errors import ConfigurationError
from ..types import AttemptReason, AttemptRecord, Loss, Report, Skip, Target, Usage
from .recount import RecordedCall, recount

__all__ = ["read_call"]

_HINT = "hand in what `multimodel complete --json` prints, or a completion or a report as JSON"


def read_call(text: str | bytes, name: str = "the call") -> RecordedCall:
    """Read a record.

    :param name: what the errors call it.
    :raises ConfigurationError: it is none.
    """
    try:
        found = from_json(text)
    except ValueError as error:
        raise ConfigurationError(f"`{name}` is no JSON: {error}", hint=_HINT) from None
    place, record, message = _report_in(found)
    if record is None:
        why = f"the call failed before a target was looked at: {message}" if message else "there is no report in it"
        raise ConfigurationError(f"`{name}`: {why}", hint=None if message else _HINT)
    try:
        return recount(_Report.model_validate(record).report(), message)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, (*place, *first["loc"])))
        raise ConfigurationError(f"`{name}`: `{where}`: {first['msg'].lower()}", hint=_HINT) from None


def _report_in(found: Any) -> tuple[tuple[str, ...], Any, str | None]:
    """Return where the report stands, the report, and the message of an error beside it."""
    if not isinstance(found, Mapping):
        return (), None, None
    if "attempts" in found:
        return (), found, None
    error = found.get("error")
    if isinstance(error, Mapping):
        message = error.get("message")
        return ("error", "report"), error.get("report"), message if isinstance(message, str) else None
    return ("report",), found.get("report"), None


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


def _named(value: object) -> object:
    """A target may also be its name."""
    if isinstance(value, str) and ":" in value:
        provider, _, model = value.partition(":")
        return {"provider": provider, "model": model}
    return value


class _Target(_Part):
    provider: str
    model: str
    operator: str | None = None
    author: str | None = None

    def target(self) -> Target:
        return Target(self.provider, self.model, self.operator, self.author)


_Named: TypeAlias = Annotated[_Target, BeforeValidator(_named)]
_Seconds: TypeAlias = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
_Amount: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Usage(_Part):
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: _Amount | None = None


class _Attempt(_Part):
    index: int | None = None
    target: _Named
    reason: str = "first"
    outcome: str
    started: _Seconds
    ended: _Seconds
    first_content: _Seconds | None = None
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    committed: bool = False
    usage: _Usage | None = None
    cost: _Amount | None = None
    cost_estimated: bool = False


class _Skip(_Part):
    target: _Named
    reason: str
    detail: str = ""


class _Loss(_Part):
    target: _Named
    what: str
    detail: str = ""


class _Report(_Part):
    route: str = "?"
    attempts: tuple[_Attempt, ...]
    skipped: tuple[_Skip, ...] = ()
    notes: tuple[str, ...] = ()
    outcome: str = "?"
    duration: _Seconds | None = None
    losses: tuple[_Loss, ...] = ()
    policy: str = ""

    def report(self) -> Report:
        attempts = tuple(_attempt(number, one) for number, one in enumerate(self.attempts, 1))
        ends = max((one.ended for one in attempts), default=0.0)
        return Report(
            self.route,
            attempts,
            tuple(Skip(one.target.target(), one.reason, one.detail) for one in self.skipped),
            self.notes,
            self.outcome,
            ends if self.duration is None else self.duration,
            tuple(Loss(one.target.target(), one.what, one.detail) for one in self.losses),
            self.policy,
        )


def _attempt(number: int, one: _Attempt) -> AttemptRecord:
    return AttemptRecord(
        number if one.index is None else one.index,
        one.target.target(),
        cast("AttemptReason", one.reason),
        one.outcome,
        one.started,
        max(one.started, one.ended),
        one.first_content,
        one.status,
        one.code,
        one.request_id,
        one.committed,
        None if one.usage is None else Usage(**one.usage.model_dump()),
        one.cost,
        one.cost_estimated,
    )
