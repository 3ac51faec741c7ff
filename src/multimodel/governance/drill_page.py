"""The report of a drill as a page to keep."""

from __future__ import annotations

from .drill import DrillReport


def drill_page(report: DrillReport, found: str, data: str) -> str:
    return f'<script type="application/json" id="report">{data}</script>'
