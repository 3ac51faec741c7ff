"""The report of a drill as a file: JSON that carries its hash, or a page that shows the same JSON and hash."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from pydantic_core import from_json

from .. import __version__
from ..errors import ConfigurationError
from .digest import FIELD, canonical, digest, without_digest
from .drill import DrillReport
from .drill_page import drill_page

__all__ = ["hash_of", "json_of", "page_of", "read_report"]

_HINT = "compare it with a copy that was kept elsewhere"
_INSIDE = re.compile(r"<pre><code>(.*?)</code></pre>", re.DOTALL)


def hash_of(report: DrillReport) -> str:
    """Return what says whether a report was changed."""
    return digest(report.model_dump(mode="json"))


def json_of(report: DrillReport) -> bytes:
    """Return a report as JSON that carries its hash: always the same, to the byte."""
    return canonical({**report.model_dump(mode="json"), FIELD: hash_of(report)})


def page_of(report: DrillReport) -> str:
    """Return a report as a page: always the same, to the byte."""
    return drill_page(report, canonical(report.model_dump(mode="json")))


def read_report(file: Path) -> DrillReport:
    """Read a report, either way, that is as it was made.

    :raises ConfigurationError: it is no report, or not to the byte what is written of the report in it.
    """
    content = file.read_bytes()
    page = content.decode(errors="replace") if content.startswith(b"<") else None
    inside = None if page is None else _INSIDE.search(page)
    try:
        document = from_json(content if inside is None else unescape(inside[1]), allow_inf_nan=False)
        report = DrillReport.model_validate(without_digest(document))
    except (ValueError, AttributeError):
        raise ConfigurationError(f"`{file}` is no report of a drill", hint="name its JSON, or its page") from None
    if content != (json_of(report) if page is None else page_of(report).encode()):
        hint = _HINT if report.version == __version__ else f"verify it with multimodel {report.version}, which made it"
        raise ConfigurationError(f"`{file}` was changed since it was made, or by another version", hint=hint)
    return report
