"""Retention: what is too old expires, then goes, in small steps, and ledgers stay true."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import text

from broadcast import guests, retention
from broadcast.fates import Fate, pack
from broadcast.retention import Retention
from broadcast.store import (
    Conn,
    Store,
    attempts,
    audit,
    cursors,
    dead_letters,
    destinations,
    notices,
    receipts,
    replays,
    sessions,
    workspaces,
)
from broadcast.store.cursors import Cursor
from tests.broadcast.store.rows import NOW_US, a_destination, a_receipt, a_user, a_workspace, append

ROOT = Path(__file__).parents[2]
DAY_US = 86_400_000_000
KEPT_US = 30 * DAY_US


def log(conn: Conn, workspace_id: int, *ages: float, content: bytes | None = None) -> None:
    """Append one receipt for each age in days."""
    head = workspaces.head_seq(conn, workspace_id)
    append(
        conn,
        workspace_id,
        *(
            structs.replace(
                a_receipt(f"gen-{head + number}", content=content),
                received_at_us=NOW_US - round(age * DAY_US),
                content_expires_at_us=NOW_US + DAY_US,
            )
            for number, age in enumerate(ages, 1)
        ),
    )


def run(store: Store, *, kept_us: int = KEPT_US, now_us: int = NOW_US) -> int:
    """Run one round, each step in a transaction of its own; return the number of steps."""
    keeper = Retention(retention_us=kept_us, holder="worker-1")
    for steps in range(1, 1000):
        with store.write() as conn:
            if not keeper.step(conn, now_us):
                return steps
    raise AssertionError("The round does not end.")


def seqs(store: Store, workspace_id: int) -> list[int]:
    with store.read() as conn:
        return [row.seq for row in receipts.read_after(conn, workspace_id, 0, 10_000)]


def contents(store: Store, workspace_id: int) -> list[int]:
    with store.read() as conn:
        return sorted(receipts.contents(conn, workspace_id, range(1, 2000)))


def cursor_of(store: Store, destination_id: int) -> Cursor:
    with store.read() as conn:
        found = cursors.get(conn, destination_id)
    assert found is not None
    return found


def an_attempt(conn: Conn, destination_id: int, first: int, last: int, age: float, **more: Any) -> int:
    values: dict[str, Any] = {"verdict": "delivered", "reason": "200", "config_version": 1, **more}
    return attempts.insert(
        conn,
        destination_id=destination_id,
        at_us=NOW_US - round(age * DAY_US),
        from_seq=first,
        to_seq=last,
        fates=values.pop("fates", pack([Fate.DELIVERED] * (last - first + 1))),
        **values,
    )


def pass_over(conn: Conn, destination_id: int, upto: int) -> None:
    """Let a destination have delivered everything up to a number."""
    conn.execute(
        text(
            "UPDATE cursors SET delivered = :upto - since_seq, cursor_seq = :upto WHERE destination_id = :of"
        ),
        {"upto": upto, "of": destination_id},
    )


# -- receipts ------------------------------------------------------------------------------------------


def test_receipts_go_at_their_age_with_their_contents_where_no_destination_ever_was(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        log(conn, home.id, 40, 31, 29, 0, content=b"sealed")
    run(store)
    assert seqs(store, home.id) == [3, 4]
    assert contents(store, home.id) == []


def test_what_every_destination_has_passed_goes_at_its_age_and_nothing_younger(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 31, 29, 0)
        pass_over(conn, id_, 4)
    run(store)
    assert seqs(store, home.id) == [3, 4]
    assert cursor_of(store, id_).expired == 0


@pytest.mark.parametrize("by", ["person", "answer"])
def test_a_paused_destination_passes_what_is_too_old_as_expired_and_the_reason_is_told(
    store: Store, by: str
) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 31, 29, 0)
        destinations.pause(conn, id_, by=by, reason="401", now_us=NOW_US)
    run(store)
    cursor = cursor_of(store, id_)
    assert (cursor.cursor_seq, cursor.expired, cursor.delivered) == (2, 2, 0)
    assert seqs(store, home.id) == [3, 4]
    with store.read() as conn:
        (attempt,) = attempts.list_for(conn, id_, 10)
    assert (attempt.from_seq, attempt.to_seq, attempt.skipped, attempt.bytes) == (1, 2, 2, 0)
    assert attempt.verdict == "refused"
    assert attempt.reason == "Kept for 30 days, then expired before it was delivered."


def test_an_expired_receipt_that_is_still_kept_tells_its_fate(store: Store) -> None:
    """Another destination has a lease: then what expired here is not deleted yet."""
    with store.write() as conn:
        home = a_workspace(conn)
        one, busy = a_destination(conn, home.id, "One"), a_destination(conn, home.id, "Busy")
        log(conn, home.id, 40)
        _lease(conn, busy)
    run(store)
    assert seqs(store, home.id) == [1]
    with store.read() as conn:
        found = attempts.fate_of(conn, one, 1)
    assert found is not None
    assert found[0] is Fate.EXPIRED


def _lease(conn: Conn, destination_id: int, *, left_s: int = 3600) -> None:
    """Let somebody have a lease, by the database's clock."""
    with_now = {
        "sqlite": "strftime('%s', 'now') * 1000000",
        "postgresql": "EXTRACT(EPOCH FROM now()) * 1000000",
    }
    conn.execute(
        text(
            "UPDATE cursors SET lease_token = 77, lease_holder = 'somebody',"
            f" lease_until_us = {with_now[conn.dialect.name]} + :left WHERE destination_id = :of"
        ),
        {"left": left_s * 1_000_000, "of": destination_id},
    )


def test_a_destination_that_somebody_works_at_is_left_alone_until_the_next_round(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 0)
        _lease(conn, id_)
    run(store)
    assert seqs(store, home.id) == [1, 2]
    assert cursor_of(store, id_).lease_token == 77
    with store.write() as conn:
        _lease(conn, id_, left_s=-1)
    run(store)
    assert seqs(store, home.id) == [2]
    assert (cursor_of(store, id_).expired, cursor_of(store, id_).lease_token) == (1, 0)


def test_expiring_leaves_the_back_off_as_it_is(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 0)
        conn.execute(
            text(
                "UPDATE cursors SET failures = 7, doubts = 2, due_at_us = 123, last_verdict = 'no_answer',"
                " last_reason = 'connection refused' WHERE destination_id = :of"
            ),
            {"of": id_},
        )
    before = cursor_of(store, id_)
    run(store)
    after = cursor_of(store, id_)
    assert after.expired == 1
    for name in ("failures", "doubts", "due_at_us", "last_verdict", "last_reason"):
        assert getattr(after, name) == getattr(before, name)


def test_a_destination_that_is_off_holds_nothing_back(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 0)
        cursors.end(conn, id_, 2, NOW_US)
    run(store)
    assert seqs(store, home.id) == [2]
    assert cursor_of(store, id_).expired == 0


def test_a_long_backlog_goes_in_steps_of_a_few_hundred_rows(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, *([40.0] * 1200), 0)
        pass_over(conn, id_, 1000)
    keeper = Retention(retention_us=KEPT_US, holder="worker-1")
    left = []
    for _ in range(100):
        with store.write() as conn:
            more = keeper.step(conn, NOW_US)
        left.append(len(seqs(store, home.id)))
        if not more:
            break
    assert left[-1] == 1
    assert max(one - other for one, other in zip([1201, *left], left, strict=False)) == retention.AT_ONCE
    assert cursor_of(store, id_).expired == 200


def test_an_expiry_covers_a_bounded_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EXPIRE_AT_ONCE", 2)
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 39, 38, 37, 36, 0)
    run(store)
    with store.read() as conn:
        runs = [(item.from_seq, item.to_seq) for item in attempts.list_for(conn, id_, 10)]
    assert runs == [(5, 5), (3, 4), (1, 2)]


def test_what_is_gone_already_counts_as_expired(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is where a ledger begins again from where it stopped long ago."""
    monkeypatch.setattr(retention, "EXPIRE_AT_ONCE", 2)
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 40, 40, 40, 40, 31, 0)
        conn.execute(text("DELETE FROM receipts WHERE seq < 6"))
    run(store)
    assert (cursor_of(store, id_).cursor_seq, cursor_of(store, id_).expired) == (6, 6)
    assert seqs(store, home.id) == [7]


def test_a_step_that_was_rolled_back_is_done_again(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 0)
    keeper = Retention(retention_us=KEPT_US, holder="worker-1")
    with store.write() as conn:
        keeper.step(conn, NOW_US)
        conn.rollback()
    assert cursor_of(store, id_).expired == 0
    for _ in range(100):
        with store.write() as conn:
            keeper.step(conn, NOW_US)
    assert cursor_of(store, id_).expired == 1
    assert seqs(store, home.id) == [2]


@pytest.mark.parametrize("step", [1, 2])
def test_a_process_killed_in_a_step_leaves_a_true_ledger_and_the_next_one_goes_on(
    store: Store, database_url: str, step: int
) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 40, 0)
    killed = subprocess.run([sys.executable, "-c", _KILLED, database_url, str(step)], check=False, cwd=ROOT)
    assert killed.returncode == 9
    assert len(seqs(store, home.id)) == 3
    cursor = cursor_of(store, id_)
    with store.read() as conn:
        told = sum(item.skipped for item in attempts.list_for(conn, id_, 10))
    assert cursor.expired == cursor.cursor_seq == told == (step - 1) * 2
    run(store)
    assert (seqs(store, home.id), cursor_of(store, id_).expired) == ([3], 2)


_KILLED = f"""
import sys
from broadcast import failpoints
from broadcast.retention import Retention
from broadcast.store import Store
failpoints.arm("retention_before_commit:" + sys.argv[2])
store, keeper = Store.open(sys.argv[1]), Retention(retention_us={KEPT_US}, holder="worker-1")
for _ in range(10):
    with store.write() as conn:
        keeper.step(conn, {NOW_US})
"""


def test_workspaces_do_not_touch_each_other(store: Store) -> None:
    with store.write() as conn:
        home, other = a_workspace(conn, "Home"), a_workspace(conn, "Other")
        id_ = a_destination(conn, other.id)
        log(conn, home.id, 40, 0)
        log(conn, other.id, 3, 0)
    run(store)
    assert (seqs(store, home.id), seqs(store, other.id)) == ([2], [1, 2])
    assert cursor_of(store, id_).expired == 0


# -- what belongs to receipts --------------------------------------------------------------------------


def test_an_attempt_stays_as_long_as_a_receipt_whose_fate_it_tells(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 40, 29)
        pass_over(conn, id_, 3)
        an_attempt(conn, id_, 1, 1, 40)
        kept = an_attempt(conn, id_, 2, 3, 35)
    run(store)
    with store.read() as conn:
        assert [item.id for item in attempts.list_for(conn, id_, 10)] == [kept]
        assert attempts.fate_of(conn, id_, 3) is not None
    run(store, now_us=NOW_US + 5 * DAY_US)
    with store.read() as conn:
        assert attempts.list_for(conn, id_, 10) == []


def test_a_try_that_settled_nothing_goes_at_its_age(store: Store) -> None:
    with store.write() as conn:
        id_ = a_destination(conn, a_workspace(conn).id)
        an_attempt(conn, id_, 1, 9, 40, fates=b"", verdict="retrying")
        young = an_attempt(conn, id_, 1, 9, 1, fates=b"", verdict="retrying")
    run(store)
    with store.read() as conn:
        assert [item.id for item in attempts.list_for(conn, id_, 10)] == [young]


def test_a_dead_letter_goes_with_the_attempt_that_rejected_it(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 40, 0)
        pass_over(conn, id_, 2)
        for seq, age in ((1, 40), (2, 0)):
            an_attempt(conn, id_, seq, seq, age, fates=pack([Fate.REJECTED]), verdict="rejected")
            _letter(conn, id_, seq, age)
    run(store)
    with store.read() as conn:
        assert [item.seq for item in dead_letters.list_for(conn, id_, 10)] == [2]


def _letter(conn: Conn, destination_id: int, seq: int, age: float, replay_id: int | None = None) -> None:
    stored = destinations.by_id(conn, destination_id)
    assert stored is not None
    dead_letters.insert(
        conn,
        destination_id=destination_id,
        workspace_id=stored.workspace_id,
        seq=seq,
        receipt_id=f"gen-{seq}",
        at_us=NOW_US - round(age * DAY_US),
        reason="400 bad span",
        replay_id=replay_id,
    )


def test_a_replay_and_its_dead_letters_go_when_it_ended_long_ago(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 50, 0)
        pass_over(conn, id_, 2)
        ids = []
        for seq, age in ((1, 40), (2, 0)):
            replay = replays.start(
                conn,
                workspace_id=home.id,
                destination_id=id_,
                source="range",
                from_seq=seq,
                to_seq=seq,
                requested_by=None,
                now_us=NOW_US - age * DAY_US,
            )
            ids.append(replay.id)
            _letter(conn, id_, seq, age, replay.id)
            replays.stop(conn, replay, now_us=NOW_US - age * DAY_US)
    run(store)
    with store.read() as conn:
        assert [item.id for item in replays.list_for(conn, id_, 10)] == ids[1:]
        assert [item.seq for item in dead_letters.list_for(conn, id_, 10)] == [2]


def test_small_tables_lose_what_is_old(store: Store) -> None:
    with store.write() as conn:
        home, ada = a_workspace(conn), a_user(conn)
        id_ = a_destination(conn, home.id)
        for age in (401, 399):
            _audit(conn, home.id, age)
        for age in (40, 1):
            notices.add(
                conn,
                workspace_id=home.id,
                destination_id=id_,
                kind="resumed",
                message=f"{age}",
                now_us=NOW_US - age * DAY_US,
            )
        conn.execute(text("UPDATE notices SET ended_at_us = at_us"))
        for token, left_us in (("over", -1), ("valid", DAY_US)):
            sessions.create(
                conn, token_hash=token, user_id=ada.id, csrf="", now_us=0, expires_at_us=NOW_US + left_us
            )
    run(store)
    with store.read() as conn:
        assert len(audit.list_for(conn, home.id, 10)) == 1
        assert list(conn.execute(text("SELECT message FROM notices")).scalars()) == ["1"]
        assert list(conn.execute(text("SELECT token_hash FROM login_sessions")).scalars()) == ["valid"]


def _audit(conn: Conn, workspace_id: int, age: int) -> None:
    audit.record(
        conn,
        workspace_id=workspace_id,
        user_id=None,
        action="broadcast.enabled",
        target="",
        now_us=NOW_US - age * DAY_US,
    )


# -- contents ------------------------------------------------------------------------------------------


def test_contents_stay_while_a_destination_that_sends_them_owes_them(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        behind = a_destination(conn, home.id, "Behind", privacy_level="full")
        a_destination(conn, home.id, "Private", privacy_level="metadata")
        log(conn, home.id, 1, 1, 1, content=b"sealed")
        pass_over(conn, behind, 1)
        assert guests.drop_contents(conn, home.id) == 1
    assert contents(store, home.id) == [2, 3]


def test_a_call_drops_a_few_at_a_time_the_oldest_first(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        log(conn, home.id, 1, 1, 1, content=b"sealed")
        assert guests.drop_contents(conn, home.id, limit=2) == 2
    assert contents(store, home.id) == [3]


def test_a_running_replay_still_needs_the_contents_from_its_place_on(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 1, 1, 1, 1, content=b"sealed")
        pass_over(conn, id_, 4)
        replay = replays.start(
            conn,
            workspace_id=home.id,
            destination_id=id_,
            source="list",
            from_seq=2,
            to_seq=4,
            seqs=(2, 4),
            requested_by=None,
            now_us=NOW_US,
        )
        guests.drop_contents(conn, home.id)
    assert contents(store, home.id) == [2, 3, 4]
    with store.write() as conn:
        replays.advance(conn, replay.id, position=0, counts={"delivered": 1}, now_us=NOW_US)
        guests.drop_contents(conn, home.id)
    assert contents(store, home.id) == [4]
    with store.write() as conn:
        replays.stop(conn, replay, now_us=NOW_US)
        guests.drop_contents(conn, home.id)
    assert contents(store, home.id) == []


def test_a_round_finds_contents_that_a_deleted_destination_left_behind(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        log(conn, home.id, 1, 1, content=b"sealed")
    run(store)
    assert contents(store, home.id) == [1, 2]
    with store.write() as conn:
        cursors.end(conn, id_, 2, NOW_US)
        destinations.delete(conn, id_, now_us=NOW_US)
    run(store)
    assert contents(store, home.id) == []
    assert seqs(store, home.id) == [1, 2]


# -- always --------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ages=st.lists(st.integers(0, 60), max_size=12),
    places=st.lists(st.integers(0, 12), max_size=3),
    ended=st.sets(st.integers(0, 2)),
    leased=st.sets(st.integers(0, 2)),
)
def test_no_round_loses_a_receipt_or_unbalances_a_ledger(
    sqlite_store: Store, ages: list[int], places: list[int], ended: set[int], leased: set[int]
) -> None:
    store, ages = sqlite_store, sorted(ages, reverse=True)
    with store.write() as conn:
        home = a_workspace(conn)
        ids = [a_destination(conn, home.id, f"Number {number}") for number in range(len(places))]
        log(conn, home.id, *ages)
        for number, id_ in enumerate(ids):
            pass_over(conn, id_, min(places[number], len(ages)))
            if number in ended:
                cursors.end(conn, id_, len(ages), NOW_US)
            elif number in leased:
                _lease(conn, id_)
    before = [cursor_of(store, id_) for id_ in ids]

    run(store)

    kept = seqs(store, home.id)
    old = sum(age > 30 for age in ages)
    assert kept == list(range(len(ages) - len(kept) + 1, len(ages) + 1)), "the log has a gap"
    assert len(kept) >= len(ages) - old, "something young is gone"
    after = [cursor_of(store, id_) for id_ in ids]
    for number, (was, now) in enumerate(zip(before, after, strict=True)):
        assert cursors.ledger(now, len(ages)).balanced
        if number in ended or number in leased:
            assert now == was
        else:
            assert now.cursor_seq == max(was.cursor_seq, old)
            assert now.expired == now.cursor_seq - was.cursor_seq
    floor = min((cursor.cursor_seq for cursor in after if cursor.ended_seq is None), default=len(ages))
    assert len(kept) == len(ages) - min(old, floor)
