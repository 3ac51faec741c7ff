"""The vendors' own error bodies: what each says, and how it wraps it.

The shapes and codes are the vendors': OpenAI's as public bug reports of 2023-2026 quote them, DashScope's as its error
page lists them. The texts keep the fragments that those show and are otherwise made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["DASHSCOPE", "OPENAI", "Refusal", "by_status", "compatible_body", "flat_body", "openai_body"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as a vendor words it. ``{model}`` in a message is replaced by the model that was asked for.

    :ivar code: the vendor's code; None where the vendor sends null.
    :ivar type: OpenAI's coarser word.
    :ivar compatible: DashScope's code in its compatible mode, where it differs.
    """

    status: int
    code: str | None
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    compatible: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


OPENAI: dict[str, Refusal] = {
    "bad_request": Refusal(
        400, "invalid_value", "Invalid value for 'temperature': expected a number.", param="temperature"
    ),
    "authentication": Refusal(
        401,
        "invalid_api_key",
        "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys.",
    ),
    "permission_denied": Refusal(
        403,
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
        type="request_forbidden",
    ),
    "quota_exhausted": Refusal(
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        type="insufficient_quota",
    ),
    "rate_limited": Refusal(
        429,
        "rate_limit_exceeded",
        "Rate limit reached for {model} on requests per min (RPM). Please try again in 2s.",
        type="requests",
    ),
    "overloaded": Refusal(
        503,
        None,
        "That model is currently overloaded with other requests. You can retry your request, or contact us through "
        "our help center at help.openai.com if the error persists.",
        type="server_error",
    ),
    "server_error": Refusal(
        500,
        None,
        "The server had an error while processing your request. Sorry about that!",
        type="server_error",
    ),
    "context_window_exceeded": Refusal(
        400,
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 10000 tokens. Please "
        "reduce the length of the messages.",
        param="messages",
    ),
    "content_filtered": Refusal(
        400,
        "invalid_prompt",
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try again with a "
        "different prompt: https://platform.openai.com/docs/guides/reasoning#advice-on-prompting",
    ),
    "model_not_found": Refusal(
        404, "model_not_found", "The model `{model}` does not exist or you do not have access to it."
    ),
}

DASHSCOPE: dict[str, Refusal] = {
    "bad_request": Refusal(
        400, "InvalidParameter", "Range of temperature should be [0.0, 2.0)", compatible="invalid_parameter_error"
    ),
    "authentication": Refusal(401, "InvalidApiKey", "Invalid API-key provided.", compatible="invalid_api_key"),
    "permission_denied": Refusal(403, "AccessDenied", "Access denied.", compatible="access_denied"),
    "quota_exhausted": Refusal(
        400,
        "Arrearage",
        "Access denied, please make sure your account is in good standing. For details, see: "
        "https://help.aliyun.com/zh/model-studio/error-code#overdue-payment",
        type="Arrearage",
    ),
    "rate_limited": Refusal(
        429,
        "Throttling.RateQuota",
        "Requests rate limit exceeded, please try again later.",
        type="limit_requests",
        compatible="limit_requests",
    ),
    "overloaded": Refusal(503, "ModelUnavailable", "Model is unavailable, please try again later."),
    "server_error": Refusal(
        500,
        "InternalError",
        "An internal error has occured, please try again later or contact service support.",
        type="internal_error",
        compatible="internal_error",
    ),
    "context_window_exceeded": Refusal(
        400,
        "InvalidParameter",
        "Range of input length should be [1, 129024]",
        compatible="invalid_parameter_error",
    ),
    "content_filtered": Refusal(
        400,
        "DataInspectionFailed",
        "Input data may contain inappropriate content.",
        type="data_inspection_failed",
        compatible="data_inspection_failed",
    ),
    "model_not_found": Refusal(
        404,
        "ModelNotFound",
        "The model `{model}` does not exist or you do not have access to it.",
        compatible="model_not_found",
    ),
    "timeout.whole": Refusal(
        500, "RequestTimeOut", "Request timed out, please try again later.", type="timeout", compatible="timeout"
    ),
}

_KIND = {
    400: "bad_request",
    401: "authentication",
    402: "quota_exhausted",
    403: "permission_denied",
    404: "model_not_found",
    429: "rate_limited",
    503: "overloaded",
    529: "overloaded",
}


def by_status(status: int) -> str:
    """Return the kind of error that a bare status usually stands for."""
    return _KIND.get(status, "server_error" if status >= 500 else "bad_request")  # noqa: PLR2004  # the 5xx class


def openai_body(refusal: Refusal, model: str) -> dict[str, Any]:
    """``{"error": {"message", "type", "param", "code"}}``."""
    message = refusal.message.replace("{model}", model)
    return {"error": {"message": message, "type": refusal.type, "param": refusal.param, "code": refusal.code}}


def compatible_body(refusal: Refusal, model: str, number: int, request_id: str) -> dict[str, Any]:
    """OpenAI's shape with DashScope's codes, a completion's id and the request id beside it."""
    body = openai_body(refusal, model)
    body["error"]["code"] = refusal.compatible or refusal.code
    return {**body, "id": f"chatcmpl-{number}", "request_id": request_id}


def flat_body(refusal: Refusal, model: str, request_id: str) -> dict[str, Any]:
    """``{"code", "message", "request_id"}``."""
    message = refusal.message.replace("{model}", model)
    return {"code": refusal.code or "InternalError", "message": message, "request_id": request_id}
