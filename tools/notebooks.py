"""Execute the notebooks in place, so that the outputs that are kept are those of this code."""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent / "examples" / "notebooks"
LARGEST = 400_000


def execute(file: Path) -> nbformat.NotebookNode:
    """Run a notebook from top to bottom and return it with its outputs."""
    notebook = nbformat.read(file, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(file.parent)}}).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)
    return notebook


def main() -> None:
    """Execute all, and refuse one that has grown too large to be looked at."""
    for file in sorted(FOLDER.glob("*.ipynb")):
        notebook = execute(file)
        nbformat.write(notebook, file)
        size = file.stat().st_size
        print(f"{file.name}: {size} bytes")
        if size > LARGEST:
            sys.exit(f"{file.name} is larger than {LARGEST} bytes")


if __name__ == "__main__":
    main()
