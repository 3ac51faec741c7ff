"""What a vendor's error says, and what it means.

1. A body is read in any shape seen in the field: ``{"error": {…}}``, flat, a list, one text, server-sent events,
   HTML, cut, or empty. Its content type is not asked.
2. The first row of the vendor's table that matches decides. A row's code is compared with the vendor's code first
   and with its ``type`` only when no row knew the code. Inside a stream, where no status is known, a row's status
   counts only if the row names nothing else.
3. Then rules that hold for everybody: codes that say one thing wherever they are used, the status, and inside a
   stream the error's type. What is left is a ``server_error`` there.
4. Every answer has exactly one kind. The vendor's words go to ``detail`` and to no other place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import CallError, Kind, error_for
from . import Dialect, ErrorRule
from .hints import hints, request_id
from .jsontext import parse_cut
from .sse import EventDecoder

__all__ = ["Fault", "as_error", "classify", "fault_from", "parse_fault", "showable"]

_MAX_TEXT = 2000
_MAX_BODY = 64 * 1024
_OK = 200
_ERRORS = range(400, 600)
_SERVER = 500
_SHOWABLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ .:/-]{0,99}")
_STATUS_PREFIX = re.compile(r"^<[0-9]{3}>\s*")
_CODE_IN_MESSAGE = re.compile(r"(?:<[0-9]{3}>\s*)?([A-Za-z]+(?:\.[A-Za-z]+)+):\s")
_ALGO = "internalerror.algo."


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as a vendor states it; what it does not state is None.

    :ivar code: its code, without a leading ``<400>``.
    :ivar type: its type (OpenAI, Anthropic) or the name of its status (Google).
    :ivar param: the parameter it complains about.
    :ivar status: an HTTP status that stands in the body or in the event.
    """

    code: str | None = None
    message: str | None = None
    type: str | None = None
    param: str | None = None
    request_id: str | None = None
    status: int | None = None


# --- reading ---------------------------------------------------------------------------------------


def parse_fault(body: bytes) -> Fault:
    """Read the body of an answer that is an error; never fails."""
    text = body.removeprefix(b"\xef\xbb\xbf").strip()
    if text.startswith((b"{", b"[")):
        try:
            return fault_from(parse_cut(text))
        except ValueError:
            return Fault(message=_text(text))
    if text.startswith((b"data:", b"event:", b"id:", b"status:", b":")):
        decoder = EventDecoder()
        for event in decoder.feed(text[:_MAX_BODY] + b"\n\n"):
            found = fault_from(event.json) if event.json is not None else Fault(message=_text(event.data))
            return replace(found, status=event.status or found.status)
    return Fault() if not text or text.startswith(b"<") else Fault(message=_text(text))


def fault_from(value: object) -> Fault:
    """Read an error that came as JSON."""
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, dict)), None)
    if not isinstance(value, dict):
        return Fault(message=value[:_MAX_TEXT] if isinstance(value, str) else None)
    error = value.get("error")
    inner: dict[str, Any] = error if isinstance(error, dict) else value
    code, status = _code(inner.get("code"))
    said = (inner.get("message"), value.get("message"), error, inner.get("detail"), inner.get("msg"))
    identity = (value.get("request_id"), inner.get("request_id"), value.get("requestId"))
    return Fault(
        code=code,
        message=next((words[:_MAX_TEXT] for words in said if isinstance(words, str) and words), None),
        type=next((word for word in (inner.get("type"), inner.get("status")) if isinstance(word, str) and word), None),
        param=inner["param"] if isinstance(inner.get("param"), str) else None,
        request_id=next((word for word in identity if isinstance(word, str) and word), None),
        status=status,
    )


def showable(code: str | None) -> str | None:
    """Return a vendor's code if it may stand in messages and logs: it must not look like a text."""
    return code if code and _SHOWABLE.fullmatch(code) else None


def _code(value: object) -> tuple[str | None, int | None]:
    """Tell codes from HTTP statuses that stand in a code's place."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**9 else None
    if not isinstance(value, str) or not value:
        return None, None
    if re.fullmatch("[45][0-9]{2}", value):
        return None, int(value)
    return _STATUS_PREFIX.sub("", value.strip()) or None, None


def _text(data: bytes) -> str:
    return data[:_MAX_TEXT].decode("utf-8", "replace")


# --- meaning ---------------------------------------------------------------------------------------

_CODES: dict[str, Kind] = {
    "context_length_exceeded": "context_window_exceeded",
    "context_window_exceeded": "context_window_exceeded",
    "exceed_context_size_error": "context_window_exceeded",  # llama.cpp
    "content_filter": "content_filtered",
    "content_policy_violation": "content_filtered",
    "model_not_found": "model_not_found",
    "credit_balance_exhausted": "quota_exhausted",
    "organization_spend_limit_exceeded": "quota_exhausted",
    "project_spend_limit_exceeded": "quota_exhausted",
    "organization_usage_limit_exceeded": "quota_exhausted",
    "enforced_spend_limit_reached": "quota_exhausted",
    "billing_error": "quota_exhausted",
}
"""Codes and types that mean the same wherever they are used, under any 4xx and inside a stream."""

_TYPES: dict[str, Kind] = {
    "api_error": "server_error",
    "authentication_error": "authentication",
    "bad_request": "bad_request",
    "bad_request_error": "bad_request",
    "badrequesterror": "bad_request",
    "internal": "server_error",
    "internal_error": "server_error",
    "internal_server_error": "server_error",
    "invalid_api_key": "authentication",
    "invalid_argument": "bad_request",
    "invalid_request_error": "bad_request",
    "not_found": "model_not_found",
    "not_found_error": "model_not_found",
    "notfounderror": "model_not_found",
    "overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "permission_denied": "permission_denied",
    "permission_error": "permission_denied",
    "rate_limit_error": "rate_limited",
    "rate_limit_exceeded": "rate_limited",
    "resource_exhausted": "rate_limited",
    "server_error": "server_error",
    "server_overloaded": "overloaded",
    "service_unavailable": "overloaded",
    "slow_down": "rate_limited",
    "timeout_error": "server_error",
    "unauthenticated": "authentication",
    "unavailable": "overloaded",
}
"""What an error inside a stream is called, where no status says it (OpenAI, Anthropic, Google, vLLM)."""

_STATUSES: dict[int, Kind] = {
    401: "authentication",
    402: "quota_exhausted",
    403: "permission_denied",
    404: "model_not_found",
    408: "server_error",
    409: "server_error",
    410: "model_not_found",
    429: "rate_limited",
    451: "permission_denied",
    503: "overloaded",
    529: "overloaded",
}
_SETTLED = frozenset({401, 402, 408, 409})

_REDIRECT = "redirects are not followed; correct `base_url`"
_WORDS: dict[Kind, str] = {
    "authentication": "the vendor does not accept the key",
    "permission_denied": "the vendor does not allow this to the key, or not from here",
    "quota_exhausted": "the vendor's account has no money or allowance left",
    "rate_limited": "the vendor takes no more requests now",
    "overloaded": "the vendor has no capacity now",
    "server_error": "the vendor failed",
    "bad_request": "the vendor refuses the request as it stands",
    "context_window_exceeded": "the request does not fit into the model's window",
    "content_filtered": "the vendor's moderation refused",
    "model_not_found": "the vendor does not know the model or the path",
    "invalid_response": "the answer is none of this format",
}


def classify(status: int | None, fault: Fault, rules: tuple[ErrorRule, ...] = ()) -> tuple[Kind, ErrorRule | None]:
    """Say what an error means, and by which row of the vendor's table, if by any.

    ``status`` is the HTTP status, or None (or 200) for an error inside an answer. Total: anything has one kind.
    """
    inside = status is None or status == _OK
    stated = (fault.status if fault.status in _ERRORS else None) if inside else status
    codes = _names(fault)
    types = (fault.type.strip().lower(),) if fault.type else ()
    message = fault.message.lower() if fault.message else ""
    for names in [names for names in (codes, types) if names] or [()]:
        for rule in rules:
            if _matches(rule, stated, names, message):
                return rule.kind, rule
    return _default(stated, fault, codes + types), None


def _names(fault: Fault) -> tuple[str, ...]:
    """The vendor's code as it may stand in a table, in lower case; also one that leads the message."""
    names = [fault.code.lower()] if fault.code else []
    found = _CODE_IN_MESSAGE.match(fault.message) if fault.message else None
    if found is not None:
        inner = found[1].lower()
        names += [inner, inner.removeprefix(_ALGO)]
    return tuple(dict.fromkeys(names))


def _matches(rule: ErrorRule, status: int | None, names: tuple[str, ...], message: str) -> bool:
    named = rule.code is not None or rule.text is not None
    if rule.status is not None and rule.status != status and not (status is None and named):
        return False
    if rule.code is not None and not any(_is_code(rule.code.lower(), name) for name in names):
        return False
    return rule.text is None or rule.text.lower() in message


def _is_code(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _first(table: Mapping[str, Kind], names: tuple[str, ...]) -> Kind | None:
    return next((table[name] for name in names if name in table), None)


def _default(status: int | None, fault: Fault, names: tuple[str, ...]) -> Kind:
    known = _first(_CODES, names)
    if status is None:
        return known or _first(_TYPES, names) or "server_error"
    if status not in _ERRORS:
        return "invalid_response"
    if status >= _SERVER:
        return _STATUSES.get(status, "server_error")
    if known is not None and status not in _SETTLED:
        return known
    if fault.param == "model" and status in (400, 422):
        return "model_not_found"
    return _STATUSES.get(status, "bad_request")


def as_error(fault: Fault, dialect: Dialect, headers: Mapping[str, str], status: int | None = None) -> CallError:
    """Build the error that a fault means. ``status`` is the HTTP status; None (or 200) inside an answer."""
    kind, rule = classify(status, fault, dialect.errors)
    inside = status is None or status == _OK
    hint = hints(headers)
    shown = fault.code or fault.type
    return error_for(
        kind,
        _WORDS.get(kind, ""),
        status=(fault.status or status) if inside else status,
        code=showable(shown),
        request_id=request_id(headers, fault.request_id),
        retry_after=hint.retry_after,
        should_retry=hint.should_retry,
        scope=rule.scope if rule else None,
        hint=rule.hint if rule else _REDIRECT if status in range(300, 400) else None,
        detail=fault.message,
    )
