import json
from typing import Any

import pytest

from broadcast.destination import Batch
from broadcast.egress import Policy
from broadcast.receipt import Cost, Receipt, Timing, Usage
from broadcast.transport import send_once
from destinations.langfuse import Langfuse
from tests.destinations import wire
from tests.receiver import Receiver

CONFIG = {"secretKey": "sk-lf-example", "publicKey": "pk-lf-example"}
BATCH = Batch(id="b", at_us=1, pieces=(b'{"scopeSpans":[]}',))


def extra(**changes: Any) -> dict[str, Any]:
    receipt = Receipt(
        id="gen-1",
        created_at_us=1_790_000_000_123_456,
        duration_us=1,
        model="openai/gpt-4o",
        status="succeeded",
        **changes,
    )
    return dict(Langfuse.parse(CONFIG).extra_attributes(receipt))


def test_the_project_gets_gzipped_json_with_the_pair_and_the_ingestion_version() -> None:
    with Receiver() as langfuse:
        destination = Langfuse.parse({**CONFIG, "baseUrl": langfuse.url("")})
        policy = Policy.parse([f"127.0.0.1:{langfuse.port}"])
        send_once(policy, lambda transport: transport.send(destination.request(BATCH)))
        send_once(policy, lambda transport: transport.send(destination.credential_check(1)))
        spans, check = langfuse.requests
    assert (spans.method, spans.path) == ("POST", "/api/public/otel/v1/traces")
    assert spans.headers["authorization"] == "Basic cGstbGYtZXhhbXBsZTpzay1sZi1leGFtcGxl"
    assert spans.headers["x-langfuse-ingestion-version"] == "4"
    assert spans.headers["content-encoding"] == "gzip"
    assert spans.body == b'{"resourceSpans":[{"scopeSpans":[]}]}'
    assert (check.method, check.path) == ("GET", "/api/public/projects")
    assert check.headers["authorization"] == spans.headers["authorization"]


def test_the_base_url_is_openrouters_unless_given() -> None:
    assert Langfuse.parse(CONFIG).endpoint().startswith("https://us.cloud.langfuse.com/api/public/otel/")


def test_a_swapped_pair_is_warned_about() -> None:
    swapped = Langfuse.parse({"secretKey": "pk-lf-example", "publicKey": "sk-lf-example"})
    assert swapped.warnings().keys() == {"secretKey", "publicKey"}
    assert Langfuse.parse(CONFIG).warnings() == {}


def test_usage_kinds_add_up_to_the_total_once() -> None:
    usage = Usage(
        input_tokens=100,
        output_tokens=50,
        total_tokens=150,
        cache_read_tokens=40,
        cache_write_tokens=10,
        reasoning_tokens=20,
    )
    details = json.loads(extra(usage=usage)["langfuse.observation.usage_details"])
    assert details == {
        "input": 50,
        "input_cached_tokens": 40,
        "input_cache_creation": 10,
        "output": 30,
        "output_reasoning_tokens": 20,
        "total": 150,
    }
    assert sum(count for kind, count in details.items() if kind != "total") == details["total"]


def test_the_cost_is_ours_so_that_langfuse_does_not_guess_it() -> None:
    details = extra(cost=Cost(total_nano_usd=420_000, input_nano_usd=120_000))
    assert json.loads(details["langfuse.observation.cost_details"]) == {"input": 0.00012, "total": 0.00042}
    assert Langfuse.total_cost_attributes is False


def test_unknown_usage_and_cost_are_left_out() -> None:
    assert extra(usage=Usage(), cost=Cost()) == {"langfuse.observation.type": "generation"}


def test_the_first_token_is_a_moment() -> None:
    made = extra(timing=Timing(first_token_ms=250.5))
    assert made["langfuse.observation.completion_start_time"] == "2026-09-21T14:13:20.373956Z"


@pytest.mark.parametrize(("api_type", "kind"), [("chat", "generation"), ("embeddings", "embedding")])
def test_the_type_follows_the_request(api_type: str, kind: str) -> None:
    assert extra(api_type=api_type)["langfuse.observation.type"] == kind


def test_environment_and_release_are_passed_on_where_langfuse_takes_them() -> None:
    made = extra(trace={"environment": "production", "release": "v1.2.3"})
    assert (made["langfuse.environment"], made["langfuse.release"]) == ("production", "v1.2.3")
    odd = extra(trace={"environment": "Langfuse Prod!", "release": 7})
    assert {"langfuse.environment", "langfuse.release"}.isdisjoint(odd)


def test_metadata_and_tags_are_the_traces_own() -> None:
    made = extra(trace={"trace_id": "a", "team": "search", "tags": ["a", "b"]})
    assert made["langfuse.trace.metadata.team"] == "search"
    assert made["langfuse.trace.tags"] == ("a", "b")
    assert "langfuse.trace.metadata.trace_id" not in made


@pytest.mark.parametrize(
    ("pasted", "base"),
    [
        ("EU", "https://cloud.langfuse.com"),
        ("hipaa", "https://hipaa.cloud.langfuse.com"),
        ("https://cloud.langfuse.com/project/abc/traces", "https://cloud.langfuse.com"),
        ("https://us.cloud.langfuse.com/api/public/otel/v1/traces", "https://us.cloud.langfuse.com"),
        ("https://lf.example.com/project/abc/traces", "https://lf.example.com"),
        ("https://lf.example.com/base/api/public/otel", "https://lf.example.com/base"),
        ("https://lf.example.com/base/", "https://lf.example.com/base"),
    ],
)
def test_a_region_or_any_page_of_it_is_enough(pasted: str, base: str) -> None:
    destination = Langfuse.parse({**CONFIG, "baseUrl": pasted})
    assert destination.endpoint() == f"{base}/api/public/otel/v1/traces"
    assert destination.trace_url("ab", 0) == f"{base}/trace/ab"
    assert destination.credential_check(0).url == f"{base}/api/public/projects"
    assert destination.data_check("ab", 0).url == f"{base}/api/public/traces/ab"


def test_the_pair_as_langfuse_documents_it_is_taken_apart() -> None:
    pasted = "Authorization=Basic%20cGstbGYtZXhhbXBsZTpzay1sZi1leGFtcGxl"
    assert Langfuse.parse({**CONFIG, "secretKey": pasted}).secret_key.reveal() == "sk-lf-example"


def test_a_trace_has_a_page() -> None:
    assert Langfuse.parse(CONFIG).trace_url("ab", 0) == "https://us.cloud.langfuse.com/trace/ab"


@pytest.mark.parametrize(("status", "seen"), [(200, True), (404, False), (401, None), (500, None)])
def test_the_test_trace_is_read_back(status: int, seen: bool | None) -> None:
    destination = Langfuse.parse(CONFIG)
    request = destination.data_check(wire.TRACE, 0)
    found = wire.exchange(destination, request, status=status, body="{}")
    assert (found.seen.method, found.url) == (
        "GET",
        f"https://us.cloud.langfuse.com/api/public/traces/{wire.TRACE}",
    )
    assert destination.judge_data(found.response) is seen
