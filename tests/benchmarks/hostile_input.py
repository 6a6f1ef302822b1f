"""Readers, timeline, frame arithmetic and text channel on generated hostile input.

    PYTHONPATH=.:tests python tests/benchmarks/hostile_input.py [CASES] [NAME …]

Runs 100 000 cases of each property by default and prints one line for each. Exits with 1 and the smallest failing case
at the first failure.
"""

import sys
import time

from hostile_material import CHECKS
from hypothesis import HealthCheck, Phase, given, settings


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for name in sys.argv[2:] or CHECKS:
        strategy, check = CHECKS[name]
        profile = settings(
            max_examples=cases,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        begun = time.perf_counter()
        profile(given(strategy)(check))()
        print(f"{name}: {cases} cases passed, {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
