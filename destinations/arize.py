"""Arize AX: every request an OpenInference LLM span in one project of a space.

Sources: https://arize.com/docs/ax/integrations/opentelemetry/opentelemetry-arize-otel (address, regions),
https://pypi.org/project/arize-otel/ 0.14.1 (headers and project; `api_key` and `space_id` are older
names of these headers), read 2026-11-21. OTLP/JSON is not documented, so protobuf is sent.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from broadcast.destination import Attributes, Headers, Message, OTLPDestination
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, own_trace_link, under
from broadcast.receipt import Receipt
from destinations import _openinference


class Arize(OTLPDestination):
    """LLM spans with messages, tokens and cost, for evaluation and monitoring."""

    title = "Arize AX"
    category = "llm"
    mark = "Ar"
    docs = "https://arize.com/docs/ax/integrations/opentelemetry/opentelemetry-arize-otel"
    setup = (
        "In Arize AX, open Settings > API Keys, create a key and copy it with the Space ID shown there.",
        "Choose a project name; a project that does not exist is created with its first trace.",
        "Change the base URL only for a region outside the US, or for your own installation.",
    )
    encoding = "protobuf"
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        401: "The API key or the Space ID is unknown in this region: copy both from the same space.",
        403: "The key may not send to this space.",
        404: "There is no OTLP endpoint here; the base URL looks like https://otlp.arize.com.",
        413: "The trace is larger than Arize accepts.",
        429: "The space's rate limit is reached.",
    }

    api_key: Secret = field("API key", example="ak-example", help="From Settings > API Keys.")
    space_key: str = field(
        "Space ID",
        example="U3BhY2U6MTIzNDphYmNk",
        pattern=r"[\x21-\x7e]+",
        instead={"TW9kZWw6.*": "This is the ID of a project; copy the Space ID, from Settings > API Keys."},
        help="Shown beside the API keys.",
    )
    model_id: str = field("Project name", example="llm-router", help="Arize's model_id.")
    base_url: HttpsUrl = field(
        "Base URL",
        default=HttpsUrl("https://otlp.arize.com"),
        example="https://otlp.arize.com",
        known={
            "US": "https://otlp.arize.com",
            "EU": "https://otlp.eu-west-1a.arize.com",
            "CA": "https://otlp.ca-central-1a.arize.com",
        },
        instead={
            r"https://(?!otlp\.)[a-z0-9.-]*arize\.com.*": "This is a page of Arize; the address to send to "
            "starts with https://otlp., such as https://otlp.arize.com."
        },
        help="Of your region: US, EU or CA, or your own installation.",
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the region's traces address."""
        return under(self.base_url, "/v1/traces")

    def auth(self) -> Headers:
        """Return key and space."""
        return {"authorization": self.api_key.reveal(), "arize-space-id": self.space_key}

    def resource_attributes(self) -> Attributes:
        """Return the project that the spans belong to."""
        return {"openinference.project.name": self.model_id, "model_id": self.model_id}

    def warnings(self) -> Mapping[str, str]:
        """Return a Space ID in the place of the key."""
        if self.api_key.reveal().startswith("U3BhY2U6"):
            return {"apiKey": "This is a Space ID; paste the API key here."}
        return {}

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return the receipt as OpenInference says it."""
        return _openinference.attributes(receipt)

    def content_attributes(self, asked: Sequence[Message], answered: Sequence[Message]) -> Attributes:
        """Return the messages as OpenInference says them."""
        return _openinference.content(asked, answered)
