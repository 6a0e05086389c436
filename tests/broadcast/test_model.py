"""Every order of claim, send, fail, expire, pause, replay and crash, against a model in plain Python.

The model keeps, for each destination, which receipts were settled and how. After each step the store must
agree, every ledger must balance, no receipt may be settled twice, and a cursor may only have moved over
receipts that are settled.
"""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broadcast.errors import Conflict
from broadcast.store import Store, cursors, destinations, leases, replays, workspaces
from broadcast.store.leases import Claim, Counts
from tests.broadcast.store.rows import NOW_US, a_destination, a_workspace, append_some
from tests.databases import postgres_url, sqlite_url

FATES = ("delivered", "sampled_out", "filtered", "rejected", "expired")
HOLDERS = ("one", "two", "three")
LATER_US = 3_600_000_000

which = st.integers(0, 1)
holders = st.sampled_from(HOLDERS)
fates = st.lists(st.sampled_from(FATES), min_size=1, max_size=5)


@dataclass
class Replaying:
    """What the model knows of a replay."""

    id: int
    total: int
    position: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    state: str = "running"


@dataclass
class Known:
    """What the model knows of a destination; `claim` is the lease that counts, whoever else thinks so too."""

    id: int
    settled: list[str] = field(default_factory=list)
    since: int = 0
    claim: Claim | None = None
    holder: str = ""
    lapsed: bool = False
    due: bool = True
    failures: int = 0
    paused: str = ""
    on: bool = True
    ended_at: int = 0
    replay: Replaying | None = None
    replays: list[Replaying] = field(default_factory=list)

    @property
    def cursor(self) -> int:
        return self.since + len(self.settled)


class Machine(RuleBasedStateMachine):
    """The store beside the model; a subclass says which database."""

    opened: Store

    def __init__(self) -> None:
        super().__init__()
        self.store = self.opened
        self.head = 0
        self.dead: set[str] = set()
        self.stale: list[tuple[int, Claim]] = []
        with self.store.write() as conn:
            # Nobody else's destinations may be claimed here: the workspace of the last run is switched off.
            for workspace in workspaces.all(conn):
                workspaces.set_broadcast(conn, workspace.id, False)
            self.home = a_workspace(conn).id
            self.known = [Known(id=a_destination(conn, self.home, name)) for name in ("A", "B")]

    # -- the log -------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 6))
    def append(self, count: int) -> None:
        with self.store.write() as conn:
            append_some(conn, self.home, count)
        self.head += count

    # -- leases --------------------------------------------------------------------------------------

    @rule(holder=holders, lapses=st.booleans())
    def claim(self, holder: str, lapses: bool) -> None:
        lease_us = -1_000_000 if lapses else LATER_US
        with self.store.write() as conn:
            got = leases.claim(conn, holder=holder, lease_us=lease_us, dead_holders=self.dead)
        wanted = [known for known in self.known if self._claimable(known)]
        assert {claim.destination_id for claim in got} == {known.id for known in wanted}
        self.dead.discard(holder)
        for claim in got:
            known = next(item for item in wanted if item.id == claim.destination_id)
            assert (claim.cursor_seq, claim.head_seq, claim.failures) == (
                known.cursor,
                self.head,
                known.failures,
            )
            assert claim.probing == bool(known.paused)
            assert claim.replay_id == (known.replay.id if known.replay else None)
            self._lose(known)
            known.claim, known.holder, known.lapsed = claim, holder, lapses

    def _claimable(self, known: Known) -> bool:
        owed = known.cursor < self.head or known.replay is not None
        free = known.claim is None or known.lapsed or known.holder in self.dead
        return known.on and owed and free and known.due and known.paused != "person"

    def _lose(self, known: Known) -> None:
        if known.claim is not None:
            self.stale.append((self.known.index(known), known.claim))
        known.claim, known.holder, known.lapsed = None, "", False

    @rule(at=which, lapses=st.booleans())
    def renew(self, at: int, lapses: bool) -> None:
        known = self.known[at]
        holder = known.holder or "one"
        with self.store.write() as conn:
            kept = leases.renew(conn, holder, [known.id], -1_000_000 if lapses else LATER_US)
        assert kept == ({known.id} if known.claim else set())
        known.lapsed = known.claim is not None and lapses

    @precondition(lambda self: any(known.claim for known in self.known))
    @rule(at=which)
    def release(self, at: int) -> None:
        known = self.known[at]
        if known.claim is None:
            return
        with self.store.write() as conn:
            assert leases.release(conn, [known.id], known.claim.token) == 1
        self._lose(known)

    @rule(holder=holders)
    def crash(self, holder: str) -> None:
        """Let a holder die: whoever claims next sees that its lock is free."""
        if any(known.holder == holder for known in self.known):
            self.dead.add(holder)

    # -- outcomes ------------------------------------------------------------------------------------

    @rule(at=which, came_to=fates, goes_on=st.booleans())
    def settle(self, at: int, came_to: list[str], goes_on: bool) -> None:
        known = self.known[at]
        if known.claim is None:
            return
        done = came_to[: known.claim.head_seq - known.cursor]
        with self.store.write() as conn:
            assert leases.settle(
                conn,
                destination_id=known.id,
                token=known.claim.token,
                advance_to=known.cursor + len(done),
                counts=Counts(**Counter(done)),
                verdict="delivered",
                release=not goes_on,
            )
        known.settled += done
        known.failures, known.due = 0, True
        if not goes_on:
            self._lose(known)

    @rule(at=which, backs_off=st.booleans())
    def fail(self, at: int, backs_off: bool) -> None:
        known = self.known[at]
        if known.claim is None:
            return
        with self.store.write() as conn:
            assert leases.settle(
                conn,
                destination_id=known.id,
                token=known.claim.token,
                advance_to=known.cursor,
                counts=Counts(),
                due_in_us=LATER_US if backs_off else 0,
                failures=known.failures + 1,
                verdict="retrying",
                reason="503",
            )
        known.failures += 1
        known.due = not backs_off
        self._lose(known)

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def settle_under_a_lost_lease(self, data: st.DataObject) -> None:
        """What a worker that was given up for dead wants to write changes nothing."""
        at, claim = data.draw(st.sampled_from(self.stale))
        known = self.known[at]
        with self.store.write() as conn:
            kept = leases.settle(
                conn,
                destination_id=known.id,
                token=claim.token,
                advance_to=claim.head_seq,
                counts=Counts(delivered=claim.head_seq - claim.cursor_seq),
            )
            assert not kept
            assert leases.release(conn, [known.id], claim.token) == 0

    @rule(at=which)
    def wait(self, at: int) -> None:
        """Let the back-off end."""
        known = self.known[at]
        with self.store.write() as conn:
            cursors.make_due(conn, known.id)
        known.due, known.failures = True, 0

    # -- what people do ------------------------------------------------------------------------------

    @rule(at=which, by=st.sampled_from(["person", "answer"]))
    def pause(self, at: int, by: str) -> None:
        known = self.known[at]
        with self.store.write() as conn:
            paused = destinations.pause(conn, known.id, by=by, reason="so", now_us=NOW_US)
        assert paused == (not known.paused or (by == "person" and known.paused == "answer"))
        if paused:
            known.paused = by

    @rule(at=which)
    def resume(self, at: int) -> None:
        known = self.known[at]
        with self.store.write() as conn:
            assert destinations.resume(conn, known.id) == bool(known.paused)
        known.paused = ""

    @rule(at=which)
    def switch_off(self, at: int) -> None:
        known = self.known[at]
        with self.store.write() as conn:
            head = workspaces.lock_head(conn, self.home)
            assert cursors.end(conn, known.id, head, NOW_US) == known.on
        if known.on:
            known.on, known.ended_at = False, self.head
            if known.replay is not None:
                known.replay.state, known.replay = "stopped", None

    @rule(at=which)
    def switch_on(self, at: int) -> None:
        known = self.known[at]
        if known.on:
            return
        with self.store.write() as conn:
            head = workspaces.lock_head(conn, self.home)
            cursors.start(conn, known.id, self.home, head, NOW_US)
        self._lose(known)
        known.settled, known.since, known.on, known.due, known.failures = [], self.head, True, True, 0

    # -- replay --------------------------------------------------------------------------------------

    @precondition(lambda self: self.head)
    @rule(at=which, data=st.data())
    def replay(self, at: int, data: st.DataObject) -> None:
        known = self.known[at]
        if not known.on:
            return
        first = data.draw(st.integers(1, self.head))
        last = data.draw(st.integers(first, self.head))
        with contextlib.ExitStack() as stack:
            if known.replay is not None:
                stack.enter_context(pytest.raises(Conflict))
            conn = stack.enter_context(self.store.write())
            made = replays.start(
                conn,
                workspace_id=self.home,
                destination_id=known.id,
                source="range",
                from_seq=first,
                to_seq=last,
                requested_by=None,
                now_us=NOW_US,
            )
            known.replay = Replaying(id=made.id, total=last - first + 1)
            known.replays.append(known.replay)

    @rule(at=which, came_to=st.lists(st.sampled_from([*FATES, "left_out"]), min_size=1, max_size=5))
    def advance(self, at: int, came_to: list[str]) -> None:
        """Settle receipts of the replay that the lease was given for, which may have been stopped since."""
        known = self.known[at]
        if known.claim is None or known.claim.replay_id is None:
            return
        replaying = next(item for item in known.replays if item.id == known.claim.replay_id)
        done = came_to[: replaying.total - replaying.position]
        if not done:
            return
        with self.store.write() as conn:
            moved = replays.advance(
                conn, replaying.id, position=replaying.position, counts=Counter(done), now_us=NOW_US
            )
        assert (moved is not None) == (replaying.state == "running")
        if moved is not None:
            replaying.position += len(done)
            replaying.counts.update(done)
            if replaying.position == replaying.total:
                replaying.state, known.replay = "done", None

    @rule(at=which)
    def stop_replay(self, at: int) -> None:
        known = self.known[at]
        if not known.replays:
            return
        newest = known.replays[-1]
        with self.store.write() as conn:
            found = replays.by_id(conn, newest.id)
            assert found is not None
            assert replays.stop(conn, found, now_us=NOW_US) == (newest.state == "running")
        if newest.state == "running":
            newest.state, known.replay = "stopped", None

    # -- what always holds ---------------------------------------------------------------------------

    @invariant()
    def the_store_is_what_the_model_says(self) -> None:
        with self.store.read() as conn:
            head = workspaces.head_seq(conn, self.home)
            assert head == self.head
            for known in self.known:
                cursor = cursors.get(conn, known.id)
                assert cursor is not None
                ledger = cursors.ledger(cursor, head)
                assert ledger.balanced
                end = self.head if known.on else known.ended_at
                assert (ledger.appended, cursor.cursor_seq) == (end - known.since, known.cursor)
                assert {name: getattr(cursor, name) for name in FATES} == {
                    name: known.settled.count(name) for name in FATES
                }
                assert cursor.lease_token == (known.claim.token if known.claim else 0)
                assert cursor.replay_id == (known.replay.id if known.replay else None)
                for replaying in known.replays[-2:]:
                    found = replays.by_id(conn, replaying.id)
                    assert found is not None
                    assert (found.state, found.position) == (replaying.state, replaying.position)
                    assert all(getattr(found, name) == replaying.counts[name] for name in replays.COUNTERS)


@pytest.fixture(params=["sqlite", "postgresql"])
def machine(request: pytest.FixtureRequest) -> Iterator[tuple[type[Machine], int]]:
    """Return a machine on one kind of database, and how often to run it."""
    with (sqlite_url if request.param == "sqlite" else postgres_url)() as url:
        store = Store.open(url)
        yield type("OnOne", (Machine,), {"opened": store}), 10 if request.param == "sqlite" else 3
        store.close()


def test_whatever_happens_the_store_does_as_the_model_says(machine: tuple[type[Machine], int]) -> None:
    made, examples = machine
    run_state_machine_as_test(
        made,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
