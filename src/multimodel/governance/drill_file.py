"""The report of a drill as a file: JSON, or a page that has the same JSON inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue
from pydantic_core import from_json

from .. import __version__
from ..errors import ConfigurationError
from .digest import FIELD, canonical, holds
from .drill import DrillReport
from .drill_page import drill_page

__all__ = ["page_of", "read_report"]

_HINT = "compare it with a copy that was kept elsewhere"
_DATA = re.compile(rb'<script type="application/json" id="report">(.*?)</script>', re.DOTALL)


def page_of(document: Mapping[str, JsonValue]) -> str:
    """Return the page of a report that carries its hash. The same report always gives the same page."""
    data = canonical(document).decode().replace("<", "\\u003c")  # nothing in it ends the element
    return drill_page(DrillReport.model_validate(_without_hash(document)), str(document[FIELD]), data)


def read_report(file: Path) -> tuple[DrillReport, str]:
    """Read a report that is as it was made, and its hash.

    :raises ConfigurationError: it is no report, something in it was changed, or the page does not say what its data do.
    """
    content = file.read_bytes()
    inside = _DATA.search(content)
    try:
        document = from_json(content if inside is None else inside[1], allow_inf_nan=False)
        report = DrillReport.model_validate(_without_hash(document))
    except (ValueError, TypeError, AttributeError):
        raise ConfigurationError(f"`{file}` is no report of a drill", hint="name its JSON, or its page") from None
    if not holds(document):
        raise ConfigurationError(f"`{file}` was changed since it was made: its hash is another", hint=_HINT)
    if inside is not None and content != page_of(document).encode():
        ours = report.version == __version__
        hint = _HINT if ours else f"verify it with multimodel {report.version}, which made it"
        raise ConfigurationError(f"the page `{file}` does not look as its data say", hint=hint)
    return report, str(document[FIELD])


def _without_hash(document: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in document.items() if name != FIELD}
