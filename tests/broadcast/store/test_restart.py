"""A server that was restarted has forgotten the locks of those who live; none of them is taken for dead."""

import time
from collections.abc import Iterator

import pytest

from broadcast.errors import Unavailable
from broadcast.store import Store, leases, receipts
from tests.broadcast.store.rows import a_destination, a_receipt, a_workspace, append, append_some
from tests.databases import OwnPostgres, own_postgres


@pytest.fixture
def server() -> Iterator[OwnPostgres]:
    with own_postgres() as running:
        yield running


def test_who_lives_through_a_restart_is_never_taken_for_dead(server: OwnPostgres) -> None:
    mine, other = Store.open(server.url), Store.open(server.url)
    mine.migrate()
    with mine.write() as conn:
        home = a_workspace(conn)
        a_destination(conn, home.id)
        append_some(conn, home.id, 1)
    with mine.hold("alive") as hold:
        with mine.write() as conn:
            leases.claim(conn, holder="alive")
        server.kill()
        with pytest.raises(Unavailable), other.read():
            pass
        server.start()
        # For longer than what a restarted server remembers is doubted.
        for _ in range(120):
            with other.write() as conn:
                assert other.dead_holders(conn) == set()
                assert leases.claim(conn, holder="other", dead_holders=other.dead_holders(conn)) == []
            with mine.read() as conn:
                assert mine.dead_holders(conn) == set()
            time.sleep(0.1)
        assert hold.keep()
    with other.write() as conn:
        assert leases.claim(conn, holder="other")
    mine.close()
    other.close()


def test_connections_that_a_restart_has_ended_are_replaced_unseen(server: OwnPostgres) -> None:
    store = Store.open(server.url)
    with store.read() as one, store.write() as other:
        before = {store.now_us(one), store.now_us(other)}
    server.kill()
    server.start()
    with store.read() as one, store.write() as other:
        assert min(store.now_us(one), store.now_us(other)) > max(before)
    store.close()


def test_a_server_that_goes_amid_a_transaction_is_not_available_and_then_is_again(
    server: OwnPostgres,
) -> None:
    store = Store.open(server.url)
    store.migrate()
    with store.write() as conn:
        home = a_workspace(conn)
        append(conn, home.id, a_receipt("a"))

    with pytest.raises(Unavailable), store.read() as conn:  # noqa: PT012 - it has to go between the two
        server.kill()
        receipts.read_after(conn, home.id, 0, 10)
    server.start()

    with store.read() as conn:
        assert [row.id for row in receipts.read_after(conn, home.id, 0, 10)] == ["a"]
    store.close()
