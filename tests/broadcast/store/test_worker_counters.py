"""Counters of workers: exact, never falling, kept when their worker is gone."""

import threading

from broadcast.store import Store, worker_counters


def _add(store: Store, holder: str, **counts: int) -> None:
    with store.write() as conn:
        worker_counters.add(conn, holder, counts)


def _totals(store: Store) -> dict[str, int]:
    with store.read() as conn:
        return worker_counters.totals(conn)


def test_what_several_workers_count_is_added_up(store: Store) -> None:
    _add(store, "one", delivered=2, rejected=1)
    _add(store, "two", delivered=3)
    _add(store, "one", delivered=5)

    assert _totals(store) == {"delivered": 10, "rejected": 1}


def test_what_a_worker_counted_stays_when_it_ends(store: Store) -> None:
    with store.hold("one"):
        _add(store, "one", delivered=7)

    assert _totals(store) == {"delivered": 7}
    with store.read() as conn:
        assert worker_counters.told(conn) == []


def test_two_that_bury_one_worker_at_once_keep_its_counts_once(database_url: str) -> None:
    stores = [Store.open(database_url) for _ in range(4)]
    _add(stores[0], "gone", delivered=100, rejected=3)
    together = threading.Barrier(len(stores))

    def bury(store: Store) -> None:
        together.wait()
        with store.write() as conn:
            worker_counters.fold(conn, {"gone"})

    threads = [threading.Thread(target=bury, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert _totals(stores[0]) == {"delivered": 100, "rejected": 3}
    for store in stores:
        store.close()


def test_a_worker_s_gauges_are_told_with_their_age(store: Store) -> None:
    with store.hold("one"):
        with store.write() as conn:
            worker_counters.tell(conn, "one", {"open_sends": 4})
        with store.read() as conn:
            (seen,) = worker_counters.told(conn)

    assert (seen.holder, seen.gauges) == ("one", {"open_sends": 4})
    assert 0 <= seen.age_us < 60_000_000


def test_the_time_in_transactions_is_counted(store: Store) -> None:
    before = store.spent.figures()
    with store.read():
        pass
    with store.write():
        pass

    after = store.spent.figures()
    assert after["transactions:read"] == before["transactions:read"] + 1
    assert after["transactions:write"] == before["transactions:write"] + 1
    assert after["database_us:write"] > before["database_us:write"]
