"""CPU time of a piece of work, best of several runs: the machine's other work only ever adds."""

import gc
import time
from collections.abc import Callable


def cpu_seconds(work: Callable[[], object], *, runs: int = 5) -> float:
    """Return the least CPU time that `work` took, all threads counted."""
    best = float("inf")
    for _ in range(runs):
        gc.collect()
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best
