from typing import Any

import pytest

from broadcast.destination import Verdict
from destinations.logfire import Logfire
from tests.destinations import wire

TOKEN = "pylf_v1_us_example"


def logfire(**config: Any) -> Logfire:
    return Logfire.parse({"writeToken": TOKEN, **config})


def test_the_project_gets_gzipped_json_and_the_bare_token() -> None:
    found = wire.send(logfire())
    assert found.url == "https://logfire-us.pydantic.dev/v1/traces"
    assert found.seen.headers["content-type"] == "application/json"
    assert found.seen.headers["content-encoding"] == "gzip"
    assert found.seen.headers["authorization"] == TOKEN
    assert found.outcome.delivered


def test_cost_and_conversation_have_the_names_that_logfire_reads() -> None:
    made = wire.generation(wire.send(logfire()))
    assert (made["operation.cost"], made["gen_ai.conversation.id"]) == (0.00042, "session-1")


def test_the_region_by_its_name_or_by_any_page_of_it() -> None:
    assert logfire(baseUrl="eu").endpoint() == "https://logfire-eu.pydantic.dev/v1/traces"
    page = "https://logfire-eu.pydantic.dev/acme/llm-router"
    assert logfire(baseUrl=page).endpoint() == "https://logfire-eu.pydantic.dev/v1/traces"


@pytest.mark.parametrize(("token", "region"), [("pylf_v1_eu_example", "US"), (TOKEN, "EU")])
def test_a_token_of_the_other_region_is_recognised(token: str, region: str) -> None:
    assert logfire(writeToken=token, baseUrl=region).warnings().keys() == {"baseUrl"}
    assert logfire().warnings() == {}


def test_an_unknown_token_is_a_refusal() -> None:
    assert wire.send(logfire(), status=401).outcome.verdict is Verdict.REFUSED


def test_a_trace_has_a_page_where_the_project_is_known() -> None:
    project = "https://logfire-us.pydantic.dev/acme/llm-router"
    assert logfire(projectUrl=project).trace_url("ab", 0) == f"{project}?q=trace_id%3D%27ab%27"
    assert logfire().trace_url("ab", 0) is None
