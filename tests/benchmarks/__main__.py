"""Run every benchmark, print one table, write bench-results/bench.json."""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from tests.benchmarks import encoding, path
from tests.benchmarks.table import rendered

RESULTS = Path("bench-results/bench.json")


def main() -> int:
    """Return 0 when every target is met."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--arrivals", type=Path, help="a CSV of TIMESTAMP, ContextTokens, GeneratedTokens")
    options = parser.parse_args()
    now_us = time.time_ns() // 1000
    rows = [*encoding.rows(now_us), *path.rows(now_us, options.arrivals)]
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    print(f"Python {machine['python']}, {machine['machine']}, {machine['cores']} cores\n\n{rendered(rows)}")
    RESULTS.parent.mkdir(exist_ok=True)
    result = {"machine": machine, "rows": [row.view() for row in rows]}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
