"""Ramp: what requests cost, beside the rest of a company's spending.

Source: https://openrouter.ai/docs/guides/features/broadcast/ramp (settings, default address, OTLP, names),
read 2026-11-21. Ramp documents no OTLP endpoint of its own: the address is used as OpenRouter's page has it,
nothing is appended, and JSON goes uncompressed, as OpenRouter sends it.
"""

from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Destination, Headers
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, own_trace_link


class Ramp(Destination):
    """AI spending by model, user and key, in Ramp's dashboard."""

    title = "Ramp"
    category = "storage"
    mark = "Rp"
    docs = "https://openrouter.ai/docs/guides/features/broadcast/ramp"
    setup = (
        "In Ramp, open Settings > Integrations, search for OpenRouter and choose Connect.",
        "Choose Generate API Key and copy the key.",
        "Metadata alone is enough for Ramp: it needs models, tokens and cost, no messages.",
    )
    compress = False
    hints: ClassVar[Mapping[int, str]] = {
        401: "The API key is unknown: generate one in Ramp under Settings > Integrations > OpenRouter.",
        403: "The key may not write AI usage: it needs the scope ai_usage:write.",
        404: "There is nothing at this address: use the default, or the one that Ramp gave you.",
        413: "The request is larger than Ramp accepts.",
        429: "Ramp's rate limit is reached.",
    }

    api_key: Secret = field("API key", example="example", help="From Ramp's OpenRouter integration.")
    base_url: HttpsUrl = field(
        "Base URL",
        default=HttpsUrl("https://api.ramp.com/developer/v1/ai-usage/openrouter"),
        example="https://api.ramp.com/developer/v1/ai-usage/openrouter",
        instead={
            r"https://app\.ramp\.com.*": "This is a page of Ramp; keep the default, which starts with "
            "https://api.ramp.com."
        },
        help="The full address; change it only if Ramp tells you to.",
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the address as given."""
        return self.base_url

    def auth(self) -> Headers:
        """Return the key."""
        return {"authorization": f"Bearer {self.api_key.reveal()}"}
