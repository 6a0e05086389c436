"""What a span of time and the days that are over came to, in the form of the API."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from broadcast import receipt_parser, rollup, usage
from broadcast.receipt import Cost, KeyRef, Receipt
from broadcast.store import Store
from broadcast.store.receipts import NewReceipt
from broadcast.store.workspaces import Workspace
from broadcast.tally import DAY_US
from tests.broadcast.store.rows import NOW_US, a_receipt, a_workspace, append
from tests.factories import receipt

OURS, THEIRS = "a" * 64, "b" * 64


def us(text: str) -> int:
    """Return an instant of UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


def spent(store: Store, *instants: int, key_hash: str = OURS) -> Workspace:
    """Return a workspace in which a key spent 1 dollar at the first instant, 2 at the second, 4, 8, ..."""
    found = [
        receipt(
            id=f"gen-{number}",
            created_at_us=at_us,
            api_key=KeyRef(hash=key_hash, name="backend"),
            cost=Cost(total_nano_usd=2**number * 10**9),
        )
        for number, at_us in enumerate(instants)
    ]
    with store.write() as conn:
        home = a_workspace(conn)
        append(conn, home.id, *map(row, found))
    return home


def row(one: Receipt) -> NewReceipt:
    """Return a receipt as ingest stores it."""
    return a_receipt(
        one.id,
        at_us=one.created_at_us,
        document=receipt_parser.document(one),
        api_key_hash=one.api_key.hash if one.api_key else None,
        cost_nano_usd=one.cost.total_nano_usd if one.cost else None,
    )


@pytest.mark.parametrize("into_us", [0, 1, DAY_US - 1])
def test_the_days_that_are_over_end_with_yesterday(into_us: int) -> None:
    today_us = NOW_US - NOW_US % DAY_US
    assert usage.completed_days(today_us + into_us) == (today_us - 30 * DAY_US, today_us)


def test_an_endpoint_is_a_model_at_a_provider_and_keeps_its_id(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)
        kinds = [("a", "P"), ("a", "Q"), ("b", "P"), ("a", "P")]
        append(
            conn,
            home.id,
            *(
                a_receipt(f"gen-{number}", model=model, provider=provider, at_us=NOW_US - number * DAY_US)
                for number, (model, provider) in enumerate(kinds)
            ),
        )

    rows = usage.activity(store, home, NOW_US - 9 * DAY_US, NOW_US + 1)

    ids = [row["endpoint_id"] for row in rows]
    assert [(row["model"], row["provider_name"]) for row in rows] == kinds
    assert ids[0] == ids[3]
    assert len(set(ids)) == 3


def test_usage_of_nothing_is_nothing(store: Store) -> None:
    with store.write() as conn:
        home = a_workspace(conn)

    assert usage.of(store, home, NOW_US, NOW_US + 1_000_000) == {
        "from": "2025-11-21T04:40:00.000Z",
        "to": "2025-11-21T04:40:01.000Z",
        "spend_micro_usd": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "request_count": 0,
        "unpriced_request_count": 0,
        "by_model": [],
        "by_capability": [],
    }


@pytest.mark.parametrize("summed", [0, 3, 7])
@pytest.mark.parametrize(
    ("now", "sums"),
    [
        # On a Friday: its week begins within its month.
        ("2025-11-21T04:40", (4, 4 + 8 + 16, 4 + 8 + 16 + 32)),
        ("2025-11-21T00:00", (4, 4 + 8 + 16, 4 + 8 + 16 + 32)),
        ("2025-11-21T23:59:59.999999", (4, 4 + 8 + 16, 4 + 8 + 16 + 32)),
        # On a Saturday, the first: its week begins in the month before.
        ("2025-11-01T12:00", (32, 32 + 64, 32)),
    ],
)
def test_a_key_spends_by_day_week_and_month(
    store: Store, now: str, sums: tuple[int, int, int], summed: int
) -> None:
    home = spent(
        store,
        us("2025-11-22T00:00"),
        us("2025-12-01T00:00"),
        us("2025-11-21T00:00"),
        us("2025-11-20T23:59:59.999999"),
        us("2025-11-17T00:00"),
        us("2025-11-01T00:00"),
        us("2025-10-31T23:59:59.999999"),
    )
    with store.write() as conn:
        rollup.reach(conn, home.id, summed)

    found = usage.of_keys(store, home, {OURS, THEIRS}, us(now))

    assert tuple(found[OURS][f"usage_{of}"] for of in ("daily", "weekly", "monthly")) == sums
    assert set(found[THEIRS].values()) == {0.0}


@pytest.mark.parametrize("summed", [0, 1, 2])
def test_what_a_key_has_spent_ever_outlives_its_receipts(store: Store, summed: int) -> None:
    home = spent(store, us("2019-01-01T00:00"), us("2025-11-21T00:00"))
    with store.write() as conn:
        rollup.reach(conn, home.id, summed)
        conn.execute(text("DELETE FROM receipts WHERE seq <= :seq"), {"seq": summed})

    assert usage.of_keys(store, home, (OURS,), NOW_US)[OURS]["usage"] == 3.0


@pytest.mark.parametrize("summed", [0, 2])
def test_a_request_without_a_known_cost_spends_nothing(store: Store, summed: int) -> None:
    home = spent(store, NOW_US)
    free = receipt(id="gen-free", created_at_us=NOW_US, api_key=KeyRef(hash=OURS, name="x"), cost=None)
    with store.write() as conn:
        append(conn, home.id, row(free))
        rollup.reach(conn, home.id, summed)

    assert usage.of_keys(store, home, (OURS,), NOW_US)[OURS]["usage"] == 1.0


def test_another_workspace_spends_on_its_own(store: Store) -> None:
    spent(store, NOW_US)
    with store.write() as conn:
        other = a_workspace(conn, "Other")

    assert usage.of_keys(store, other, (OURS,), NOW_US)[OURS]["usage"] == 0.0


def test_the_widest_sums_are_added_up(store: Store) -> None:
    home = spent(store, NOW_US, NOW_US - DAY_US)
    with store.write() as conn:
        rollup.reach(conn, home.id, 2)
        conn.execute(text("UPDATE rollups SET spend_nano_usd = :most"), {"most": 2**63 - 1})

    assert usage.of_keys(store, home, (OURS,), NOW_US)[OURS]["usage"] == pytest.approx(2 * 2**63 / 1e9)
