"""Datadog LLM Observability, through the OTLP intake of a site.

Sources: https://docs.datadoghq.com/llm_observability/instrumentation/otel_instrumentation (header
`dd-otlp-source: llmobs`, GenAI conventions 1.37 and later, `ml_app` from the service),
https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest/traces/ (address by site, 3.2 MB, 202),
https://docs.datadoghq.com/api/latest/authentication/ (what proves a key), read 2026-11-21. The address of the
search for a trace is not documented.
"""

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from broadcast.destination import Attributes, Headers, OTLPDestination, Request
from broadcast.fields import Secret, SecretHeaders, field, own_headers
from broadcast.receipt import Receipt
from destinations import _facts

_WITHOUT_APP = frozenset({"us3.datadoghq.com", "us5.datadoghq.com", "ap1.datadoghq.com", "ap2.datadoghq.com"})


class Datadog(OTLPDestination):
    """LLM spans in LLM Observability, under the name of your application."""

    title = "Datadog"
    category = "llm"
    mark = "Dd"
    docs = "https://docs.datadoghq.com/llm_observability/instrumentation/otel_instrumentation"
    setup = (
        "In Datadog, open Organization Settings > API Keys, create a key and copy it: 32 characters.",
        "Choose the site you log in to; a key is known to its own site alone.",
        "Name your application; LLM Observability lists its requests under this name.",
        "A new request shows after three to five minutes.",
    )
    encoding = "protobuf"
    max_age_s = 86_400
    hints: ClassVar[Mapping[int, str]] = {
        401: "The API key is missing.",
        403: "The key is unknown at this site, or OTLP intake is not enabled: check site and API key.",
        404: "This site has no OTLP intake.",
        413: "Datadog accepts 3.2 MB a request.",
        429: "The organisation's rate limit is reached.",
    }

    api_key: Secret = field(
        "API key", example="0123456789abcdef0123456789abcdef", help="Not an application key, which is longer."
    )
    ml_app: str = field(
        "ML app", example="llm-router", pattern=r"[ -~]{1,193}", help="Your application's name in Datadog."
    )
    url: Literal[
        "https://api.datadoghq.com",
        "https://api.us3.datadoghq.com",
        "https://api.us5.datadoghq.com",
        "https://api.datadoghq.eu",
        "https://api.ap1.datadoghq.com",
        "https://api.ap2.datadoghq.com",
    ] = field(
        "Site",
        default="https://api.datadoghq.com",
        example="https://api.us5.datadoghq.com",
        help="The API address of the site you log in to: US1, US3, US5, EU, AP1 or AP2.",
    )
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the site's OTLP address."""
        return f"https://otlp.{self._site()}/v1/traces"

    def auth(self) -> Headers:
        """Return the key, and the product that the spans are for."""
        return {"dd-api-key": self.api_key.reveal(), "dd-otlp-source": "llmobs"}

    def resource_attributes(self) -> Attributes:
        """Return the application as the service: that is what LLM Observability takes its name from."""
        return {"service.name": self.ml_app}

    def credential_check(self, at_us: int) -> Request:
        """Ask whether the key is valid at this site: intake answers 202 before it knows."""
        del at_us
        key = {"dd-api-key": self.api_key.reveal()}
        return Request(method="GET", url=f"{self.url}/api/v1/validate", headers=key, body=b"")

    def warnings(self) -> Mapping[str, str]:
        """Return an application key, a client token, or what is no key of Datadog."""
        key = self.api_key.reveal()
        if re.fullmatch(r"[0-9a-f]{40}|ddapp_.*", key):
            return {"apiKey": "This is an application key; paste an API key, which has 32 characters."}
        if key.startswith("pub"):
            return {"apiKey": "This is a client token; paste an API key, which has 32 characters."}
        if key and not re.fullmatch(r"[0-9a-f]{32}", key):
            return {"apiKey": "API keys of Datadog are 32 hexadecimal characters."}
        return {}

    def trace_url(self, trace_id: str, at_us: int) -> str:
        """Return LLM Observability's list, searched for the trace."""
        del at_us
        site = self._site()
        host = site if site in _WITHOUT_APP else f"app.{site}"
        return f"https://{host}/llm/traces?query=trace_id%3A{trace_id}"

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return the session; model, tokens and messages are read from `gen_ai.*`, cost is an estimate."""
        return _facts.known({_facts.CONVERSATION: receipt.session_id})

    def _site(self) -> str:
        return self.url.removeprefix("https://api.")
