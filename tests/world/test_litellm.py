"""A real LiteLLM proxy, configured as docs/sources.md says: its requests arrive at a destination."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
import requests

from tests.chaos.program import free_port
from tests.world.documents import block
from tests.world.environments import clean_environment, python_with
from tests.world.place import PATIENCE_S, Place, Trace, serving

pytestmark = pytest.mark.world

LITELLM = "litellm[proxy]==1.106.2"
MASTER_KEY = "sk-a-master-key-that-is-long-enough-for-litellm-0123456789"
MODELS = """
model_list:
  - model_name: gpt-4o-mini
    litellm_params: {model: openai/gpt-4o, api_key: none, mock_response: Order 7 is on its way.}
  - model_name: limited
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: none, mock_response: litellm.RateLimitError}
  - model_name: falls-back
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: none, mock_response: litellm.RateLimitError}
router_settings:
  num_retries: 0
  fallbacks: [{falls-back: [gpt-4o-mini]}]
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
"""
HELLO: Any = [{"role": "user", "content": "Hello"}]


@dataclass(frozen=True, kw_only=True)
class Proxied:
    """A LiteLLM proxy in front of its mock models, and the Broadcast that it feeds."""

    client: openai.OpenAI
    place: Place

    def trace_of(self, call_id: str) -> Trace:
        """Return the spans of the call whose id the client had in a header."""
        return self.place.trace_with(lambda span: span.resource["openrouter.trace.id"] == call_id)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("litellm")
    with (
        serving(folder / "broadcast") as place,
        proxy(folder, place) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=MASTER_KEY, max_retries=0) as client,
    ):
        yield Proxied(client=client, place=place)


@contextmanager
def proxy(folder: Path, place: Place) -> Iterator[str]:
    """Start LiteLLM with the five lines of the page, and nothing else that has to do with us."""
    lines = block("sources.md", "LiteLLM", "yaml")
    assert len(lines.splitlines()) == 5
    config = folder / "litellm.yaml"
    config.write_text(lines.replace("http://127.0.0.1:8400", place.program.url()) + MODELS)
    port = free_port()
    environment = clean_environment(
        RECEIPTS_AUTHORIZATION=f"Bearer {place.program.api_key}",
        LITELLM_MASTER_KEY=MASTER_KEY,
        LITELLM_LOCAL_MODEL_COST_MAP="True",
    )
    command = [str(python_with(LITELLM) / "litellm"), "--config", str(config)]
    with (folder / "litellm.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        wait_until_alive(f"http://127.0.0.1:{port}", process, folder / "litellm.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_alive(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 3 * PATIENCE_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(requests.RequestException):
            if requests.get(f"{url}/health/liveliness", timeout=2).status_code == 200:
                return
        time.sleep(0.5)
    pytest.fail(f"LiteLLM did not start:\n{log.read_text()[-4000:]}")


def test_a_request_arrives_as_the_page_says(proxied: Proxied) -> None:
    exec(block("sources.md", "LiteLLM", "python"), {"client": proxied.client})
    trace = proxied.place.trace_with(lambda span: span.name == "Write the answer")
    generation = trace.generation
    (attempt,) = trace.below(generation)
    root = trace.above(generation)
    told = generation.attributes
    assert (root.name, root.parent_span_id, generation.name, attempt.name) == (
        "Answer a question", "", "Write the answer", "provider attempt 1: openai",
    )  # fmt: skip
    assert (told["user.id"], told["session.id"], told["trace.metadata.feature"]) == (
        "user-7", "session-42", "search",
    )  # fmt: skip
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (10, 20)
    assert told["gen_ai.usage.cost"] == pytest.approx(0.000225)
    assert (told["gen_ai.request.model"], told["gen_ai.provider.name"]) == ("openai/gpt-4o", "openai")
    assert told["trace.metadata.litellm.model_group"] == "gpt-4o-mini"
    assert "Where is order 7?" in told["gen_ai.input.messages"]
    assert "Order 7 is on its way." in told["gen_ai.output.messages"]


def test_a_stream_arrives_with_its_first_token(proxied: Proxied) -> None:
    with proxied.client.chat.completions.with_streaming_response.create(
        model="gpt-4o-mini", messages=HELLO, stream=True, user="user-8"
    ) as answer:
        call_id = answer.headers["x-litellm-call-id"]
        assert "data: [DONE]" in "\n".join(answer.iter_lines())
    generation = proxied.trace_of(call_id).generation
    told = generation.attributes
    assert (told["openrouter.streamed"], told["user.id"], generation.status_code) == (True, "user-8", 1)
    assert 0 < told["openrouter.time_to_first_token_ms"] <= told["openrouter.duration_ms"]
    assert told["gen_ai.usage.output_tokens"] > 0
    assert told["gen_ai.usage.cost"] > 0


def test_a_failure_arrives_as_an_error(proxied: Proxied) -> None:
    with pytest.raises(openai.RateLimitError) as failed:
        proxied.client.chat.completions.create(
            model="limited", messages=HELLO, extra_body={"metadata": {"session_id": "session-43"}}
        )
    assert failed.value.status_code == 429
    trace = proxied.place.trace_with(lambda span: span.attributes.get("session.id") == "session-43")
    generation = trace.generation
    (attempt,) = trace.below(generation)
    assert (generation.status_code, generation.attributes["error.type"]) == (2, "RateLimitError")
    assert attempt.attributes["http.response.status_code"] == 429
    assert "gen_ai.usage.cost" not in generation.attributes


def test_a_fallback_is_one_request_with_two_attempts(proxied: Proxied) -> None:
    answer = proxied.client.chat.completions.with_raw_response.create(model="falls-back", messages=HELLO)
    trace = proxied.trace_of(answer.headers["x-litellm-call-id"])
    assert (trace.generation.status_code, trace.generation.attributes["openrouter.attempt_count"]) == (1, 2)
    assert [attempt.name for attempt in trace.below(trace.generation)] == [
        "provider attempt 1: anthropic",
        "provider attempt 2: openai",
    ]


def test_the_callers_span_is_the_parent(proxied: Proxied) -> None:
    trace_id, parent_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    answer = proxied.client.chat.completions.with_raw_response.create(
        model="gpt-4o-mini",
        messages=HELLO,
        extra_headers={"traceparent": f"00-{trace_id}-{parent_id}-01"},
    )
    generation = proxied.trace_of(answer.headers["x-litellm-call-id"]).generation
    assert (generation.trace_id, generation.parent_span_id) == (trace_id, parent_id)


def test_an_unknown_model_arrives_too(proxied: Proxied) -> None:
    with pytest.raises(openai.BadRequestError):
        proxied.client.chat.completions.create(model="no-such-model", messages=HELLO)
    trace = proxied.place.trace_with(
        lambda span: span.attributes.get("gen_ai.request.model") == "no-such-model"
    )
    assert (trace.generation.status_code, trace.below(trace.generation)) == (2, [])
