"""The JSON Schema of the policy file, for editors."""

from __future__ import annotations

from typing import Any

from .policy import Policy

__all__ = ["policy_schema"]

_VARIABLE = {"type": "string", "pattern": r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$"}


def policy_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of a policy as it stands in a file: durations, shares and keys are text.

    A schema cannot say all that loading checks: that names are known, or which settings exclude each other.
    """
    schema = _with_variables(Policy.model_json_schema())
    for section in ("providers", "aliases", "off"):
        schema["properties"][section] = {"anyOf": [schema["properties"][section], {"type": "null"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "multimodel policy"}


def _with_variables(schema: Any) -> Any:
    """Allow ``${NAME}`` wherever a text is restricted."""
    if isinstance(schema, list):
        return [_with_variables(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: value if key == "propertyNames" else _with_variables(value) for key, value in schema.items()}
    if inner.get("type") == "string" and inner.keys() & {"pattern", "enum", "format"}:
        about = {key: inner.pop(key) for key in ("title", "description", "default") if key in inner}
        return {"anyOf": [inner, _VARIABLE], **about}
    return inner
