"""Names of OpenTelemetry's conventions for generative AI. All of them are "in development" there, so they stand here.

From https://github.com/open-telemetry/semantic-conventions-genai, read on 2026-11-29: spans and metrics of
``docs/gen-ai/client-inference.md`` at 024a4f944a1291fcb627c9c47da69e79868dd15e, tokens of
``docs/gen-ai/gen-ai-token-metrics.md`` at 066d4a7f356f8600de6f10c42874626ab88692fb, the older names by
``docs/gen-ai/non-normative/migration.md`` at 32c328e85013588c6fe32ebc30934ab5b1752b6a. Cost is not in them yet; its names
are those of their pull request 443. What begins with ``multimodel.`` is ours.
"""

from __future__ import annotations

# --- attributes

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST = {
    "max_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "seed": "gen_ai.request.seed",
    "reasoning_effort": "gen_ai.request.reasoning.level",
    "dimensions": "gen_ai.embeddings.dimension.count",
}
"""By our names of the options."""
OUTPUT_TYPE = "gen_ai.output.type"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
COST = "gen_ai.usage.cost.amount"
CURRENCY = "gen_ai.usage.cost.currency"
COST_SOURCE = "gen_ai.usage.cost.source"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105  # of another kind
MODALITY = "gen_ai.token.modality"
ADDRESS = "server.address"
PORT = "server.port"
STATUS = "http.response.status_code"
ERROR = "error.type"

INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
TOOL_DEFINITIONS = "gen_ai.tool.definitions"

ROUTE = "multimodel.route"
TARGET = "multimodel.target"
ATTEMPTS = "multimodel.attempts"
SKIPPED = "multimodel.skipped"
POLICY = "multimodel.policy.hash"
SHADOW = "multimodel.shadow"
ATTEMPT_INDEX = "multimodel.attempt.index"
ATTEMPT_REASON = "multimodel.attempt.reason"
AUTHOR = "multimodel.author"
JURISDICTION = "multimodel.jurisdiction"

# --- events

DETAILS = "gen_ai.client.inference.operation.details"
BREAKER = "multimodel.breaker"
SWITCH = "multimodel.switch"

# --- metrics

OPERATION_DURATION = "gen_ai.client.operation.duration"
TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105  # of another kind
INFERENCE_DURATION = "gen_ai.client.inference.duration"
INFERENCE_FIRST_CHUNK = "gen_ai.client.inference.time_to_first_chunk"
INFERENCE_USAGE = "gen_ai.client.inference.usage."
CALL_DURATION = "multimodel.call.duration"

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""The bounds of their histograms' buckets."""

# --- what an application chooses by

CAPTURE_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
LATEST = "gen_ai_latest_experimental"
