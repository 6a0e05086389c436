"""W&B Weave: every request a call in the Traces of a project; protobuf alone.

Sources: https://docs.wandb.ai/weave/guides/tracking/otel (address, key, resource attributes),
https://github.com/wandb/weave/blob/master/weave/trace_server/opentelemetry/constants.py (what is read,
thread and turn), https://github.com/wandb/server/issues/163 (key forms), read 2026-11-21.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Attributes, Headers, OTLPDestination
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, own_trace_link, under
from broadcast.receipt import Receipt
from destinations import _facts

_NAME = r"[A-Za-z0-9][A-Za-z0-9_. -]*"


class Weave(OTLPDestination):
    """Calls with messages and tokens, in threads by session."""

    title = "W&B Weave"
    category = "llm"
    mark = "Wv"
    docs = "https://docs.wandb.ai/weave/guides/tracking/otel"
    setup = (
        "In W&B, open User Settings and copy your API key, or one of a service account.",
        "Enter the team or user name and the project, as in wandb.ai/<entity>/<project>.",
        "For a dedicated instance the base URL is https://<name>.wandb.io/traces.",
    )
    encoding = "protobuf"
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        400: "Weave cannot read the request: check entity and project.",
        401: "The API key is unknown: copy it from W&B's User Settings.",
        403: "The key may not write to this project: check entity and project.",
        404: "There is no such project or no OTLP endpoint: check entity, project and base URL.",
        413: "The trace is larger than Weave accepts.",
        415: "What answers here does not take protobuf, so it is not Weave.",
        429: "The team's rate limit is reached.",
    }

    api_key: Secret = field("API key", example="wandb_v1_example", help="From W&B's User Settings.")
    entity: str = field("Entity", example="acme", pattern=_NAME, help="Your team's name, or your user name.")
    project: str = field(
        "Project", example="llm-router", pattern=_NAME, help="The project's name, without the entity."
    )
    base_url: HttpsUrl = field(
        "Base URL",
        default=HttpsUrl("https://trace.wandb.ai"),
        example="https://trace.wandb.ai",
        known={"Cloud": "https://trace.wandb.ai"},
        instead={
            r"https://(?:www\.|api\.)?wandb\.ai.*": "This is a page of W&B; the address to send to is "
            "https://trace.wandb.ai, and entity and project have fields of their own."
        },
        help="A dedicated instance's ends in /traces.",
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the OTLP address."""
        return under(self.base_url, "/otel/v1/traces")

    def auth(self) -> Headers:
        """Return the key."""
        return {"wandb-api-key": self.api_key.reveal()}

    def resource_attributes(self) -> Attributes:
        """Return where the spans belong."""
        return {"wandb.entity": self.entity, "wandb.project": self.project}

    def warnings(self) -> Mapping[str, str]:
        """Return what is no key of W&B."""
        key = self.api_key.reveal()
        if key and not re.fullmatch(r"wandb_v1_\S+|(?:local-)?[0-9a-f]{40}", key):
            return {"apiKey": "Keys of W&B start with wandb_v1_, older ones are 40 hexadecimal characters."}
        return {}

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return kind, thread and metadata; model, tokens and messages are read from `gen_ai.*`."""
        caller = _facts.metadata(receipt)
        found: Attributes = {
            "weave.span.kind": "llm",
            "llm.provider": receipt.provider_slug or receipt.system,
            "llm.usage.total_tokens": _facts.total_tokens(receipt),
            "wandb.thread_id": receipt.session_id,
            "wandb.is_turn": True if receipt.session_id else None,
            "wandb.attributes": _facts.as_json(caller) if caller else None,
        }
        return _facts.known(found)
