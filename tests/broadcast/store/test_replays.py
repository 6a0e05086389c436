"""Replays, and the reads that tell what was delivered already."""

from typing import Any

import pytest

from broadcast.errors import Conflict
from broadcast.fates import Fate, pack
from broadcast.store import Conn, Store, attempts, cursors, replays
from broadcast.store.workspaces import Workspace
from tests.broadcast.store.rows import NOW_US, a_destination, a_workspace

D, R, S = Fate.DELIVERED, Fate.REJECTED, Fate.SAMPLED_OUT


def settled(conn: Conn, destination_id: int, from_seq: int, *fates: Fate, **more: Any) -> None:
    attempts.insert(
        conn,
        destination_id=destination_id,
        at_us=NOW_US,
        from_seq=from_seq,
        to_seq=from_seq + len(fates) - 1,
        verdict="delivered",
        reason="200",
        config_version=1,
        delivered=fates.count(D),
        fates=pack(fates),
        **more,
    )


def begun(conn: Conn, home: Workspace, destination_id: int, **more: Any) -> replays.Replay:
    values: dict[str, Any] = {"source": "range", "from_seq": 1, "to_seq": 10, "requested_by": None, **more}
    return replays.start(conn, workspace_id=home.id, destination_id=destination_id, now_us=NOW_US, **values)


def test_what_was_delivered_is_told_over_a_range(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_, other = a_destination(conn, home.id, "One"), a_destination(conn, home.id, "Two")
        settled(conn, id_, 1, D, R, D, S)
        settled(conn, id_, 5, S, D)
        settled(conn, other, 7, D)

        assert list(replays.delivered(conn, id_, 1, 8)) == [1, 0, 1, 0, 0, 1, 0, 0]
        assert list(replays.delivered(conn, id_, 3, 5)) == [1, 0, 0]
        assert list(replays.delivered(conn, id_, 4, 4)) == [0]


def test_a_receipt_delivered_by_a_replay_is_delivered(store: Store) -> None:
    with store.write() as conn:
        id_ = a_destination(conn, a_workspace(conn).id)
        settled(conn, id_, 1, R, R, D, R)
        settled(conn, id_, 2, D, replay_id=1)
        settled(conn, id_, 3, R, replay_id=2)

        assert list(replays.delivered(conn, id_, 1, 4)) == [0, 1, 1, 0]
        assert replays.delivered_among(conn, id_, (4, 3, 2, 1)) == {2, 3}


def test_what_was_delivered_is_told_of_numbers_far_apart(store: Store) -> None:
    far = 10 * attempts.MAX_RUN
    with store.write() as conn:
        id_ = a_destination(conn, a_workspace(conn).id)
        settled(conn, id_, 1, D, R, D)
        settled(conn, id_, far, R, D, D)

        assert replays.delivered_among(conn, id_, (1, 2, far, far + 1, far + 9)) == {1, far + 1}
        assert replays.delivered_among(conn, id_, ()) == set()


def test_one_replay_runs_at_a_destination_at_a_time(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_, other = a_destination(conn, home.id, "One"), a_destination(conn, home.id, "Two")
        first = begun(conn, home, id_)
        begun(conn, home, other)
        with pytest.raises(Conflict) as refused:
            begun(conn, home, id_)
        assert refused.value.reason == "replay_running"
        cursor = cursors.get(conn, id_)
        assert cursor is not None
        assert cursor.replay_id == first.id

        assert replays.stop(conn, first, now_us=NOW_US + 1)
        assert begun(conn, home, id_).id != first.id


def test_a_replay_goes_through_its_range_or_its_list_in_order(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        whole = begun(conn, home, a_destination(conn, home.id, "One"), from_seq=5, to_seq=9)
        listed = begun(conn, home, a_destination(conn, home.id, "Two"), from_seq=2, to_seq=9, seqs=(2, 4, 9))

        assert (whole.total, listed.total) == (5, 3)
        assert list(whole.numbers(2)) == [5, 6]
        assert list(listed.numbers(2)) == [2, 4]
        moved = replays.advance(conn, listed.id, position=0, counts={"delivered": 2}, now_us=NOW_US)
        assert moved is not None
        assert list(moved.numbers(2)) == [9]


def test_a_replay_ends_after_its_last_receipt(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        running = begun(conn, home, id_, to_seq=3)
        replays.advance(conn, running.id, position=0, counts={"delivered": 1, "left_out": 1}, now_us=NOW_US)
        replays.advance(conn, running.id, position=2, counts={"rejected": 1}, now_us=NOW_US + 7)

        ended = replays.by_uid(conn, id_, running.uid)
        cursor = cursors.get(conn, id_)
    assert ended is not None
    assert cursor is not None
    assert (ended.state, ended.ended_at_us, ended.position) == ("done", NOW_US + 7, 3)
    assert (ended.delivered, ended.left_out, ended.rejected) == (1, 1, 1)
    assert cursor.replay_id is None


def test_a_stopped_replay_moves_no_more(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        running = begun(conn, home, a_destination(conn, home.id))
        replays.stop(conn, running, now_us=NOW_US)

        assert replays.advance(conn, running.id, position=0, counts={"delivered": 1}, now_us=NOW_US) is None
        assert not replays.stop(conn, running, now_us=NOW_US)


def test_replays_are_listed_newest_first_by_pages(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        made = []
        for _ in range(3):
            made.append(begun(conn, home, id_).id)
            latest = replays.by_id(conn, made[-1])
            assert latest is not None
            replays.stop(conn, latest, now_us=NOW_US)

        assert [item.id for item in replays.list_for(conn, id_, 2)] == made[:0:-1]
        assert [item.id for item in replays.list_for(conn, id_, 2, before_id=made[1])] == made[:1]
