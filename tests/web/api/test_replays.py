"""Replay through the API: counted, begun, looked at, stopped, and by whom."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broadcast.store import users
from tests.receiver import Receiver
from tests.web.api.conftest import Api
from tests.web.api.destinations import BASE, created, sent_receipts, settled
from web.api.replays import backfilled

LONG_AGO = "2026-01-01T00:00:00Z"
ABSENT = "00000000-0000-4000-8000-000000000000"
ROUTES = (
    ("POST", "replay"),
    ("GET", "replays"),
    ("GET", f"replays/{ABSENT}"),
    ("POST", f"replays/{ABSENT}/stop"),
    ("GET", "attempts"),
    ("GET", "dead-letters"),
    ("GET", "ledger"),
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def past(http: Api, receiver: Receiver) -> str:
    """Return a destination that rejected the first of three receipts and took the others."""
    http.call("PATCH", "/api/v1/broadcast", key=http.management_key, body={"enabled": True})
    uid = str(created(http, receiver)["id"])
    sent_receipts(http, "r1", "r2", "r3")
    settled(http, uid, "rejected", "delivered", "delivered")
    return uid


def post(http: Api, path: str, body: Any = None) -> Any:
    return http.call("POST", f"{BASE}/{path}", key=http.management_key, body=body or {})


def get(http: Api, path: str) -> Any:
    return http.call("GET", f"{BASE}/{path}", key=http.management_key)


def reason_of(answer: Any) -> Any:
    return answer.status_code, answer.json["error"]["metadata"]["reason"]


def test_a_dry_run_counts_and_sends_nothing(http: Api, past: str) -> None:
    answer = post(http, f"{past}/replay", {"from": LONG_AGO, "dry_run": True})

    assert answer.status_code == 200
    shown = answer.json["data"]
    assert (shown["receipts"], shown["already_delivered"], shown["to_send"]) == (3, 2, 1)
    assert shown["bytes"] > 0
    assert get(http, f"{past}/replays").json == {"data": [], "next_cursor": None}


def test_a_replay_is_begun_shown_listed_and_stopped(http: Api, past: str) -> None:
    begun = post(http, f"{past}/replay", {"dead_letters": True})
    assert begun.status_code == 201
    replay = begun.json["data"]
    assert (replay["source"], replay["state"], replay["total"], replay["settled"]) == (
        "dead_letters",
        "running",
        1,
        0,
    )
    assert get(http, f"{past}/replays/{replay['id']}").json["data"] == replay
    assert get(http, f"{past}/replays").json["data"] == [replay]

    stopped = post(http, f"{past}/replays/{replay['id']}/stop").json["data"]

    assert (stopped["id"], stopped["state"]) == (replay["id"], "stopped")
    assert stopped["ended_at"] is not None


def test_a_second_replay_is_a_conflict(http: Api, past: str) -> None:
    body = {"receipt_ids": ["r1", "r2"], "include_delivered": True}
    assert post(http, f"{past}/replay", body).json["data"]["total"] == 2

    assert reason_of(post(http, f"{past}/replay", body)) == (409, "replay_running")


def test_nothing_to_replay_is_422_in_words(http: Api, past: str) -> None:
    answer = post(http, f"{past}/replay", {"receipt_ids": ["r2", "r3"]})

    assert reason_of(answer) == (422, "nothing_to_replay")
    assert "delivered" in answer.json["error"]["message"]


def test_what_is_off_is_a_conflict(http: Api, past: str) -> None:
    http.call("PATCH", "/api/v1/broadcast", key=http.management_key, body={"enabled": False})

    assert reason_of(post(http, f"{past}/replay", {"dead_letters": True})) == (409, "broadcast_off")


def test_what_is_wrong_is_named(http: Api, past: str) -> None:
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": LONG_AGO, "until": LONG_AGO}, "until"),
        ({"receipt_ids": ["r1", "nowhere"]}, "receipt_ids"),
        ({"dead_letters": True, "dry_run": "yes"}, "dry_run"),
        ({"dead_letters": True, "from": LONG_AGO}, "dead_letters"),
    )
    for body, field in wrong:
        answer = post(http, f"{past}/replay", body)
        assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, field)


def test_every_route_needs_a_management_key(http: Api, past: str) -> None:
    for method, path in ROUTES:
        assert http.call(method, f"{BASE}/{past}/{path}").status_code == 401, path
        assert http.call(method, f"{BASE}/{past}/{path}", key=http.api_key).status_code == 403, path


def test_no_route_knows_another_workspace_s_destination(http: Api, past: str) -> None:
    made = http.services.accounts.bootstrap(
        email="bob@example.com",
        password="correct horse",
        workspace="Others",
        new_keys=False,
        now_us=http.services.clock(),
    )
    for method, path in ROUTES:
        body = {"dead_letters": True} if path == "replay" else None
        answer = http.call(method, f"{BASE}/{past}/{path}", key=made["management_key"], body=body)
        assert reason_of(answer) == (404, "not_found"), path


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_every_route_is_closed_to_who_is_no_longer_an_admin(http: Api, past: str, role: str) -> None:
    key = http.services.accounts.authenticate(http.management_key)
    assert key is not None
    with http.services.store.write() as conn:
        users.set_role(conn, workspace_id=key.workspace_id, user_id=key.user_id, role=role)
    for method, path in ROUTES:
        answer = http.call(method, f"{BASE}/{past}/{path}", key=http.management_key)
        assert answer.status_code == 403, path


def test_every_route_refuses_a_query_it_does_not_know(http: Api, past: str) -> None:
    for method, path in ROUTES:
        answer = http.call(method, f"{BASE}/{past}/{path}?colour=red", key=http.management_key, body={})
        assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, "colour"), path


def test_a_replay_that_does_not_exist_is_404(http: Api, past: str) -> None:
    assert reason_of(get(http, f"{past}/replays/{ABSENT}")) == (404, "not_found")
    assert reason_of(post(http, f"{past}/replays/{ABSENT}/stop")) == (404, "not_found")


def test_dead_letters_say_which_attempt_and_why(http: Api, past: str) -> None:
    (letter,) = get(http, f"{past}/dead-letters").json["data"]

    assert (letter["receipt_id"], letter["seq"], letter["replayable"]) == ("r1", 1, True)
    assert letter["reason"] == "400 bad span"
    attempts = get(http, f"{past}/attempts").json["data"]
    assert letter["attempt_id"] in {attempt["id"] for attempt in attempts}


def test_attempts_are_filtered_by_verdict_time_and_receipt(http: Api, past: str) -> None:
    sent_receipts(http, "r4")
    settled(http, past, "rejected", verdict="rejected")
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")

    def seen(query: str) -> list[tuple[int, int]]:
        found = get(http, f"{past}/attempts?{query}").json["data"]
        return [(item["from_seq"], item["to_seq"]) for item in found]

    assert seen("") == [(4, 4), (1, 3)]
    assert seen("verdict=rejected") == [(4, 4)]
    assert seen("receipt_id=r2") == [(1, 3)]
    assert seen(f"from={LONG_AGO}&to={soon}") == [(4, 4), (1, 3)]
    assert seen(f"from={soon}") == []
    assert seen("limit=1&from=2026-01-01T00:00:00%2B02:00") == [(4, 4)]


def test_a_wrong_filter_is_named(http: Api, past: str) -> None:
    for query, field in (
        ("verdict=fine", "verdict"),
        ("from=today", "from"),
        ("to=2026-01-01", "to"),
        ("receipt_id=nowhere", "receipt_id"),
        ("limit=0", "limit"),
        ("cursor=!", "cursor"),
        ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "cursor"),
    ):
        answer = get(http, f"{past}/attempts?{query}")
        assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, field)


# -- a new destination that starts from the past -----------------------------------------------------


def test_a_new_destination_starts_from_the_past(http: Api, past: str, receiver: Receiver) -> None:
    made = created(http, receiver, whole=True, name="From the past", backfill_from=LONG_AGO)

    replay = made["backfill"]["replay"]
    assert (replay["source"], replay["total"], replay["state"]) == ("backfill", 3, "running")
    assert get(http, f"{made['data']['id']}/ledger").json["appended"] == 0


def test_a_past_in_which_nothing_was_recorded_is_said_in_words(
    http: Api, past: str, receiver: Receiver
) -> None:
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

    made = created(http, receiver, whole=True, name="From the past", backfill_from=soon)

    assert made["backfill"]["replay"] is None
    assert "nothing to send" in made["backfill"]["message"]


@pytest.mark.parametrize(
    ("wrong", "status"),
    [({"backfill_from": "long ago"}, 422), ({"backfill_from": LONG_AGO, "enabled": False}, 422)],
)
def test_a_wrong_past_saves_nothing(
    http: Api, receiver: Receiver, wrong: dict[str, Any], status: int
) -> None:
    config = {"endpoint": receiver.url("/ok")}
    body = {"type": "otel-collector", "name": "From the past", "config": config, **wrong}

    answer = http.call("POST", BASE, key=http.management_key, body=body)

    assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (status, "backfill_from")
    assert http.call("GET", BASE, key=http.management_key).json["total_count"] == 0
    assert receiver.requests == []


def test_a_past_needs_broadcast_to_be_on(http: Api, receiver: Receiver) -> None:
    config = {"endpoint": receiver.url("/ok")}
    body = {"type": "otel-collector", "name": "From the past", "config": config, "backfill_from": LONG_AGO}

    answer = http.call("POST", BASE, key=http.management_key, body=body)

    assert reason_of(answer) == (409, "broadcast_off")


def test_a_destination_stays_saved_when_its_past_cannot_be_sent(http: Api, past: str) -> None:
    key = http.services.accounts.authenticate(http.management_key)
    assert key is not None
    workspace = http.services.accounts.workspace_of(key)
    http.call("PATCH", "/api/v1/broadcast", key=http.management_key, body={"enabled": False})

    answer = backfilled(http.services, key, workspace, past, 0)

    assert answer["replay"] is None
    assert "The destination is saved" in answer["message"]


def test_a_plus_in_a_query_that_was_not_escaped_is_still_a_zone(http: Api, past: str) -> None:
    assert get(http, f"{past}/attempts?from=2026-01-01T00:00:00+02:00").status_code == 200
