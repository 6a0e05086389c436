"""Dynatrace: OTLP as protobuf to an environment, or through an ActiveGate.

Sources: https://docs.dynatrace.com/docs/ingest-from/opentelemetry/otlp-api (address, token, 415 for JSON),
https://docs.dynatrace.com/managed/ingest-from/opentelemetry/otlp-api/ingest-traces (8 MB; spans that ended
over 60 minutes ago are refused), read 2026-11-20. The page of a trace is not documented.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Headers, OTLPDestination
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, under

_PAGES = re.compile(r"https://([a-z0-9-]+)\.(?:apps|live)\.dynatrace\.com(?:/.*)?")


class Dynatrace(OTLPDestination):
    """Spans in distributed tracing, beside your services."""

    title = "Dynatrace"
    category = "tracing"
    mark = "Dt"
    docs = "https://docs.dynatrace.com/docs/ingest-from/opentelemetry/otlp-api"
    setup = (
        "In Dynatrace, open Access Tokens and generate a token with the scope openTelemetryTrace.ingest.",
        "Enter the address of your environment, such as https://abc12345.live.dynatrace.com.",
        "For an ActiveGate or Dynatrace Managed enter its address with /e/ and the environment's ID.",
        "Dynatrace refuses spans that ended over an hour ago: what waits longer expires.",
    )
    encoding = "protobuf"
    max_age_s = 3600
    hints: ClassVar[Mapping[int, str]] = {
        400: "Dynatrace cannot use the spans.",
        401: "The token is unknown to this environment, or has expired.",
        403: "The token lacks the scope openTelemetryTrace.ingest.",
        404: "There is no OTLP endpoint here: check the environment's address.",
        413: "Dynatrace accepts 8 MB a request.",
        415: "What answers here does not take protobuf, so it is not Dynatrace.",
        429: "The environment's ingest limit is reached.",
    }

    environment_url: HttpsUrl = field(
        "Environment URL",
        example="https://abc12345.live.dynatrace.com",
        help="Your environment, or an ActiveGate with /e/ and the environment's ID.",
    )
    api_token: Secret = field(
        "API token", example="dt0c01.example", help="With the scope openTelemetryTrace.ingest."
    )
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the environment's traces address, also when one of its pages was pasted."""
        page = _PAGES.fullmatch(self.environment_url)
        base = f"https://{page[1]}.live.dynatrace.com" if page else self.environment_url
        return under(base, "/api/v2/otlp/v1/traces")

    def auth(self) -> Headers:
        """Return the token."""
        return {"authorization": f"Api-Token {self.api_token.reveal()}"}

    def warnings(self) -> Mapping[str, str]:
        """Return a token of the platform, which OTLP intake does not know."""
        token = self.api_token.reveal()
        if token.startswith(("dt0s16.", "dt0s01.", "dt0s02.")):
            return {"apiToken": "This is a platform token or an OAuth client; paste an access token, dt0c01."}
        if token and not token.startswith("dt0c01."):
            return {"apiToken": "Access tokens start with dt0c01."}
        return {}

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        """Return the trace in the explorer of an environment in Dynatrace's cloud."""
        del at_us
        page = _PAGES.fullmatch(self.environment_url)
        if page is None:
            return None
        explorer = "ui/apps/dynatrace.distributedtracing/explorer"
        return f"https://{page[1]}.apps.dynatrace.com/{explorer}?traceId={trace_id}"
