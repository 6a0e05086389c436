"""How many transactions a process had, and how long they took from the first wait to the commit."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

Kind = Literal["read", "write"]
KINDS: Final[tuple[Kind, ...]] = ("read", "write")


class Spent:
    """Counts and microseconds by kind, since the process began; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._ns: dict[Kind, int] = dict.fromkeys(KINDS, 0)

    @contextmanager
    def on(self, kind: Kind) -> Iterator[None]:
        """Time one transaction, the wait for a connection and for a lock included."""
        began_ns = time.perf_counter_ns()
        try:
            yield
        finally:
            length_ns = time.perf_counter_ns() - began_ns
            with self._lock:
                self._counts[kind] += 1
                self._ns[kind] += length_ns

    def figures(self) -> Mapping[str, int]:
        """Return `transactions:read`, `database_us:read` and the same of writes."""
        with self._lock:
            counts = {f"{TRANSACTIONS}{kind}": self._counts[kind] for kind in KINDS}
            return counts | {f"{DATABASE_US}{kind}": self._ns[kind] // 1000 for kind in KINDS}


TRANSACTIONS: Final = "transactions:"
DATABASE_US: Final = "database_us:"
