"""Clients that others instrument, as real sources: every convention's spans become the same request."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.world.documents import block
from tests.world.environments import clean_environment, python_with
from tests.world.place import Place, Trace, serving

pytestmark = [pytest.mark.world, pytest.mark.timeout(900)]

SDK = ("openai==3.54.0", "opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2")
INSTRUMENTATIONS = {
    "opentelemetry": (
        "opentelemetry.instrumentation.openai_v2",
        ("opentelemetry-instrumentation-openai-v2==2.4b0", "opentelemetry-util-genai==0.4b0", "httpx"),
    ),
    "openllmetry": (
        "opentelemetry.instrumentation.openai",
        ("opentelemetry-instrumentation-openai==0.62.4",),
    ),
    "openinference": (
        "openinference.instrumentation.openai",
        ("openinference-instrumentation-openai==0.1.66",),
    ),
}
PROGRAM = """
import importlib, os, sys
import openai
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
importlib.import_module(sys.argv[1]).OpenAIInstrumentor().instrument(tracer_provider=provider)
client = openai.OpenAI(base_url=os.environ["API"], api_key=os.environ["API_KEY"], max_retries=0)
hello = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is order 7?"}]
with provider.get_tracer("tests").start_as_current_span("answer a question"):
    client.chat.completions.create(model="demo/echo", messages=hello, temperature=0.5, max_tokens=64)
    for _ in client.chat.completions.create(
        model="demo/echo", messages=hello, stream=True, stream_options={"include_usage": True}
    ):
        pass
    try:
        client.chat.completions.create(model="demo/fail", messages=hello)
    except openai.APIStatusError:
        pass
provider.shutdown()
"""


@pytest.fixture(scope="module", params=INSTRUMENTATIONS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    module, packages = INSTRUMENTATIONS[request.param]
    with serving(tmp_path_factory.mktemp("instrumented") / "broadcast") as found:
        run(found, module, packages)
        yield found


def run(place: Place, module: str, packages: tuple[str, ...]) -> None:
    """Ask three times, with the exporter's variables as the page shows them."""
    shown = block("sources.md", "An SDK", "sh").replace("http://127.0.0.1:8400", place.program.url())
    variables = dict(line.removeprefix("export ").split("=", 1) for line in shown.splitlines())
    key = place.program.api_key
    done = subprocess.run(
        [str(python_with(*SDK, *packages) / "python"), "-c", PROGRAM, module],
        env=clean_environment(
            **{name: value.strip('"').replace("$API_KEY", key) for name, value in variables.items()},
            API=place.api,
            API_KEY=key,
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="span_only",
            OTEL_SEMCONV_STABILITY_OPT_IN="gen_ai_latest_experimental",
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def asked(place: Place, number: int) -> Trace:
    """Return one of the three requests as the client saw it; the gateway's own receipt is another."""

    def is_it(span: Any) -> bool:
        return (
            span.resource["openrouter.trace.id"].startswith("otlp-")
            and "gen_ai.operation.name" in span.attributes
        )

    place.trace_with(is_it)
    wanted = ["demo/echo", "demo/echo", "demo/fail"][number]
    return place.trace_with(
        lambda span: (
            is_it(span)
            and span.attributes["gen_ai.request.model"] == wanted
            and ("gen_ai.request.temperature" in span.attributes) is (number == 0)
        )
    )


def test_a_request_has_its_tokens_messages_and_place(place: Place) -> None:
    sent = asked(place, 0).generation
    said = sent.attributes
    assert said["gen_ai.operation.name"] == "chat"
    assert (said["gen_ai.usage.input_tokens"] > 0, said["gen_ai.usage.output_tokens"] > 0) == (True, True)
    assert said["gen_ai.response.finish_reason"] == "stop"
    assert said["gen_ai.request.temperature"] == 0.5
    assert said["gen_ai.request.max_tokens"] == 64
    messages = json.loads(said["gen_ai.input.messages"])
    assert [(one["role"], one["parts"][0]["content"]) for one in messages] == [
        ("system", "Be brief."),
        ("user", "Where is order 7?"),
    ]
    [answer] = json.loads(said["gen_ai.output.messages"])
    assert "order 7" in answer["parts"][0]["content"]
    assert (len(sent.parent_span_id), sent.status_code) == (16, 1)


def test_a_stream_has_its_tokens_too(place: Place) -> None:
    """Whether it was one is known where the instrumentation tells it: OpenTelemetry's own does not."""
    said = asked(place, 1).generation.attributes
    assert (said["gen_ai.usage.input_tokens"] > 0, said["gen_ai.usage.output_tokens"] > 0) == (True, True)


def test_a_failure_is_one(place: Place) -> None:
    sent = asked(place, 2).generation
    assert (sent.status_code, bool(sent.attributes["error.type"])) == (2, True)
