"""The notebooks run from top to bottom; no stored output is trusted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tools"))
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


@pytest.mark.filterwarnings("default")  # the kernel's own libraries warn, and none of it is ours
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_a_notebook_runs_and_shows_its_plots(file: Path):
    from notebooks import execute

    outputs = [output for cell in execute(file).cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2
    text = "".join(output.get("text", "") for output in outputs)
    assert "sk-" not in text
    assert str(ROOT) not in text
