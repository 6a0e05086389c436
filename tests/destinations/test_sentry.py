from typing import Any

import pytest

from broadcast.destination import Verdict
from broadcast.errors import SettingsError
from destinations.sentry import Sentry
from tests.destinations import wire

KEY = "0123456789abcdef0123456789abcdef"
DSN = f"https://{KEY}@o123.ingest.us.sentry.io/456"
ENDPOINT = "https://o123.ingest.us.sentry.io/api/456/integration/otlp/v1/traces"


def sentry(**config: Any) -> Sentry:
    return Sentry.parse({"otlpEndpoint": ENDPOINT, "dsn": DSN, **config})


def test_the_project_gets_gzipped_json_with_the_public_key_alone() -> None:
    found = wire.send(sentry(), status=202, body=b"", headers={"content-type": "application/json"})
    assert found.url == ENDPOINT
    assert found.seen.headers["content-type"] == "application/json"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["x-sentry-auth"] == f"sentry sentry_key={KEY}"
    assert found.outcome.delivered


@pytest.mark.parametrize(
    "pasted", [ENDPOINT + "/", ENDPOINT.removesuffix("/v1/traces"), ENDPOINT.partition("/integration")[0]]
)
def test_the_endpoint_is_completed(pasted: str) -> None:
    assert sentry(otlpEndpoint=pasted).endpoint() == ENDPOINT


@pytest.mark.parametrize(
    "dsn", [DSN, DSN + "/", f"https://{KEY}:secret@o123.ingest.us.sentry.io/456", KEY, f"SENTRY_DSN={DSN}"]
)
def test_every_form_of_a_dsn_gives_the_key(dsn: str) -> None:
    assert sentry(dsn=dsn).auth() == {"x-sentry-auth": f"sentry sentry_key={KEY}"}
    assert sentry(dsn=dsn).warnings() == {}


def test_the_ai_pages_have_op_conversation_tokens_and_dollars() -> None:
    made = wire.generation(wire.send(sentry()))
    assert made["sentry.op"] == "gen_ai.chat"
    assert made["gen_ai.conversation.id"] == "session-1"
    assert (made["gen_ai.usage.input_tokens"], made["gen_ai.usage.input_tokens.cached"]) == (100, 40)
    assert (made["gen_ai.usage.output_tokens"], made["gen_ai.usage.output_tokens.reasoning"]) == (50, 20)
    assert made["gen_ai.cost.total_tokens"] == 0.00042
    assert made["gen_ai.cost.input_tokens"] + made["gen_ai.cost.output_tokens"] == pytest.approx(0.00042)
    assert type(made["gen_ai.input.messages"]) is str


@pytest.mark.parametrize(
    ("setting", "pasted", "words"),
    [
        ("otlpEndpoint", DSN, "This is the DSN"),
        ("otlpEndpoint", "https://acme.sentry.io/settings/projects/llm/keys/", "a page of Sentry"),
        ("dsn", "sntrys_abc", "auth token"),
        ("dsn", "sntryu_abc", "auth token"),
    ],
)
def test_the_neighbours_are_refused_by_name(setting: str, pasted: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        sentry(**{setting: pasted})
    assert words in caught.value.problems[setting]


@pytest.mark.parametrize("dsn", [DSN.replace("456", "457"), DSN.replace("o123", "o124"), "something"])
def test_a_dsn_of_another_project_is_warned_about(dsn: str) -> None:
    assert sentry(dsn=dsn).warnings().keys() == {"dsn"}


def test_a_limit_is_waited_for() -> None:
    found = wire.send(sentry(), status=429, headers={"retry-after": "60"})
    assert found.outcome.verdict is Verdict.THROTTLED
    assert found.outcome.retry_after == "60"


def test_a_trace_has_a_page_where_the_organisation_is_known() -> None:
    link = sentry(organizationUrl="https://acme.sentry.io").trace_url("ab", 0)
    assert link == "https://acme.sentry.io/explore/traces/trace/ab/"
    assert sentry().trace_url("ab", 0) is None
