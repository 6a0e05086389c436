"""Webhook: OTLP/JSON to any https address.

Source: https://openrouter.ai/docs/guides/features/broadcast/webhook (body, method, headers, test header),
read 2026-11-20. Unlike there, a 400 fails the test: a real span is sent, so it means that data is refused.
"""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

from broadcast.destination import Batch, Destination, Request
from broadcast.fields import HttpsUrl, SecretHeaders, field


class Webhook(Destination):
    """Every batch of spans as one uncompressed JSON request to your own service."""

    title = "Webhook"
    category = "tracing"
    mark = "Wh"
    docs = "https://openrouter.ai/docs/guides/features/broadcast/webhook"
    setup = (
        "Open an https address that accepts OTLP/JSON and answers with a 2xx status.",
        "Let it accept the header X-Test-Connection: true, which marks the test; drop that span if you like.",
        "Add a header with a secret of yours, and refuse requests without it.",
    )
    compress = False
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        400: "Your service refused a valid span: answer the test, marked X-Test-Connection: true, with 2xx.",
        401: "Your service wants other credentials: check the headers.",
        403: "Your service knows these credentials but does not allow them.",
        404: "There is nothing at this address.",
        405: "Your service does not take this method: choose the other one.",
        413: "Your service accepts only smaller requests; allow at least 2 MB.",
    }

    url: HttpsUrl = field(
        "URL", example="https://hooks.example.com/traces", help="Receives OTLP/JSON; nothing is appended."
    )
    method: Literal["POST", "PUT"] = field("Method", default="POST", example="POST")
    headers: SecretHeaders = field(
        "Headers",
        default=SecretHeaders(),
        example={"X-Webhook-Secret": "example"},
        help="Sent with every request; values are secret.",
    )

    def endpoint(self) -> str:
        """Return the address as given."""
        return self.url

    def request(self, batch: Batch) -> Request:
        """Return the request in the chosen method; the test is marked."""
        made = super().request(batch)
        mark = {"x-test-connection": "true"} if batch.test else {}
        return dataclasses.replace(made, method=self.method, headers={**made.headers, **mark})
