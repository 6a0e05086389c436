from tests.web.api.conftest import Api


def test_a_key_sees_itself(http: Api) -> None:
    own = http.call("GET", "/api/v1/key", key=http.api_key).json["data"]
    assert (own["is_management_key"], own["workspace_id"]) == (False, http.workspace_uid)
    assert http.call("GET", "/api/v1/key", key=http.management_key).json["data"]["is_management_key"] is True


def test_a_key_is_made_shown_once_listed_and_revoked(http: Api) -> None:
    made = http.call("POST", "/api/v1/keys", key=http.management_key, body={"name": "CI"})
    assert made.status_code == 201
    plain, key_hash = made.json["key"], made.json["data"]["hash"]
    assert http.call("GET", "/api/v1/key", key=plain).status_code == 200
    listed = http.call("GET", "/api/v1/keys", key=http.management_key)
    assert key_hash in {key["hash"] for key in listed.json["data"]}
    assert plain not in listed.text
    gone = http.call("DELETE", f"/api/v1/keys/{key_hash}", key=http.management_key)
    assert gone.json == {"deleted": True}
    assert http.call("GET", "/api/v1/key", key=plain).status_code == 401


def test_a_key_needs_a_name_and_a_future(http: Api) -> None:
    for body in (
        {},
        {"name": ""},
        {"name": "x", "expires_at": "yesterday"},
        {"name": "x", "scopes": ["root"]},
    ):
        assert http.call("POST", "/api/v1/keys", key=http.management_key, body=body).status_code == 422


def test_health_is_open_to_all_and_names_what_is_missing(http: Api) -> None:
    assert http.call("GET", "/healthz").status_code == 200
    assert http.call("GET", "/readyz").json == {"status": "ready"}
