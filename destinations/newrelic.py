"""New Relic: OTLP by data centre; its answer is given before anything is validated.

Sources: https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/ (hosts, key, 1 MB,
4,095 characters, an empty 200 before validation), read 2026-11-20; https://github.com/trufflesecurity/trufflehog
(key forms, and that the Metric API answers 403 to an unknown key), read 2026-11-20;
https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-best-practices-metrics/ (cumulative
sums become `cumulativeCount`), read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from broadcast.destination import Headers, OTLPDestination, Request
from broadcast.fields import (
    JsonOrProtobuf,
    MetricsEvery,
    Secret,
    SecretHeaders,
    field,
    own_encoding,
    own_headers,
    own_trace_link,
    sent_metrics,
)

_OTHER_KEYS = {
    "NRAK-": "a user key",
    "NRJS-": "a browser key",
    "NRII-": "an Insights insert key",
    "NRIQ-": "an Insights query key",
    "NRRA-": "a REST API key",
}
_HOSTS = {
    "us": ("otlp.nr-data.net", "metric-api.newrelic.com"),
    "eu": ("otlp.eu01.nr-data.net", "metric-api.eu.newrelic.com"),
}


class NewRelic(OTLPDestination):
    """Spans in distributed tracing, to be queried with NRQL."""

    title = "New Relic"
    category = "tracing"
    mark = "Nr"
    docs = "https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/"
    setup = (
        "In New Relic, open the user menu > API Keys and copy a key of type INGEST - LICENSE.",
        "Choose the data centre of your account: keys that start with eu01xx belong to the EU.",
        "New Relic accepts spans before it looks at them, so the test asks its Metric API about the key.",
        "What New Relic could not use shows there later, as events named NrIntegrationError.",
    )
    ingest_proves = False
    max_bytes = 900_000
    max_attribute_bytes = 4095
    hints: ClassVar[Mapping[int, str]] = {
        401: "The license key is missing.",
        403: "The license key is unknown in this data centre: check the key and the region.",
        404: "There is no OTLP endpoint here.",
        413: "New Relic accepts 1 MB a request.",
        429: "The account's rate limit is reached.",
    }

    license_key: Secret = field(
        "License key",
        example="0123456789abcdef0123456789abcdefFFFFNRAL",
        help="Of type INGEST - LICENSE: 40 characters, ending in NRAL.",
    )
    region: Literal["us", "eu"] = field(
        "Region", default="us", example="us", help="The data centre of your account."
    )
    encoding: JsonOrProtobuf = own_encoding("protobuf")
    metrics: MetricsEvery = sent_metrics()
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the data centre's traces address."""
        return f"https://{_HOSTS[self.region][0]}/v1/traces"

    def auth(self) -> Headers:
        """Return the license key."""
        return {"api-key": self.license_key.reveal()}

    def credential_check(self, at_us: int) -> Request:
        """Send the Metric API nothing: unlike OTLP intake it looks at the key before it answers."""
        del at_us
        return Request(
            method="POST",
            url=f"https://{_HOSTS[self.region][1]}/metric/v1",
            headers={"content-type": "application/json", **self.auth()},
            body=b'[{"metrics":[]}]',
        )

    def warnings(self) -> Mapping[str, str]:
        """Return a key of another kind, or of the other data centre."""
        key = self.license_key.reveal()
        for start, kind in _OTHER_KEYS.items():
            if key.startswith(start):
                return {"licenseKey": f"This is {kind}; paste a key of type INGEST - LICENSE."}
        if key and not re.fullmatch(r"[0-9a-zA-Z]{36}NRAL", key):
            return {"licenseKey": "License keys are 40 characters and end in NRAL."}
        if key and key.startswith("eu01xx") is not (self.region == "eu"):
            other = "EU" if self.region == "us" else "US"
            return {"region": f"This key belongs to the {other} data centre."}
        return {}
