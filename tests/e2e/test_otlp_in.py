"""The OpenTelemetry SDK and OpenRouter's webhook as real clients: their requests arrive at a destination."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from tests.broadcast.sources.spans import openrouter
from tests.web.api.test_otlp import recent
from tests.world.documents import block
from tests.world.place import Place, Trace, serving

PAGE = "sources.md"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with serving(tmp_path_factory.mktemp("otlp") / "broadcast") as found:
        yield found


def run(code: str, place: Place, **more: str) -> None:
    """Run a program with the variables that the page gives it, each of them in place."""
    shown = block(PAGE, "An SDK", "sh").replace("http://127.0.0.1:8400", place.program.url())
    named = dict(line.removeprefix("export ").split("=", 1) for line in shown.splitlines())
    variables = {
        name: value.strip('"').replace("$API_KEY", place.program.api_key) for name, value in named.items()
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | variables | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def of_model(place: Place, model: str) -> Trace:
    return place.trace_with(lambda span: span.attributes.get("gen_ai.request.model") == model)


def test_the_sdk_of_the_page_arrives_with_tokens_cost_user_session_and_tree(place: Place) -> None:
    """The root of the caller's own trace is refused; the request below it hangs where it hung."""
    run(block(PAGE, "An SDK", "python"), place)
    sent = of_model(place, "gpt-4o").generation
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 1200,
        "gen_ai.usage.output_tokens": 345,
        "gen_ai.usage.total_tokens": 1545,
        "gen_ai.usage.cost": 0.00645,
        "user.id": "user-7",
        "session.id": "session-42",
        "trace.metadata.feature": "search",
    }.items() <= sent.attributes.items()
    assert (len(sent.trace_id), len(sent.parent_span_id), sent.kind) == (32, 16, 3)


TREE = """
import json
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

provider = TracerProvider(resource=Resource.create({"service.name": "gateway"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("gateway")
chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "tree/one", "gen_ai.provider.name": "openai"}
with tracer.start_as_current_span("invoke_agent", attributes={"gen_ai.operation.name": "invoke_agent"}):
    with tracer.start_as_current_span("chat tree/one", kind=SpanKind.CLIENT, attributes=chat) as request:
        request.set_attributes({"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5})
        request.set_attribute("gen_ai.response.finish_reasons", ["stop"])
        request.set_attribute("gen_ai.input.messages", json.dumps([{"role": "user", "content": "Hi"}]))
        with tracer.start_as_current_span("try", kind=SpanKind.CLIENT, attributes=chat) as first:
            first.set_attributes({"gen_ai.provider.name": "azure", "http.response.status_code": 503})
            first.set_status(Status(StatusCode.ERROR, "overloaded"))
        with tracer.start_as_current_span("try", kind=SpanKind.CLIENT, attributes=chat) as second:
            second.set_attribute("gen_ai.response.id", "chatcmpl-2")
failed = {**chat, "gen_ai.request.model": "tree/failed"}
try:
    with tracer.start_as_current_span("chat tree/failed", kind=SpanKind.CLIENT, attributes=failed):
        raise TimeoutError("no answer")
except TimeoutError:
    pass
provider.shutdown()
"""


def test_tries_are_folded_in_and_failures_are_failures(place: Place) -> None:
    run(TREE, place)
    trace = of_model(place, "tree/one")
    request = trace.generation
    assert (request.name, request.status_code) == ("chat tree/one", 1)
    assert [
        (span.name, span.attributes.get("http.response.status_code")) for span in trace.below(request)
    ] == [("provider attempt 1: azure", 503), ("provider attempt 2: openai", None)]
    assert request.attributes["gen_ai.response.id"] == "chatcmpl-2"
    assert request.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert "Hi" in request.attributes["gen_ai.input.messages"]
    failed = of_model(place, "tree/failed").generation
    assert (failed.status_code, failed.attributes["error.type"]) == (2, "TimeoutError")
    assert failed.status_message.endswith("no answer")


def test_openrouters_webhook_arrives_with_the_ids_that_it_sent(place: Place) -> None:
    answer = requests.post(
        f"{place.api}/otlp/v1/traces",
        data=recent(openrouter("delivery")),
        headers={"Authorization": f"Bearer {place.program.api_key}", "Content-Type": "application/json"},
        timeout=10,
    )
    assert (answer.status_code, answer.text) == (200, "{}")
    trace = of_model(place, "anthropic/claude-haiku-4.5")
    wire = json.loads(openrouter("delivery"))["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    sent = trace.generation
    assert (sent.trace_id, sent.span_id, sent.parent_span_id) == (wire["traceId"], wire["spanId"], "")
    assert (sent.attributes["gen_ai.usage.input_tokens"], sent.attributes["gen_ai.usage.cost"]) == (
        12_315,
        0.016458,
    )
    assert (sent.attributes["gen_ai.usage.input_cost"], sent.attributes["gen_ai.usage.output_cost"]) == (
        0.015393,
        0.001065,
    )
    assert sent.attributes["session.id"] == "ses_f17985511ffeWT5KK0SC5G16lu"
    assert [span.name for span in trace.below(sent)] == ["provider attempt 1: Amazon Bedrock"]


def test_no_span_but_a_request_to_a_model_is_in_the_log(place: Place) -> None:
    run(TREE.replace("tree/", "log/"), place)
    of_model(place, "log/failed")
    listed = requests.get(
        f"{place.api}/requests",
        headers={"Authorization": f"Bearer {place.program.management_key}"},
        timeout=10,
    ).json()["data"]
    assert sorted(row["model_id"] for row in listed if row["model_id"].startswith("log/")) == [
        "log/failed",
        "log/one",
    ]
