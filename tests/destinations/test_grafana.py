import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from broadcast.destination import Batch
from broadcast.egress import Policy
from broadcast.errors import SettingsError
from broadcast.transport import send_once
from destinations.grafana import GrafanaCloud
from tests.receiver import Receiver

CONFIG = {"instanceId": "123456", "apiKey": "glc_example"}
BATCH = Batch(id="b", at_us=1, pieces=(b'{"scopeSpans":[]}',))
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_gateway_gets_gzipped_json_with_instance_id_and_token() -> None:
    with Receiver() as gateway:
        destination = GrafanaCloud.parse({**CONFIG, "baseUrl": gateway.url("")})
        policy = Policy.parse([f"127.0.0.1:{gateway.port}"])
        response = send_once(policy, lambda transport: transport.send(destination.request(BATCH)))
        seen = gateway.requests[0]
    assert destination.judge(response).delivered
    assert (seen.method, seen.path) == ("POST", "/otlp/v1/traces")
    assert seen.headers["authorization"] == "Basic MTIzNDU2OmdsY19leGFtcGxl"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["content-encoding"] == "gzip"
    assert seen.body == b'{"resourceSpans":[{"scopeSpans":[]}]}'


def test_the_base_url_is_openrouters_unless_given() -> None:
    destination = GrafanaCloud.parse(CONFIG)
    assert destination.endpoint() == "https://otlp-gateway-prod-us-west-0.grafana.net/otlp/v1/traces"


@pytest.mark.parametrize("pasted", ["", "/", "/otlp", "/otlp/", "/otlp/v1/traces"])
def test_a_pasted_path_is_not_doubled(pasted: str) -> None:
    base = "https://otlp-gateway-prod-eu-west-2.grafana.net"
    assert GrafanaCloud.parse({**CONFIG, "baseUrl": base + pasted}).endpoint() == f"{base}/otlp/v1/traces"


@pytest.mark.parametrize("token", ["glsa_abc", "eyJrIjoiabc"])
def test_tokens_that_cannot_send_are_warned_about(token: str) -> None:
    assert GrafanaCloud.parse({**CONFIG, "apiKey": token}).warnings().keys() == {"apiKey"}


@pytest.mark.parametrize(
    ("setting", "pasted", "words"),
    [
        ("baseUrl", "https://mystack.grafana.net/explore", "where you open Grafana"),
        ("baseUrl", "https://tempo-prod-10-prod-eu-west-2.grafana.net:443", "Tempo"),
        ("baseUrl", "https://grafana.com/orgs/acme", "a page of Grafana Cloud"),
        ("instanceId", "glc_eyJvIjoiMSJ9", "the token"),
    ],
)
def test_the_neighbours_are_refused_by_name(setting: str, pasted: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        GrafanaCloud.parse({**CONFIG, setting: pasted})
    assert words in caught.value.problems[setting]


def test_the_header_as_grafana_documents_it_is_taken_apart() -> None:
    pasted = "Authorization=Basic%20MTIzNDU2OmdsY19leGFtcGxl"
    assert GrafanaCloud.parse({**CONFIG, "apiKey": pasted}).api_key.reveal() == "glc_example"


def token(**says: Any) -> str:
    return "glc_" + base64.b64encode(json.dumps(says).encode()).decode().rstrip("=")


def test_the_organisations_number_is_recognised_by_the_token() -> None:
    made = GrafanaCloud.parse({**CONFIG, "apiKey": token(o="123456", n="n", k="k")})
    assert made.warnings().keys() == {"instanceId"}


@pytest.mark.parametrize(("zone", "wrong"), [("us-west-0", set()), ("eu-west-2", {"baseUrl"})])
def test_a_token_of_another_zone_is_recognised(zone: str, wrong: set[str]) -> None:
    says = {"o": "1", "n": "n", "k": "k", "m": {"r": zone}}
    assert GrafanaCloud.parse({**CONFIG, "apiKey": token(**says)}).warnings().keys() == wrong


@pytest.mark.parametrize("says", ["glc_example", "glc_W10=", "glc_eyJtIjoxfQ=="])
def test_a_token_that_says_nothing_is_no_fault(says: str) -> None:
    assert GrafanaCloud.parse({**CONFIG, "apiKey": says}).warnings() == {}


def test_a_trace_opens_in_explore_where_the_stack_is_known() -> None:
    link = GrafanaCloud.parse({**CONFIG, "stackUrl": "https://mystack.grafana.net/"}).trace_url(
        TRACE, 1_790_000_000_000_000
    )
    assert link is not None
    parts = urlsplit(link)
    assert (parts.netloc, parts.path) == ("mystack.grafana.net", "/explore")
    pane = json.loads(parse_qs(parts.query)["panes"][0])["a"]
    assert pane["queries"][0]["query"] == TRACE
    assert int(pane["range"]["from"]) < 1_790_000_000_000 < int(pane["range"]["to"])
    assert GrafanaCloud.parse(CONFIG).trace_url(TRACE, 0) is None
