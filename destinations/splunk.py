"""Splunk Observability Cloud: protobuf alone, to a path of its own.

Source: https://github.com/splunk/public-o11y-docs (address by realm, `/v2/trace/otlp`, `X-SF-Token`, media
type, spans over 64 kB are dropped), read 2026-11-20; for metrics
https://help.splunk.com/splunk-observability-cloud/manage-data/metrics-metadata-and-events (histograms over
OTLP/HTTP) and https://splunk.github.io/observability-workshop/ (`/v2/datapoint/otlp`), read 2026-11-21. The
page of a trace is not documented.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from broadcast.destination import Headers, OTLPDestination
from broadcast.fields import MetricsEvery, Secret, SecretHeaders, field, own_headers, sent_metrics


class Splunk(OTLPDestination):
    """Spans in Splunk APM, by realm."""

    title = "Splunk Observability"
    category = "tracing"
    mark = "Sp"
    docs = "https://docs.splunk.com/observability/en/gdi/opentelemetry/opentelemetry.html"
    setup = (
        "In Splunk Observability Cloud, open Settings > Access Tokens and create a token that may ingest.",
        "Copy the realm from your profile page; it is also in the address you log in to.",
        "Splunk drops spans over 64 kB: messages are cut so that a span stays below.",
    )
    encoding = "protobuf"
    # Input and output together, and all the rest, stay below 64 kB.
    max_attribute_bytes = 24_000
    hints: ClassVar[Mapping[int, str]] = {
        401: "The access token is unknown in this realm, or may not ingest.",
        403: "The access token may not ingest.",
        404: "There is no trace intake here: check the realm.",
        413: "The request is larger than Splunk accepts.",
        415: "What answers here does not take protobuf, so it is not Splunk.",
        429: "The organisation's limit of traces is reached.",
    }

    access_token: Secret = field("Access token", example="0123456789abcdefABCDEF", help="That may ingest.")
    realm: Literal["us0", "us1", "us2", "eu0", "eu1", "eu2", "au0", "jp0", "sg0"] = field(
        "Realm", default="us0", example="us0", help="From your profile page."
    )
    metrics: MetricsEvery = sent_metrics()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the realm's intake; its path is not OTLP's usual one."""
        return f"https://ingest.{self.realm}.observability.splunkcloud.com/v2/trace/otlp"

    def metrics_endpoint(self) -> str:
        """Return the realm's intake of data points."""
        return f"https://ingest.{self.realm}.observability.splunkcloud.com/v2/datapoint/otlp"

    def auth(self) -> Headers:
        """Return the token."""
        return {"x-sf-token": self.access_token.reveal()}

    def warnings(self) -> Mapping[str, str]:
        """Return a token of Splunk's event collector, which is another product."""
        token = self.access_token.reveal()
        if re.fullmatch(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", token):
            return {
                "accessToken": "This is a token of Splunk's HTTP Event Collector; create an access token in "
                "Splunk Observability Cloud."
            }
        if token and len(token) != 22:
            return {"accessToken": "Access tokens of Splunk Observability Cloud have 22 characters."}
        return {}

    def trace_url(self, trace_id: str, at_us: int) -> str:
        """Return the trace in Splunk APM."""
        del at_us
        return f"https://app.{self.realm}.observability.splunkcloud.com/#/apm/traces/{trace_id}"
