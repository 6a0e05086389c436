import pytest

from tests.web.api.conftest import Api

BASE = "/api/v1/observability/destinations"
CONFIG = {"endpoint": "http://127.0.0.1:9/v1/traces"}


@pytest.mark.parametrize(
    "path", [BASE, "/api/v1/broadcast", "/api/v1/observability/destination-types", "/api/v1/keys"]
)
def test_management_routes_need_a_management_key(http: Api, path: str) -> None:
    assert http.call("GET", path).status_code == 401
    assert http.call("GET", path, key=http.api_key).status_code == 403
    assert http.call("GET", path, key=http.management_key).status_code == 200


def test_a_cookie_opens_nothing(http: Api) -> None:
    token = http.services.accounts.log_in("ann@example.com", "correct horse", "::1", http.services.clock())
    answer = http.call("GET", BASE, headers={"Cookie": f"broadcast_session={token}"})
    assert answer.status_code == 401


def test_a_failed_test_saves_nothing_and_says_why(http: Api) -> None:
    body = {"type": "otel-collector", "name": "Mine", "config": CONFIG}
    answer = http.call("POST", BASE, key=http.management_key, body=body)
    assert answer.status_code == 422
    assert answer.json["error"]["metadata"]["reason"] == "test_failed"
    assert answer.json["error"]["metadata"]["stage"] == "connect"
    assert http.call("GET", BASE, key=http.management_key).json == {"data": [], "total_count": 0}


def test_a_test_is_always_200_with_its_report(http: Api) -> None:
    body = {"type": "otel-collector", "config": CONFIG}
    report = http.call("POST", f"{BASE}/test", key=http.management_key, body=body)
    assert report.status_code == 200
    assert (report.json["ok"], report.json["stage"], report.json["reachable"]) == (False, "connect", "no")


def test_wrong_settings_are_named(http: Api) -> None:
    body = {"type": "otel-collector", "name": "Mine", "config": {"endpoint": "nonsense"}}
    answer = http.call("POST", BASE, key=http.management_key, body=body)
    assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, "endpoint")


@pytest.mark.parametrize(("data", "status"), [(b"{", 400), (b"[]", 422), (b'"x"', 422)])
def test_a_body_is_a_json_object(http: Api, data: bytes, status: int) -> None:
    assert http.call("POST", BASE, key=http.management_key, data=data).status_code == status


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_does_not_exist_is_404(http: Api, method: str) -> None:
    answer = http.call(
        method, f"{BASE}/00000000-0000-4000-8000-000000000000", key=http.management_key, body={}
    )
    assert (answer.status_code, answer.json["error"]["metadata"]["reason"]) == (404, "not_found")


def test_another_workspace_is_not_found(http: Api) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    assert http.call("GET", f"{BASE}?workspace_id={other}", key=http.management_key).status_code == 404
    body = {"type": "webhook", "name": "x", "config": {}, "workspace_id": other}
    assert http.call("POST", BASE, key=http.management_key, body=body).status_code == 404


def test_every_type_describes_its_settings(http: Api) -> None:
    answer = http.call("GET", "/api/v1/observability/destination-types", key=http.management_key)
    found = {kind["type"]: kind for kind in answer.json["data"]}
    assert {"grafana", "honeycomb", "langfuse", "otel-collector", "webhook"} <= found.keys()
    assert {"baseUrl", "instanceId", "apiKey"} <= found["grafana"]["schema"]["properties"].keys()
    assert found["grafana"]["schema"]["properties"]["apiKey"]["writeOnly"] is True


def test_the_switch_is_read_and_turned(http: Api) -> None:
    assert http.call("GET", "/api/v1/broadcast", key=http.management_key).json["data"] == {"enabled": False}
    turned = http.call("PATCH", "/api/v1/broadcast", key=http.management_key, body={"enabled": True})
    assert turned.json["data"] == {"enabled": True}
    assert http.call("GET", "/api/v1/broadcast", key=http.management_key).json["data"] == {"enabled": True}
    assert (
        http.call("PATCH", "/api/v1/broadcast", key=http.management_key, body={"enabled": 1}).status_code
        == 422
    )
