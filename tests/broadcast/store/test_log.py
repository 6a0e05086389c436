"""The log: numbers without gaps, in the order of commits, in one's own workspace only."""

import threading

import pytest
from msgspec.structs import astuple
from sqlalchemy.exc import IntegrityError

from broadcast.store import Store, receipts, workspaces
from broadcast.store.receipts import Appending
from tests.broadcast.store.rows import NOW_US, a_receipt, a_workspace, append, append_some


def test_writers_at_once_leave_no_gap_and_a_reader_never_overtakes_one(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
    seen: list[int] = []
    writing = threading.Event()

    def write(name: str) -> None:
        for turn in range(15):
            with store.write() as conn:
                append_some(conn, home.id, 3, prefix=f"{name}-{turn}")

    def follow() -> None:
        while not writing.is_set() or len(seen) < 180:
            with store.read() as conn:
                seen.extend(row.seq for row in receipts.read_after(conn, home.id, len(seen), 50))

    writers = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    reader = threading.Thread(target=follow)
    for thread in [*writers, reader]:
        thread.start()
    for thread in writers:
        thread.join()
    writing.set()
    reader.join(timeout=30)
    assert seen == list(range(1, 181))


def test_writers_of_several_workspaces_do_not_wait_for_each_other_forever(store: Store) -> None:
    with store.write() as conn:
        ids = [a_workspace(conn, name).id for name in ("A", "B", "C")]

    def write(name: str, order: list[int]) -> None:
        for turn in range(10):
            with store.write() as conn:
                heads = workspaces.lock_heads(conn, order)
                receipts.append_all(
                    conn,
                    [
                        Appending(
                            workspace_id=id_, first_seq=heads[id_] + 1, rows=[a_receipt(f"{name}-{turn}")]
                        )
                        for id_ in order
                    ],
                )

    threads = [
        threading.Thread(target=write, args=("up", ids)),
        threading.Thread(target=write, args=("down", ids[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as conn:
        assert [workspaces.head_seq(conn, id_) for id_ in ids] == [20, 20, 20]


def test_a_receipt_comes_back_as_it_was_stored(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        append(conn, home.id, a_receipt("gen-1", content=b"\x00sealed\xff"), a_receipt("gen-2"))
    with store.read() as conn:
        first, second = receipts.read_after(conn, home.id, 0, 10)
        assert (first.seq, first.id, first.document) == (1, "gen-1", b'{"id":"gen-1"}')
        assert (first.has_content, second.has_content) == (True, False)
        assert receipts.contents(conn, home.id, [1, 2]) == {1: b"\x00sealed\xff"}
        [whole] = receipts.by_seqs(conn, home.id, [1, 9])
        assert receipts.LogRow(*astuple(whole)[:-1]) == first
        assert (first.created_at_us, whole.received_at_us) == (NOW_US, NOW_US)
        assert receipts.by_id(conn, home.id, "gen-1") == whole


def test_the_same_id_is_known_by_its_fingerprint(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        append(conn, home.id, a_receipt("gen-1"), a_receipt("gen-2"))
        assert receipts.existing(conn, home.id, ["gen-2", "gen-3"]) == {"gen-2": b"gen-2"}
        assert receipts.existing(conn, home.id, []) == {}


def test_another_workspace_s_receipts_are_out_of_reach(store: Store) -> None:
    with store.write() as conn:
        mine, theirs = a_workspace(conn, "Mine"), a_workspace(conn, "Theirs")
        append(conn, theirs.id, a_receipt("gen-1", content=b"sealed"))
        append(conn, mine.id, a_receipt("gen-mine"))
        append(conn, mine.id, a_receipt("gen-1"))
    with store.read() as conn:
        found = receipts.by_id(conn, mine.id, "gen-1")
        assert found is not None
        assert found.seq == 2
        assert receipts.existing(conn, theirs.id, ["gen-mine"]) == {}
        assert receipts.contents(conn, mine.id, [1, 2]) == {}
        assert [row.id for row in receipts.read_after(conn, theirs.id, 0, 10)] == ["gen-1"]


def test_numbers_cannot_be_given_without_the_head(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        append_some(conn, home.id, 2)
    with pytest.raises(RuntimeError, match="lock"), store.write() as conn:
        receipts.append(conn, home.id, 5, [a_receipt("gen-5")])
    with store.read() as conn:
        assert workspaces.head_seq(conn, home.id) == 2


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
    with pytest.raises(IntegrityError), store.write() as conn:
        append(conn, home.id, a_receipt("gen-1"), a_receipt("gen-2"), a_receipt("gen-1"))
    with store.read() as conn:
        assert workspaces.head_seq(conn, home.id) == 0
        assert receipts.read_after(conn, home.id, 0, 10) == []


def test_workspaces_that_keep_content_are_told_from_those_that_keep_none(store: Store) -> None:
    with store.write() as conn:
        with_some, without, unasked = (a_workspace(conn, name) for name in ("One", "Two", "Three"))
        append(conn, with_some.id, a_receipt("gen-1", content=b"x"))
        append(conn, without.id, a_receipt("gen-1"))
        append(conn, unasked.id, a_receipt("gen-1", content=b"x"))
        assert receipts.with_contents(conn, {with_some.id, without.id}) == [with_some.id]


def test_content_goes_when_nobody_owes_it_or_its_time_is_over(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        append(conn, home.id, *(a_receipt(f"gen-{number}", content=b"x") for number in range(5)))
        assert receipts.drop_contents(conn, home.id, 2) == 2
        assert set(receipts.contents(conn, home.id, range(1, 6))) == {3, 4, 5}
        assert receipts.drop_expired_contents(conn, NOW_US, 10) == 0
        assert receipts.drop_expired_contents(conn, NOW_US + 1000, 2) == 2
        assert receipts.oldest_seq(conn, home.id) == 1
