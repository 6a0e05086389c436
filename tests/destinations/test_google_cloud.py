import base64
import json
from typing import Any

from broadcast.destination import Verdict
from destinations.google_cloud import GoogleCloud
from tests.destinations import wire
from tests.destinations.test_bigquery import key_file


def google_cloud(**config: Any) -> GoogleCloud:
    return GoogleCloud.parse({"projectId": "my-project", "serviceAccountKey": key_file(), **config})


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_the_telemetry_api_gets_gzipped_protobuf_with_a_token_for_it() -> None:
    found = wire.send(google_cloud())
    assert found.url == "https://telemetry.googleapis.com/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["content-encoding"] == "gzip"
    scheme, token = found.seen.headers["authorization"].split()
    assert scheme == "Bearer"
    assert claims(token)["aud"] == "https://telemetry.googleapis.com/"
    assert claims(token)["exp"] > wire.AT_US // 1_000_000
    assert found.outcome.delivered


def test_the_resource_names_the_project() -> None:
    assert {span.resource["gcp.project_id"] for span in wire.send(google_cloud()).spans} == {"my-project"}


def test_a_missing_role_is_a_refusal() -> None:
    assert wire.send(google_cloud(), status=403, body={"error": {}}).outcome.verdict is Verdict.REFUSED


def test_another_kind_of_key_is_warned_about() -> None:
    assert google_cloud(serviceAccountKey="ya29.token").warnings().keys() == {"serviceAccountKey"}
    assert google_cloud().warnings() == {}


def test_a_trace_has_a_page() -> None:
    link = google_cloud().trace_url("ab", 0)
    assert link == "https://console.cloud.google.com/traces/list?project=my-project&tid=ab"
