"""What importing costs, beside pydantic's own import, in fresh processes of one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

STATEMENTS = {
    "nothing": "pass",
    "import multimodel": "import multimodel",
    "pydantic alone": "from pydantic import BaseModel, TypeAdapter\nclass M(BaseModel):\n    a: int\nM(a=1)",
    "from multimodel import Client": "from multimodel import Client",
}
ROUNDS = 15


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(ROUNDS):
        for name, statement in STATEMENTS.items():  # interleaved, so that the machine's mood hits all alike
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            times[name].append(time.perf_counter() - begun)
    bare = statistics.median(times["nothing"])
    print(f"{'statement':<32}{'median ms':>10}{'less bare':>10}{'modules':>9}")
    for name, statement in STATEMENTS.items():
        code = f"import sys\nbefore = set(sys.modules)\n{statement}\nprint(len(set(sys.modules) - before))"
        modules = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()
        median = statistics.median(times[name])
        print(f"{name:<32}{1000 * median:>10.0f}{1000 * (median - bare):>10.0f}{modules:>9}")
    client = statistics.median(times["from multimodel import Client"]) - bare
    pydantic = statistics.median(times["pydantic alone"]) - bare
    print(f"ratio Client / pydantic: {client / pydantic:.2f}")


if __name__ == "__main__":
    main()
