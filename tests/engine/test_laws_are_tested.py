"""Each law of the engine names the tests that hold it; they exist."""

from __future__ import annotations

import re
from pathlib import Path

import multimodel.engine

_LAW = re.compile(r"^ ?(\d+)\. ", re.MULTILINE)
_TEST = re.compile(r"``(test_\w+)``")


def test_every_law_names_tests_that_exist() -> None:
    head, *laws = _LAW.split(multimodel.engine.__doc__ or "")
    numbered = dict(zip(map(int, laws[::2]), laws[1::2], strict=True))
    assert list(numbered) == list(range(1, len(numbered) + 1))
    defined = {
        name
        for file in Path(__file__).parents[1].rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    for number, law in {0: head, **numbered}.items():
        named = _TEST.findall(law)
        assert named, f"law {number} names no test"
        assert set(named) <= defined, f"law {number}: {set(named) - defined}"
