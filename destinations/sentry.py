"""Sentry: spans in the trace explorer and on the pages about AI agents.

Sources: https://docs.sentry.io/concepts/otlp/ (address, header, 202),
https://docs.sentry.io/product/drains/openrouter (both settings), Sentry's page "Instrument AI Agents" (op
`gen_ai.<operation>`; cached and reasoning tokens are parts of input and output) and
https://github.com/getsentry/sentry-conventions (costs in USD whose names say tokens), read 2026-11-21. The
page of a trace is not documented.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Attributes, Headers, OTLPDestination
from broadcast.fields import (
    HttpsUrl,
    JsonOrProtobuf,
    Secret,
    SecretHeaders,
    field,
    own_encoding,
    own_headers,
    under,
)
from broadcast.genai_attributes import operation
from broadcast.receipt import Receipt
from destinations import _facts

_DSN = re.compile(r"https://(?P<key>[^:@/]+)(?::[^@]*)?@(?P<host>[^/]+)(?:/[^/]+)*/(?P<project>\d+)/?")
_PATH = "/integration/otlp/v1/traces"
_INSTEAD = "This is {}; copy the OTLP traces endpoint from Client Keys (DSN) > OpenTelemetry."


class Sentry(OTLPDestination):
    """Spans beside your errors, with tokens and cost on the AI pages."""

    title = "Sentry"
    category = "tracing"
    mark = "Se"
    docs = "https://docs.sentry.io/product/drains/openrouter"
    setup = (
        "In Sentry, open Project Settings > Client Keys (DSN) and choose the tab OpenTelemetry.",
        "Copy the OTLP traces endpoint, which ends in /integration/otlp/v1/traces.",
        "Copy the DSN from the same page.",
    )
    hints: ClassVar[Mapping[int, str]] = {
        400: "Sentry cannot read the request: check that the endpoint is the OTLP traces endpoint.",
        401: "The DSN's key is unknown to this project.",
        403: "The DSN belongs to another project than the endpoint, or its key is switched off.",
        404: "There is no OTLP endpoint here; it ends in /integration/otlp/v1/traces.",
        413: "The trace is larger than Sentry accepts.",
        429: "The project's rate limit or the organisation's quota is reached.",
    }

    otlp_endpoint: HttpsUrl = field(
        "OTLP endpoint",
        example="https://o123.ingest.us.sentry.io/api/456/integration/otlp/v1/traces",
        instead={
            _DSN.pattern: _INSTEAD.format("the DSN"),
            r"https://(?:[a-z0-9-]+\.)?sentry\.io/.*": _INSTEAD.format("a page of Sentry"),
        },
        help="Ends in /integration/otlp/v1/traces.",
    )
    dsn: Secret = field(
        "DSN",
        example="https://0123456789abcdef0123456789abcdef@o123.ingest.us.sentry.io/456",
        instead={r"sntry[su]_.*": "This is an auth token; copy the DSN from Project Settings > Client Keys."},
        help="Of the same project.",
    )
    organization_url: HttpsUrl | None = field(
        "Organization URL",
        default=None,
        example="https://example.sentry.io",
        help="Where you open Sentry; links from a request to its trace use it.",
    )
    encoding: JsonOrProtobuf = own_encoding("json")
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the project's traces address."""
        return under(self.otlp_endpoint, _PATH)

    def auth(self) -> Headers:
        """Return the public key out of the DSN, or the key alone where that was pasted."""
        dsn = self.dsn.reveal()
        parts = _DSN.fullmatch(dsn)
        return {"x-sentry-auth": f"sentry sentry_key={parts['key'] if parts else dsn}"}

    def warnings(self) -> Mapping[str, str]:
        """Return a DSN that is none, or that belongs to another project than the endpoint."""
        dsn = self.dsn.reveal()
        parts = _DSN.fullmatch(dsn)
        if parts and f"{parts['host']}/api/{parts['project']}/" not in self.otlp_endpoint:
            return {"dsn": "This DSN belongs to another project than the endpoint."}
        if dsn and not parts and not re.fullmatch(r"[0-9a-f]{32}", dsn):
            return {"dsn": "A DSN looks like https://<key>@o123.ingest.us.sentry.io/456."}
        return {}

    def trace_url(self, trace_id: str, at_us: int) -> str | None:
        """Return the trace's page, when the organisation's address is known."""
        del at_us
        if self.organization_url is None:
            return None
        return under(self.organization_url, f"/explore/traces/trace/{trace_id}/")

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return the op, the conversation, and tokens and USD as the AI pages name them."""
        usage = receipt.usage
        kinds = ("gen_ai.cost.input_tokens", "gen_ai.cost.output_tokens")
        found: Attributes = {
            "sentry.op": f"gen_ai.{operation(receipt)}",
            _facts.CONVERSATION: receipt.session_id,
            "gen_ai.usage.input_tokens.cached": usage.cache_read_tokens if usage else None,
            "gen_ai.usage.input_tokens.cache_write": usage.cache_write_tokens if usage else None,
            "gen_ai.usage.output_tokens.reasoning": usage.reasoning_tokens if usage else None,
            **_facts.costs(receipt, total="gen_ai.cost.total_tokens", parts=kinds),
        }
        return _facts.known(found)
