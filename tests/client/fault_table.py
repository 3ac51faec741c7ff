"""What has to come of each fault: one row a fault, the same on both wires unless it says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from multimodel.testing import Fault, Reply, faults
from multimodel.types import ToolCall

from .canary import ECHO

__all__ = ["CASES", "DASHSCOPE_ONLY", "WHOLE", "WIRES", "Case"]

WIRES = ("openai", "dashscope")
WHOLE = "one two three four five six"
PLAIN = Reply(WHOLE)
TOOLS = Reply(
    tool_calls=(
        ToolCall(id="call_1", name="first", arguments='{"city": "Lima"}'),
        ToolCall(id="call_2", name="second", arguments='{"city": "Quito"}'),
    )
)
THOUGHT = Reply(WHOLE, reasoning="hm hm hm")

When = Literal["harmless", "before", "after", "ends", "alone"]


@dataclass(frozen=True)
class Case:
    """One fault and its verdict.

    :ivar when: ``harmless``: the faulty vendor's answer counts, by itself. ``before``: it fails before its first
        content, and the second vendor answers. ``after``: it fails after its first content: a whole answer comes
        from the second vendor, a stream is interrupted. ``ends``: the call ends with this error. ``alone``: nobody
        else may be asked, and the error is the group.
    :ivar kind: of the attempt's error.
    :ivar says: what the faulty vendor would say.
    :ivar text: what a harmless answer says, where that is not ``says``.
    :ivar hasty: the target's limits are short; the others are never reached.
    :ivar thinks: the model is asked to think first.
    :ivar later: who answers a healthy call afterwards, where the first vendor need not be left alone.
    :ivar own: it meets connections, so it needs a vendor of its own; ``https``: one with certificates.
    """

    fault: Fault | None
    when: When
    kind: str = "ok"
    says: Reply = PLAIN
    text: str | None = None
    hasty: bool = False
    thinks: bool = False
    later: Literal["first", "second"] = "first"
    own: Literal["no", "http", "https", "nowhere"] = "no"


def harmless(fault: Fault | None, **more: object) -> Case:
    return Case(fault, "harmless", **more)  # type: ignore[arg-type]


def before(kind: str, fault: Fault | None, **more: object) -> Case:
    return Case(fault, "before", kind, **more)  # type: ignore[arg-type]


def after(kind: str, fault: Fault, **more: object) -> Case:
    return Case(fault, "after", kind, **more)  # type: ignore[arg-type]


def ends(kind: str, fault: Fault) -> Case:
    return Case(fault, "ends", kind)


Row = Case | tuple[Case, Case]
"""A verdict, or OpenAI's and DashScope's, where the wires differ."""

CONNECTION: dict[str, Row] = {
    "refused": before("connection.unsent", faults.refuse(), own="http"),
    "unanswered SYN": before("timeout.connect", faults.unanswered(), own="http", hasty=True),
    "accepted, never read": before("timeout.first", faults.deaf(), own="http", hasty=True),
    "name without address": before("connection.unsent", None, own="nowhere"),
    "TLS healthy": harmless(None, own="https"),
    "TLS expired": before("connection.tls", faults.tls_expired(), own="https"),
    "TLS wrong host": before("connection.tls", faults.tls_wrong_host(), own="https"),
    "TLS untrusted": before("connection.tls", faults.tls_untrusted(), own="https"),
    "TLS missing": before("connection.tls", faults.tls_missing(), own="https"),
    "TLS stalled handshake": before("timeout.connect", faults.deaf(), own="https", hasty=True),
    "TLS, then cut": after("truncated_stream", faults.cut(after=2), own="https"),
    "TLS, then silence": before("timeout.first", faults.silent(), own="https", hasty=True),
}

BEFORE_HEADERS: dict[str, Row] = {
    "silence": before("timeout.first", faults.silent(), hasty=True),
    "late headers": harmless(faults.silent(seconds=0.05)),
    "RST": before("connection.maybe_sent", faults.reset_before_headers()),
    "FIN": before("connection.maybe_sent", faults.close_before_headers()),
    "slow headers": before("timeout.first", faults.slow_headers(every=0.1), hasty=True),
    "endless headers": before("invalid_response", faults.endless_headers()),
    "FIN inside the headers": before("connection.maybe_sent", faults.partial_headers()),
    "half of the headers, then silence": before("timeout.first", faults.partial_headers(hang=True), hasty=True),
    "garbage": before("invalid_response", faults.garbage()),
    "1xx, then the answer": harmless(faults.informational(count=10)),
    "1xx flood": before("timeout.first", faults.informational(count=10**9), hasty=True),
    "two lengths": before("invalid_response", faults.two_lengths()),
    **{
        f"redirect {status}": before("invalid_response", faults.redirect(status=status))
        for status in (301, 302, 303, 307, 308)
    },
}

_BY_STATUS = {
    "authentication": (401,),
    "quota_exhausted": (402,),
    "permission_denied": (403,),
    "model_not_found": (404, 410),
    "rate_limited": (429,),
    "server_error": (408, 409, 500, 501, 502, 504, 505, 508, 520, 521, 522, 523, 524, 599),
    "overloaded": (503, 529),
    "invalid_response": (201, 202, 203, 206, 300, 305),
}

PAGE = "<html><body>Bad gateway</body></html>"
STATUS: dict[str, Row] = {
    **{
        f"status {status}": before(kind, faults.html(status=status))
        for kind, several in _BY_STATUS.items()
        for status in several
    },
    **{
        f"status {status}": ends("bad_request", faults.html(status=status))
        for status in (400, 405, 406, 411, 412, 413, 414, 415, 418, 422, 425, 428, 431)
    },
    "status 451": before("permission_denied", faults.html(status=451)),
    "status 500, empty": before("server_error", faults.empty(status=500)),
    "status 401, empty": before("authentication", faults.empty(status=401)),
    "status 503, text": before("overloaded", faults.body("upstream connect error", 503, "text/plain")),
    "status 500, endless body": before("server_error", faults.endless_refusal()),
    "status 500, cut body": before("server_error", faults.cut_refusal()),
    "status 429, stalled body": before("rate_limited", faults.cut_refusal(429, hang=True), hasty=True),
    "framed refusal": ends("bad_request", faults.framed_refusal()),
}

_DATE = ("Date", "Tue, 24 Nov 2026 12:00:00 GMT")
_RETRY_AFTER: dict[str, list[tuple[str, str]]] = {
    "0": [("Retry-After", "0")],
    "2": [("Retry-After", "2")],
    "-1": [("Retry-After", "-1")],
    "nan": [("Retry-After", "nan")],
    "inf": [("Retry-After", "inf")],
    "1e400": [("Retry-After", "1e400")],
    "a past date": [_DATE, ("Retry-After", "Tue, 24 Nov 2026 11:00:00 GMT")],
    "a future date": [_DATE, ("Retry-After", "Tue, 24 Nov 2026 13:00:00 GMT")],
    "twice": [("Retry-After", "2"), ("Retry-After", "3")],
    "86400": [("Retry-After", "86400")],
    "in ms": [("retry-after-ms", "1500")],
    "no number": [("Retry-After", "soon")],
}
RETRY_AFTER: dict[str, Row] = {
    f"Retry-After {name}": before("rate_limited", faults.status(429, headers=headers))
    for name, headers in _RETRY_AFTER.items()
}

_REFUSALS = (
    "authentication",
    "permission_denied",
    "quota_exhausted",
    "rate_limited",
    "overloaded",
    "server_error",
    "model_not_found",
)
_WINDOW = faults.refusal("context_window_exceeded")
REFUSALS: dict[str, Row] = {
    **{f"refused: {kind}": before(kind, faults.refusal(kind)) for kind in _REFUSALS},  # type: ignore[arg-type]
    "refused: bad_request": ends("bad_request", faults.refusal("bad_request")),
    "refused: content_filtered": ends("content_filtered", faults.refusal("content_filtered")),
    "refused: context_window_exceeded": (  # DashScope's catalogue says that the second's window is no larger
        before("context_window_exceeded", _WINDOW),
        Case(_WINDOW, "alone", "context_window_exceeded"),
    ),
}


def _inside(kind: str, position: int) -> Case:
    fault = faults.in_stream_error(after=position, kind=kind)  # type: ignore[arg-type]
    return after(kind, fault) if position else before(kind, fault)


def _two(kind: str, position: int) -> Row:
    """OpenAI says of a lack of capacity inside a stream only that it is a `server_error`."""
    case = _inside(kind, position)
    return (replace(case, kind="server_error"), case) if kind == "overloaded" else case


IN_STREAM: dict[str, Row] = {
    **{f"error before content: {kind}": _two(kind, 0) for kind in _REFUSALS},
    **{f"error after content: {kind}": _two(kind, 2) for kind in _REFUSALS},
    "error before content: bad_request": ends("bad_request", faults.in_stream_error(after=0, kind="bad_request")),
    "error before content: content_filtered": ends(
        "content_filtered", faults.in_stream_error(after=0, kind="content_filtered")
    ),
    "error after content: content_filtered": ends(
        "content_filtered", faults.in_stream_error(after=2, kind="content_filtered")
    ),
}

DEEP = '{"choices":' + "[" * 20_000 + "]" * 20_000 + "}"
BODIES: dict[str, Row] = {
    "an answer that nobody asked for": harmless(faults.unasked_answer(), later="second"),
    "a page": before("invalid_response", faults.html()),
    "empty body": before("invalid_response", faults.empty()),
    "text/plain": before("invalid_response", faults.wrong_content_type()),
    "octet-stream": before("invalid_response", faults.wrong_content_type("application/octet-stream")),
    "stream called JSON": harmless(faults.wrong_content_type("application/json")),
    "gzip bomb": before("invalid_response", faults.gzip_bomb(size=10_000_000)),
    "{}": before("invalid_response", faults.body("{}")),
    "[]": before("invalid_response", faults.body("[]")),
    "null": before("truncated_stream", faults.body("null")),
    "a number": before("truncated_stream", faults.body("42")),
    "a JSON text": before("truncated_stream", faults.body('"ok"')),
    "no choices": before("invalid_response", faults.body('{"choices": []}')),
    "choices that are none": before("invalid_response", faults.body('{"choices": "none"}')),
    "too deep": before("invalid_response", faults.body(DEEP)),
    "half a JSON": before("truncated_stream", faults.body('{"choices": [{"mess')),
    "an error with status 200": before(
        "server_error", faults.body('{"error": {"message": "no", "type": "api_error"}}')
    ),
    "length too long": harmless(faults.content_length_too_long()),
    "length too short": (  # what is missing is OpenAI's `[DONE]`, but DashScope's finish reason
        harmless(faults.content_length_too_short(), later="second"),
        after("truncated_stream", faults.content_length_too_short(), later="second"),
    ),
    "length far too short": after("truncated_stream", faults.content_length_too_short(by=900), later="second"),
    "HTTP/1.0": harmless(faults.old_http()),
}

_TINY = faults.tiny_events(count=1000)
STREAM: dict[str, Row] = {
    "cut after 0": before("truncated_stream", faults.cut(after=0)),
    "cut after 1": (  # OpenAI's first event is the role
        before("truncated_stream", faults.cut(after=1)),
        after("truncated_stream", faults.cut(after=1)),
    ),
    "cut in the middle": after("truncated_stream", faults.cut(after=3)),
    "cut before the last": (harmless(faults.cut(after=-1)), after("truncated_stream", faults.cut(after=-1))),
    "cut cleanly": after("truncated_stream", faults.cut(after=3, clean=True)),
    "cut cleanly before the last": (
        harmless(faults.cut(after=-1, clean=True)),
        after("truncated_stream", faults.cut(after=-1, clean=True)),
    ),
    "RST inside the first chunk": before("truncated_stream", faults.reset(after=0)),
    "RST inside a chunk": after("truncated_stream", faults.reset(after=2)),
    "RST inside the last chunk": (harmless(faults.reset(after=-1)), after("truncated_stream", faults.reset(after=-1))),
    "broken chunk at once": before("truncated_stream", faults.broken_chunk(after=0)),
    "broken chunk": after("truncated_stream", faults.broken_chunk(after=3)),
    "headers, then silence": before("timeout.first", faults.headers_then_silence(), hasty=True),
    "headers, then late": harmless(faults.headers_then_silence(seconds=0.05)),
    "stall after the headers": before("timeout.first", faults.stall(after=0), hasty=True),
    "stall": after("timeout.idle", faults.stall(after=3), hasty=True),
    "stall before the last": (
        harmless(faults.stall(after=-1)),
        after("timeout.idle", faults.stall(after=-1), hasty=True),
    ),
    "pings for ever": before("timeout.first", faults.pings_forever(), hasty=True),
    "content, then pings for ever": after("timeout.idle", faults.pings_forever(after=3), hasty=True),
    "comments between": harmless(faults.commented()),
    "split into bytes": harmless(faults.split(), says=Reply("grün 漢字 🙂 fünf")),
    "split into bytes, CRLF": harmless(faults.split(crlf=True), says=Reply("grün 漢字 🙂 fünf")),
    "split into sevens": harmless(faults.split(size=7, crlf=True), says=Reply("grün 漢字 🙂 fünf")),
    "no blank lines": harmless(faults.unseparated()),
    "malformed first event": before("invalid_response", faults.malformed_event(at=0)),
    "malformed event": after("invalid_response", faults.malformed_event(at=3)),
    "malformed last event": (
        harmless(faults.malformed_event(at=-1)),
        after("invalid_response", faults.malformed_event(at=-1)),
    ),
    "no UTF-8": after("invalid_response", faults.not_utf8(at=3)),
    "long line": before("invalid_response", faults.long_line(size=3_000_000)),
    "many tiny events": (  # after the first event
        harmless(_TINY, text="x" * 1000 + WHOLE),
        harmless(_TINY, text=WHOLE.replace("one ", "one " + "x" * 1000)),
    ),
    "second terminal event": harmless(faults.second_terminal()),
    "text after the terminal event": harmless(faults.text_after_terminal()),
    "no DONE, left open": harmless(faults.no_done()),
    "no terminal event": after("truncated_stream", faults.no_terminal()),
    "no usage": harmless(faults.usage_missing()),
    "finish reason length": harmless(faults.finish_reason("length")),
    "finish reason in capitals": harmless(faults.finish_reason("STOP")),
    "finish reason unknown": after("truncated_stream", faults.finish_reason("bored")),
    "finish reason timeout": after("truncated_stream", faults.finish_reason("timeout")),
    "finish reason null": after("truncated_stream", faults.finish_reason("null")),
    "finish reason tool_calls without any": after("invalid_response", faults.finish_reason("tool_calls")),
    "reasoning, then cut": after("truncated_stream", faults.cut(after=3), says=THOUGHT, thinks=True),
    "tool call cut": after("truncated_stream", faults.cut(after=3), says=TOOLS),
    "tool call cut cleanly": after("truncated_stream", faults.cut(after=4, clean=True), says=TOOLS),
    "tool call, RST": after("truncated_stream", faults.reset(after=3), says=TOOLS),
    "tool call malformed": after("invalid_response", faults.malformed_event(at=4), says=TOOLS),
    "tool calls without an end": after("truncated_stream", faults.no_terminal(), says=TOOLS),
    "tool calls out of order": harmless(faults.shuffled_tool_calls(), says=TOOLS),
    "tool calls, split": harmless(faults.split(size=5), says=TOOLS),
}

REPEATS: dict[str, Row] = {
    "400 that repeats key and prompt": ends("bad_request", faults.status(400, message=ECHO)),
    "401 that repeats key and prompt": before("authentication", faults.status(401, message=ECHO)),
    "429 that repeats key and prompt": before("rate_limited", faults.status(429, message=ECHO)),
    "500 that repeats key and prompt": before("server_error", faults.status(500, message=ECHO)),
    "page that repeats key and prompt": before("invalid_response", faults.body(f"<p>{ECHO}</p>")),
}

_ROWS = CONNECTION | BEFORE_HEADERS | STATUS | RETRY_AFTER | REFUSALS | IN_STREAM | BODIES | STREAM | REPEATS

CASES: dict[tuple[str, str], Case] = {
    (name, wire): row[number] if isinstance(row, tuple) else row
    for name, row in _ROWS.items()
    for number, wire in enumerate(WIRES)
}
"""By the fault's name and the wire."""

# Codes that only DashScope has, natively and in its compatible mode, as its error page lists them.
_CODES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "bad_request": (
        (400, "InvalidParameter", "Range of max_tokens should be [1, 8192]"),
        (400, "InternalError.Algo.InvalidParameter", "Input should be a valid list"),
        (400, "BadRequest.TooLarge", "Payload Too Large"),
        (400, "BadRequest.InputDownloadFailed", "Failed to download the file"),
        (400, "InvalidParameter.DataInspection", "Unable to download the media resource"),
        (400, "InvalidURL", "The request URL is invalid."),
        (400, "InvalidInputLength", "The image length and width do not meet the model restrictions."),
        (400, "InvalidSchema", "Database schema is invalid."),
        (400, "UnsupportedOperation", "The operation is unsupported on the referee object."),
        (400, "Throttling.AllocationQuota", "The number of voices exceeds the limit."),
        (400, "ServiceUnavailableError", "Role must be user or assistant and Content length must be greater than 0"),
        (500, "InternalError.Algo", "list index out of range"),
    ),
    "quota_exhausted": (
        (400, "Arrearage", "Access denied, please make sure your account is in good standing."),
        (403, "AllocationQuota.FreeTierOnly", "The free tier of the model has been exhausted."),
        (429, "CommodityNotPurchased", "Commodity has not purchased yet."),
        (429, "PrepaidBillOverdue", "The prepaid bill is overdue."),
        (429, "PostpaidBillOverdue", "The postpaid bill is overdue."),
        (429, "Throttling.AllocationQuota", "Free allocated quota exceeded."),
    ),
    "content_filtered": (
        (400, "DataInspectionFailed", "Output data may contain inappropriate content."),
        (400, "CustomRoleBlocked", "Input or output data may contain inappropriate content with custom rule."),
        (400, "FaqRuleBlocked", "Input or output data is blocked by faq rule."),
        (400, "IPInfringementSuspect", "Input data is suspected of being involved in IP infringement."),
    ),
    "authentication": (
        (401, "InvalidApiKey", "Invalid API-key provided."),
        (401, "NOT AUTHORIZED", "Access denied: Either you are not authorized to access this workspace"),
    ),
    "permission_denied": (
        (403, "Model.AccessDenied", "Model access denied."),
        (403, "Workspace.AccessDenied", "Workspace access denied."),
        (403, "AccessDenied.Unpurchased", "Access to model denied. Please make sure you are eligible."),
        (403, "Endpoint.AccessDenied", "The model is not available at this endpoint."),
        (404, "WorkSpaceNotFound", "WorkSpace can not be found."),
    ),
    "model_not_found": (
        (400, "InvalidParameter", "Model not exist."),
        (404, "ModelNotFound", "Model can not be found."),
        (404, "model_not_supported", "Unsupported model for OpenAI compatibility mode."),
    ),
    "rate_limited": (
        (429, "Throttling", "Requests throttling triggered."),
        (429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."),
        (429, "Throttling.BurstRate", "Request rate increased too quickly."),
        (429, "Throttling.Concurrency", "Too many concurrent requests."),
        (429, "LimitRequests", "You exceeded your current requests list."),
        (429, "Throttling.AllocationQuota", "Allocated quota exceeded, please increase your quota limit."),
        (429, "insufficient_quota", "You exceeded your current quota, please check your plan and billing details."),
    ),
    "server_error": (
        (500, "InternalError", "An internal error has occured, please try again later or contact service support."),
        (500, "SystemError", "An system error has occured, please try again later."),
        (500, "ModelServiceFailed", "Failed to request model service."),
    ),
    "timeout.whole": (
        (500, "RequestTimeOut", "Request timed out, please try again later."),
        (500, "InternalError.Timeout", "An internal timeout error has occured during execution."),
        (504, "ResponseTimeout", "Response timeout!"),
    ),
    "overloaded": (
        (
            500,
            "ModelServingError",
            "Too many requests. Your requests are being throttled due to system capacity limits.",
        ),
        (503, "ModelUnavailable", "Model is unavailable, please try again later."),
    ),
}
_ENDING = ("bad_request", "content_filtered")

DASHSCOPE_ONLY: dict[tuple[str, str], Case] = {
    (f"{status} {code}: {message[:24]}", wire): (ends if kind in _ENDING else before)(
        kind, faults.status(status, code=code, message=message)
    )
    for kind, rows in _CODES.items()
    for status, code, message in rows
    for wire in ("dashscope", "compatible")
}
