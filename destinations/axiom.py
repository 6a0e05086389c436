"""Axiom: spans as events of a dataset.

Sources: https://axiom.co/docs/send-data/opentelemetry (addresses, headers, encodings),
https://axiom.co/docs/reference/limits (1 MB a field, 10,000 events a batch, distinct fields a dataset),
https://axiom.co/docs/ai-engineering/observe/manual-instrumentation (GenAI conventions 1.37),
https://axiom.co/docs/query-data/metrics (a dataset of their own, protobuf alone), read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from broadcast.destination import Headers, OTLPDestination
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

_HOSTS = {
    "us": "https://api.axiom.co",
    "us-east-1": "https://us-east-1.aws.edge.axiom.co",
    "eu-central-1": "https://eu-central-1.aws.edge.axiom.co",
}
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


class Axiom(OTLPDestination):
    """Spans as events, with Axiom's view of AI requests."""

    title = "Axiom"
    category = "tracing"
    mark = "Ax"
    docs = "https://axiom.co/docs/send-data/opentelemetry"
    setup = (
        "In Axiom, create a dataset for traces.",
        "Open Settings > API tokens and create one that may ingest into this dataset; it starts with xaat-.",
        "Choose the edge deployment of your dataset; without one it is US.",
        "A dataset holds a limited number of distinct fields: keep the keys of your trace metadata few.",
    )
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        400: "Axiom refused the events; a dataset that holds too many distinct fields does so.",
        401: "The token is unknown in this region.",
        403: "The token may not ingest into this dataset.",
        404: "There is no such dataset: check its name and the region.",
        413: "The request is larger than Axiom accepts.",
        429: "The organisation's rate limit is reached.",
    }

    api_token: Secret = field(
        "API token",
        example="xaat-01234567-89ab-cdef-0123-456789abcdef",
        help="Starts with xaat- and may ingest into the dataset.",
    )
    dataset: str = field(
        "Dataset", example="llm-traces", pattern=r"[A-Za-z0-9_.-]{1,128}", help="It must exist already."
    )
    region: Literal["us", "us-east-1", "eu-central-1"] = field(
        "Region", default="us", example="us", help="Where the dataset lives: us, or an edge deployment."
    )
    encoding: JsonOrProtobuf = own_encoding("json")
    metrics: MetricsEvery = sent_metrics()
    metrics_dataset: str | None = field(
        "Metrics dataset",
        default=None,
        example="llm-metrics",
        pattern=r"[A-Za-z0-9_.-]{1,128}",
        help="For metrics alone, and made for them; left empty, metrics.",
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the region's traces address."""
        return f"{_HOSTS[self.region]}/v1/traces"

    def auth(self) -> Headers:
        """Return token and dataset."""
        return {"authorization": f"Bearer {self.api_token.reveal()}", "x-axiom-dataset": self.dataset}

    def metrics_auth(self) -> Headers:
        """Return the token, and the dataset that was made for metrics."""
        dataset = self.metrics_dataset or "metrics"
        return {
            "authorization": f"Bearer {self.api_token.reveal()}",
            "x-axiom-metrics-dataset": dataset,
        }

    def warnings(self) -> Mapping[str, str]:
        """Return a personal token, or what is no token of Axiom."""
        token = self.api_token.reveal()
        if token.startswith("xapt-"):
            return {"apiToken": "This is a personal token; create an API token, which starts with xaat-."}
        if token and not re.fullmatch(f"xaat-{_UUID}", token):
            return {"apiToken": "API tokens of Axiom are xaat- and a UUID."}
        return {}
