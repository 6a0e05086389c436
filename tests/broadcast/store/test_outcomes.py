"""Attempts and dead letters: what became of every receipt."""

from typing import Any

from broadcast.fates import Fate, pack
from broadcast.store import Store, attempts, dead_letters
from tests.broadcast.store.rows import NOW_US, a_destination, a_workspace


def test_a_receipt_s_fate_is_found_in_the_attempt_that_settled_it(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_, other = a_destination(conn, home.id, "One"), a_destination(conn, home.id, "Two")
        common: dict[str, Any] = {"destination_id": id_, "at_us": NOW_US, "config_version": 3}
        attempts.insert(conn, **common, from_seq=1, to_seq=3, verdict="retrying", reason="503")
        settled = attempts.insert(
            conn,
            **common,
            from_seq=1,
            to_seq=3,
            verdict="delivered",
            reason="200",
            status_code=200,
            delivered=2,
            skipped=1,
            duration_ms=1.5,
            bytes=100,
            fates=pack([Fate.DELIVERED, Fate.FILTERED, Fate.DELIVERED]),
        )
        attempts.insert(
            conn,
            **common,
            from_seq=4,
            to_seq=4,
            verdict="rejected",
            reason="400",
            fates=pack([Fate.REJECTED]),
        )
        found = [attempts.fate_of(conn, id_, seq) for seq in range(1, 6)]
        assert [item and item[0] for item in found] == [
            Fate.DELIVERED,
            Fate.FILTERED,
            Fate.DELIVERED,
            Fate.REJECTED,
            None,
        ]
        assert found[0] is not None
        assert found[0][1].id == settled
        assert attempts.fate_of(conn, other, 1) is None
        assert set(attempts.fates_of(conn, [id_, other], 2)) == {id_}


def test_attempts_are_listed_newest_first_by_pages(store: Store) -> None:
    with store.write() as conn:
        id_ = a_destination(conn, a_workspace(conn).id)
        ids = [
            attempts.insert(
                conn,
                destination_id=id_,
                at_us=NOW_US,
                from_seq=1,
                to_seq=1,
                verdict="retrying",
                reason="503",
                config_version=1,
            )
            for _ in range(3)
        ]
        first = attempts.list_for(conn, id_, 2)
        assert [item.id for item in first] == ids[:0:-1]
        assert [item.id for item in attempts.list_for(conn, id_, 2, before_id=first[-1].id)] == ids[:1]
        assert attempts.by_uid(conn, id_, first[0].uid) == first[0]


def test_a_receipt_rejected_again_keeps_one_dead_letter_with_the_newest_reason(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        for reason in ("400 bad span", "413 too large"):
            dead_letters.insert(
                conn,
                destination_id=id_,
                workspace_id=home.id,
                seq=7,
                receipt_id="gen-7",
                at_us=NOW_US,
                reason=reason,
            )
        (found,) = dead_letters.list_for(conn, id_, 10)
        assert (found.seq, found.receipt_id, found.reason) == (7, "gen-7", "413 too large")
        assert dead_letters.count(conn, id_) == 1
        assert dead_letters.list_for(conn, id_, 10, before_id=found.id) == []
