"""Processes that are killed while they archive a model: it is there whole or not at all, and all else stays.

``python -m tests.campaign.killed --kills 200 --seed 1`` prints one line of figures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from time import monotonic, sleep

from multimodel.governance.archive import Archive, Facts

from ..governance.weights import make_weights

SIZE = 32 * 2**20


def run(kills: int, seed: int, root: Path) -> Counter[str]:
    """Kill so many processes, each after another part of the time that one needs, or a little longer."""
    rng = Random(seed)
    archive = Archive(root / "archive", lambda: datetime.now(UTC))
    archive.add(make_weights(root / "good"), Facts())
    weights = make_weights(root / "large", size=SIZE)
    begun = monotonic()
    _wait(_begin(archive, weights))
    needed = monotonic() - begun
    found: Counter[str] = Counter()
    for _ in range(kills):
        _forget(archive.folder / "large")
        process = _begin(archive, weights)
        sleep(rng.uniform(0, 1.2 * needed))
        os.kill(process, signal.SIGKILL)
        _wait(process)
        found["killed"] += 1
        states = {stored.name: archive.verify(stored.name).state for stored in archive.list()}
        found["whole"] += states.get("large") == "whole"
        found["not there"] += "large" not in states
        found["wrong"] += states not in ({"good": "whole"}, {"good": "whole", "large": "whole"})
        left = archive.under_way()
        found["left over and named"] += len(left)
        found["wrong"] += not all(left.values()) or len(left) > 1
        for name in left:
            _forget(archive.folder / name)
        found["wrong"] += sorted(path.name for path in archive.folder.iterdir()) != sorted(states)
    return found


def _begin(archive: Archive, weights: Path) -> int:
    process = os.fork()
    if not process:
        try:
            archive.add(weights, Facts())
        finally:
            os._exit(0)
    return process


def _wait(process: int) -> None:
    os.waitpid(process, 0)


def _forget(folder: Path) -> None:
    if folder.is_dir():
        folder.chmod(0o755)
        shutil.rmtree(folder)


def main() -> None:
    """Run, print the line, and fail when anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    begun = monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        found = run(args.kills, args.seed, Path(scratch))
    print(
        ", ".join(f"{found[name]} {name}" for name in ("killed", "whole", "not there", "left over and named", "wrong"))
    )
    print(f"{monotonic() - begun:.0f} s", file=sys.stderr)
    sys.exit(1 if found["wrong"] else 0)


if __name__ == "__main__":
    main()
