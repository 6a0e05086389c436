"""Langfuse: every request a generation, in the project of the key pair.

Sources: https://langfuse.com/integrations/native/opentelemetry (address, Basic auth, attributes) and
https://github.com/langfuse/langfuse, `OtelIngestionProcessor.ts` (what is read, and that usage details stand
in for every `gen_ai.usage.*`), read 2026-11-20.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from broadcast.destination import Headers, OTLPDestination, Request, Response, basic_auth
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
from broadcast.receipt import Receipt
from broadcast.span import Attributes
from destinations import _facts, _langfuse

_PATH = "/api/public/otel/v1/traces"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENVIRONMENT = re.compile(r"(?!langfuse)[a-z0-9_-]{1,40}")


class Langfuse(OTLPDestination):
    """Generations with tokens, cost, sessions and users."""

    title = "Langfuse"
    category = "llm"
    mark = "Lf"
    docs = "https://langfuse.com/integrations/native/opentelemetry"
    setup = (
        "In Langfuse, open your project's Settings > API Keys and create a new pair.",
        "Copy the secret key (sk-lf-) and the public key (pk-lf-).",
        "Set the base URL to the region you log in to, or to your own installation.",
    )
    max_attribute_bytes = 1_000_000
    total_cost_attributes = False
    hints: ClassVar[Mapping[int, str]] = {
        401: "The key pair is unknown at this base URL: check both keys and the region.",
        403: "These are an organisation's keys, or the quota is used up: use a project's keys.",
        404: "There is no OTLP endpoint here: check the base URL, or update Langfuse to 3.22 or later.",
        413: "The trace is larger than Langfuse accepts.",
        429: "The project's rate limit is reached.",
    }

    secret_key: Secret = field("Secret key", example="sk-lf-example", help="Starts with sk-lf-.")
    public_key: str = field("Public key", example="pk-lf-example", help="Starts with pk-lf-.")
    base_url: HttpsUrl = field(
        "Base URL",
        default=HttpsUrl("https://us.cloud.langfuse.com"),
        example="https://us.cloud.langfuse.com",
        known={
            "US": "https://us.cloud.langfuse.com",
            "EU": "https://cloud.langfuse.com",
            "JP": "https://jp.cloud.langfuse.com",
            "HIPAA": "https://hipaa.cloud.langfuse.com",
        },
        instead={
            r"https://(?:www\.)?langfuse\.com.*": "This is Langfuse's web site; the base URL is where you "
            "log in, such as https://cloud.langfuse.com."
        },
        help="US, EU, JP or HIPAA, where you log in, or your own installation.",
    )
    encoding: JsonOrProtobuf = own_encoding("json")
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the project's OTLP address."""
        return self._base() + _PATH

    def auth(self) -> Headers:
        """Return Basic auth of the pair, and the version that shows spans at once."""
        return {**basic_auth(self.public_key, self.secret_key), "x-langfuse-ingestion-version": "4"}

    def credential_check(self, at_us: int) -> Request:
        """Ask for the project of the pair: ingestion answers before it looks at every right."""
        del at_us
        return self._asked("/api/public/projects")

    def data_check(self, trace_id: str, at_us: int) -> Request:
        """Ask for the trace: ingestion is done later than its answer."""
        del at_us
        return self._asked(f"/api/public/traces/{trace_id}")

    def judge_data(self, response: Response) -> bool | None:
        """Return whether the trace is there."""
        return _facts.is_there(response)

    def warnings(self) -> Mapping[str, str]:
        """Return a pair that looks swapped."""
        found = {}
        if self.secret_key.reveal().startswith("pk-lf-"):
            found["secretKey"] = "This is a public key; the secret key starts with sk-lf-."
        if self.public_key.startswith("sk-lf-"):
            found["publicKey"] = "This is a secret key; the public key starts with pk-lf-."
        return found

    def trace_url(self, trace_id: str, at_us: int) -> str:
        """Return the trace's page; Langfuse finds the project."""
        del at_us
        return f"{self._base()}/trace/{trace_id}"

    def _asked(self, path: str) -> Request:
        auth = {**basic_auth(self.public_key, self.secret_key), **self.extra_headers()}
        return Request(method="GET", url=self._base() + path, headers=auth, body=b"")

    def _base(self) -> str:
        """Return the server alone, also when one of its pages was pasted, or its OTLP address."""
        return under(self.base_url.partition("/project/")[0], _PATH).removesuffix(_PATH)

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return type, first token, usage and cost as Langfuse counts them."""
        made: Attributes = {
            "langfuse.observation.type": "embedding" if _facts.is_embedding(receipt) else "generation",
            **_facts.metadata(receipt, "langfuse.trace.metadata."),
        }
        if tags := _facts.tags(receipt):
            made["langfuse.trace.tags"] = tags
        first_ms = receipt.timing.first_token_ms if receipt.timing else None
        if first_ms is not None:
            first = _EPOCH + timedelta(microseconds=receipt.created_at_us + round(first_ms * 1000))
            made["langfuse.observation.completion_start_time"] = first.isoformat().replace("+00:00", "Z")
        if receipt.usage and (usage := _langfuse.kinds(receipt.usage)):
            made["langfuse.observation.usage_details"] = json.dumps(usage)
        if cost := _facts.costs(receipt, total="total", parts=("input", "output")):
            made["langfuse.observation.cost_details"] = json.dumps(cost)
        environment = (receipt.trace or {}).get("environment")
        if isinstance(environment, str) and _ENVIRONMENT.fullmatch(environment):
            made["langfuse.environment"] = environment
        release = (receipt.trace or {}).get("release")
        return {**made, "langfuse.release": release} if isinstance(release, str) and release else made
