"""Mutation: does the unit suite notice when a line of the engine or of a wire format is changed?

``python -m tests.campaign.mutation [--mutants 500] [--seed 1] [--processes 1]`` copies the project into a folder of its
own, lets mutmut change the code of ``engine`` and ``wire``, runs the unit suite on a sample of the changes, and prints
the score and every change that nobody noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
COPIED = ("src", "tests", "providers", "pyproject.toml", "README.md")
SURVIVED, NO_TEST = 0, 33


def main() -> None:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work; it is kept")
    args = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        run(folder, args.mutants, args.seed, args.processes)


def run(folder: Path, mutants: int, seed: int, processes: int) -> None:
    """Make all mutants, run the suite on a sample of them, and print what came of it."""
    mutmut(folder, processes, "multimodel.engine.bulkhead*")  # makes all of them, and runs few
    names = sorted(results(folder))
    sample = Random(seed).sample(names, min(mutants, len(names)))
    mutmut(folder, processes, *sample)
    found = results(folder)
    verdicts = {name: found[name] for name in sample}
    noticed = [name for name, code in verdicts.items() if code not in (SURVIVED, NO_TEST, None)]
    missed = sorted(set(sample) - set(noticed))
    for name in missed:
        print(f"--- {name} ({'no test' if verdicts[name] == NO_TEST else 'survived'})")
        print(changed(folder, name))
    print(
        f"mutants {len(names)}, sampled {len(sample)} (seed {seed}), noticed {len(noticed)}, missed {len(missed)}, "
        f"score {len(noticed) / len(sample):.1%}"
    )


def mutmut(folder: Path, processes: int, *names: str) -> None:
    """Run mutmut on some mutants; that some survive is no failure of the run."""
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(processes), *names]
    subprocess.run(command, cwd=folder, check=False, stdout=subprocess.DEVNULL, env=os.environ)


def results(folder: Path) -> dict[str, int | None]:
    """Return the exit code of each mutant's run; None where it was not run."""
    found: dict[str, int | None] = {}
    for file in (folder / "mutants").rglob("*.meta"):
        found |= json.loads(file.read_text("utf-8")).get("exit_code_by_key", {})
    return found


def changed(folder: Path, name: str) -> str:
    """Return the lines that a mutant changes."""
    shown = subprocess.run(
        [sys.executable, "-m", "mutmut", "show", name], cwd=folder, check=False, capture_output=True, text=True
    ).stdout
    return "\n".join(line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---"))


if __name__ == "__main__":
    main()
