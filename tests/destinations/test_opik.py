from typing import Any

from broadcast.destination import Verdict
from destinations.opik import Opik
from tests.destinations import wire


def opik(**config: Any) -> Opik:
    return Opik.parse({"apiKey": "key", "workspace": "acme", "projectName": "llm router", **config})


def test_the_project_gets_protobuf_and_the_key_without_a_scheme() -> None:
    found = wire.send(opik())
    assert found.url == "https://www.comet.com/opik/api/v1/private/otel/v1/traces"
    assert found.seen.headers["content-type"] == "application/x-protobuf"
    assert found.seen.headers["authorization"] == "key"
    assert found.seen.headers["comet-workspace"] == "acme"
    assert found.seen.headers["projectname"] == "llm router"
    assert found.outcome.delivered


def test_sessions_are_threads_and_tokens_are_counted_once() -> None:
    made = wire.generation(wire.send(opik()))
    assert made["gen_ai.conversation.id"] == "session-1"
    # Opik sums up every whole number below this name.
    counts = {
        name: value for name, value in made.items() if name.startswith("gen_ai.usage.") and type(value) is int
    }
    assert counts["gen_ai.usage.input_tokens"] + counts["gen_ai.usage.output_tokens"] == 150


def test_an_installation_of_your_own() -> None:
    destination = opik(baseUrl="https://opik.example.com/api/")
    assert destination.endpoint() == "https://opik.example.com/api/v1/private/otel/v1/traces"


def test_any_page_of_the_cloud_means_the_cloud() -> None:
    assert (
        opik(baseUrl="https://www.comet.com/opik/acme/projects").base_url == "https://www.comet.com/opik/api"
    )


def test_an_unknown_key_is_refused() -> None:
    found = wire.send(opik(), status=401, body={"code": 401, "message": "User not allowed to access"})
    assert found.outcome.verdict is Verdict.REFUSED
