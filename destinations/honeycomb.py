"""Honeycomb: one wide event a span.

Sources: https://docs.honeycomb.io/send-data/opentelemetry and https://docs.honeycomb.io/api/auth (hosts,
headers, what `/1/auth` answers), https://github.com/honeycombio/husky (exact content types, limits, key
forms), https://docs.honeycomb.io/investigate/collaborate/share-trace/ (a trace's page), read 2026-11-20,
https://docs.honeycomb.io/send-data/metrics/application (a dataset of their own for metrics), read 2026-11-21.
"""

import json
import re
from collections.abc import Mapping
from typing import ClassVar, Literal
from urllib.parse import quote

from broadcast.destination import Headers, OTLPDestination, Request, Response, View
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

_HOSTS = {"us": "https://api.honeycomb.io", "eu": "https://api.eu1.honeycomb.io"}
_LINK_MARGIN_S = 3600
_KEY = re.compile(r"[a-f0-9]{32}|[a-zA-Z0-9]{20,23}|hc[a-z][a-z]{2}_[a-z0-9]{58}")


class Honeycomb(OTLPDestination):
    """Spans as events, for high-cardinality questions."""

    title = "Honeycomb"
    category = "tracing"
    mark = "Hc"
    docs = "https://docs.honeycomb.io/send-data/opentelemetry"
    setup = (
        "In Honeycomb, open Environment settings > API Keys.",
        "Create an ingest key that can create datasets, and copy it.",
        "Choose the region you log in to. Only a classic key needs a dataset.",
    )
    max_attribute_bytes = 65_535
    views = (
        View(
            file="honeycomb-board.sh",
            title="Honeycomb board",
            use="A script that calls Honeycomb's API: HONEYCOMB_API_KEY=... sh honeycomb-board.sh, with a "
            "configuration key that may manage queries, columns and public boards.",
        ),
    )
    hints: ClassVar[Mapping[int, str]] = {
        401: "The key is unknown in this region, or a classic key is used without a dataset.",
        403: "The key may not send events.",
        404: "Check the region: US keys do not work in the EU, nor the other way round.",
        413: "The trace is larger than Honeycomb accepts.",
        429: "The team's rate limit is reached.",
    }

    api_key: Secret = field("API key", example="a1b2c3d4e5f6a7b8c9d0e1", help="An ingest key.")
    region: Literal["us", "eu"] = field("Region", default="us", example="us", help="Where you log in.")
    dataset: str | None = field(
        "Dataset",
        default=None,
        example="llm",
        pattern=r"[ -~]+",
        help="Classic keys only; newer keys go by service name.",
    )
    dataset_url: HttpsUrl | None = field(
        "Dataset URL",
        default=None,
        example="https://ui.honeycomb.io/acme/environments/prod/datasets/openrouter",
        help="Where you open the dataset; links from a request to its trace use it.",
    )
    encoding: JsonOrProtobuf = own_encoding("json")
    metrics: MetricsEvery = sent_metrics()
    metrics_dataset: str | None = field(
        "Metrics dataset",
        default=None,
        example="llm-metrics",
        pattern=r"[ -~]+",
        help="Where metrics go, made by Honeycomb if need be; left empty, metrics.",
    )
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the traces address of the region."""
        return f"{_HOSTS[self.region]}/v1/traces"

    def auth(self) -> Headers:
        """Return the team header, and the dataset where one is set."""
        key = {"x-honeycomb-team": self.api_key.reveal()}
        return {**key, "x-honeycomb-dataset": self.dataset} if self.dataset else key

    def metrics_auth(self) -> Headers:
        """Return the team header and the dataset of metrics; unnamed they land in unknown_metrics."""
        dataset = self.metrics_dataset or "metrics"
        return {"x-honeycomb-team": self.api_key.reveal(), "x-honeycomb-dataset": dataset}

    def credential_check(self, at_us: int) -> Request:
        """Ask what the key may do: an accepted span does not say."""
        del at_us
        return Request(method="GET", url=f"{_HOSTS[self.region]}/1/auth", headers=dict(self.auth()), body=b"")

    def judge_credential(self, response: Response) -> str | None:
        """Return what is wrong with the key: unknown, not for events, or classic without a dataset."""
        if response.status != 200:
            return self.hints.get(
                response.status, f"Honeycomb answered {response.status} when asked about the key."
            )
        try:
            answer = json.loads(response.body)
            events = answer["api_key_access"]["events"]
            classic = not answer["environment"]["slug"]
        except (ValueError, KeyError, TypeError):
            return "Honeycomb's answer about the key cannot be read."
        if not events:
            return "This key may not send events; create an ingest key."
        return "This is a classic key: enter a dataset." if classic and not self.dataset else None

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        """Return the trace in its dataset, where that is known; without times only two hours are searched."""
        if self.dataset_url is None:
            return None
        at_s = at_us // 1_000_000
        span = f"trace_start_ts={at_s - _LINK_MARGIN_S}&trace_end_ts={at_s + _LINK_MARGIN_S}"
        return f"{under(self.dataset_url, '/trace')}?trace_id={trace_id}&{span}"

    def view(self, text: str, source: str) -> str:
        """Return the board's script for the region and the dataset, which else has the service's name."""
        del source
        api, dataset = _HOSTS[self.region], quote(self.dataset or "", safe="") or "__NAMESPACE__"
        return text.replace("__API__", api).replace("__DATASET__", dataset)

    def warnings(self) -> Mapping[str, str]:
        """Return what looks wrong about the key's form."""
        key = self.api_key.reveal()
        if re.match(r"hc[a-z]mk_", key):
            return {"apiKey": "This is a management key, which cannot send events; use an ingest key."}
        return (
            {} if not key or _KEY.fullmatch(key) else {"apiKey": "This does not look like a Honeycomb key."}
        )
