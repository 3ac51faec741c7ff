"""All benchmarks, one after the other. Figures are ratios within one run; the last ones stand in RESULTS.md."""

from __future__ import annotations

import decisions
import failover
import imports
import overhead

for benchmark in (imports, decisions, overhead, failover):
    print(f"== {benchmark.__name__}: {benchmark.__doc__}\n")
    benchmark.main()
    print()
