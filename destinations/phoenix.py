"""Arize Phoenix, self-hosted or in its cloud: protobuf alone, and the exact content type.

Sources: https://github.com/Arize-ai/phoenix/blob/main/src/phoenix/server/api/routers/v1/traces.py (media
type, 415, 422, 503 when its queue is full) and https://arize.com/docs/phoenix/release-notes, 2026-05-08 (the
project's header, since 15.5; older versions read the resource), read 2026-11-21.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from broadcast.destination import Attributes, Headers, Message, OTLPDestination
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, under
from broadcast.receipt import Receipt
from destinations import _openinference


class Phoenix(OTLPDestination):
    """Traces with messages, tokens and cost, on your own server or in Phoenix Cloud."""

    title = "Phoenix"
    category = "llm"
    mark = "Px"
    docs = "https://arize.com/docs/phoenix"
    setup = (
        "Enter the address of your Phoenix server, or of your space in Phoenix Cloud: it ends in /s/<name>.",
        "Where authentication is on, create a system key under Settings > API Keys.",
        "Name a project; without one the traces go to Phoenix's default project.",
    )
    encoding = "protobuf"
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        401: "The key is missing or unknown: create one under Settings > API Keys.",
        403: "This key may not send traces; system keys may.",
        404: "There is no Phoenix here; in the cloud the base URL ends in /s/ and the name of your space.",
        405: "This is not the address of a Phoenix server.",
        413: "The trace is larger than this server, or the proxy in front of it, accepts.",
        415: "What answers here does not take protobuf, so it is not Phoenix.",
        503: "Phoenix's queue is full; it is tried again.",
    }

    base_url: HttpsUrl = field(
        "Base URL",
        example="https://app.phoenix.arize.com/s/example",
        instead={
            r"https://app\.phoenix\.arize\.com(?!/s/).*": "Add your space: the address looks like "
            "https://app.phoenix.arize.com/s/example, as your browser shows it."
        },
        help="Your own server, or your space in Phoenix Cloud.",
    )
    api_key: Secret = field(
        "API key", default=Secret(""), example="example", help="Where the server asks for one."
    )
    project: str | None = field(
        "Project", default=None, example="llm-router", pattern=r"[ -~]+", help="Else Phoenix's default."
    )
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the server's traces address."""
        return under(self._base(), "/v1/traces")

    def auth(self) -> Headers:
        """Return the key and the project, where they are given."""
        key = {"authorization": f"Bearer {self.api_key.reveal()}"} if self.api_key else {}
        return {**key, "x-project-name": self.project} if self.project else key

    def resource_attributes(self) -> Attributes:
        """Return the project for versions that do not read its header."""
        return {"openinference.project.name": self.project} if self.project else {}

    def trace_url(self, trace_id: str, at_us: int) -> str:
        """Return the trace's page; Phoenix finds the project."""
        del at_us
        return under(self._base(), f"/redirects/traces/{trace_id}")

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return the receipt as OpenInference says it."""
        return _openinference.attributes(receipt)

    def content_attributes(self, asked: Sequence[Message], answered: Sequence[Message]) -> Attributes:
        """Return the messages as OpenInference says them."""
        return _openinference.content(asked, answered)

    def _base(self) -> str:
        """Return the server alone, also when one of its pages was pasted."""
        return self.base_url.partition("/projects")[0].partition("/settings")[0]
