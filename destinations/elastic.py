"""Elastic Observability: the managed OTLP endpoint, or an APM Server.

Sources: https://www.elastic.co/docs/reference/opentelemetry/motlp (endpoint, key, limits) and
https://github.com/elastic/apm-server/blob/main/internal/beater/otlp/http.go (an APM Server decodes protobuf
whatever the content type says, so JSON is a 400 there), read 2026-11-20. The link into Kibana is not
documented.
"""

from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Headers, OTLPDestination
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, under

_INSTEAD = "This is {}; copy the managed OTLP endpoint, which has .ingest. in it."


class Elastic(OTLPDestination):
    """Traces in Elastic Observability, beside your logs and services."""

    title = "Elastic Observability"
    category = "tracing"
    mark = "El"
    docs = "https://www.elastic.co/docs/reference/opentelemetry/motlp"
    setup = (
        "In Elastic Cloud, open Add data > Application > OpenTelemetry and copy the managed OTLP endpoint.",
        "Create an API key there and copy it in its encoded form.",
        "An APM Server is fine too: enter its address, and a key that may write events.",
    )
    encoding = "protobuf"
    hints: ClassVar[Mapping[int, str]] = {
        400: "What answers here cannot read OTLP: check that this is the OTLP endpoint or an APM Server.",
        401: "The API key is unknown, or not in its encoded form.",
        403: "The key lacks the privilege to write: create it under Add data > OpenTelemetry.",
        404: "There is no OTLP endpoint here; copy the address from Add data > OpenTelemetry.",
        413: "The trace is larger than this deployment accepts.",
        429: "The project's ingest limit is reached.",
    }

    endpoint_url: HttpsUrl = field(
        "Endpoint",
        outside="endpoint",
        example="https://example.ingest.us-east-1.aws.elastic.cloud:443",
        instead={
            r"https://[^/]*\.kb\..*": _INSTEAD.format("Kibana"),
            r"https://[^/]*\.es\..*": _INSTEAD.format("Elasticsearch"),
        },
        help="The managed OTLP endpoint, or the address of an APM Server.",
    )
    api_key: Secret = field(
        "API key",
        example="ZXhhbXBsZTpleGFtcGxl",
        instead={
            r"\{.*": 'Paste the value of "encoded" alone.',
            r"[\w-]{15,}:[\w-]+": "These are the key's id and secret; paste the key in its encoded form.",
        },
        help="In its encoded form.",
    )
    kibana_url: HttpsUrl | None = field(
        "Kibana URL",
        default=None,
        example="https://example.kb.us-east-1.aws.elastic.cloud",
        help="Where you open Kibana; links from a request to its trace use it.",
    )
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the traces address."""
        return under(self.endpoint_url, "/v1/traces")

    def auth(self) -> Headers:
        """Return the encoded key."""
        return {"authorization": f"ApiKey {self.api_key.reveal()}"}

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        """Return the trace in Kibana, when its address is known."""
        del at_us
        if self.kibana_url is None:
            return None
        return f"{self.kibana_url.partition('/app/')[0].rstrip('/')}/app/apm/link-to/trace/{trace_id}"
