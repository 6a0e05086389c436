"""The doctor proves that nothing is lost, and says what to do about what is wrong."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from broadcast import proof
from broadcast.config import load
from broadcast.doctor import examine
from broadcast.fates import Fate
from broadcast.replay import Replays, Wanted
from broadcast.retention import Retention
from broadcast.status import statuses
from broadcast.store import Conn, Store, cursors, dead_letters, receipts, replays, workspaces
from broadcast.store.tables import metadata
from tests.broadcast.homes import DAY_US, Home
from tests.broadcast.sending import World, clock
from tests.broadcast.store.rows import NOW_US, a_destination, a_receipt, append, append_some
from tests.receiver import Receiver

MIXED = (Fate.DELIVERED, Fate.REJECTED, Fate.FILTERED, Fate.SAMPLED_OUT, Fate.EXPIRED)


def faults(store: Store) -> list[str]:
    return [f"{fault.subject}: {fault.message}" for fault in proof.prove(store).faults]


def a_true_history(conn: Conn) -> Home:
    """Eight receipts, five of them settled in two attempts, one of them rejected."""
    home = Home(conn, 8)
    home.settled(1, *MIXED[:3])
    home.settled(4, *MIXED[3:])
    home.letter(2)
    return home


def test_a_true_ledger_is_found_true(store: Store) -> None:
    with store.write() as conn:
        a_true_history(conn)
        Home(conn)
    found = proof.prove(store)
    assert (found.ledgers, found.receipts, found.faults) == (2, 8, ())


def test_a_replayed_dead_letter_is_found_true(store: Store) -> None:
    with store.write() as conn:
        home = a_true_history(conn)
        _replayed(home, 2)
    assert faults(store) == []


def _replayed(home: Home, seq: int) -> None:
    """Let a replay deliver a dead letter: it moves from rejected to delivered, and its row goes."""
    replay = home.replay(seq)
    home.attempt(seq, Fate.DELIVERED, replay_id=replay.id)
    replays.advance(home.conn, replay.id, position=0, counts={"delivered": 1}, now_us=NOW_US)
    home.set(rejected=home.cursor.rejected - 1, delivered=home.cursor.delivered + 1)
    dead_letters.take(home.conn, home.id, [seq], since_seq=home.cursor.since_seq)


def test_an_ended_ledger_and_a_new_one_are_found_true(store: Store) -> None:
    with store.write() as conn:
        home = a_true_history(conn)
        cursors.end(conn, home.id, 8, NOW_US)
    assert faults(store) == []
    with store.write() as conn:
        cursors.start(conn, home.id, home.workspace.id, 8, NOW_US)
        append_some(conn, home.workspace.id, 1)
        home.conn = conn
        home.settled(9, Fate.DELIVERED)
    assert faults(store) == []


def test_counters_that_tell_something_else_than_the_attempts_are_found(store: Store) -> None:
    with store.write() as conn:
        home = a_true_history(conn)
        home.set(delivered=0, filtered=2)
    assert faults(store) == [
        "ledger: team/Collector: It counts 0 as delivered, the attempts tell of 1.",
        "ledger: team/Collector: It counts 2 as filtered, the attempts tell of 1.",
    ]


def test_a_cursor_beyond_the_log_is_found(store: Store) -> None:
    with store.write() as conn:
        a_true_history(conn)
        conn.execute(text("UPDATE heads SET head_seq = 4"))
    assert "ledger: team/Collector: Off by 1: 4 appended, 5 settled, -1 pending." in faults(store)


def test_a_rejected_receipt_without_a_dead_letter_is_found(store: Store) -> None:
    with store.write() as conn:
        a_true_history(conn)
        conn.execute(text("DELETE FROM dead_letters"))
    assert faults(store) == ["ledger: team/Collector: #2 was rejected, and no dead letter tells of it."]


def test_a_dead_letter_that_nothing_rejected_is_found(store: Store) -> None:
    with store.write() as conn:
        a_true_history(conn).letter(3)
    assert faults(store) == ["ledger: team/Collector: #3 is a dead letter, but no attempt rejected it."]


def test_receipts_whose_fate_nobody_tells_are_found(store: Store) -> None:
    with store.write() as conn:
        a_true_history(conn)
        conn.execute(text("DELETE FROM attempts WHERE from_seq = 4"))
    assert faults(store) == ["ledger: team/Collector: No attempt tells what became of #4 to #5."]


def test_a_receipt_settled_twice_is_found(store: Store) -> None:
    with store.write() as conn:
        a_true_history(conn).attempt(3, Fate.FILTERED)
    assert faults(store) == ["ledger: team/Collector: Two attempts settle #3."]


def test_an_attempt_beyond_the_cursor_is_found(store: Store) -> None:
    with store.write() as conn:
        a_true_history(conn).attempt(6, Fate.FILTERED)
    assert faults(store) == ["ledger: team/Collector: Attempts settle up to #6, the cursor stands at #5."]


def test_a_long_history_is_read_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_ATTEMPTS", 1)
    monkeypatch.setattr(proof, "_RECEIPTS", 2)
    with store.write() as conn:
        a_true_history(conn)
    found = proof.prove(store)
    assert (found.receipts, found.faults) == (8, ())


# -- the log, contents, leases -------------------------------------------------------------------------


def test_a_missing_receipt_is_found(store: Store) -> None:
    with store.write() as conn:
        a_true_history(conn)
        conn.execute(text("DELETE FROM receipts WHERE seq IN (4, 5)"))
    assert faults(store) == ["log: team: Receipts #4 to #5 are missing."]


def test_a_log_that_ends_before_its_head_is_found(store: Store) -> None:
    with store.write() as conn:
        a_true_history(conn)
        conn.execute(text("DELETE FROM receipts WHERE seq = 8"))
    assert faults(store) == ["log: team: The log ends at #7, but its head says #8."]


def test_a_log_whose_beginning_expired_has_no_gap(store: Store) -> None:
    with store.write() as conn:
        home = a_true_history(conn)
        conn.execute(text("DELETE FROM receipts WHERE seq < 4"))
        conn.execute(text("DELETE FROM attempts WHERE from_seq = 1"))
        dead_letters.take(conn, home.id, [2], since_seq=0)
    assert faults(store) == []


def test_contents_that_nobody_is_owed_are_found_once_they_had_time_to_go(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn)
        append(conn, home.workspace.id, a_receipt("gen-1", content=b"sealed"))
        conn.execute(
            text("UPDATE contents SET expires_at_us = expires_at_us + :year"), {"year": 3650 * DAY_US}
        )
    assert faults(store) == []
    with store.write() as conn:
        home.conn = conn
        home.settled(1, Fate.DELIVERED)
    assert faults(store) == [
        "contents: team: It keeps prompts and completions of 1 receipt that no destination is owed."
    ]
    with store.write() as conn:
        conn.execute(text("UPDATE receipts SET received_at_us = :now"), {"now": store.now_us(conn)})
    assert faults(store) == []


def test_contents_beyond_their_time_are_found(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn)
        append(conn, home.workspace.id, a_receipt("gen-1", content=b"sealed"))
    assert faults(store) == [
        "contents: Prompts and completions of 1 receipt are older than BROADCAST_CONTENT_TTL_HOURS."
    ]


def test_a_lease_of_a_worker_that_died_is_found(store: Store) -> None:
    with store.write() as conn:
        home = Home(conn)
        home.set(lease_holder="gone", lease_token=1, lease_until_us=store.now_us(conn) + 30_000_000)
    assert faults(store) == ["lease: team/Collector: It is leased to a worker that has died."]
    with store.hold("gone"):
        assert faults(store) == []


def test_every_fault_says_what_to_do(store: Store) -> None:
    with store.write() as conn:
        home = a_true_history(conn)
        home.set(delivered=0, filtered=2)
        conn.execute(text("DELETE FROM receipts WHERE seq = 4"))
    assert all(fault.fix.endswith(".") for fault in proof.prove(store).faults)


# -- always --------------------------------------------------------------------------------------------

_STEPS = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 4)),
    st.tuples(st.just("settle"), st.lists(st.sampled_from(MIXED), min_size=1, max_size=4)),
    st.tuples(st.just("replay"), st.integers(1, 12)),
    st.tuples(st.just("pass days"), st.integers(1, 40)),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(_STEPS, max_size=10))
def test_whatever_happened_the_ledger_is_true(sqlite_store: Store, steps: list[tuple[str, object]]) -> None:
    store, now_us = sqlite_store, NOW_US
    with store.write() as conn:
        # Every example begins with an empty database.
        for table in reversed(metadata.sorted_tables):
            conn.execute(text(f'DELETE FROM "{table.name}"'))
        home = Home(conn)
        others = a_destination(conn, home.workspace.id, "Other")
    for step in steps:
        if step[0] == "pass days":
            assert isinstance(step[1], int)
            now_us += step[1] * DAY_US
            keeper, more = Retention(retention_us=30 * DAY_US, holder="worker-1"), True
            while more:
                with store.write() as conn:
                    more = keeper.step(conn, now_us)
            continue
        with store.write() as conn:
            home.conn = conn
            _do(home, step, now_us)
    assert faults(store) == []
    with store.read() as conn:
        head = workspaces.head_seq(conn, home.workspace.id)
        for id_ in (home.id, others):
            cursor = cursors.get(conn, id_)
            assert cursor is not None
            assert cursors.ledger(cursor, head).balanced


def _do(home: Home, step: tuple[str, object], now_us: int) -> None:
    what, value = step
    head, cursor = workspaces.head_seq(home.conn, home.workspace.id), home.cursor
    if what == "append":
        assert isinstance(value, int)
        append_some(home.conn, home.workspace.id, value)
        home.conn.execute(
            text("UPDATE receipts SET received_at_us = :now WHERE workspace_id = :of AND seq > :head"),
            {"now": now_us, "of": home.workspace.id, "head": head},
        )
    elif what == "settle":
        assert isinstance(value, list)
        codes = value[: head - cursor.cursor_seq]
        if codes:
            home.settled(cursor.cursor_seq + 1, *codes, at_us=now_us)
        for place, code in enumerate(codes, 1):
            if code is Fate.REJECTED:
                home.letter(cursor.cursor_seq + place)
    else:
        assert isinstance(value, int)
        letters = dead_letters.counted(home.conn, home.id, value, value)
        if letters:
            _replayed(home, value)


def test_what_real_deliveries_and_replays_wrote_is_true(store: Store, tmp_path: Path) -> None:
    with Receiver() as receiver:
        world = World.build(store, receiver, tmp_path)
        mending, paused = world.destination("/mending"), world.destination()
        filtered = world.destination(api_key_hashes=["ab" * 32])
        world.connections.pause(world.workspace, None, paused.uid, now_us=clock())
        receiver.answer("/mending", status=400, body=b"bad span", times=2)
        for _ in range(3):
            world.append()
            world.deliver()
            world.due_now(mending)
        assert faults(store) == []
        Replays(store).start(world.workspace, None, mending.uid, Wanted(dead_letters=True), now_us=clock())
        world.deliver()
    assert faults(store) == []
    told = {
        stored.uid: [
            next(
                view
                for view in world.connections.delivery(world.workspace, row)
                if view["destination_id"] == stored.uid
            )
            for row in _rows(world)
        ]
        for stored in (mending, paused, filtered)
    }
    assert [view["fate"] for view in told[mending.uid]] == ["delivered"] * 3
    assert told[mending.uid][0]["reason"].startswith("Rejected at first, then delivered by a replay")
    assert [view["fate"] for view in told[paused.uid]] == ["held"] * 3
    assert [view["fate"] for view in told[filtered.uid]] == ["filtered"] * 3
    keeper, more = Retention(retention_us=DAY_US, holder="worker-1"), True
    while more:
        with store.write() as conn:
            more = keeper.step(conn, clock() + 2 * DAY_US)
    assert faults(store) == []
    assert (world.cursor(paused).expired, _rows(world)) == (3, [])


def _rows(world: World) -> list[receipts.ReceiptRow]:
    with world.store.read() as conn:
        return receipts.by_seqs(conn, world.workspace.id, range(1, 100))


# -- the commands --------------------------------------------------------------------------------------


def test_the_doctor_reports_what_is_well_and_what_is_not(sqlite_store: Store, tmp_path: Path) -> None:
    from destinations import TYPES  # noqa: PLC0415

    url = sqlite_store._url
    config = load({"BROADCAST_DATA_DIR": str(tmp_path), "BROADCAST_DATABASE_URL": url})
    with sqlite_store.write() as conn:
        home = a_true_history(conn)
    well = {item.subject: item.message for item in examine(config, TYPES) if item.ok}
    assert well["log"] == "8 receipts kept, none missing."
    assert well["ledgers"] == "1 balance, and the attempts kept tell the same."
    with sqlite_store.write() as conn:
        home.conn = conn
        home.set(delivered=0, filtered=2)
    wrong = [item for item in examine(config, TYPES) if not item.ok and item.subject == "ledger"]
    assert [item.message for item in wrong] == [
        "team/Collector: It counts 0 as delivered, the attempts tell of 1.",
        "team/Collector: It counts 2 as filtered, the attempts tell of 1.",
    ]
    assert all(item.fix for item in wrong)


def test_status_says_what_a_destination_is_doing(sqlite_store: Store, tmp_path: Path) -> None:
    from broadcast.runtime import build  # noqa: PLC0415
    from destinations import TYPES  # noqa: PLC0415

    url = sqlite_store._url
    services = build(load({"BROADCAST_DATA_DIR": str(tmp_path), "BROADCAST_DATABASE_URL": url}), TYPES)
    with sqlite_store.write() as conn:
        home = a_true_history(conn)
        home.set(
            failures=1,
            last_reason="503 Service Unavailable",
            last_verdict="retrying",
            lease_until_us=sqlite_store.now_us(conn) + DAY_US,
        )
        replay = home.replay(1, 3)
    (found,) = statuses(services)
    services.store.close()
    assert (found.endpoint, found.state, found.cursor, found.backlog) == (
        "https://collector.example/v1/traces",
        "retrying",
        5,
        3,
    )
    assert (found.last_reason, found.in_flight) == ("503 Service Unavailable", True)
    assert found.view()["replay"] == {"id": replay.uid, "source": "list", "position": 0, "total": 2}
