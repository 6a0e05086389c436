"""Webhook: OTLP/JSON to any https address, signed where a secret is set.

Sources: https://openrouter.ai/docs/guides/features/broadcast/webhook (body, method, headers, test header),
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (id, timestamp,
signature, rotation), read 2026-11-21. Unlike at OpenRouter, a 400 fails the test: a real span is sent, so it
means that data is refused.
"""

import base64
import dataclasses
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import ClassVar, Final, Literal

from broadcast.destination import Batch, Destination, Outcome, Request, Response, judge_otlp, judge_status
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_trace_link

_SECRET: Final = re.compile(r"whsec_((?:[A-Za-z0-9+/]{4}){7,21}[A-Za-z0-9+/]{0,4}={0,2})")
_PAGE: Final = re.compile(rb"\s*<(!doctype|html)", re.IGNORECASE)


class Webhook(Destination):
    """Receipts as uncompressed JSON requests to your own service, signed as Standard Webhooks."""

    title = "Webhook"
    category = "tracing"
    mark = "Wh"
    docs = "https://openrouter.ai/docs/guides/features/broadcast/webhook"
    setup = (
        "Open an https address that accepts OTLP/JSON and answers with a 2xx status.",
        "Let it accept the header X-Test-Connection: true, which marks the test; drop that span if you like.",
        "Make a signing secret (echo whsec_$(openssl rand -base64 32)), and verify each request with it.",
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
    deliver: Literal["batch", "single"] = field(
        "Deliver",
        default="batch",
        example="batch",
        help="batch: many receipts a request; single: one, under an id that is the same on every try.",
    )
    signing_secret: Secret | None = field(
        "Signing secret",
        default=None,
        example="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        help="whsec_ and base64; requests are signed with it as Standard Webhooks.",
    )
    previous_signing_secret: Secret | None = field(
        "Previous signing secret",
        default=None,
        example="whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        help="While you change it: requests are signed with both.",
    )
    trace_link: str | None = own_trace_link()
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
        """Return the request in the chosen method, signed; the test is marked."""
        made = super().request(batch)
        added = {"x-test-connection": "true"} if batch.test else {}
        # The same receipts, told the same way, come under the same id however often they are sent.
        digest = hashlib.sha256(batch.id.encode() + made.body).hexdigest()
        added |= {"webhook-id": f"msg_{digest[:32]}", "webhook-timestamp": str(batch.at_us // 1_000_000)}
        signed = f"{added['webhook-id']}.{added['webhook-timestamp']}.".encode() + made.body
        secrets = filter(None, (self.signing_secret, self.previous_signing_secret))
        if signatures := [_signature(secret, signed) for secret in secrets]:
            added["webhook-signature"] = " ".join(signatures)
        return dataclasses.replace(made, method=self.method, headers={**made.headers, **added})

    def max_receipts(self) -> int:
        """Return how many receipts one request holds."""
        return 1 if self.deliver == "single" else super().max_receipts()

    def judge(self, response: Response) -> Outcome:
        """Return what an answer means: a short text is a success also where it is called HTML."""
        page = _PAGE.match(response.body)
        return judge_otlp(response) if page or "json" in _kind(response) else judge_status(response)

    def warnings(self) -> Mapping[str, str]:
        """Return secrets that a receiver's library would not take."""
        given = {
            "signingSecret": self.signing_secret,
            "previousSigningSecret": self.previous_signing_secret,
        }
        words = "This is not whsec_ with the base64 of 24 to 64 bytes; it is used as it is."
        return {
            name: words for name, secret in given.items() if secret and not _SECRET.fullmatch(secret.reveal())
        }


def _kind(response: Response) -> str:
    return response.headers.get("content-type", "")


def _signature(secret: Secret, signed: bytes) -> str:
    found = _SECRET.fullmatch(secret.reveal())
    key = base64.b64decode(found[1] + "==") if found else secret.reveal().encode()
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
