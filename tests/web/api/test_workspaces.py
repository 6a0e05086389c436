"""Workspaces through the API: whoever holds the management key of an owner makes and deletes them."""

from typing import Any

import pytest

from broadcast.store import users
from tests.web.api.conftest import Api

PATH = "/api/v1/workspaces"
SWITCH = "is_observability_broadcast_enabled"


def call(http: Api, method: str, path: str = "", body: Any = None) -> Any:
    return http.call(method, PATH + path, key=http.management_key, body=body)


def made(http: Api, **body: Any) -> dict[str, Any]:
    answer = call(http, "POST", body={"name": "Search", "slug": "search", **body})
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json["data"]
    return data


def refused(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json["error"]
    assert error["code"] == answer.status_code
    assert error["message"]
    return answer.status_code, error["metadata"]["reason"], error["metadata"].get("field")


def test_a_workspace_is_made_listed_read_changed_and_deleted(http: Api) -> None:
    workspace = made(http, description="All of search")
    owner = http.call("GET", "/api/v1/key", key=http.management_key).json["data"]["creator_user_id"]
    assert (workspace["slug"], workspace["created_by"], workspace[SWITCH]) == ("search", owner, False)

    listed = call(http, "GET").json
    assert [each["name"] for each in listed["data"]] == ["Search", "Team"]
    assert listed["total_count"] == 2
    assert call(http, "GET", "/search").json["data"] == workspace

    changed = call(http, "PATCH", f"/{workspace['id']}", {"name": "Find", "slug": "find", SWITCH: True})
    assert (changed.json["data"]["name"], changed.json["data"]["slug"]) == ("Find", "find")
    switch = http.call("GET", f"/api/v1/broadcast?workspace_id={workspace['id']}", key=http.management_key)
    assert switch.json["data"] == {"enabled": True}

    assert call(http, "DELETE", f"/{workspace['id']}").json == {"deleted": True}
    assert refused(call(http, "GET", f"/{workspace['id']}")) == (404, "not_found", None)
    assert call(http, "GET").json["total_count"] == 1


def test_lists_are_paged(http: Api) -> None:
    for number in range(4):
        made(http, name=f"Search {number}", slug=f"search-{number}")

    pages = [call(http, "GET", f"?offset={offset}&limit=2").json for offset in (0, 2, 4, 6)]

    assert [[each["name"] for each in page["data"]] for page in pages] == [
        ["Search 0", "Search 1"], ["Search 2", "Search 3"], ["Team"], [],
    ]  # fmt: skip
    assert {page["total_count"] for page in pages} == {5}
    assert refused(call(http, "GET", "?limit=101")) == (422, "invalid", "limit")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x", "slug": "Not A Slug"}, "slug"),
        ({"name": "x", "description": ["y"]}, "description"),
        ({"name": "x", SWITCH: "yes"}, SWITCH),
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "default_text_model": "openai/gpt-4o"}, "default_text_model"),
        ({"name": "x", "is_observability_io_logging_enabled": True}, "is_observability_io_logging_enabled"),
    ],
)
def test_what_is_wrong_is_named(http: Api, body: dict[str, Any], field: str) -> None:
    assert refused(call(http, "POST", body=body)) == (422, "invalid", field)
    assert call(http, "GET").json["total_count"] == 1


def test_a_slug_is_taken_once(http: Api) -> None:
    made(http)

    assert refused(call(http, "POST", body={"name": "Other", "slug": "search"})) == (
        409,
        "slug_taken",
        "slug",
    )
    assert refused(call(http, "PATCH", "/team", {"slug": "search"})) == (409, "slug_taken", "slug")


def test_neutral_values_ask_for_nothing(http: Api) -> None:
    workspace = made(http, io_logging_sampling_rate=1, disabled_server_tools=[], default_image_model=None)

    assert workspace["disabled_server_tools"] is None


def test_the_key_s_own_workspace_is_deleted_only_when_that_is_meant(http: Api) -> None:
    path = f"/{http.workspace_uid}"

    meant = "confirm_default_workspace_deletion"
    assert refused(call(http, "DELETE", path)) == (409, "confirmation_required", meant)
    assert call(http, "DELETE", f"{path}?{meant}=true").json == {"deleted": True}

    assert http.call("GET", "/api/v1/key", key=http.management_key).status_code == 401
    assert http.call("GET", "/api/v1/key", key=http.api_key).status_code == 401


def test_an_admin_changes_a_workspace_and_does_not_delete_it(http: Api) -> None:
    workspace = made(http)
    key = http.services.accounts.authenticate(http.management_key)
    assert key is not None
    target = http.services.accounts.workspace_of(key, workspace["id"])
    with http.services.store.write() as conn:
        users.set_role(conn, workspace_id=target.id, user_id=key.user_id, role="admin")

    assert call(http, "PATCH", "/search", {"name": "Mine"}).status_code == 200
    assert refused(call(http, "DELETE", "/search")) == (403, "forbidden", None)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", ""), ("GET", "/team"), ("PATCH", "/team"), ("DELETE", "/team")],
)
def test_only_a_management_key_is_let_in(http: Api, method: str, path: str) -> None:
    assert refused(http.call(method, PATH + path, key=http.api_key, body={}))[0] == 403
    assert refused(http.call(method, PATH + path, body={}))[0] == 401


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_foreign_workspace_does_not_exist_here(http: Api, method: str) -> None:
    accounts, now_us = http.services.accounts, http.services.clock()
    bob = accounts.create_user(email="bob@example.com", password="correct horse", now_us=now_us)
    foreign = accounts.create_workspace(name="Foreign", owner=bob, now_us=now_us)

    for ref in (foreign.uid, foreign.slug, "nowhere"):
        assert refused(call(http, method, f"/{ref}", {})) == (404, "not_found", None)
