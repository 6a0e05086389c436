"""Cursors: who may send, for how long, and a ledger that always balances."""

import threading
import time

import pytest
from sqlalchemy.exc import IntegrityError

from broadcast.store import Conn, Store, cursors, destinations, leases, workspaces
from broadcast.store.cursors import ledger
from broadcast.store.leases import Claim, Counts
from tests.broadcast.store.rows import NOW_US, a_destination, a_workspace, append_some

SECOND_US = 1_000_000


def one_with_backlog(store: Store, count: int = 5) -> tuple[int, int]:
    with store.write() as conn:
        home = a_workspace(conn)
        id_ = a_destination(conn, home.id)
        append_some(conn, home.id, count)
    return home.id, id_


def claim_one(conn: Conn, holder: str = "worker-1") -> Claim:
    (claim,) = leases.claim(conn, holder=holder)
    return claim


def test_a_claim_says_what_there_is_to_send(store: Store) -> None:
    home, id_ = one_with_backlog(store)
    with store.write() as conn:
        claim = claim_one(conn)
    assert (claim.destination_id, claim.workspace_id) == (id_, home)
    assert (claim.cursor_seq, claim.head_seq, claim.failures) == (0, 5, 0)


def test_four_workers_at_once_never_claim_the_same_destination(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        ids = {a_destination(conn, home.id, f"Number {number}") for number in range(40)}
        append_some(conn, home.id, 1)
    claimed: list[int] = []
    start = threading.Barrier(4)

    def work(holder: str) -> None:
        start.wait()
        for _ in range(10):
            with store.write() as conn:
                found = leases.claim(conn, holder=holder, limit=3)
            claimed.extend(claim.destination_id for claim in found)

    threads = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(ids)


@pytest.mark.parametrize(
    "why", ["off", "paused", "deleted", "broadcast off", "ended", "not due", "read it all"]
)
def test_who_has_nothing_to_send_or_may_not_is_never_claimed(store: Store, why: str) -> None:
    home, id_ = one_with_backlog(store)
    with store.write() as conn:
        match why:
            case "off":
                destinations.update(conn, id_, 1, now_us=NOW_US, enabled=False)
            case "paused":
                destinations.pause(conn, id_, by="person", reason=None, now_us=NOW_US)
            case "deleted":
                destinations.delete(conn, id_, now_us=NOW_US)
            case "broadcast off":
                workspaces.set_broadcast(conn, home, enabled=False)
            case "ended":
                cursors.end(conn, id_, workspaces.lock_head(conn, home), NOW_US)
            case "not due":
                token = claim_one(conn).token
                leases.settle(
                    conn,
                    destination_id=id_,
                    token=token,
                    advance_to=0,
                    counts=Counts(),
                    due_in_us=60 * SECOND_US,
                    failures=1,
                )
            case _:
                token = claim_one(conn).token
                leases.settle(conn, destination_id=id_, token=token, advance_to=5, counts=Counts(delivered=5))
    with store.write() as conn:
        assert leases.claim(conn, holder="worker-1") == []


def test_a_lease_ends_with_its_time(store: Store) -> None:
    one_with_backlog(store)
    with store.write() as conn:
        assert leases.claim(conn, holder="worker-1", lease_us=50_000)
        assert leases.claim(conn, holder="worker-2") == []
    time.sleep(0.06)
    with store.write() as conn:
        assert leases.claim(conn, holder="worker-2")


def test_a_lease_ends_with_its_holder(store: Store) -> None:
    one_with_backlog(store)
    with store.write() as conn:
        claim_one(conn, "dead")
        assert leases.claim(conn, holder="worker-2", dead_holders={"someone else"}) == []
        assert leases.claim(conn, holder="worker-2", dead_holders={"dead"})


def test_only_the_holder_can_renew(store: Store) -> None:
    _, id_ = one_with_backlog(store)
    with store.write() as conn:
        claim_one(conn, "worker-1")
        assert leases.renew(conn, "worker-2", [id_], SECOND_US) == set()
        assert leases.renew(conn, "worker-1", [id_], SECOND_US) == {id_}


def test_a_lease_given_back_can_be_claimed_at_once(store: Store) -> None:
    _, id_ = one_with_backlog(store)
    with store.write() as conn:
        claim = claim_one(conn)
        assert leases.release(conn, [id_], claim.token) == 1
        assert claim_one(conn, "worker-2").token != claim.token


def test_whoever_lost_the_lease_records_nothing(store: Store) -> None:
    _, id_ = one_with_backlog(store)
    with store.write() as conn:
        slow = claim_one(conn, "slow")
        fast = leases.claim(conn, holder="fast", dead_holders={"slow"})[0]
        settled = Counts(delivered=5)
        assert not leases.settle(
            conn, destination_id=id_, token=slow.token, advance_to=5, counts=settled, verdict="delivered"
        )
        assert leases.settle(
            conn, destination_id=id_, token=fast.token, advance_to=5, counts=settled, verdict="delivered"
        )
        cursor = cursors.get(conn, id_)
    assert cursor is not None
    assert (cursor.cursor_seq, cursor.delivered, cursor.last_verdict) == (5, 5, "delivered")
    assert cursor.lease_holder is None
    assert cursor.last_delivered_at_us is not None


def test_a_kept_lease_goes_on_with_the_next_batch(store: Store) -> None:
    _, id_ = one_with_backlog(store)
    with store.write() as conn:
        token = claim_one(conn).token
        for upto, keep in ((2, True), (5, False)):
            assert leases.settle(
                conn,
                destination_id=id_,
                token=token,
                advance_to=upto,
                counts=Counts(delivered=upto if upto == 2 else 3),
                release=not keep,
            )
        assert not leases.settle(conn, destination_id=id_, token=token, advance_to=5, counts=Counts())


def test_the_database_refuses_a_ledger_that_does_not_balance(store: Store) -> None:
    _, id_ = one_with_backlog(store)
    with store.write() as conn:
        token = claim_one(conn).token
    with pytest.raises(IntegrityError), store.write() as conn:
        leases.settle(conn, destination_id=id_, token=token, advance_to=5, counts=Counts(delivered=4))


def test_every_receipt_is_in_the_ledger(store: Store) -> None:
    home, id_ = one_with_backlog(store, 10)
    with store.write() as conn:
        token = claim_one(conn).token
        counts = Counts(delivered=3, sampled_out=2, filtered=1, rejected=1, expired=1)
        leases.settle(conn, destination_id=id_, token=token, advance_to=8, counts=counts)
        cursor = cursors.get(conn, id_)
        assert cursor is not None
        found = ledger(cursor, workspaces.head_seq(conn, home))
    assert found.balanced
    assert (found.appended, found.pending, found.delivered) == (10, 2, 3)


def test_a_ledger_ends_at_the_head_and_a_new_one_begins_with_fresh_counters(store: Store) -> None:
    home, id_ = one_with_backlog(store)
    with store.write() as conn:
        assert cursors.end(conn, id_, workspaces.lock_head(conn, home), NOW_US)
        assert not cursors.end(conn, id_, workspaces.lock_head(conn, home), NOW_US)
        append_some(conn, home, 2)
        ended = cursors.get(conn, id_)
        assert ended is not None
        assert ledger(ended, 7).appended == 5
        cursors.start(conn, id_, home, workspaces.lock_head(conn, home), NOW_US + 1)
        fresh = cursors.get(conn, id_)
    assert fresh is not None
    assert (fresh.since_seq, fresh.since_at_us, fresh.ended_seq) == (7, NOW_US + 1, None)
    assert ledger(fresh, 7).appended == 0


def test_a_new_ledger_ends_the_leases_on_the_old_one(store: Store) -> None:
    home, id_ = one_with_backlog(store)
    with store.write() as conn:
        token = claim_one(conn).token
        cursors.start(conn, id_, home, 0, NOW_US)
        assert not leases.settle(
            conn, destination_id=id_, token=token, advance_to=5, counts=Counts(delivered=5)
        )


def test_the_next_due_time_counts_from_the_database_s_now(store: Store) -> None:
    _, id_ = one_with_backlog(store)
    with store.write() as conn:
        assert leases.look(conn).due_in_us == 0
        token = claim_one(conn).token
        leases.settle(
            conn,
            destination_id=id_,
            token=token,
            advance_to=0,
            counts=Counts(),
            due_in_us=10 * SECOND_US,
            failures=3,
        )
        assert 9 * SECOND_US < (leases.look(conn).due_in_us or 0) <= 10 * SECOND_US
        cursors.make_due(conn, id_)
        assert claim_one(conn).failures == 0


def test_nothing_is_due_where_everything_was_read(store: Store) -> None:
    with store.write() as conn:
        a_destination(conn, a_workspace(conn).id)
        assert leases.look(conn).due_in_us is None


def test_a_claim_may_leave_out_those_with_much_to_send(store: Store) -> None:
    with store.write() as conn:
        busy, quiet = a_workspace(conn), a_workspace(conn)
        a_destination(conn, busy.id)
        few = a_destination(conn, quiet.id)
        append_some(conn, busy.id, 5)
        append_some(conn, quiet.id, 4)
        claims = leases.claim(conn, holder="worker-1", most=4)
    assert [claim.destination_id for claim in claims] == [few]
