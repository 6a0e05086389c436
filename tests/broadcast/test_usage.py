"""What a span of time and the days that are over came to, in the form of the API."""

import pytest

from broadcast import usage
from broadcast.store import Store
from broadcast.tally import DAY_US
from tests.broadcast.store.rows import NOW_US, a_receipt, a_workspace, append


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
