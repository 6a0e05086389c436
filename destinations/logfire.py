"""Pydantic Logfire: spans in a project, with its view of conversations, tokens and cost.

Sources: https://logfire.pydantic.dev/docs/how-to-guides/alternative-clients (addresses by region of traces
and of metrics, the bare write token, protobuf and JSON), https://github.com/pydantic/logfire
(`operation.cost` is summed up), read 2026-11-21. The search in a project's address is not documented.
"""

from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Attributes, Headers, OTLPDestination
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
from broadcast.receipt import Receipt
from destinations import _facts


class Logfire(OTLPDestination):
    """Spans with conversations, tokens and cost, to be queried with SQL."""

    title = "Logfire"
    category = "tracing"
    mark = "Lo"
    docs = "https://logfire.pydantic.dev/docs/how-to-guides/alternative-clients"
    setup = (
        "In Logfire, open the project's Settings > Write tokens and create a token.",
        "Set the base URL to the region of the project: US or EU. The token says which it is.",
        "Enter the project's address if you want links from a request to its trace.",
    )
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        401: "The write token is unknown in this region: check token and base URL.",
        403: "This token may not write: create a write token in the project's settings.",
        404: "There is no OTLP endpoint here; the base URL looks like https://logfire-us.pydantic.dev.",
        413: "The request is larger than Logfire accepts.",
        429: "The project's rate limit is reached.",
    }

    write_token: Secret = field("Write token", example="pylf_v1_us_example", help="Not a read token.")
    base_url: HttpsUrl = field(
        "Base URL",
        default=HttpsUrl("https://logfire-us.pydantic.dev"),
        example="https://logfire-us.pydantic.dev",
        known={"US": "https://logfire-us.pydantic.dev", "EU": "https://logfire-eu.pydantic.dev"},
        instead={
            r"https://logfire\.pydantic\.dev.*": "This is a page of Logfire; the address to send to is "
            "https://logfire-us.pydantic.dev or https://logfire-eu.pydantic.dev."
        },
        help="US or EU, or your own installation.",
    )
    project_url: str | None = field(
        "Project URL",
        default=None,
        example="https://logfire-us.pydantic.dev/acme/llm-router",
        pattern=r"https://[^\s?#]+/[^\s?#]+",
        help="Where you open the project; links from a request to its trace use it.",
    )
    encoding: JsonOrProtobuf = own_encoding("json")
    metrics: MetricsEvery = sent_metrics()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the region's traces address."""
        return under(self.base_url, "/v1/traces")

    def auth(self) -> Headers:
        """Return the bare token."""
        return {"authorization": self.write_token.reveal()}

    def warnings(self) -> Mapping[str, str]:
        """Return a token of the other region."""
        token = self.write_token.reveal()
        for region, other in (("us", "eu"), ("eu", "us")):
            if token.startswith(f"pylf_v1_{other}_") and f"logfire-{region}." in self.base_url:
                return {"baseUrl": f"This token belongs to the {other.upper()} region."}
        return {}

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        """Return the project's live view, searched for the trace, when its address is known."""
        del at_us
        if self.project_url is None:
            return None
        return f"{self.project_url.rstrip('/')}?q=trace_id%3D%27{trace_id}%27"

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return our cost by the name that Logfire sums up, and the conversation."""
        found: Attributes = {
            _facts.CONVERSATION: receipt.session_id,
            "operation.cost": _facts.usd(receipt.cost.total_nano_usd) if receipt.cost else None,
        }
        return _facts.known(found)
