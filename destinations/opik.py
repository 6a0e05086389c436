"""Comet Opik: every request an LLM span of a project; the key goes without "Bearer".

Sources: https://www.comet.com/docs/opik/tracing/opentelemetry/overview (address, headers),
https://github.com/comet-ml/opik (`OpenTelemetryResource.java`: both media types are routed, but not how the
ids of JSON are read; `GenAIMappingRules.java`: thread from `gen_ai.conversation.id`), read 2026-11-21.
"""

from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Attributes, Headers, OTLPDestination
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, own_trace_link, under
from broadcast.receipt import Receipt
from destinations import _facts

_PRINTABLE = r"[ -~]+"


class Opik(OTLPDestination):
    """LLM spans with messages and tokens, grouped into threads by session."""

    title = "Comet Opik"
    category = "llm"
    mark = "Ok"
    docs = "https://www.comet.com/docs/opik/tracing/opentelemetry/overview"
    setup = (
        "In Comet, open your account settings > API Keys and copy the key.",
        "Copy the workspace's name as the address shows it: comet.com/opik/<workspace>.",
        "Name a project; one that does not exist is created with its first trace.",
        "For your own installation set the base URL; it ends in /api.",
    )
    encoding = "protobuf"
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        401: "The API key is unknown: copy it from Comet's account settings.",
        403: "This key may not write to the workspace: check the workspace's name.",
        404: "There is no OTLP endpoint here; the base URL ends in /api.",
        413: "The trace is larger than Opik accepts.",
        429: "The workspace's rate limit is reached.",
    }

    api_key: Secret = field("API key", example="example", help="From Comet's account settings.")
    workspace: str = field(
        "Workspace", example="acme", pattern=_PRINTABLE, help="As in comet.com/opik/<workspace>."
    )
    project_name: str = field(
        "Project name", example="llm-router", pattern=_PRINTABLE, help="Created when it does not exist."
    )
    base_url: HttpsUrl = field(
        "Base URL",
        default=HttpsUrl("https://www.comet.com/opik/api"),
        example="https://www.comet.com/opik/api",
        known={"Cloud": "https://www.comet.com/opik/api"},
        instead={r"https://comet\.com.*": "Comet's own address is https://www.comet.com/opik/api."},
        help="Your own installation's, which ends in /api.",
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the traces address."""
        return under(self.base_url, "/v1/private/otel/v1/traces")

    def auth(self) -> Headers:
        """Return the bare key, workspace and project."""
        return {
            "authorization": self.api_key.reveal(),
            "comet-workspace": self.workspace,
            "projectname": self.project_name,
        }

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return the thread; model, tokens and messages are read from `gen_ai.*`, cost is Opik's estimate."""
        return _facts.known({_facts.CONVERSATION: receipt.session_id})
