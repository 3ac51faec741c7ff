"""Embeddings, as OpenAI and all who copy it speak them, and as DashScope's native protocol does.

1. Vectors are asked for as numbers; those that come as base64 of little-endian floats of 32 bits are read as well.
2. A row says itself which input it belongs to; where no row does, their order says it.
3. A whole body is read at its end. An error inside a 200 is classified like an error status.

How many rows a request may have is a quirk, ``embed_rows``, that whoever makes the requests keeps.

Source: OpenAI's API reference; the requests of DashScope's own SDK, version 2.0.2.
"""

from __future__ import annotations

import binascii
import struct
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

from pydantic_core import from_json

from ..errors import CallError, InvalidResponseError, TruncatedStreamError
from ..types import AnswerEvent, EmbedRequest, Usage, Vector, Vectors
from . import Decoder, Dialect, WireRequest
from .faults import as_error, fault_from, parse_fault
from .hints import request_id
from .jsontext import is_cut
from .requests import body_of, check_supported, headers_for, merge_extra

__all__ = ["EmbeddingsCodec", "embeddings_codec_for", "rows_of"]

_MAX_BODY = 256 * 2**20  # 2,048 vectors of 4,096 numbers of 22 characters are 176 MiB
_TYPES = frozenset({"", "application/json", "text/json"})
_SUCCESS = (None, "", 0, "0", 200, "200")
_NUMBERS = {int, float}
_FLOAT = 4  # bytes


class _Format(Protocol):
    """What tells one format from the other."""

    def encode(self, request: EmbedRequest, model: str, dialect: Dialect) -> WireRequest: ...

    def rows(self, answer: Mapping[str, Any]) -> list[tuple[Any, Any]]:
        """Return what each row says of its number, and its vector."""
        ...


@dataclass(frozen=True, slots=True)
class EmbeddingsCodec:
    """One wire format: a :class:`~multimodel.wire.Codec` for another kind of request, whose answer is never a stream."""

    form: _Format

    def encode(self, request: EmbedRequest, model: str, dialect: Dialect) -> WireRequest:
        """Encode a request.

        :raises PolicyDeniedError: when the vendor cannot be asked for it.
        """
        check_supported(request, dialect)
        return self.form.encode(request, model, dialect)

    def decoder(self, dialect: Dialect, headers: Mapping[str, str]) -> Decoder:
        """Return a decoder for one 2xx answer.

        :raises InvalidResponseError: when the content type is not JSON.
        """
        return _Decoder(self.form, dialect, headers)

    def error(self, status: int, headers: Mapping[str, str], body: bytes, dialect: Dialect) -> CallError:
        """Classify an answer that is not 200."""
        return as_error(parse_fault(body), dialect, headers, status)


def embeddings_codec_for(wire: str) -> EmbeddingsCodec:
    """Return the codec of a wire format's name: ``openai_chat`` or ``dashscope``."""
    return EmbeddingsCodec(_DashScope() if wire == "dashscope" else _OpenAI())


def rows_of(given: Iterable[tuple[Any, Any]], request_id: str | None = None) -> tuple[tuple[int, Vector], ...]:
    """Read what each row says of its number, and its vector.

    :raises InvalidResponseError: when there are none, or one cannot be read.
    """
    rows = list(given)
    if not rows:
        raise InvalidResponseError("the answer has no vectors", request_id=request_id)
    if all(number is None for number, _ in rows):
        rows = [(number, vector) for number, (_, vector) in enumerate(rows)]
    try:
        return tuple((_number(number), _vector(vector)) for number, vector in rows)
    except ValueError as error:
        raise InvalidResponseError(str(error), request_id=request_id) from None


def _number(given: Any) -> int:
    if type(given) is not int:
        raise ValueError("a vector does not say which input it belongs to")
    return given


def _vector(given: Any) -> Vector:
    try:
        if isinstance(given, str):
            packed = b64decode(given, validate=True)
            numbers: Vector = struct.unpack(f"<{len(packed) // _FLOAT}f", packed)
        elif isinstance(given, list) and set(map(type, given)) <= _NUMBERS:
            numbers = tuple(map(float, given))
        else:
            numbers = ()
    except (binascii.Error, struct.error, OverflowError):
        numbers = ()
    if not numbers or not all(map(isfinite, numbers)):
        raise ValueError("a vector is neither finite numbers nor base64 of them")
    return numbers


class _OpenAI:
    def encode(self, request: EmbedRequest, model: str, dialect: Dialect) -> WireRequest:
        body: dict[str, Any] = {"model": model, "input": list(request.inputs), "encoding_format": "float"}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        merge_extra(body, dialect, ("model", "input", "encoding_format"))
        return WireRequest("/embeddings", headers_for(stream=False), body_of(body))

    def rows(self, answer: Mapping[str, Any]) -> list[tuple[Any, Any]]:
        return [(row.get("index"), row.get("embedding")) for row in _dicts(answer.get("data"))]


class _DashScope:
    def encode(self, request: EmbedRequest, model: str, dialect: Dialect) -> WireRequest:
        parameters: dict[str, Any] = {"output_type": "dense"}
        if request.dimensions is not None:
            parameters["dimension"] = request.dimensions
        merge_extra(parameters, dialect, ("output_type",))
        body = {"model": model, "input": {"texts": list(request.inputs)}, "parameters": parameters}
        path = "/services/embeddings/text-embedding/text-embedding"
        return WireRequest(path, headers_for(stream=False), body_of(body))

    def rows(self, answer: Mapping[str, Any]) -> list[tuple[Any, Any]]:
        output = answer.get("output")
        found = _dicts(output.get("embeddings") if isinstance(output, dict) else None)
        return [(row.get("text_index"), row.get("embedding")) for row in found]


class _Decoder:
    def __init__(self, form: _Format, dialect: Dialect, headers: Mapping[str, str]) -> None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        self._id = request_id(headers)
        if kind not in _TYPES and not kind.endswith("+json"):
            raise self._invalid("the content type of the answer is not JSON")
        self.terminal = False
        self.done = False
        self._form, self._dialect, self._headers = form, dialect, headers
        self._body = bytearray()

    def feed(self, data: bytes) -> Iterable[AnswerEvent]:
        self._body += data
        if len(self._body) > _MAX_BODY:
            raise self._invalid("the answer is longer than 256 MiB")
        return ()

    def close(self) -> Iterator[AnswerEvent]:
        text = bytes(self._body).strip()
        self._body.clear()
        try:
            answer = from_json(text, allow_inf_nan=False)
        except ValueError:
            if is_cut(text):
                raise TruncatedStreamError("the answer stops in the middle of its JSON", request_id=self._id) from None
            raise self._invalid("the answer is not JSON") from None
        if isinstance(answer, list):
            answer = next(iter(answer), None)  # Google wraps its errors
        if not isinstance(answer, dict):
            raise self._invalid("the answer is JSON, but not of this format")
        if answer.get("error") or answer.get("code") not in _SUCCESS or answer.get("object") == "error":
            raise as_error(fault_from(answer), self._dialect, self._headers)
        self._id = request_id(self._headers, _word(answer.get("request_id")) or _word(answer.get("id")))
        rows = rows_of(self._form.rows(answer), self._id)
        self.terminal = self.done = True
        yield Vectors("stop", _usage(answer.get("usage")), _word(answer.get("model")), self._id, rows=rows)

    def _invalid(self, message: str) -> InvalidResponseError:
        return InvalidResponseError(message, request_id=self._id)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return value if isinstance(value, list) and all(isinstance(row, dict) for row in value) else []


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _usage(counts: Any) -> Usage | None:
    """Read the tokens; DashScope gives their total alone. Nothing is written, so what was read is all."""
    if not isinstance(counts, dict):
        return None
    given = [counts.get(name) for name in ("prompt_tokens", "input_tokens", "total_tokens")]
    read = next((count for count in given if type(count) is int and count >= 0), None)
    return None if read is None else Usage(input_tokens=read, output_tokens=0, total_tokens=read)
