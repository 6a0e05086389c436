"""Run the benchmarks, print one table, write bench-results/bench.json."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.benchmarks import activity, encoding, fan_out, gateway, isolation, memory, path
from tests.benchmarks.table import Row, rendered

RESULTS: Final = Path("bench-results/bench.json")
PARTS: Final[dict[str, Callable[[int, Path | None], list[Row]]]] = {
    "encoding": lambda now_us, _: encoding.rows(now_us),
    "path": path.rows,
    "fan_out": fan_out.rows,
    "isolation": lambda _now_us, _: isolation.rows(),
    "gateway": lambda _now_us, _: gateway.rows(),
    "memory": lambda now_us, _: memory.rows(now_us),
    "activity": lambda _now_us, arrivals: activity.rows(arrivals),
}
# Five million receipts on two databases take a quarter of an hour: only when they are asked for.
LONG: Final = {"activity"}


def main() -> int:
    """Return 0 when every target is met."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--arrivals", type=Path, help="a CSV of TIMESTAMP, ContextTokens, GeneratedTokens")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"some of: {', '.join(PARTS)}; all but activity unless said"
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"{', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")
    rows: list[Row] = []
    seconds: dict[str, float] = {}
    for name in options.parts or (name for name in PARTS if name not in LONG):
        begun = time.monotonic()
        rows += PARTS[name](time.time_ns() // 1000, options.arrivals)
        seconds[name] = round(time.monotonic() - begun, 1)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    print(f"Python {machine['python']}, {machine['machine']}, {machine['cores']} cores\n\n{rendered(rows)}")
    RESULTS.parent.mkdir(exist_ok=True)
    result = {"machine": machine, "seconds": seconds, "rows": [row.view() for row in rows]}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
