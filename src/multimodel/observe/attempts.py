"""What is told of an attempt: the attributes of its span, and what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..types import AttemptRecord, Finished, Report, Target, Usage
from . import conventions as names
from .telemetry import Instruments

__all__ = ["QUIET", "Peer", "attributes_of", "measure", "seconds_of"]

QUIET = frozenset({"cancelled", "lost"})
"""Ends that are nobody's failure."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What is told of a target besides its name.

    :ivar provider: the conventions' name of the vendor.
    :ivar stream: whether answers come piece by piece.
    :ivar asked: the options that it was asked with, by the conventions' names.
    :ivar here: whether it runs in this process.
    """

    provider: str
    stream: bool
    asked: Mapping[str, str | int | float]
    jurisdiction: str | None = None
    address: str | None = None
    port: int | None = None
    here: bool = False


def attributes_of(operation: str, record: AttemptRecord, finished: Finished | None, peer: Peer) -> dict[str, Any]:
    """Return what the span of an attempt says.

    :param finished: the end of its answer, if it is the one that counts.
    """
    target, usage, first = record.target, record.usage, record.first_content
    said: dict[str, Any] = {
        names.OPERATION: operation,
        names.PROVIDER: peer.provider,
        names.REQUEST_MODEL: target.model,
        names.REQUEST_STREAM: peer.stream or None,
        **peer.asked,
        names.ATTEMPT_INDEX: record.index,
        names.ATTEMPT_REASON: record.reason,
        names.AUTHOR: target.author,
        names.JURISDICTION: peer.jurisdiction,
        names.ADDRESS: peer.address,
        names.PORT: peer.port,
        names.STATUS: record.status,
        names.ERROR: None if record.outcome == "ok" else record.outcome,
        names.RESPONSE_ID: record.request_id,
        names.FIRST_CHUNK: first - record.started if peer.stream and first is not None else None,
    }
    if finished is not None:
        said[names.RESPONSE_MODEL] = finished.model or target.model
        said[names.FINISH_REASONS] = [finished.reason]
    if usage is not None:
        said[names.INPUT_TOKENS] = usage.input_tokens
        said[names.OUTPUT_TOKENS] = usage.output_tokens
        said[names.CACHED_TOKENS] = usage.cached_tokens
        said[names.REASONING_TOKENS] = usage.reasoning_tokens
    if record.cost is not None and not record.cost_estimated:
        said |= {names.COST: record.cost, names.CURRENCY: "USD", names.COST_SOURCE: "local"}
    return {name: value for name, value in said.items() if value is not None}


def seconds_of(record: AttemptRecord, report: Report) -> tuple[float, float]:
    """Return when an attempt began and ended. What was given up lasted as long as the call, whose last news are older."""
    return record.started, report.duration if record.outcome == "cancelled" else record.ended


def measure(
    instruments: Instruments, operation: str, report: Report, peer: Callable[[Target], Peer], *, shadow: bool
) -> None:
    """Measure a call and each of its attempts. A shadow's copy is no call of the application's, but it costs tokens."""
    said: dict[str, Any] = {names.OPERATION: operation, names.ROUTE: report.route}
    if shadow:
        said[names.SHADOW] = True
    else:
        instruments.call.record(report.duration, _ended(said, report.outcome))
    for record in report.attempts:
        vendor = peer(record.target)
        own = {**said, names.PROVIDER: vendor.provider, names.REQUEST_MODEL: record.target.model}
        begun, ended = seconds_of(record, report)
        latest = instruments.latest and operation == "chat"
        (instruments.inference if latest else instruments.operation).record(ended - begun, _ended(own, record.outcome))
        if latest and vendor.stream and record.first_content is not None:
            instruments.first_chunk.record(record.first_content - begun, own)
        if record.usage is not None:
            (_count if latest else _distribute)(instruments, record.usage, own)


def _ended(said: dict[str, Any], outcome: str) -> dict[str, Any]:
    return said if outcome == "ok" else {**said, names.ERROR: outcome}


def _distribute(instruments: Instruments, usage: Usage, said: dict[str, Any]) -> None:
    instruments.tokens.record(usage.input_tokens, {**said, names.TOKEN_TYPE: "input"})
    if said[names.OPERATION] == "chat":
        instruments.tokens.record(usage.output_tokens, {**said, names.TOKEN_TYPE: "output"})


def _count(instruments: Instruments, usage: Usage, said: dict[str, Any]) -> None:
    said = {**said, names.MODALITY: "unknown"}
    for kind, count in (
        ("input_tokens", usage.input_tokens),
        ("output_tokens", usage.output_tokens),
        ("cache_read.input_tokens", usage.cached_tokens),
        ("reasoning.output_tokens", usage.reasoning_tokens),
    ):
        if count is not None:
            instruments.usage[kind].add(count, said)
