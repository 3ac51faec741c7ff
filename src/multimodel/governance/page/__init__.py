"""A report as one HTML file that can be kept: no script, nothing is loaded; it reads offline, on paper, in grey.

Whatever is no :class:`Html` is text and is escaped where it is put in; markup comes from here alone. Names and figures
stand beside every mark, and shares differ by pattern, so that colour carries no meaning.

The report itself is JSON: :func:`json_bytes` makes its bytes. The page shows their SHA-256, and at its end the very
text, so that the file proves what it shows and equals the JSON that was written beside it. A missing value is
``unknown`` everywhere, never nothing.

>>> from multimodel.governance.page import bars, json_bytes, page, section, table
>>> report = {"calls": {"alibaba": 3, "openai": 1}}
>>> shown = section(
...     "Calls",
...     bars("Calls by operator", [("alibaba", 3, "3"), ("openai", 1, "1")]),
...     table("Calls by operator", ("operator", "calls"), [("alibaba", 3), ("openai", 1)]),
... )
>>> html = page("Calls of today", shown, report=json_bytes(report))
>>> html.startswith("<!doctype html>"), "<script" in html
(True, False)
"""

from __future__ import annotations

from .charts import bars, shares, timeline
from .document import json_bytes, page, section
from .markup import Html, items, link, paragraph, table, tag, text

__all__ = [
    "Html",
    "bars",
    "items",
    "json_bytes",
    "link",
    "page",
    "paragraph",
    "section",
    "shares",
    "table",
    "tag",
    "text",
    "timeline",
]
