"""Grafana Cloud: traces land in Tempo through the OTLP gateway.

Sources: https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/ (gateway, Basic auth, scopes),
https://grafana.com/docs/tempo/latest/configuration/ (string values cut at 2,048 bytes) and
https://github.com/trufflesecurity/trufflehog/tree/main/pkg/detectors/grafana (what a token says of itself:
the organisation and the zone), read 2026-11-20. Metrics go to `/otlp/v1/metrics` of the same gateway and are
kept as Prometheus keeps them, cumulative.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from broadcast.destination import Headers, OTLPDestination, basic_auth
from broadcast.fields import (
    HttpsUrl,
    JsonOrProtobuf,
    MetricsEvery,
    Secret,
    SecretHeaders,
    field,
    own_encoding,
    own_headers,
    sent_metrics,
    under,
)
from destinations import _tempo

_LINK_MARGIN_MS = 3_600_000

_INSTEAD = "This is {}; copy the OTLP endpoint, which starts with https://otlp-gateway-."


class GrafanaCloud(OTLPDestination):
    """Traces in Tempo, to be searched with TraceQL and drawn on dashboards."""

    title = "Grafana Cloud"
    category = "tracing"
    mark = "Gc"
    docs = "https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/"
    setup = (
        "In Grafana Cloud, open your stack and choose OpenTelemetry > Configure.",
        "Copy the OTLP endpoint and the numeric instance ID beside it.",
        "Create an access policy token with the scope traces:write; it starts with glc_.",
        "For metrics it needs the scope metrics:write too.",
    )
    max_attribute_bytes = 2048
    views = _tempo.VIEWS
    hints: ClassVar[Mapping[int, str]] = {
        401: "Check that the instance ID is the gateway's and that the token has the scope traces:write.",
        403: "The token's access policy lacks the scope traces:write.",
        404: "The base URL is not an OTLP gateway; it looks like https://otlp-gateway-prod-us-west-0.grafana.net.",
        413: "The trace is larger than this stack accepts.",
        429: "The stack's ingestion limit is reached.",
    }

    base_url: HttpsUrl = field(
        "Base URL",
        default=HttpsUrl("https://otlp-gateway-prod-us-west-0.grafana.net"),
        example="https://otlp-gateway-prod-us-west-0.grafana.net",
        instead={
            r"https://tempo-[a-z0-9-]+\.grafana\.net.*": _INSTEAD.format("Tempo's own address"),
            r"https://(?!otlp-gateway-)[a-z0-9-]+\.grafana\.net.*": _INSTEAD.format("where you open Grafana"),
            r"https://(?:www\.)?grafana\.com.*": _INSTEAD.format("a page of Grafana Cloud"),
        },
        help="The OTLP gateway of your zone, not the address of your dashboards.",
    )
    instance_id: str = field(
        "Instance ID",
        example="123456",
        pattern=r"\d+",
        instead={r"glc_.*": "This is the token; the instance ID is the number beside the OTLP endpoint."},
        help="The number shown beside the OTLP endpoint.",
    )
    api_key: Secret = field(
        "API key", example="glc_example", help="An access policy token with the scope traces:write."
    )
    stack_url: HttpsUrl | None = field(
        "Stack URL",
        default=None,
        example="https://example.grafana.net",
        help="Where you open Grafana; links from a request to its trace use it.",
    )
    encoding: JsonOrProtobuf = own_encoding("json")
    metrics: MetricsEvery = sent_metrics()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the gateway's traces address, also when its base was pasted with the path."""
        return under(self.base_url, "/otlp/v1/traces")

    def auth(self) -> Headers:
        """Return Basic auth of instance id and token."""
        return basic_auth(self.instance_id, self.api_key)

    def warnings(self) -> Mapping[str, str]:
        """Return what people mix up here: the kind of token, the organisation's number, the zone."""
        key = self.api_key.reveal()
        for start, kind in (("glsa_", "a service account's token"), ("eyJrIjoi", "an old API key")):
            if key.startswith(start):
                return {"apiKey": f"This is {kind}, which cannot send; create an access policy token, glc_."}
        if key and not key.startswith("glc_"):
            return {"apiKey": "Access policy tokens start with glc_."}
        says, found = _said_by(key), {}
        if str(says.get("o")) == self.instance_id:
            found["instanceId"] = "This is the organisation's number; copy the one beside the OTLP endpoint."
        zone = says.get("m", {}).get("r") if isinstance(says.get("m"), dict) else None
        if zone and "//otlp-gateway-" in self.base_url and f"-{zone}" not in self.base_url:
            found["baseUrl"] = f"The token belongs to the zone {zone}: copy the OTLP endpoint of its stack."
        return found

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        """Return the trace in Explore, when the stack's address is known."""
        if self.stack_url is None:
            return None
        at_ms = at_us // 1000
        source = _tempo.UID
        query = {
            "refId": "A",
            "datasource": {"type": "tempo", "uid": source},
            "queryType": "traceql",
            "query": trace_id,
        }
        span = {"from": str(at_ms - _LINK_MARGIN_MS), "to": str(at_ms + _LINK_MARGIN_MS)}
        panes = json.dumps({"a": {"datasource": source, "queries": [query], "range": span}})
        return f"{under(self.stack_url, '/explore')}?schemaVersion=1&orgId=1&panes={quote(panes, safe='')}"

    def view(self, text: str, source: str) -> str:
        """Return a view for the data source that is named."""
        return _tempo.filled(text, source)


def _said_by(key: str) -> dict[str, Any]:
    """Return what a token says of itself; nothing where it cannot be read."""
    text = key.removeprefix("glc_")
    try:
        found = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (binascii.Error, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
