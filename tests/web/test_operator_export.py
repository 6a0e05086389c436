"""The operator's export on pages and in the API: shown to everyone, changed by no one."""

from collections.abc import Iterator
from typing import Any

import pytest

from broadcast import operator_declaration
from broadcast.runtime import Services
from broadcast.store import destinations
from tests.receiver import Receiver
from tests.web.api.conftest import Api, http
from tests.web.api.destinations import BASE
from tests.web.pages.conftest import Pages, app, pages, services
from tests.web.pages.well_made import faults

__all__ = ["app", "http", "pages", "services"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


def declare(running: Services, receiver: Receiver) -> None:
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url("/ok"),
        "OTEL_EXPORTER_OTLP_HEADERS": "x-operator=s3cr3t-of-the-operator",
    }
    declaration = operator_declaration.read(given, None)
    running.operator_exports.bring_up_to_date(declaration, running.clock, breathe=lambda: None)


def listed(http: Api) -> dict[str, Any]:
    (found,) = http.call("GET", BASE, key=http.management_key).json["data"]
    return dict(found)


def test_the_api_shows_it_with_its_secret_masked(http: Api, receiver: Receiver) -> None:
    declare(http.services, receiver)
    found = listed(http)
    assert (found["origin"], found["name"], found["type"]) == (
        "operator",
        "Operator's export",
        "otel-collector",
    )
    assert found["config"]["endpoint"] == receiver.url("/ok/v1/traces")
    assert "s3cr3t-of-the-operator" not in str(found)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "", {"name": "Mine"}),
        ("PATCH", "", {"enabled": False}),
        ("PATCH", "", {"config": {"headers": None}}),
        ("DELETE", "", None),
        ("POST", "/pause", None),
        ("POST", "/resume", None),
    ],
)
def test_the_api_refuses_each_change_with_the_reason(
    http: Api, receiver: Receiver, method: str, path: str, body: Any
) -> None:
    declare(http.services, receiver)
    before = listed(http)
    answer = http.call(method, f"{BASE}/{before['id']}{path}", key=http.management_key, body=body)
    assert answer.status_code == 409
    assert answer.json["error"]["metadata"]["reason"] == "read_only"
    assert "operator" in answer.json["error"]["message"]
    assert listed(http) == before


def test_its_connection_may_be_tested(http: Api, receiver: Receiver) -> None:
    declare(http.services, receiver)
    report = http.call("POST", f"{BASE}/{listed(http)['id']}/test", key=http.management_key).json
    assert report["ok"] is True
    assert receiver.requests[0].headers["x-operator"] == "s3cr3t-of-the-operator"


def test_its_page_says_who_declared_it_and_offers_no_change(pages: Pages, receiver: Receiver) -> None:
    declare(pages.services, receiver)
    with pages.services.store.read() as conn:
        (stored,) = destinations.list_for(conn, pages.workspace.id)
    page = pages.get(f"/settings/observability/{stored.uid}")
    assert "The operator of this server declared this destination" in page
    for word in (">Edit<", ">Pause<", ">Delete…<"):
        assert word not in page
    assert ">Test Connection<" in page
    assert faults(page) == []


def test_the_list_says_that_it_goes_on_while_broadcast_is_off(pages: Pages, receiver: Receiver) -> None:
    pages.services.operator_exports.bring_up_to_date(None, pages.services.clock)
    assert "no destination gets them" in pages.get("/settings/observability")
    declare(pages.services, receiver)
    page = pages.get("/settings/observability")
    assert (
        "only the operator&#39;s export gets them" in page or "only the operator's export gets them" in page
    )
    assert "Set by the operator" in page
    assert faults(page) == []
