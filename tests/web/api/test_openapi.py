"""The API's own description: of every route and of nothing else, well formed, and true under fuzzing."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi import checks as openapi_checks

from destinations import TYPES
from tests.web.api.conftest import Api
from web.api import IN_FRONT, openapi
from web.api.description import OPERATIONS
from web.api.description.words import Operation

# Paths of OpenRouter's SDK that are answered with the reason why they are not offered.
NOT_OFFERED = re.compile(r"/api/v1/workspaces/\{ref\}/(members|budgets)")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document(TYPES)


def routes(http: Api) -> set[tuple[str, str]]:
    """Every route there is: Flask's, and those that stand in front of it."""
    found = {("post", path) for path in IN_FRONT}
    for rule in http.app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        if not path.startswith("/static/") and not NOT_OFFERED.match(path):
            found |= {(method.lower(), path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    return found


def test_every_route_is_described_and_nothing_else(http: Api) -> None:
    assert {(operation.method, operation.path) for operation in OPERATIONS} == routes(http)


def test_the_description_is_served_without_a_key(http: Api) -> None:
    answer = http.call("GET", openapi.PATH)
    assert answer.status_code == 200
    assert answer.json["openapi"] == "3.1.0"


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_every_operation_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


def test_the_settings_of_every_destination_type_are_described(document: dict[str, Any]) -> None:
    described = document["components"]["schemas"]["DestinationConfig"]["anyOf"]
    assert [kind["title"] for kind in described] == list(TYPES)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_an_operation_is_refused_without_a_key_unless_it_needs_none(http: Api, operation: Operation) -> None:
    path = re.sub(r"\{\w+\}", "x", operation.path)
    answer = http.call(operation.method.upper(), path, body={} if operation.body else None)
    assert answer.status_code == (200 if operation.key == "none" else 401)


# -- fuzzed -------------------------------------------------------------------------------------------

CHECKS = (
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_no_request_breaks_an_operation_and_its_answers_are_as_described(
    http: Api, operation: Operation
) -> None:
    described = schemathesis.openapi.from_wsgi(openapi.PATH, http.app)
    sends = operation.key in {"chat", "receipts:write"}
    headers = {"Authorization": f"Bearer {http.api_key if sends else http.management_key}"}

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=described[operation.path][operation.method.upper()].as_strategy())
    def send(case: Any) -> None:
        case.validate_response(case.call(headers=headers), checks=CHECKS)

    send()
