"""Anthropic's own SDK, unmodified, with nothing but another base URL and our key."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.world.environments import clean_environment, python_with
from tests.world.place import Place, Trace, serving

pytestmark = pytest.mark.world

ANTHROPIC = "anthropic==2.12.0"
HEAD = """
import anthropic, json

client = anthropic.Anthropic(max_retries=0)
asked = dict(
    max_tokens=100,
    system="Be brief.",
    messages=[{"role": "user", "content": "Hello"}],
    metadata={"user_id": "u-1"},
    extra_body={"trace": {"trace_name": "Nightly", "team": "ops"}, "session_id": "s-1"},
)
"""
WHOLE = """
raw = client.messages.with_raw_response.create(model="demo/echo", **asked)
answer = raw.parse()
told = {"id": answer.id, "text": answer.content[0].text, "reason": answer.stop_reason}
print(json.dumps({**told, "trace_id": raw.headers["x-trace-id"]}))
"""
STREAMED = """
with client.messages.stream(model="demo/flaky", **asked) as stream:
    text = "".join(stream.text_stream)
    answer = stream.get_final_message()
    trace_id = stream.response.headers["x-trace-id"]
told = {"id": answer.id, "text": text, "reason": answer.stop_reason, "made": answer.usage.output_tokens}
print(json.dumps({**told, "trace_id": trace_id}))
"""
REFUSED = """
try:
    client.messages.create(model="demo/none", **asked)
except anthropic.NotFoundError as error:
    print(json.dumps({"kind": error.body["error"]["type"], "trace_id": error.response.headers["x-trace-id"]}))
"""
FAILED = """
try:
    client.messages.create(model="demo/fail", **asked)
except anthropic.InternalServerError as error:
    print(json.dumps({"kind": error.body["error"]["type"], "trace_id": error.response.headers["x-trace-id"]}))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with serving(tmp_path_factory.mktemp("anthropic") / "broadcast") as found:
        yield found


def told(place: Place, script: str) -> dict[str, Any]:
    """Run a script of the SDK's user and return what it prints."""
    ran = subprocess.run(
        [str(python_with(ANTHROPIC) / "python"), "-c", HEAD + script],
        env=clean_environment(
            ANTHROPIC_BASE_URL=place.api.removesuffix("/v1"), ANTHROPIC_API_KEY=place.program.api_key
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def arrived(place: Place, trace_id: str) -> Trace:
    return place.trace_with(lambda span: span.trace_id == trace_id)


@pytest.mark.parametrize(("script", "streamed"), [(WHOLE, False), (STREAMED, True)])
def test_its_messages_arrive_at_a_destination(place: Place, script: str, streamed: bool) -> None:
    answer = told(place, script)
    assert (answer["text"], answer["reason"]) == ("You said: Hello", "end_turn")
    trace = arrived(place, answer["trace_id"])
    span = trace.generation
    assert span.resource["openrouter.trace.id"] == answer["id"]
    assert trace.above(span).name == "Nightly"
    attributes = span.attributes
    assert attributes["openrouter.streamed"] is streamed
    assert attributes["gen_ai.operation.name"] == "chat"
    assert (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]) == (5, 3)
    assert attributes["gen_ai.usage.cost"] == pytest.approx(5 * 0.15e-6 + 3 * 0.6e-6)
    assert (attributes["user.id"], attributes["session.id"]) == ("u-1", "s-1")
    assert attributes["trace.metadata.team"] == "ops"
    assert attributes["gen_ai.response.finish_reason"] == "stop"
    asked = json.loads(attributes["gen_ai.input.messages"])
    assert [(said["role"], said["parts"][0]["content"]) for said in asked] == [
        ("system", "Be brief."),
        ("user", "Hello"),
    ]
    (said,) = json.loads(attributes["gen_ai.output.messages"])
    assert said["parts"] == [{"type": "text", "content": "You said: Hello"}]


@pytest.mark.parametrize(("script", "kind"), [(REFUSED, "not_found_error"), (FAILED, "overloaded_error")])
def test_its_errors_are_its_own_and_arrive_too(place: Place, script: str, kind: str) -> None:
    answer = told(place, script)
    assert answer["kind"] == kind
    span = arrived(place, answer["trace_id"]).generation
    assert span.status_code == 2
    assert (span.attributes["user.id"], span.attributes["session.id"]) == ("u-1", "s-1")
