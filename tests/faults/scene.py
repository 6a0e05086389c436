"""One case: the real program, one destination at a scripted path, and the ledger check at its end."""

import itertools
from dataclasses import dataclass, field
from typing import Any

from broadcast.config import load
from broadcast.doctor import examine
from destinations import TYPES
from tests.chaos.program import Program, eventually
from tests.receiver import Receiver, Seen, SeenSpan, spans_of

_numbers = itertools.count(1)


@dataclass
class Scene:
    """A case of its own beside a web process that serves many: its path and its receipts have its number."""

    program: Program
    receiver: Receiver
    destination: str = ""
    path: str = ""
    posted: list[str] = field(default_factory=list)
    number: int = field(default_factory=lambda: next(_numbers))

    def begin(self, path: str = "/ok", **settings: Any) -> None:
        """Connect the receiver at `path`, by way of the test that comes before saving; no worker runs yet."""
        self.path = f"/case-{self.number}{path}"
        self.receiver.answer(self.path, times=1)
        self.destination = self.program.connect(
            f"Case {self.number}", self.receiver.url(self.path), **settings
        )
        self.receiver.clear()

    def end(self) -> None:
        """Leave nothing behind that would send: workers go, and the destination is deleted."""
        for name in list(self.program.running):
            if name.startswith("worker"):
                self.program.kill(name)
                (self.program.folder / f"{name}.log").rename(
                    self.program.folder / f"case-{self.number}-{name}.log"
                )
        if "web-1" not in self.program.running or self.program.running["web-1"].poll() is not None:
            self.program.start("web-1")
        self.program.wait_until_ready()
        self.program.ask("DELETE", f"/observability/destinations/{self.destination}")

    def ids(self, count: int) -> list[str]:
        """Return the next receipts' ids."""
        return [f"case-{self.number}-{len(self.posted) + number}" for number in range(count)]

    def post(self, count: int = 1) -> list[str]:
        """Post new receipts, which must be acknowledged."""
        ids = self.ids(count)
        answer = self.program.post(ids)
        assert answer.status_code == 202, answer.text
        self.posted += ids
        return ids

    def requests(self) -> list[Seen]:
        """Return the requests that came for this case."""
        return [seen for seen in list(self.receiver.requests) if seen.path == self.path]

    def spans(self) -> list[SeenSpan]:
        return [span for seen in self.requests() for span in spans_of(seen.otlp())]

    def arrivals(self) -> list[str]:
        """Return the receipts that came, in order, once for each request that held them."""
        # One of each receipt's spans is of this kind.
        return [str(span.resource["openrouter.trace.id"]) for span in self.spans() if span.kind == 3]

    def ledger(self) -> dict[str, Any]:
        return self.program.ledger(self.destination)

    def settled(self, timeout_s: float = 45) -> bool:
        """Wait until nothing is pending."""
        return eventually(lambda: self.ledger()["pending"] == 0, timeout_s)

    def check(self, *, rejected: int = 0, repeated: int = 0) -> None:
        """Everything posted has arrived, at most so many twice; ledger, doctor and logs are clean."""
        assert self.settled(), self.ledger()
        ledger = self.ledger()
        assert ledger["balanced"], ledger
        assert (ledger["appended"], ledger["rejected"]) == (len(self.posted), rejected), ledger
        assert ledger["delivered"] == len(self.posted) - rejected, ledger
        arrived = self.arrivals()
        assert set(arrived) == set(self.posted)
        assert len(arrived) - len(set(arrived)) <= repeated, arrived
        found = examine(load(self.program.environment), TYPES)
        assert [finding for finding in found if not finding.ok] == []
        assert self.program.complaints() == []
