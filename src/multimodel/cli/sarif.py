"""What ``check`` found in the format that code hosts show beside the lines: SARIF 2.1.0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..config import Problem

__all__ = ["sarif"]


def sarif(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return the document."""
    codes = sorted({problem.code for problem in problems})
    driver = {"name": "multimodel check", "version": __version__, "rules": [{"id": code} for code in codes]}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": list(map(_result, problems))}
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def _result(problem: Problem) -> dict[str, Any]:
    text = problem.message if problem.hint is None else f"{problem.message}; {problem.hint}"
    result: dict[str, Any] = {"ruleId": problem.code, "level": problem.severity, "message": {"text": text}}
    if problem.file is not None:
        place: dict[str, Any] = {"artifactLocation": {"uri": quote(problem.file.replace("\\", "/"), safe="/:")}}
        if problem.line is not None:
            place["region"] = {"startLine": problem.line, "startColumn": problem.column}
        result["locations"] = [{"physicalLocation": place}]
    return result
