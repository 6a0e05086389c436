from collections.abc import Iterator
from typing import Any

import pytest

from tests.receiver import Receiver
from tests.web.api.conftest import Api
from tests.web.api.destinations import BASE, created, delivered, sent_receipts

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


# -- the way of a destination that works ---------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def change(http: Api, uid: str, body: dict[str, Any]) -> Any:
    return http.call("PATCH", f"{BASE}/{uid}", key=http.management_key, body=body)


def act(http: Api, uid: str, action: str) -> Any:
    return http.call("POST", f"{BASE}/{uid}/{action}", key=http.management_key)


def test_a_destination_is_saved_after_a_passed_test_and_its_secret_is_never_shown(
    http: Api, receiver: Receiver
) -> None:
    made = created(http, receiver, privacy_mode=True, sampling_rate=0.5)

    assert [span.name for span in receiver.spans()] == ["broadcast-connection-test"]
    assert receiver.requests[0].headers["authorization"] == "Bearer s3cr3t-value"
    assert (made["type"], made["enabled"], made["privacy_level"]) == ("otel-collector", True, "metadata")
    assert made["sampling_rate"] == 0.5
    shown = http.call("GET", f"{BASE}/{made['id']}", key=http.management_key)
    listed = http.call("GET", BASE, key=http.management_key)
    assert shown.json["data"] == made
    assert (listed.json["data"], listed.json["total_count"]) == ([made], 1)
    assert "s3cr3t" not in shown.text + listed.text


def test_a_name_is_taken_once(http: Api, receiver: Receiver) -> None:
    created(http, receiver, name="Mine")
    body = {"type": "otel-collector", "name": "MINE", "config": {"endpoint": receiver.url("/ok")}}

    answer = http.call("POST", BASE, key=http.management_key, body=body)

    assert (answer.status_code, answer.json["error"]["metadata"]["reason"]) == (409, "name_taken")


def test_a_name_or_a_filter_changes_without_a_test(http: Api, receiver: Receiver) -> None:
    uid = created(http, receiver)["id"]
    receiver.clear()
    rules = {"groups": [{"rules": [{"field": "model", "operator": "equals", "value": "m/x"}]}]}

    changed = change(http, uid, {"name": "Renamed", "filter_rules": rules, "privacy_level": "metadata"})

    assert changed.status_code == 200
    assert (changed.json["data"]["name"], changed.json["data"]["privacy_level"]) == ("Renamed", "metadata")
    assert changed.json["data"]["filter_rules"]["groups"][0]["rules"][0]["value"] == "m/x"
    assert receiver.requests == []


def test_a_new_address_needs_its_secret_and_a_test(http: Api, receiver: Receiver) -> None:
    made = created(http, receiver)
    moved = {"endpoint": receiver.url("/elsewhere"), "headers": made["config"]["headers"]}

    without = change(http, made["id"], {"config": moved})
    failing = {"endpoint": receiver.url("/status/401"), "headers": {"Authorization": "Bearer new"}}
    refused = change(http, made["id"], {"config": failing})
    moved["headers"] = {"Authorization": "Bearer new"}
    changed = change(http, made["id"], {"config": moved})

    assert without.json["error"]["metadata"]["reason"] == "secret_required"
    assert refused.json["error"]["metadata"]["reason"] == "test_failed"
    assert changed.json["data"]["config"]["endpoint"] == receiver.url("/elsewhere")
    assert receiver.requests[-1].headers["authorization"] == "Bearer new"


def test_a_pause_holds_and_a_resume_goes_on(http: Api, receiver: Receiver) -> None:
    uid = created(http, receiver)["id"]

    assert act(http, uid, "pause").json["data"]["paused_by"] == "person"
    assert act(http, uid, "pause").json["data"]["paused_by"] == "person"
    assert act(http, uid, "resume").json["data"]["paused_by"] is None


def test_switching_off_needs_no_test_and_switching_on_does(http: Api, receiver: Receiver) -> None:
    uid = created(http, receiver)["id"]
    receiver.clear()

    assert change(http, uid, {"enabled": False}).json["data"]["enabled"] is False
    assert receiver.requests == []
    assert change(http, uid, {"enabled": True}).json["data"]["enabled"] is True
    assert [span.name for span in receiver.spans()] == ["broadcast-connection-test"]


def test_a_saved_destination_is_tested_and_sends_a_trace_that_no_ledger_counts(
    http: Api, receiver: Receiver
) -> None:
    uid = created(http, receiver)["id"]
    receiver.clear()

    report = act(http, uid, "test")
    sent = act(http, uid, "send-trace")

    assert (report.status_code, report.json["ok"], report.json["data_accepted"]) == (200, True, "yes")
    assert (sent.status_code, sent.json["ok"]) == (200, True)
    assert "Test Generation" in {span.name for span in receiver.spans()}
    ledger = http.call("GET", f"{BASE}/{uid}/ledger", key=http.management_key).json
    assert (ledger["appended"], ledger["balanced"]) == (0, True)


def test_a_deleted_destination_is_gone_and_its_name_is_free(http: Api, receiver: Receiver) -> None:
    uid = created(http, receiver, name="Mine")["id"]

    deleted = http.call("DELETE", f"{BASE}/{uid}", key=http.management_key)

    assert (deleted.status_code, deleted.json) == (200, {"deleted": True})
    assert http.call("GET", f"{BASE}/{uid}", key=http.management_key).status_code == 404
    assert http.call("GET", BASE, key=http.management_key).json["total_count"] == 0
    assert created(http, receiver, name="Mine")["id"] != uid


def test_receipts_reach_a_destination_that_takes_protobuf(http: Api, receiver: Receiver) -> None:
    http.call("PATCH", "/api/v1/broadcast", key=http.management_key, body={"enabled": True})
    config = {"endpoint": receiver.url("/ok"), "encoding": "protobuf"}
    uid = created(http, receiver, config=config)["id"]
    sent_receipts(http, "r1", "r2")
    receiver.clear()

    delivered(http)

    assert {seen.headers["content-type"] for seen in receiver.requests} == {"application/x-protobuf"}
    assert {span.resource["openrouter.trace.id"] for span in receiver.spans()} == {"r1", "r2"}
    ledger = http.call("GET", f"{BASE}/{uid}/ledger", key=http.management_key).json
    assert (ledger["delivered"], ledger["pending"], ledger["balanced"]) == (2, 0, True)


def test_unknown_names_are_refused_by_name(http: Api, receiver: Receiver) -> None:
    uid = created(http, receiver)["id"]
    for method, path, body in (
        ("POST", "pause", {"colour": "red"}),
        ("POST", "resume", {"colour": "red"}),
        ("POST", "send-trace", {"colour": "red"}),
        ("POST", "pause?colour=red", None),
    ):
        answer = http.call(method, f"{BASE}/{uid}/{path}", key=http.management_key, body=body)
        assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, "colour")


def test_the_switch_takes_nothing_else(http: Api) -> None:
    answer = http.call(
        "PATCH", "/api/v1/broadcast", key=http.management_key, body={"enabled": True, "colour": "red"}
    )

    assert (answer.status_code, answer.json["error"]["metadata"]["field"]) == (422, "colour")


def test_a_destination_says_what_it_is_doing_alone_and_in_the_list(http: Api, receiver: Receiver) -> None:
    made = created(http, receiver)

    alone = http.call("GET", f"{BASE}/{made['id']}", key=http.management_key).json["data"]
    [listed] = http.call("GET", BASE, key=http.management_key).json["data"]

    assert {name: alone[name] for name in ("state", "backlog", "next_try_at")} == {
        "state": "off",
        "backlog": 0,
        "next_try_at": None,
    }
    assert listed == alone
