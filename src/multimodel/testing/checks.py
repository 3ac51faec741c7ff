"""What the vendors refuse: rules that a request has to keep, each with the vendor's own words."""

from __future__ import annotations

from .refusals import DASHSCOPE, OPENAI, Refusal
from .reply import VendorRequest, text_of

__all__ = ["bad_for_dashscope", "bad_for_openai"]

_URL_ERROR = (
    "url error, please check url！ For details, see: https://help.aliyun.com/zh/model-studio/error-code#error-url"  # noqa: RUF001  # the vendor's own
)
_NO_JSON = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."


def bad_for_openai(request: VendorRequest, *, compatible: bool) -> Refusal | None:
    """Return why a chat completion is refused, or None."""
    if request.body is None:
        return _openai("We could not parse the JSON body of your request.", None)
    if not request.model:
        return _openai("you must provide a model parameter", None)
    if not request.messages:
        return _openai("Missing required parameter: 'messages'.", "missing_required_parameter", "messages")
    orphan = _tool_talk(request)
    if orphan is not None:
        return _openai(orphan, None, "messages")
    if _json_unsaid(request):
        return _openai(_NO_JSON, None, "messages")
    return _thinking(request) if compatible else None


def bad_for_dashscope(request: VendorRequest, path: str, native_path: str | None) -> Refusal | None:
    """Return why a native generation is refused, or None.

    :param path: ``text`` or ``multimodal``: where the request went.
    :param native_path: where the model lives; None when it may live on both.
    """
    if request.body is None or not isinstance(request.body.get("input"), dict):
        return _dashscope("Required body invalid, please check the request body format.")
    if not request.model:
        return _dashscope("Model not exist.")
    if native_path is not None and native_path != path:
        return _dashscope(_URL_ERROR)
    wrong = _native_messages(request, path)
    if wrong is not None:
        return _dashscope(f"<400> InternalError.Algo.InvalidParameter: {wrong}")
    return _native_format(request, path) or _thinking(request)


def _native_messages(request: VendorRequest, path: str) -> str | None:
    if not request.messages:
        return 'Either "prompt" or "messages" must exist and cannot both be none'
    contents = [message.get("content") for message in request.messages]
    if path == "text" and any(isinstance(content, list) for content in contents):
        return "input content must be a string"
    if path == "multimodal" and any(_typed(content) for content in contents):
        return "content parts must be keyed by modality"
    return _tool_talk(request)


def _native_format(request: VendorRequest, path: str) -> Refusal | None:
    options = request.options
    if path == "text" and (options.get("tools") or options.get("enable_thinking")):
        if options.get("result_format") != "message":
            return _dashscope('result_format parameter must be "message"')
        if request.stream and options.get("enable_thinking") and not options.get("incremental_output"):
            return _dashscope('incremental_output parameter must be "true" when enable_thinking is true')
    if _json_unsaid(request):
        return _dashscope(_NO_JSON)
    return None


def _thinking(request: VendorRequest) -> Refusal | None:
    options = request.options
    if options.get("enable_thinking") is not True:
        return None
    if options.get("response_format", {}).get("type") in ("json_object", "json_schema"):
        return _dashscope("Json mode response is not supported when enable_thinking is true")
    if options.get("tool_choice", "auto") not in ("auto", "none"):
        return _dashscope("The tool_choice parameter does not support being set to required or object in thinking mode")
    return None


def _json_unsaid(request: VendorRequest) -> bool:
    wanted = request.options.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_object":
        return False
    return not any("json" in text_of(message.get("content")).lower() for message in request.messages)


def _tool_talk(request: VendorRequest) -> str | None:
    """Each result of a tool answers a call before it, and each call is answered before the talk goes on."""
    open_calls: set[str] = set()
    for message in request.messages:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in open_calls:
                return "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
            open_calls.discard(str(message["tool_call_id"]))
            continue
        if open_calls:
            break
        calls = message.get("tool_calls") or ()
        open_calls = {str(call.get("id")) for call in calls if isinstance(call, dict)}
    if open_calls:
        return (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'."
        )
    return None


def _typed(content: object) -> bool:
    return isinstance(content, list) and any(isinstance(part, dict) and "type" in part for part in content)


def _openai(message: str, code: str | None, param: str | None = None) -> Refusal:
    return Refusal(OPENAI["bad_request"].status, code, message, param=param, compatible="invalid_parameter_error")


def _dashscope(message: str) -> Refusal:
    usual = DASHSCOPE["bad_request"]
    return Refusal(usual.status, usual.code, message, compatible=usual.compatible)
