"""Quantities as people write them: ``60s``, ``10%``, ``0.05 USD``."""

from __future__ import annotations

import re
from decimal import Decimal

from .problems import MistakeError, shown

__all__ = ["format_duration", "parse_duration", "parse_money", "parse_percentage"]

NUMBER = r"\d{1,15}(?:\.\d{1,350})?"
DURATION = rf"^{NUMBER}(?:ms|s|m|h|d)$"
PERCENTAGE = rf"^{NUMBER}%$"
MONEY = rf"^{NUMBER} USD$"

_UNITS = {"d": Decimal(86_400), "h": Decimal(3_600), "m": Decimal(60), "s": Decimal(1), "ms": Decimal("0.001")}
_DURATION = re.compile(rf"({NUMBER})(ms|s|m|h|d)", re.ASCII)
_PERCENTAGE = re.compile(rf"({NUMBER})%", re.ASCII)
_MONEY = re.compile(rf"({NUMBER}) USD", re.ASCII)
_PLAIN = re.compile(NUMBER, re.ASCII)


def parse_duration(text: str) -> float:
    """Return seconds.

    :raises MistakeError: when it is no number with a unit.

    >>> parse_duration("500ms"), parse_duration("2m")
    (0.5, 120.0)
    """
    match = _DURATION.fullmatch(text)
    if match:
        return float(Decimal(match[1]) * _UNITS[match[2]])
    if _PLAIN.fullmatch(text):
        raise no_unit(text)
    raise MistakeError(f"{shown(text)} is no duration", "write a number and a unit (ms, s, m, h, d), as in `90s`")


def format_duration(seconds: float) -> str:
    """Write seconds as ``parse_duration`` reads them, in the largest unit that needs no fraction.

    >>> format_duration(90), format_duration(0.25), format_duration(7200)
    ('90s', '250ms', '2h')
    """
    exact = Decimal(repr(float(seconds)))
    for unit, size in _UNITS.items():
        count = exact / size
        if count == count.to_integral_value() and count * size == exact and exact:
            return f"{count.to_integral_value():f}{unit}"
    return f"{exact.normalize():f}s"


def parse_percentage(text: str) -> float:
    """Return a share: 1 is all, and there may be more.

    :raises MistakeError: when it is no percentage.

    >>> parse_percentage("10%")
    0.1
    """
    match = _PERCENTAGE.fullmatch(text)
    if match is None:
        raise MistakeError(f"{shown(text)} is no percentage", "write it as in `10%`")
    return float(Decimal(match[1]) / 100)


def parse_money(text: str) -> float:
    """Return US dollars, the one currency of the catalogue's prices.

    :raises MistakeError: when it is no amount, or in another currency.

    >>> parse_money("0.05 USD")
    0.05
    """
    match = _MONEY.fullmatch(text)
    if match is None:
        raise MistakeError(f"{shown(text)} is no amount of US dollars", "write it as in `0.05 USD`")
    return float(Decimal(match[1]))


def no_unit(number: object) -> MistakeError:
    """The mistake of a duration without a unit."""
    written = shown(number).strip("`")
    example = f"{written}s" if _PLAIN.fullmatch(written) else "60s"
    return MistakeError(f"{shown(number)} has no unit", f"write `{example}` (units: ms, s, m, h, d)")
