"""Days of what was used, the same on both databases."""

from typing import Any

import pytest

from broadcast.store import Conn, Store, activity, keys, usage
from broadcast.store.activity import Only
from broadcast.store.usage import Day
from broadcast.tally import DAY_US
from tests.broadcast.store.rows import NOW_US, a_receipt, a_user, a_workspace, append

MIDNIGHT_US = NOW_US - NOW_US % DAY_US


def filled(conn: Conn, *rows: dict[str, Any]) -> int:
    """Return a workspace with requests, beside another one with requests of its own."""
    home, other = a_workspace(conn, "Home"), a_workspace(conn, "Other")
    append(conn, home.id, *(a_receipt(f"gen-{number}", **row) for number, row in enumerate(rows)))
    append(conn, other.id, a_receipt("gen-0", cost_nano_usd=999, input_tokens=999))
    return home.id


def test_a_day_is_one_of_utc_and_own_keys_are_counted_apart(store: Store) -> None:
    tokens = {"input_tokens": 10, "output_tokens": 5, "cached_tokens": 4, "reasoning_tokens": 2}
    with store.write() as conn:
        home_id = filled(
            conn,
            {"at_us": MIDNIGHT_US - 1, "provider": "P", "cost_nano_usd": 7},
            {"at_us": MIDNIGHT_US, "provider": "P", "cost_nano_usd": 1, **tokens},
            {
                "at_us": MIDNIGHT_US + 5,
                "provider": "P",
                "cost_nano_usd": 3,
                "funding_source": "byok",
                **tokens,
            },
            {"at_us": MIDNIGHT_US + 5, "provider": "Q", "funding_source": "credits"},
            {"at_us": MIDNIGHT_US + DAY_US - 1},
            {"at_us": MIDNIGHT_US + DAY_US},
        )
        found = usage.by_day(conn, home_id, MIDNIGHT_US - DAY_US, MIDNIGHT_US + DAY_US)
    zero = dict.fromkeys((*tokens, "spend_nano_usd", "byok_nano_usd"), 0)
    assert found == [
        Day(at_us=MIDNIGHT_US, model="demo/echo", provider="", requests=1, **zero),
        Day(
            at_us=MIDNIGHT_US,
            model="demo/echo",
            provider="P",
            requests=2,
            spend_nano_usd=1,
            byok_nano_usd=3,
            **{name: 2 * count for name, count in tokens.items()},
        ),
        Day(at_us=MIDNIGHT_US, model="demo/echo", provider="Q", requests=1, **zero),
        Day(
            at_us=MIDNIGHT_US - DAY_US, model="demo/echo", provider="P", requests=1,
            **{**zero, "spend_nano_usd": 7},
        ),
    ]  # fmt: skip


def test_a_day_can_be_of_some_keys_alone(store: Store) -> None:
    with store.write() as conn:
        home_id = filled(conn, *({"api_key_hash": name} for name in ("one", "two", "two")), {})
        counts = [
            sum(day.requests for day in usage.by_day(conn, home_id, 0, NOW_US + 1, api_key_hashes=hashes))
            for hashes in (None, {"two"}, {"one", "two"}, {"unknown"}, set[str]())
        ]
    assert counts == [4, 2, 3, 0, 0]


def test_keys_are_known_by_their_maker(store: Store) -> None:
    with store.write() as conn:
        ann, bob, home = a_user(conn, "ann@example.com"), a_user(conn, "bob@example.com"), a_workspace(conn)
        made = [
            keys.create(
                conn, workspace_id=home.id, user_id=user.id, kind="api", hash=f"hash {number}",
                verifier=b"%d" % number, name="k", label="l", scopes=("chat",), now_us=NOW_US,
            )
            for number, user in enumerate((ann, ann, bob))
        ]  # fmt: skip
        assert keys.hashes_made_by(conn, home.id, ann.uid) == {"hash 0", "hash 1"}
        assert keys.hashes_made_by(conn, home.id + 1, ann.uid) == set()
        assert keys.makers(conn, made) == {ann.id: ann.uid, bob.id: bob.uid}


@pytest.mark.parametrize(
    ("only", "ids"),
    [
        (Only(), ["gen-2", "gen-1", "gen-0"]),
        (Only(from_us=11), ["gen-2", "gen-1"]),
        (Only(from_us=11, to_us=12), ["gen-1"]),
        (Only(status="error"), ["gen-1"]),
        (Only(model="m"), ["gen-2"]),
        (Only(provider="openai"), ["gen-0"]),
        (Only(provider="OpenAI"), ["gen-1"]),
        (Only(session_id="s"), ["gen-0"]),
        (Only(user="u", status="error"), ["gen-1"]),
        (Only(api_key_name="app"), ["gen-2"]),
        (Only(api_key_hash="h"), ["gen-2"]),
        (Only(funding_source="byok"), ["gen-2"]),
        (Only(request_id="req-1"), ["gen-1"]),
        (Only(request_id="gen-2"), ["gen-2"]),
        (Only(streamed=True), ["gen-0"]),
        (Only(streamed=False), ["gen-2", "gen-1"]),
        (Only(model="nobody's"), []),
    ],
)
def test_a_page_is_of_what_is_asked_for(store: Store, only: Only, ids: list[str]) -> None:
    with store.write() as conn:
        home_id = filled(
            conn,
            {"at_us": 10, "provider": "OpenAI", "provider_slug": "openai", "session_id": "s", "user": "u",
             "streamed": True},
            {"at_us": 11, "provider": "OpenAI", "status": "error", "user": "u", "request_id": "req-1"},
            {"at_us": 12, "model": "m", "api_key_name": "app", "api_key_hash": "h", "funding_source": "byok"},
        )  # fmt: skip
        assert [row.id for row in activity.page(conn, home_id, only=only)] == ids
