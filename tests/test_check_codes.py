"""`docs/check.md` names every code of `check`, with its severities."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROW = re.compile(r"^\| `([a-z-]+)` \| ([a-z, ]+) \| [^|]+ \| [^|]+ \|$", re.MULTILINE)


def told() -> dict[str, set[str]]:
    """The codes that the code tells, with their severities."""
    found: dict[str, set[str]] = defaultdict(set, mistake={"error"})
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            texts = [one.value if isinstance(one, ast.Constant) else None for one in node.args[:2]]
            codes = [
                one.value.value for one in node.keywords if one.arg == "code" and isinstance(one.value, ast.Constant)
            ]
            if getattr(node.func, "id", "") == "Doubt":
                codes = [texts[1]]
            if texts and texts[0] in {"error", "warning", "note"}:
                for code in codes:
                    found[code].add(texts[0])
    return dict(found)


def test_every_code_is_documented_with_its_severities():
    page = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    rows = ROW.findall(page)
    assert len({code for code, _ in rows}) == len(rows)
    assert {code: set(severities.split(", ")) for code, severities in rows} == told()


def test_the_ages_are_those_of_the_page():
    from multimodel.config.facts import FACTS_AGE, PRICES_AGE, RETIRES_SOON

    page = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    for age in (FACTS_AGE, PRICES_AGE, RETIRES_SOON):
        assert f" {age.days} days" in page
