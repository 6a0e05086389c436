"""LangSmith: every request an LLM run of a project.

Sources: https://docs.langchain.com/langsmith/trace-with-opentelemetry (addresses, headers, attributes; usage
metadata stand in for every `gen_ai.usage.*`), read 2026-11-21. Only protobuf is documented.
"""

import re
from collections.abc import Mapping
from typing import ClassVar

from broadcast.destination import Attributes, Headers, OTLPDestination
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, own_trace_link, under
from broadcast.receipt import Receipt
from destinations import _facts

_PAGE = "This is a page of LangSmith; the address to send to is https://{}api.smith.langchain.com."


class LangSmith(OTLPDestination):
    """Runs with messages, tokens and cost, in threads by session."""

    title = "LangSmith"
    category = "llm"
    mark = "Ls"
    docs = "https://docs.langchain.com/langsmith/trace-with-opentelemetry"
    setup = (
        "In LangSmith, open Settings > API Keys and create a key; it starts with lsv2_.",
        "Name a project; one that does not exist is created with its first trace.",
        "For a key of the whole organisation also enter the workspace's ID, from Settings > Workspaces.",
        "Set the endpoint to your region, or to your own installation, which ends in /api/v1.",
    )
    encoding = "protobuf"
    max_attribute_bytes = 1_000_000
    prompt_attributes = True
    hints: ClassVar[Mapping[int, str]] = {
        401: "The API key is unknown in this region: check the key and the endpoint.",
        403: "The key may not write here; a key of the whole organisation needs the workspace's ID.",
        404: "There is no OTLP endpoint here; your own installation's address ends in /api/v1.",
        413: "The trace is larger than LangSmith accepts.",
        422: "LangSmith cannot read the spans.",
        429: "The workspace's rate limit is reached.",
    }

    api_key: Secret = field("API key", example="lsv2_pt_example", help="Starts with lsv2_pt_ or lsv2_sk_.")
    project: str = field("Project", default="main", example="main", pattern=r"[ -~]+", help="Created if new.")
    endpoint_url: HttpsUrl = field(
        "Endpoint",
        outside="endpoint",
        default=HttpsUrl("https://api.smith.langchain.com"),
        example="https://api.smith.langchain.com",
        known={
            "US": "https://api.smith.langchain.com",
            "EU": "https://eu.api.smith.langchain.com",
            "APAC": "https://apac.api.smith.langchain.com",
            "AWS US": "https://aws.api.smith.langchain.com",
        },
        instead={
            r"https://smith\.langchain\.com.*": _PAGE.format(""),
            r"https://eu\.smith\.langchain\.com.*": _PAGE.format("eu."),
            r"https://apac\.smith\.langchain\.com.*": _PAGE.format("apac."),
            r"https://aws\.smith\.langchain\.com.*": _PAGE.format("aws."),
        },
        help="Of your region: US, EU, APAC or AWS US, or your own installation.",
    )
    workspace_id: str | None = field(
        "Workspace ID",
        default=None,
        example="4a4b33c9-ee04-46cb-bb99-a727b8a786a1",
        pattern=r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        help="Only for keys of the whole organisation.",
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the region's OTLP address."""
        return under(self.endpoint_url, "/otel/v1/traces")

    def auth(self) -> Headers:
        """Return key, project, and the workspace where one is named."""
        found = {"x-api-key": self.api_key.reveal(), "langsmith-project": self.project}
        return {**found, "x-tenant-id": self.workspace_id} if self.workspace_id else found

    def warnings(self) -> Mapping[str, str]:
        """Return a key of an older form, or of something else."""
        key = self.api_key.reveal()
        if key.startswith("ls__"):
            return {"apiKey": "Keys that start with ls__ are no longer accepted; create a new one."}
        if key and not re.match(r"lsv2_(pt|sk)_", key):
            return {"apiKey": "Keys of LangSmith start with lsv2_pt_ or lsv2_sk_."}
        return {}

    def extra_attributes(self, receipt: Receipt) -> Attributes:
        """Return the kind of run, usage with our cost, the thread, tags and metadata."""
        usage = _usage(receipt)
        found: Attributes = {
            "langsmith.span.kind": "embedding" if _facts.is_embedding(receipt) else "llm",
            "langsmith.usage_metadata": _facts.as_json(usage) if usage else None,
            **_facts.metadata(receipt, "langsmith.metadata."),
            "langsmith.metadata.thread_id": receipt.session_id,
            "langsmith.metadata.user_id": receipt.user,
            "langsmith.metadata.ls_provider": receipt.provider_slug or receipt.system,
            "langsmith.metadata.ls_model_name": receipt.response_model or receipt.model,
            "langsmith.span.tags": ",".join(_facts.tags(receipt)) or None,
        }
        return _facts.known(found)


def _usage(receipt: Receipt) -> dict[str, object]:
    """Cached and reasoning tokens are details of input and output, never added to them."""
    usage = receipt.usage
    details = (
        {
            "input_token_details": {
                "cache_read": usage.cache_read_tokens,
                "cache_creation": usage.cache_write_tokens,
            },
            "output_token_details": {"reasoning": usage.reasoning_tokens},
        }
        if usage
        else {}
    )
    found = {
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "total_tokens": _facts.total_tokens(receipt),
        **{name: _facts.known(parts) or None for name, parts in details.items()},
        **_facts.costs(receipt, total="total_cost", parts=("input_cost", "output_cost")),
    }
    return _facts.known(found)
