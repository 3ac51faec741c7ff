"""The kinds of values of a policy, as pydantic reads them.

A policy file is read with the context ``{"written": True, "folder": …}``: a number is no duration then, and a
path is relative to the folder. Models that are made in Python have no context: numbers may be seconds, shares
and dollars there.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path as FilePath
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationInfo, WithJsonSchema

from .problems import MistakeError, shown
from .units import DURATION, MONEY, PERCENTAGE, no_unit, parse_duration, parse_money, parse_percentage

__all__ = [
    "Amount",
    "Count",
    "Duration",
    "Filename",
    "Moment",
    "Pause",
    "Settings",
    "Share",
    "Slug",
    "TargetName",
    "filename",
    "inherit",
]


class Settings(BaseModel):
    """Base of all models of a policy: frozen, strict about its keys, built on first use."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)


SettingsT = TypeVar("SettingsT", bound=Settings)


def inherit(own: SettingsT, parent: SettingsT) -> SettingsT:
    """Return ``parent`` with all that was set in ``own``; maps of settings are joined setting by setting."""
    update: dict[str, object] = {}
    for name in own.model_fields_set:
        value = getattr(own, name)
        base = getattr(parent, name)
        update[name] = inherit(value, base) if isinstance(value, Settings) and type(value) is type(base) else value
    return parent.model_copy(update=update)


def _from_file(info: ValidationInfo) -> bool:
    return bool(info.context and info.context.get("written"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _duration(value: object, info: ValidationInfo) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if _is_number(value):
        if _from_file(info):
            raise no_unit(value)
        return value
    raise MistakeError(f"{shown(value)} is no duration", "write a number and a unit (ms, s, m, h, d), as in `60s`")


def _share(value: object, info: ValidationInfo) -> object:
    if _is_number(value) and not _from_file(info):
        return value
    if isinstance(value, str):
        return parse_percentage(value)
    raise MistakeError(f"{shown(value)} is no percentage", "write it as in `10%`")


def _amount(value: object, info: ValidationInfo) -> object:
    if _is_number(value) and not _from_file(info):
        return value
    if isinstance(value, str):
        return parse_money(value)
    raise MistakeError(f"{shown(value)} is no amount of US dollars", "write it as in `0.05 USD`")


def _moment(value: object) -> object:
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, date):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise MistakeError(f"{shown(value)} is no date", "write it as in `2026-12-31`") from None
        if len(value) == len("2026-12-31"):
            moment = moment.replace(tzinfo=UTC)
    else:
        raise MistakeError(f"{shown(value)} is no date", "write it as in `2026-12-31`")
    if moment.tzinfo is None:
        raise MistakeError(f"{shown(value)} has no time zone", "write it as in `2026-12-31T18:00:00Z`")
    return moment


def filename(value: object, info: ValidationInfo) -> FilePath:
    """Return the path that a value of a policy is."""
    if not isinstance(value, str | FilePath) or not str(value) or "\0" in str(value):
        raise MistakeError(f"{shown(value)} is no path")
    folder = info.context.get("folder") if info.context else None
    return folder / value if folder is not None else FilePath(value)


def _target_name(value: object) -> object:
    if not isinstance(value, str):
        raise MistakeError(f"{shown(value)} is no target", "write `provider:model`")
    provider, colon, model = value.partition(":")
    if not colon or not provider or not model or any(char.isspace() or not char.isprintable() for char in value):
        raise MistakeError(f"{shown(value)} is no target", "write `provider:model`")
    return str(value)


_Seconds: TypeAlias = Annotated[
    float,
    BeforeValidator(_duration),
    Field(strict=True, allow_inf_nan=False),
    WithJsonSchema({"type": "string", "pattern": DURATION, "examples": ["60s", "500ms"]}),
]
Duration: TypeAlias = Annotated[_Seconds, Field(gt=0)]
"""Seconds, more than none."""
Pause: TypeAlias = Annotated[_Seconds, Field(ge=0)]
"""Seconds, or 0 for not at all."""
Share: TypeAlias = Annotated[
    float,
    BeforeValidator(_share),
    Field(strict=True, ge=0, le=1, allow_inf_nan=False),
    WithJsonSchema({"type": "string", "pattern": PERCENTAGE, "examples": ["10%"]}),
]
"""A share between 0 and 1."""
Amount: TypeAlias = Annotated[
    float,
    BeforeValidator(_amount),
    Field(strict=True, ge=0, allow_inf_nan=False),
    WithJsonSchema({"type": "string", "pattern": MONEY, "examples": ["0.05 USD"]}),
]
"""US dollars."""
Count: TypeAlias = Annotated[int, Field(strict=True, ge=1)]
Moment: TypeAlias = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "examples": ["2026-12-31", "2026-12-31T18:00:00Z"]}),
]
"""An instant; a bare date is its first moment in UTC."""
Filename: TypeAlias = Annotated[FilePath, BeforeValidator(filename), WithJsonSchema({"type": "string"})]
"""A path; in a policy file relative to the file."""
Slug: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
"""How operators and authors are named."""
TargetName: TypeAlias = Annotated[
    str, BeforeValidator(_target_name), WithJsonSchema({"type": "string", "pattern": r"^[^:\s]+:\S+$"})
]
"""``provider:model``."""
