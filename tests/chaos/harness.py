"""A run of bad luck: receipts come in, parts of the program are killed by a seeded plan, and all is counted.

Every client posts its receipts again and again under the same ids until they are answered with 202, as a
router does. At the end each acknowledged receipt must have been taken by each destination, each ledger must
balance, and nothing may have complained but of what was done to it.
"""

import json
import random
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from broadcast.retry import delay_us
from tests.chaos.program import Program, eventually, program
from tests.chaos.sink import Sink
from tests.databases import OwnPostgres, own_postgres

DRAIN_S: Final = 60
PAUSE_S: Final = delay_us(100, jitter=1.0) / 1_000_000
"""The longest pause of a destination that was down, after which it has `DRAIN_S`."""
# Whoever was killed beside the database has to start first; tests/faults holds those who live to 10 s.
RECOVER_S: Final = 45
POISON_EVERY: Final = 400
# Eight requests of 512 spans: what one destination may have in flight while it catches up.
BATCH: Final = 8 * 512
_POST: Final = 10
_CLIENTS: Final = 6
_NO_DATABASE: Final = "Error: The database is not available."
_PATHS: Final = ("good", "flaky", "slow", "poison", "dead")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done to the program; the seed decides when, and to whom."""

    database: str
    seed: int
    duration_s: float
    receipts_per_s: float
    worker_kills: int
    web_kills: int
    database_kills: int = 0
    webs: int = 1
    workers: int = 2

    def events(self) -> list[tuple[float, str]]:
        """Return what happens when, in order; nothing in the last second."""
        dice = random.Random(self.seed)
        found: list[tuple[float, str]] = []
        for kind, count in (
            ("worker", self.worker_kills),
            ("web", self.web_kills),
            ("database", self.database_kills),
        ):
            # One in each stretch of its own: spread over the run, and never quite regular.
            stretch = (self.duration_s - 1) / max(1, count)
            found += [((number + dice.random()) * stretch, kind) for number in range(count)]
        return sorted(found)


class Clients:
    """Post numbered receipts at a steady pace from several threads, each until it hears 202."""

    def __init__(self, made: Program, receipts_per_s: float) -> None:
        self._program = made
        self._pace = receipts_per_s
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(_CLIENTS)]
        self.next = 0
        self.poisoned = 0
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Take no new number; what was begun is posted until it is acknowledged."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _take(self) -> list[str]:
        """Return the next ids once their time has come; after an outage they come faster, to catch up."""
        while not self._stopping.is_set():
            with self._lock:
                if self.next < (time.monotonic() - self._began) * self._pace:
                    ids = [name(number) for number in range(self.next, self.next + _POST)]
                    self.next += _POST
                    self.poisoned += sum(one.endswith("x") for one in ids)
                    return ids
            time.sleep(0.005)
        return []

    def _work(self, client: int) -> None:
        dice = random.Random(client)
        while ids := self._take():
            until = time.monotonic() + 120
            while not self._acknowledged(ids, dice):
                if time.monotonic() > until:
                    self.faults.append(f"{ids[0]} was not acknowledged in 120 s")
                    return
                time.sleep(0.05)

    def _acknowledged(self, ids: list[str], dice: random.Random) -> bool:
        web = dice.choice(list(self._program.ports))
        try:
            answer = self._program.post(ids, web=web)
        except requests.RequestException as error:
            with self._lock:
                self.answers[type(error).__name__] += 1
            return False
        with self._lock:
            self.answers[str(answer.status_code)] += 1
            if answer.status_code == 202:
                if answer.json()["rejected"]:
                    self.faults.append(f"refused: {answer.text[:500]}")
                return True
            if answer.status_code != 503 or not answer.headers.get("Retry-After", "").isdigit():
                self.faults.append(f"{answer.status_code} {answer.headers} {answer.text[:500]}")
        return False


def name(number: int) -> str:
    """Return a receipt's id; one in so many ends in x, which the poison path refuses."""
    return f"chaos-{number:08d}{'x' if number % POISON_EVERY == POISON_EVERY - 1 else ''}"


@dataclass(kw_only=True)
class Run:
    """One run, and what it came to."""

    plan: Plan
    folder: Path
    kills: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    destinations: dict[str, str] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def go(self) -> dict[str, Any]:
        """Do what was planned; return the figures, of which `faults` must be empty."""
        with ExitStack() as stack:
            server = stack.enter_context(own_postgres()) if self.plan.database == "postgresql" else None
            sink = stack.enter_context(Sink(self.plan.seed))
            url = server.url if server else None
            made = stack.enter_context(program(self.folder, url, egress=f"127.0.0.1:{sink.port}"))
            self._prepare(made, sink)
            clients = Clients(made, self.plan.receipts_per_s)
            clients.start()
            try:
                began = time.monotonic()
                self._disturb(made, sink, server, clients, began)
                lasted_s = time.monotonic() - began
            finally:
                clients.stop()
            self._settle(made, sink, clients, lasted_s)
        return self.figures

    def _prepare(self, made: Program, sink: Sink) -> None:
        made.bootstrap()
        for number in range(self.plan.webs):
            made.start(f"web-{number + 1}")
        for number in range(self.plan.workers):
            made.start(f"worker-{number + 1}")
        for web in made.ports:
            made.wait_until_ready(web)
        for path in _PATHS:
            self.destinations[path] = made.connect(path, sink.url(f"/{path}"))
        made.switch_on()
        sink.arm()

    # -- while it runs ---------------------------------------------------------------------------------

    def _disturb(
        self, made: Program, sink: Sink, server: OwnPostgres | None, clients: Clients, began: float
    ) -> None:
        dice = random.Random(self.plan.seed + 1)
        for at_s, kind in self.plan.events():
            time.sleep(max(0.0, began + at_s - time.monotonic()))
            self._revive(made)
            self.kills[kind] += 1
            if kind == "database":
                assert server is not None
                server.kill()
                time.sleep(dice.uniform(0, 2))
                server.start()
                self._recover(made, sink, clients)
            else:
                victim = f"{kind}-{dice.randint(1, self.plan.webs if kind == 'web' else self.plan.workers)}"
                made.kill(victim)
                made.start(victim)
                if victim == "web-1" and self.plan.webs == 1:
                    # While nobody can post, nothing else is worth killing.
                    made.wait_until_ready(victim)
        time.sleep(max(0.0, began + self.plan.duration_s - time.monotonic()))
        self._revive(made)

    def _revive(self, made: Program) -> None:
        """Start again what ended by itself; it may only have been starting just when the database went."""
        fallen = made.revive()
        self.kills["revived"] += len(fallen)
        self.faults += [f"{name} ended: {words}" for name, words in fallen.items() if words != _NO_DATABASE]

    def _recover(self, made: Program, sink: Sink, clients: Clients) -> None:
        """Wait until receipts are accepted again, and arrive."""
        up_at, wall = time.monotonic(), time.time()
        acknowledged = clients.answers["202"]

        def recovered() -> bool:
            self._revive(made)
            # A receipt acknowledged since then, and one taken since then, by a path that fails nobody.
            took = sink.told(0)["good"]["last_at"] > wall
            return took and clients.answers["202"] > acknowledged

        if not eventually(recovered, RECOVER_S, every_s=0.1):
            self.faults.append(f"not recovered {RECOVER_S} s after the database was back")
        self.recoveries_s.append(round(time.monotonic() - up_at, 2))

    # -- when it is over -------------------------------------------------------------------------------

    def _settle(self, made: Program, sink: Sink, clients: Clients, lasted_s: float) -> None:
        total = clients.next
        for web in made.ports:
            made.wait_until_ready(web)
        ended = time.monotonic()
        self._drain(made, ("good", "flaky", "slow", "poison"))
        drained_s = round(time.monotonic() - ended, 1)
        dead = made.ledger(self.destinations["dead"])
        sink.mend()
        mended = time.monotonic()
        self._drain(made, ("dead",), after_s=PAUSE_S)
        told = {path: sink.told(total).get(path, {}) for path in _PATHS}
        ledgers = {path: made.ledger(id_) for path, id_ in self.destinations.items()}
        self.faults += clients.faults
        self._judge(total, clients.poisoned, told, ledgers)
        self.faults += [f"doctor: {finding}" for finding in made.doctor()]
        self.faults += [
            f"{name}: exit {made.terminate(name)}" for name in list(made.running) if "worker" in name
        ]
        self.faults = [fault for fault in self.faults if not fault.endswith(": exit 0")]
        self.faults += made.complaints()[:20]
        repeated = sum(counts.get("repeated", 0) for counts in told.values())
        self.figures = {
            "database": self.plan.database,
            "seed": self.plan.seed,
            "duration_s": round(lasted_s),
            "kills": dict(self.kills),
            "acknowledged": total,
            "receipts_per_s": round(total / lasted_s),
            "answers": dict(clients.answers),
            "lost": sum(counts.get("missing", total) for counts in told.values())
            - told["poison"].get("missing", 0)
            + max(0, told["poison"].get("missing", 0) - clients.poisoned),
            "repeated": repeated,
            "repeated_share": round(repeated / max(1, total * len(_PATHS)), 5),
            "drained_s": drained_s,
            "held_for_the_dead": dead["pending"],
            "dead_drained_s": round(time.monotonic() - mended, 1),
            "recovered_s": self.recoveries_s,
            "repeated_at": {path: counts.get("repeated", 0) for path, counts in told.items()},
            "requests": {path: counts.get("requests", 0) for path, counts in told.items()},
            "failed_calls": {path: counts.get("failed", 0) for path, counts in told.items()},
            "ledgers": {
                path: {
                    word: ledger[word]
                    for word in ("appended", "delivered", "rejected", "pending", "balanced")
                }
                for path, ledger in ledgers.items()
            },
            "faults": self.faults,
        }

    def _drain(self, made: Program, paths: tuple[str, ...], *, after_s: float = 0.0) -> None:
        def drained() -> bool:
            return all(made.ledger(self.destinations[path])["pending"] == 0 for path in paths)

        within_s = DRAIN_S + after_s
        if not eventually(drained, within_s, every_s=0.3):
            pending = {path: made.ledger(self.destinations[path])["pending"] for path in paths}
            self.faults.append(f"not drained in {within_s} s: {pending}")

    def _judge(
        self, total: int, poisoned: int, told: dict[str, dict[str, Any]], ledgers: dict[str, dict[str, Any]]
    ) -> None:
        for path, ledger in ledgers.items():
            rejected = poisoned if path == "poison" else 0
            want = {"appended": total, "rejected": rejected, "delivered": total - rejected, "balanced": True}
            wrong = {word: (ledger[word], value) for word, value in want.items() if ledger[word] != value}
            if wrong:
                self.faults.append(f"ledger of {path}, (is, should be): {wrong}")
            lost = [
                number
                for number in told[path].get("first_missing", [0])
                if not (rejected and name(number).endswith("x"))
            ]
            if lost or told[path].get("missing", total) > rejected:
                self.faults.append(f"lost at {path}: {lost[:5]}, {told[path].get('missing')} missing")
        # At most one in a hundred, or one batch of each destination for each worker that was killed; one
        # that lives through the end of its database may lose its leases with it.
        repeated = sum(counts.get("repeated", 0) for counts in told.values())
        killed = self.kills["worker"] + self.kills["database"] * self.plan.workers
        if repeated > max(total * len(_PATHS) / 100, killed * len(_PATHS) * BATCH):
            self.faults.append(f"{repeated} repeated of {total * len(_PATHS)}")


def shown(figures: dict[str, Any]) -> str:
    """Return the figures as a person reads them."""
    return json.dumps(figures, indent=2)
