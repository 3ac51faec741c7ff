"""All benchmarks, one after the other. Figures are ratios within one run; the last ones stand in RESULTS.md."""

from __future__ import annotations

import dead_primary
import imports

for benchmark in (imports, dead_primary):
    print(f"== {benchmark.__name__}: {benchmark.__doc__}")
    benchmark.main()
    print()
