"""Usage, activity and the list of requests: exact, by workspace, with their filters."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from broadcast import runtime
from tests.web.api.conftest import Api

NOW = datetime(2026, 11, 21, 12, 30, 0, 123456, tzinfo=UTC)
TODAY = NOW.replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def _standing_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the whole instance stand a second after `NOW`, at noon: no day ends between two steps of a test."""
    now_us = (NOW - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) + 1_000_000
    monkeypatch.setattr(runtime, "now_us", lambda: now_us)


def sent(http: Api, *receipts: dict[str, Any], key: str | None = None) -> None:
    """Post receipts as a router does; only what a test is about is said."""
    body = [
        {
            "id": f"gen-{number}",
            "created_at": NOW.isoformat(),
            "duration_ms": 10,
            "model": "m/x",
            "status": "succeeded",
            **receipt,
        }
        for number, receipt in enumerate(receipts)
    ]
    answer = http.call("POST", "/api/v1/receipts", key=key or http.api_key, body=body)
    assert answer.json["rejected"] == [], answer.text


def got(http: Api, path: str, key: str | None = None) -> Any:
    answer = http.call("GET", f"/api/v1{path}", key=key or http.management_key)
    assert answer.status_code == 200, answer.text
    return answer.json


def wrong(http: Api, path: str) -> tuple[int, str]:
    answer = http.call("GET", f"/api/v1{path}", key=http.management_key)
    return answer.status_code, answer.json["error"]["metadata"]["field"]


# -- usage ---------------------------------------------------------------------------------------------


def test_usage_adds_up_exactly_and_rounds_once(http: Api) -> None:
    third = {"cost": {"total_usd": "0.0000003"}, "usage": {"input_tokens": 3, "output_tokens": 2}}
    sent(
        http,
        {**third, "capabilities": ["tools", "structured_outputs"]},
        {**third, "capabilities": ["tools"]},
        {**third, "model": "m/y"},
        {"model": "m/y"},
    )

    found = got(http, "/usage")

    assert {name: found[name] for name in SUMS} == sums(1, 9, 6, 4, 1)
    assert found["by_model"] == [
        {"model_id": "m/x", **sums(1, 6, 4, 2, 0)},
        {"model_id": "m/y", **sums(0, 3, 2, 2, 1)},
    ]
    assert found["by_capability"] == [
        {"capability": "tools", **sums(1, 6, 4, 2, 0)},
        {"capability": "structured_outputs", **sums(0, 3, 2, 1, 0)},
    ]


SUMS = (
    "spend_micro_usd", "prompt_tokens", "completion_tokens", "request_count", "unpriced_request_count",
)  # fmt: skip


def sums(*values: int) -> dict[str, int]:
    return dict(zip(SUMS, values, strict=True))


def test_half_a_millionth_is_rounded_up(http: Api) -> None:
    sent(http, {"cost": {"total_usd": "0.0000005"}})

    assert got(http, "/usage")["spend_micro_usd"] == 1


def test_usage_is_of_the_span_asked_for_and_of_thirty_days_else(http: Api) -> None:
    days = [{"created_at": (NOW - timedelta(days=age)).isoformat()} for age in (0.1, 10, 20)]
    sent(http, *days)
    begin, end = (quote((NOW - timedelta(days=age)).isoformat()) for age in (10, 0.1))

    assert got(http, "/usage")["request_count"] == 3
    assert got(http, f"/usage?from={begin}&to={end}")["request_count"] == 1
    assert got(http, f"/usage?to={end}")["request_count"] == 2
    assert got(http, f"/usage?from={begin}")["request_count"] == 2
    default = got(http, "/usage")
    assert datetime.fromisoformat(default["to"]) - datetime.fromisoformat(default["from"]) == timedelta(30)


def test_all_time_may_be_asked_for(http: Api) -> None:
    assert got(http, "/usage?from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z")["request_count"] == 0
    assert got(http, "/usage?to=0001-01-02T00:00:00Z")["from"] == "0001-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=2026-01-01T00:00:00", "from"),
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("from=2999-01-01T00:00:00Z", "from"),
        ("from=0001-01-01T00:00:00%2B14:00", "from"),
        ("to=9999-12-31T23:59:59-14:00", "to"),
        ("to=0001-01-01T00:00:00Z", "to"),
        ("colour=red", "colour"),
    ],
)
def test_a_span_that_is_none_is_refused(http: Api, query: str, field: str) -> None:
    assert wrong(http, f"/usage?{query}") == (422, field)


def test_usage_needs_its_scope(http: Api) -> None:
    made = http.call("POST", "/api/v1/keys", key=http.management_key, body={"name": "App"}).json["key"]

    for path in ("usage", "requests", "requests/gen-0"):
        assert http.call("GET", f"/api/v1/{path}", key=made).status_code == 403
        assert http.call("GET", f"/api/v1/{path}").status_code == 401
    assert http.call("GET", "/api/v1/usage", key=http.api_key).status_code == 200


def test_no_workspace_sees_another_s(http: Api) -> None:
    made = http.call("POST", "/api/v1/workspaces", key=http.management_key, body={"name": "Other"}).json[
        "data"
    ]
    sent(http, {})

    other = f"?workspace_id={made['id']}"
    assert got(http, f"/usage{other}")["request_count"] == 0
    assert got(http, f"/requests{other}")["data"] == []
    assert got(http, f"/activity{other}")["data"] == []
    assert http.call("GET", f"/api/v1/requests/gen-0{other}", key=http.management_key).status_code == 404
    assert http.call("GET", f"/api/v1/usage{other}", key=http.api_key).status_code == 404


# -- activity ------------------------------------------------------------------------------------------


def at(days_ago: int, **more: Any) -> dict[str, Any]:
    return {"created_at": (TODAY - timedelta(days=days_ago)).isoformat(), **more}


def test_activity_is_of_the_last_thirty_days_that_are_over(http: Api) -> None:
    usage = {"input_tokens": 9, "output_tokens": 4, "cache_read_tokens": 5, "reasoning_tokens": 3}
    paid = {"usage": usage, "cost": {"total_usd": 0.25}, "provider": "P"}
    sent(http, at(0), at(1, **paid), at(1, **paid), at(1, **paid, funding_source="byok"), at(29))

    found = got(http, "/activity")["data"]

    assert [row["date"] for row in found] == [f"{TODAY - timedelta(days=ago):%F}" for ago in (1, 29)]
    newest = {name: value for name, value in found[0].items() if name not in {"date", "endpoint_id"}}
    assert newest == {
        "model": "m/x",
        "model_permaslug": "m/x",
        "provider_name": "P",
        "usage": 0.5,
        "byok_usage_inference": 0.25,
        "requests": 3,
        "prompt_tokens": 27,
        "completion_tokens": 12,
        "reasoning_tokens": 9,
        "cached_tokens": 15,
    }


def test_activity_is_of_a_day_a_key_or_a_person(http: Api) -> None:
    made = http.call("POST", "/api/v1/keys", key=http.management_key, body={"name": "App"}).json
    sent(http, at(1), at(2))
    sent(http, at(1, id="gen-9"), key=made["key"])
    own = http.call("GET", "/api/v1/key", key=http.management_key).json["data"]["creator_user_id"]

    def requests(query: str) -> int:
        return sum(row["requests"] for row in got(http, f"/activity?{query}")["data"])

    assert requests("") == 3
    assert requests(f"date={TODAY - timedelta(days=1):%F}") == 2
    assert requests(f"api_key_hash={made['data']['hash']}") == 1
    assert requests(f"user_id={own}") == 3
    assert requests("user_id=00000000-0000-4000-8000-000000000000") == 0
    assert requests(f"user_id=nobody&api_key_hash={made['data']['hash']}") == 0


def test_activity_names_the_workspace_where_it_is_grouped_by_it(http: Api) -> None:
    other = http.call("POST", "/api/v1/workspaces", key=http.management_key, body={"name": "Other"}).json[
        "data"
    ]
    sent(http, at(1))
    path = f"/api/v1/keys?workspace_id={other['id']}"
    key = http.call("POST", path, key=http.management_key, body={"name": "App"}).json["key"]
    sent(http, at(1), key=key)

    def grouped(query: str = "") -> set[str]:
        return {row["workspace_id"] for row in got(http, f"/activity?group_by=workspace{query}")["data"]}

    assert grouped() == {http.workspace_uid, other["id"]}
    assert grouped(f"&workspace_id={other['id']}") == {other["id"]}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("date=yesterday", "date"),
        ("date=2020-01-01", "date"),
        (f"date={TODAY:%F}", "date"),
        (f"date={TODAY - timedelta(days=31):%F}", "date"),
        ("api_key_hash=abc", "api_key_hash"),
        ("group_by=model", "group_by"),
        ("colour=red", "colour"),
    ],
)
def test_activity_refuses_by_name(http: Api, query: str, field: str) -> None:
    assert wrong(http, f"/activity?{query}") == (422, field)


# -- requests ------------------------------------------------------------------------------------------


def test_pages_of_requests_hold_while_rows_arrive(http: Api) -> None:
    sent(http, *({"created_at": (NOW - timedelta(seconds=number)).isoformat()} for number in range(5)))
    first = got(http, "/requests?limit=2")
    sent(http, {"id": "gen-new"})

    second = got(http, f"/requests?limit=2&cursor={first['next_cursor']}")
    last = got(http, f"/requests?limit=2&cursor={second['next_cursor']}")

    pages = [[row["id"] for row in page["data"]] for page in (first, second, last)]
    assert pages == [["gen-0", "gen-1"], ["gen-2", "gen-3"], ["gen-4"]]
    assert last["next_cursor"] is None
    assert first["next_cursor"].replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("status=error", ["gen-1"]),
        ("model_id=m/y", ["gen-2"]),
        ("provider_id=openai", ["gen-1"]),
        ("funding_source=byok", ["gen-2"]),
        ("session_id=s-1", ["gen-2"]),
        ("user=u-1", ["gen-1"]),
        ("request_id=req-1", ["gen-2"]),
        ("streamed=true", ["gen-1"]),
        ("api_key_name=First%20key", ["gen-0", "gen-1", "gen-2"]),
        ("status=error&streamed=false", []),
        ("since=HOUR_AGO", ["gen-0", "gen-1"]),
        ("to=HOUR_AGO", ["gen-2"]),
    ],
)
def test_requests_are_filtered_by_what_they_show(http: Api, query: str, ids: list[str]) -> None:
    moments = [(NOW - age).isoformat() for age in (timedelta(), timedelta(minutes=1), timedelta(days=1))]
    sent(
        http,
        {"created_at": moments[0]},
        {"created_at": moments[1], "status": "error", "provider": "OpenAI", "provider_slug": "openai",
         "user": "u-1", "streamed": True},
        {"created_at": moments[2], "model": "m/y", "funding_source": "byok", "session_id": "s-1",
         "request_id": "req-1"},
    )  # fmt: skip
    asked = query.replace("HOUR_AGO", quote((NOW - timedelta(hours=1)).isoformat()))

    assert [row["id"] for row in got(http, f"/requests?{asked}")["data"]] == ids


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("cursor=nonsense", "cursor"),
        ("cursor=WzEsOTk5OTk5OTk5OTk5OTk5OTk5OTk5OV0", "cursor"),
        ("cursor=%C3%BC", "cursor"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=fine", "status"),
        ("streamed=maybe", "streamed"),
        ("since=then", "since"),
        ("since=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z", "since"),
        ("from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", "to"),
        ("colour=red", "colour"),
    ],
)
def test_a_list_refuses_by_name(http: Api, query: str, field: str) -> None:
    assert wrong(http, f"/requests?{query}") == (422, field)


def test_one_request_shows_its_receipt_and_where_it_went(http: Api) -> None:
    sent(http, {"error": {"type": "overloaded", "message": "Too many."}, "status": "error"})
    [row] = got(http, "/requests")["data"]

    found = got(http, "/requests/gen-0")

    assert {name: found[name] for name in row} == row
    assert set(row) == {
        "id", "request_id", "status", "model_id", "provider_id", "prompt_tokens", "completion_tokens",
        "cached_tokens", "reasoning_tokens", "final_charge_micro_usd", "funding_source", "streamed",
        "created_at", "completed_at", "latency_ms", "first_token_ms", "attempts", "routing_profile",
        "capabilities", "api_key_name", "session_id", "user", "error",
    }  # fmt: skip
    assert (found["receipt"]["id"], found["delivery"]) == ("gen-0", [])
    assert http.call("GET", "/api/v1/requests/gen-1", key=http.management_key).status_code == 404
