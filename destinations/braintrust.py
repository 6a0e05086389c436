"""Braintrust: every request an LLM span in a project's logs.

Sources: https://www.braintrust.dev/docs/integrations/sdk-integrations/opentelemetry/send-traces-and-logs
(address, header `x-bt-parent`), .../opentelemetry/attributes (`braintrust.*` sets a field in place of what
`gen_ai.*` gave it) and https://braintrust.dev/docs/kb/otlp-traces-endpoint-payload-limits (10 MB a request),
read 2026-11-21.
"""

from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Attributes, Headers, OTLPDestination, Request
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, own_trace_link, under
from broadcast.receipt import Receipt
from destinations import _facts


class Braintrust(OTLPDestination):
    """LLM spans in a project's logs, for evaluation and comparison."""

    title = "Braintrust"
    category = "llm"
    mark = "Bt"
    docs = "https://www.braintrust.dev/docs/integrations/sdk-integrations/opentelemetry/send-traces-and-logs"
    setup = (
        "In Braintrust, open Settings > API keys, create a key and copy it.",
        "Open the project's Configuration page and copy the project ID.",
        "Change the base URL only for the EU, or for your own data plane.",
    )
    encoding = "protobuf"
    max_attribute_bytes = 1_000_000
    hints: ClassVar[Mapping[int, str]] = {
        401: "The API key is unknown: create one in Braintrust under Settings > API keys.",
        403: "The key's owner may not write to this project.",
        404: "There is no such project for this key, or no OTLP endpoint: check project ID and base URL.",
        413: "Braintrust accepts 10 MB a request.",
        429: "The organisation's rate limit is reached.",
    }

    api_key: Secret = field("API key", example="sk-example", help="Braintrust's own, which starts with sk-.")
    project_id: str = field(
        "Project ID",
        example="4a4b33c9-ee04-46cb-bb99-a727b8a786a1",
        pattern=r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        help="From the project's Configuration page, not its name.",
    )
    base_url: HttpsUrl = field(
        "Base URL",
        default=HttpsUrl("https://api.braintrust.dev"),
        example="https://api.braintrust.dev",
        known={"US": "https://api.braintrust.dev", "EU": "https://api-eu.braintrust.dev"},
        instead={
            r"https://(?:www\.|app\.)?braintrust\.dev.*": "This is a page of Braintrust; the address to send "
            "to is https://api.braintrust.dev, in the EU https://api-eu.braintrust.dev."
        },
        help="US or EU, or the API URL of your own data plane.",
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the traces address."""
        return under(self.base_url, "/otel/v1/traces")

    def auth(self) -> Headers:
        """Return the key, and the project as the parent of every span."""
        return {
            "authorization": f"Bearer {self.api_key.reveal()}",
            "x-bt-parent": f"project_id:{self.project_id}",
        }

    def credential_check(self, at_us: int) -> Request:
        """Ask for the project: whether it exists, and whether this key may see it."""
        del at_us
        url = self.endpoint().removesuffix("/otel/v1/traces") + f"/v1/project/{self.project_id}"
        auth = {"authorization": f"Bearer {self.api_key.reveal()}", **self.extra_headers()}
        return Request(method="GET", url=url, headers=auth, body=b"")

    def warnings(self) -> Mapping[str, str]:
        """Return a key of a provider, which looks alike."""
        key = self.api_key.reveal()
        for start, whose in (("sk-proj-", "OpenAI"), ("sk-ant-", "Anthropic"), ("sk-or-", "OpenRouter")):
            if key.startswith(start):
                return {"apiKey": f"This is a key of {whose}; paste the one from Braintrust's settings."}
        return {}

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return type, metrics with our cost in place of an estimate, and metadata to filter by."""
        metadata = {
            **_facts.metadata(receipt),
            **_facts.known({"user_id": receipt.user, "session_id": receipt.session_id}),
        }
        found: Attributes = {"braintrust.span_attributes": _facts.as_json({"type": "llm"})}
        for name, values in (("metrics", _metrics(receipt)), ("metadata", metadata)):
            if values:
                found[f"braintrust.{name}"] = _facts.as_json(values)
        if tags := _facts.tags(receipt):
            found["braintrust.tags"] = tags
        return found


def _metrics(receipt: Receipt) -> dict[str, float]:
    usage, timing = receipt.usage, receipt.timing
    first_ms = timing.first_token_ms if timing else None
    return _facts.known(
        {
            "prompt_tokens": usage.input_tokens if usage else None,
            "completion_tokens": usage.output_tokens if usage else None,
            "tokens": _facts.total_tokens(receipt),
            "prompt_cached_tokens": usage.cache_read_tokens if usage else None,
            "prompt_cache_creation_tokens": usage.cache_write_tokens if usage else None,
            "completion_reasoning_tokens": usage.reasoning_tokens if usage else None,
            "time_to_first_token": None if first_ms is None else first_ms / 1000,
            "estimated_cost": _facts.usd(receipt.cost.total_nano_usd) if receipt.cost else None,
        }
    )
