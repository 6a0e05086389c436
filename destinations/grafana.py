"""Grafana Cloud: traces land in Tempo through the OTLP gateway.

Sources: https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/ (gateway, Basic auth, scope),
https://grafana.com/docs/tempo/latest/configuration/ (string values cut at 2,048 bytes), read 2026-11-20.
"""

import json
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from broadcast.destination import Headers, OTLPDestination, basic_auth
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field

_LINK_MARGIN_MS = 3_600_000


class GrafanaCloud(OTLPDestination):
    """Traces in Tempo, to be searched with TraceQL and drawn on dashboards."""

    title = "Grafana Cloud"
    category = "tracing"
    mark = "Gc"
    docs = "https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/"
    setup = (
        "In Grafana Cloud, open your stack and choose OpenTelemetry > Configure.",
        "Copy the OTLP endpoint, without any path, and the numeric instance ID.",
        "Create an access policy token with the scope traces:write; it starts with glc_.",
    )
    max_attribute_bytes = 2048
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
        help="The OTLP gateway of your zone, not the address of your dashboards.",
    )
    instance_id: str = field(
        "Instance ID", example="123456", pattern=r"\d+", help="The number shown beside the OTLP endpoint."
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
    headers: SecretHeaders = field(
        "Headers", default=SecretHeaders(), example={"X-Team": "search"}, help="Sent with every request."
    )

    def endpoint(self) -> str:
        """Return the gateway's traces address, also when its base was pasted with the path."""
        base = self.base_url.rstrip("/").removesuffix("/v1/traces").removesuffix("/otlp")
        return f"{base}/otlp/v1/traces"

    def auth(self) -> Headers:
        """Return Basic auth of instance id and token."""
        return basic_auth(self.instance_id, self.api_key)

    def warnings(self) -> Mapping[str, str]:
        """Return what people mix up here: the kind of token, the host."""
        found = {}
        if self.api_key and not self.api_key.reveal().startswith("glc_"):
            found["apiKey"] = (
                "Access policy tokens start with glc_; glsa_ tokens and old API keys cannot send."
            )
        host = self.base_url.partition("//")[2].partition("/")[0]
        if host.endswith(".grafana.net") and not host.startswith("otlp-gateway-"):
            found["baseUrl"] = "This looks like a dashboard's address; the gateway starts with otlp-gateway-."
        return found

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        """Return the trace in Explore, when the stack's address is known."""
        if self.stack_url is None:
            return None
        at_ms = at_us // 1000
        source = "grafanacloud-traces"
        query = {
            "refId": "A",
            "datasource": {"type": "tempo", "uid": source},
            "queryType": "traceql",
            "query": trace_id,
        }
        span = {"from": str(at_ms - _LINK_MARGIN_MS), "to": str(at_ms + _LINK_MARGIN_MS)}
        panes = json.dumps({"a": {"datasource": source, "queries": [query], "range": span}})
        return f"{self.stack_url.rstrip('/')}/explore?schemaVersion=1&orgId=1&panes={quote(panes, safe='')}"
