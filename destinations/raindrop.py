"""Raindrop: OTLP as protobuf, because its JSON must not be compressed.

Sources: https://www.raindrop.ai/docs/sdk/opentelemetry (address, bearer, project header, encodings, 400, 403)
and https://openrouter.ai/docs/guides/features/broadcast/raindrop (names of the settings), read 2026-11-21.
"""

from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Attributes, Headers, OTLPDestination
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, own_trace_link, under
from broadcast.receipt import Receipt
from destinations import _facts


class Raindrop(OTLPDestination):
    """Conversations of your AI product, watched for what goes wrong in them."""

    title = "Raindrop"
    category = "llm"
    mark = "Rd"
    docs = "https://www.raindrop.ai/docs/sdk/opentelemetry"
    setup = (
        "In Raindrop, open Settings and copy the write key.",
        "Enter a project's slug to leave the organisation's default project, Production.",
    )
    encoding = "protobuf"
    hints: ClassVar[Mapping[int, str]] = {
        400: "Raindrop refused the request: check the form of the project's slug.",
        401: "The write key is unknown: copy it from Raindrop's Settings.",
        403: "The project is inactive, or this key may not write to it.",
        404: "There is no OTLP endpoint here; the base URL is usually https://api.raindrop.ai.",
        413: "The trace is larger than Raindrop accepts.",
        429: "The organisation's rate limit is reached.",
    }

    write_key: Secret = field("Write key", example="example", help="From Raindrop's Settings.")
    base_url: HttpsUrl = field(
        "Base URL",
        default=HttpsUrl("https://api.raindrop.ai"),
        example="https://api.raindrop.ai",
        known={"Cloud": "https://api.raindrop.ai"},
        instead={
            r"https://(?:app|www|query)\.raindrop\.ai.*": "The address to send to is https://api.raindrop.ai."
        },
        help="Change it only for an endpoint of your own.",
    )
    project_id: str | None = field(
        "Project",
        default=None,
        example="support-prod",
        pattern=r"[a-z0-9][a-z0-9_-]*",
        help="The project's slug; else Production.",
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the traces address."""
        return under(self.base_url, "/v1/traces")

    def auth(self) -> Headers:
        """Return the write key, and the project where one is named."""
        key = {"authorization": f"Bearer {self.write_key.reveal()}"}
        return {**key, "x-raindrop-project-id": self.project_id} if self.project_id else key

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return the conversation; everything else is read from `gen_ai.*`."""
        return _facts.known({_facts.CONVERSATION: receipt.session_id})
