"""Doctor counts each whole day again, and says when its sums are wrong."""

import pytest
from sqlalchemy import text

from broadcast import rollup, sums_proof
from broadcast.store import Store
from broadcast.tally import DAY_US
from tests.broadcast.store.rows import a_workspace
from tests.broadcast.test_figures import some_receipts
from tests.broadcast.test_figures import stored as store_receipts
from tests.broadcast.test_rollup import dear
from tests.factories import RETENTION_US

LONG_US = 100 * 365 * DAY_US


@pytest.fixture
def summed(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(sums_proof, "SUMS_US", LONG_US)
    with store.write() as conn:
        home = a_workspace(conn)
        store_receipts(conn, home.id, some_receipts(60, 11))
        rollup.step(conn)
        store_receipts(conn, home.id, some_receipts(20, 12))
    return store


def test_sums_that_are_those_of_the_receipts_pass(summed: Store) -> None:
    proof = sums_proof.prove(summed, retention_us=LONG_US)
    assert (proof.days, proof.faults) == (3, ())


@pytest.mark.parametrize("table", ["rollups", "facets"])
@pytest.mark.parametrize("hours", [1, 24])
@pytest.mark.parametrize("change", ["requests = requests + 1", "spend_nano_usd = spend_nano_usd - 1"])
def test_a_sum_that_is_off_is_named(summed: Store, change: str, hours: int, table: str) -> None:
    with summed.write() as conn:
        conn.execute(text(f"UPDATE {table} SET {change} WHERE hours = {hours}"))

    (fault,) = sums_proof.prove(summed, retention_us=LONG_US).faults

    assert "3 days" in fault.message
    assert fault.subject == "sums"


def test_hours_that_are_kept_no_more_are_not_missed(summed: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums_proof, "SUMS_US", RETENTION_US)
    with summed.write() as conn:
        conn.execute(text("DELETE FROM rollups WHERE hours = 1"))

    assert sums_proof.prove(summed, retention_us=LONG_US).faults == ()


def test_days_that_retention_may_have_cut_are_left_out(summed: Store) -> None:
    assert sums_proof.prove(summed, retention_us=RETENTION_US).days == 0


def test_more_than_a_sum_holds_is_no_fault(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        store_receipts(conn, home.id, dear())
        rollup.step(conn)

    proof = sums_proof.prove(store, retention_us=LONG_US)

    assert (proof.days, proof.faults) == (1, ())
