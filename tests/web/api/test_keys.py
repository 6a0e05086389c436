"""Keys through the API: made, shown once, changed, ended."""

from typing import Any

import pytest

from broadcast.times import rfc3339
from tests.web.api.conftest import Api

KEYS = "/api/v1/keys"
HOUR_US = 3_600_000_000


def call(http: Api, method: str, path: str = "", body: Any = None) -> Any:
    return http.call(method, KEYS + path, key=http.management_key, body=body)


def made(http: Api, **body: Any) -> tuple[str, dict[str, Any]]:
    answer = call(http, "POST", body={"name": "CI", **body})
    assert answer.status_code == 201, answer.text
    return answer.json["key"], answer.json["data"]


def opens(http: Api, plain: str) -> bool:
    return bool(http.call("GET", "/api/v1/key", key=plain).status_code == 200)


def test_a_key_sees_itself(http: Api) -> None:
    own = http.call("GET", "/api/v1/key", key=http.api_key).json["data"]
    assert (own["is_management_key"], own["workspace_id"]) == (False, http.workspace_uid)
    assert http.call("GET", "/api/v1/key", key=http.management_key).json["data"]["is_management_key"] is True


def test_a_key_is_made_shown_once_listed_and_revoked(http: Api) -> None:
    plain, data = made(http)
    assert opens(http, plain)
    assert data["creator_user_id"]

    listed = call(http, "GET")
    assert data["hash"] in {key["hash"] for key in listed.json["data"]}
    assert plain not in listed.text

    assert call(http, "DELETE", f"/{data['hash']}").json == {"deleted": True}
    assert not opens(http, plain)
    for method in ("GET", "PATCH", "DELETE"):
        assert call(http, method, f"/{data['hash']}", {}).status_code == 404


def test_a_key_is_renamed_and_switched_off_and_on(http: Api) -> None:
    plain, data = made(http)
    path = f"/{data['hash']}"

    off = call(http, "PATCH", path, {"name": "Build", "disabled": True})
    assert (off.json["data"]["name"], off.json["data"]["disabled"]) == ("Build", True)
    assert off.json["data"]["updated_at"]
    assert not opens(http, plain)

    assert call(http, "PATCH", path, {"disabled": False}).json["data"]["disabled"] is False
    assert opens(http, plain)


def test_a_key_says_what_its_requests_cost(http: Api) -> None:
    plain, data = made(http)
    now = rfc3339(http.services.clock())
    receipt = {"id": "gen-1", "created_at": now, "duration_ms": 5, "model": "m/x", "status": "succeeded"}
    http.call("POST", "/api/v1/receipts", key=plain, body=[{**receipt, "cost": {"total_usd": "0.25"}}])

    own = http.call("GET", "/api/v1/key", key=plain).json["data"]
    listed = {key["name"]: key for key in call(http, "GET").json["data"]}

    for shown in (own, listed["CI"], call(http, "GET", f"/{data['hash']}").json["data"]):
        assert [shown[f"usage{of}"] for of in ("", "_daily", "_weekly", "_monthly")] == [0.25] * 4
        assert shown["byok_usage"] == 0.0
    assert (data["usage"], listed["First key"]["usage"]) == (0.0, 0.0)


def test_a_key_gets_an_end_and_loses_it(http: Api) -> None:
    _, data = made(http)
    end = rfc3339(http.services.clock() + HOUR_US)

    assert call(http, "PATCH", f"/{data['hash']}", {"expires_at": end}).json["data"]["expires_at"] == end
    assert call(http, "PATCH", f"/{data['hash']}", {"expires_at": None}).json["data"]["expires_at"] is None


def test_lists_leave_out_what_does_not_work_unless_asked(http: Api) -> None:
    _, off = made(http, name="Off")
    call(http, "PATCH", f"/{off['hash']}", {"disabled": True})

    def names(query: str = "") -> list[str]:
        return [key["name"] for key in call(http, "GET", query).json["data"]]

    assert names() == ["First key"]
    assert names("?include_disabled=true") == ["Off", "First key"]
    assert names("?include_disabled=true&limit=1&offset=1") == ["First key"]
    assert call(http, "GET", "?include_disabled=maybe").status_code == 422
    with http.services.store.write() as conn:
        conn.exec_driver_sql("UPDATE api_keys SET expires_at_us = 1 WHERE name = 'First key'")
    assert names() == []
    assert names("?include_expired=true") == ["First key"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "a\r\nb"}, "name"),
        ({"name": "x", "expires_at": "yesterday"}, "expires_at"),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-14:00"}, "expires_at"),
        ({"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "scopes": ["root"]}, "scopes"),
        ({"name": "x", "scopes": "chat"}, "scopes"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "limit": 5}, "limit"),
        ({"name": "x", "limit_reset": "daily"}, "limit_reset"),
        ({"name": "x", "include_byok_in_limit": True}, "include_byok_in_limit"),
        ({"name": "x", "creator_user_id": "somebody"}, "creator_user_id"),
    ],
)
def test_what_is_wrong_with_a_new_key_is_named(http: Api, body: dict[str, Any], field: str) -> None:
    answer = call(http, "POST", body=body)

    assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"disabled": "no"}, "disabled"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"limit": 5}, "limit"),
        ({"scopes": ["chat"]}, "scopes"),
    ],
)
def test_what_is_wrong_with_a_change_is_named(http: Api, body: dict[str, Any], field: str) -> None:
    _, data = made(http)

    answer = call(http, "PATCH", f"/{data['hash']}", body)

    assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, field)
    assert call(http, "GET", f"/{data['hash']}").json["data"] == data


def test_neutral_values_ask_for_nothing(http: Api) -> None:
    _, data = made(http, limit=None, limit_reset=None, include_byok_in_limit=False, creator_user_id=None)

    assert (data["limit"], data["include_byok_in_limit"]) == (None, False)


def test_health_is_open_to_all_and_names_what_is_missing(http: Api) -> None:
    assert http.call("GET", "/healthz").status_code == 200
    assert http.call("GET", "/readyz").json == {"status": "ready"}
