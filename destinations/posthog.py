"""PostHog: each request an `$ai_generation` event, in the project of the key.

Sources: https://posthog.com/docs/api/capture (batches, ids that make a repeat the same event, answers),
https://posthog.com/docs/llm-analytics/manual-capture (properties), https://posthog.com/docs/api/flags (the
call that knows a key) and https://openrouter.ai/docs/guides/features/broadcast/posthog (names),
read 2026-11-21.
"""

import json
from collections.abc import Mapping
from typing import ClassVar

import msgspec

from broadcast.destination import Destination, Outcome, Request, Response, judge_api
from broadcast.fields import HttpsUrl, Secret, SecretHeaders, field, own_headers, own_trace_link
from broadcast.span import ResourceSpans
from destinations import _posthog


class PostHog(Destination):
    """Generations, users and sessions as events."""

    title = "PostHog"
    category = "llm"
    mark = "Ph"
    docs = "https://posthog.com/docs/api/capture"
    setup = (
        "In PostHog, open Settings > Project > General and copy the project API key (phc_).",
        "Use https://us.i.posthog.com or, for a project in the EU, https://eu.i.posthog.com.",
    )
    media_type = "application/json"
    sent_as = "events (/batch)"
    ingest_proves = False
    prompt_attributes = True
    max_attribute_bytes = 250_000
    hints: ClassVar[Mapping[int, str]] = {
        400: "PostHog did not understand the events, or the project is over its quota.",
        401: "The project API key is unknown here: check it, and the region.",
        403: "The project does not accept this key.",
        404: "There is no ingestion at this address: use https://us.i.posthog.com or https://eu.i.posthog.com.",
        413: "PostHog accepts only smaller requests.",
    }

    api_key: Secret = field(
        "API key",
        example="phc_example",
        help="The project API key; starts with phc_.",
        instead={r"phx_.*": "This is a personal API key; enter the project API key, which starts with phc_."},
    )
    host: HttpsUrl = field(
        "Endpoint",
        outside="endpoint",
        default=HttpsUrl("https://us.i.posthog.com"),
        example="https://us.i.posthog.com",
        help="https://eu.i.posthog.com for the EU, or your own installation.",
        known={"us": "https://us.i.posthog.com", "eu": "https://eu.i.posthog.com"},
        instead={
            r"https://((us|app)\.)?posthog\.com.*": "This is PostHog's site; enter https://us.i.posthog.com.",
            r"https://eu\.posthog\.com.*": "This is PostHog's site; enter https://eu.i.posthog.com.",
        },
    )
    trace_link: str | None = own_trace_link()
    headers: SecretHeaders = own_headers()

    def endpoint(self) -> str:
        """Return the address of batches of events."""
        return f"{self.host.rstrip('/')}/batch/"

    def credential_check(self, at_us: int) -> Request:
        """Ask for the key's feature flags: ingestion answers 200 to any key, this call does not."""
        del at_us
        body = json.dumps({"api_key": self.api_key.reveal(), "distinct_id": "broadcast-connection-test"})
        headers = {"content-type": self.media_type, **self.extra_headers()}
        url = f"{self.host.rstrip('/')}/flags/?v=2"
        return Request(method="POST", url=url, headers=headers, body=body.encode())

    def warnings(self) -> Mapping[str, str]:
        """Return a key of another kind."""
        key = self.api_key.reveal()
        wrong = key and not key.startswith("phc_")
        return (
            {"apiKey": "This does not look like a project API key, which starts with phc_."} if wrong else {}
        )

    def encode(self, spans: ResourceSpans) -> bytes:
        """Return an event a span: the generation, and what is around and below it."""
        return b",".join(msgspec.json.encode(_posthog.event(spans, span)) for span in spans.spans)

    def join(self, pieces: tuple[bytes, ...]) -> bytes:
        """Return the batch with its key, which PostHog reads in the body."""
        head = msgspec.json.encode({"api_key": self.api_key.reveal(), "historical_migration": False})
        return head[:-1] + b',"batch":[' + b",".join(pieces) + b"]}"

    def judge(self, response: Response) -> Outcome:
        """Return what an answer means by its status; a success proves nothing, and only a page says more."""
        return judge_api(response)
