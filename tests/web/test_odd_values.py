"""What no column takes, in every place of every address and form: NUL in PostgreSQL, numbers without end.

Where a value may stand is found, not listed: the application says which addresses there are, a page's
parameters are noted as it asks for them, and the API's are those of its description.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
from flask import Flask, Request
from flask.testing import FlaskClient
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.routing import Rule

from broadcast.runtime import Services
from broadcast.store import workspaces
from tests.databases import postgres_url, sqlite_url
from tests.web.api.conftest import ANN, PASSWORD, Api, running
from tests.web.pages.conftest import Pages, csrf, log_in
from tests.web.pages.test_every_page import Scene, furnished
from web import create_app
from web.api.description import OPERATIONS, SCHEMAS
from web.api.description.words import Operation
from web.asked import LABELS

MARK = base64.urlsafe_b64encode(b"1.\0").decode().rstrip("=")
ODD = {"NUL": "\0", "a mark that holds NUL": MARK, "a number without end": "9" * 40}


class Noted(ImmutableMultiDict[str, str]):
    """Parameters that note which names they are asked for."""

    names: ClassVar[set[str]] = set()

    def __contains__(self, key: object) -> bool:
        self.names.add(str(key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> str:
        self.names.add(key)
        return super().__getitem__(key)

    def getlist(self, key: str, type: Any = None) -> list[Any]:  # noqa: A002 - werkzeug's word
        self.names.add(key)
        return super().getlist(key, type)


class Noting(Request):
    """A request that notes what a page asks of it."""

    parameter_storage_class = Noted


def noting(services: Services) -> Flask:
    app = create_app(services)
    app.request_class = Noting
    return app


Place = Callable[[], AbstractContextManager[str]]


@pytest.fixture(scope="module", params=[sqlite_url, postgres_url], ids=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest) -> Place:
    """Return what makes a database, of each kind."""
    made: Place = request.param
    return made


@pytest.fixture(scope="module")
def http(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Return a whole instance on each database."""
    with place() as url, running(tmp_path_factory.mktemp("odd"), url, noting) as found:
        yield found


@pytest.fixture(scope="module")
def scene(http: Api) -> Scene:
    """Return its workspace with something on every page, and ann's browser."""
    return scene_of(http)


@pytest.fixture
def doomed(place: Place, tmp_path: Path) -> Iterator[Scene]:
    """Return such a workspace for one test alone: its forms leave, delete and log out."""
    with place() as url, running(tmp_path, url, noting) as found:
        yield scene_of(found)


def scene_of(http: Api) -> Scene:
    with http.services.store.read() as conn:
        workspace = workspaces.by_uid(conn, http.workspace_uid)
    assert workspace is not None
    client = log_in(http.app, ANN, PASSWORD)
    return furnished(Pages(app=http.app, services=http.services, workspace=workspace, client=client))


def path_of(scene: Scene, rule: Rule, **odd: str) -> str:
    built = rule.build({name: scene.values[name] for name in rule.arguments} | odd)
    assert built is not None, rule.rule
    return built[1]


def texts_in(rule: Rule) -> list[str]:
    """Return the parts of an address that may be any text."""
    return [name for name in rule.arguments if "UUID" not in type(rule._converters[name]).__name__]


def asked_of(client: FlaskClient, method: str, path: str, token: str) -> list[str]:
    """Return the parameters that a page asks for; Activity reads its filters one after the other."""
    Noted.names.clear()
    client.open(path, method=method, data={"csrf_token": token} if method == "POST" else None)
    filters = [*LABELS, "trace.feature"] if path.endswith(("/activity", ".csv")) else []
    return sorted({*Noted.names, *filters} - {"csrf_token"})


# -- pages -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_part_of_an_address_is_a_fault(scene: Scene, method: str, odd: str) -> None:
    token = csrf(scene.pages.get("/settings/times"))
    found = {
        (rule.rule, name): scene.pages.client.open(
            path_of(scene, rule, **{name: ODD[odd]}),
            method=method,
            data={"csrf_token": token} if method == "POST" else None,
        ).status_code
        for rule in scene.rules(method)
        for name in texts_in(rule)
    }
    assert len(found) > 10
    assert {place: status for place, status in found.items() if status >= 500} == {}


@pytest.mark.timeout(600)
def test_no_parameter_of_a_page_is_a_fault(scene: Scene) -> None:
    found = parameters_asked(scene, "GET", ODD)
    assert len(found) > 100
    assert {place: status for place, status in found.items() if status >= 500} == {}


@pytest.mark.timeout(600)
def test_no_field_of_a_form_is_a_fault(doomed: Scene) -> None:
    # No form holds a mark.
    found = parameters_asked(doomed, "POST", {name: value for name, value in ODD.items() if value != MARK})
    assert len(found) > 100
    assert {place: status for place, status in found.items() if status >= 500} == {}


def parameters_asked(scene: Scene, method: str, odd: Mapping[str, str]) -> dict[tuple[str, str, str], int]:
    """Return what the pages answer to each odd value in each parameter that they ask for."""
    client = scene.pages.client
    token = csrf(scene.pages.get("/settings/times"))
    found = {}
    # What ends the session comes last.
    for rule in sorted(scene.rules(method), key=lambda rule: rule.rule == "/logout"):
        path = path_of(scene, rule)
        for name in asked_of(client, method, path, token):
            for label, value in odd.items():
                given: dict[str, Any] = (
                    {"query_string": {name: value}}
                    if method == "GET"
                    else {"data": {"csrf_token": token, name: value}}
                )
                found[rule.rule, name, label] = client.open(path, method=method, **given).status_code
    return found


# -- the API -----------------------------------------------------------------------------------------


def fields_of(operation: Operation) -> list[str]:
    """Return the fields of a body, by its description."""
    schema = operation.body or {}
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return list((SCHEMAS[name] if name else schema).get("properties", ()))


def questions(operation: Operation, values: Mapping[str, Any], odd: str) -> Iterator[dict[str, Any]]:
    """Yield the calls of an operation that hold an odd value, each in one place."""
    names = re.findall(r"{(\w+)}", operation.path)
    real = operation.path.format_map({name: values.get(name, "nothing") for name in names})
    body: dict[str, Any] | None = {} if operation.method in {"post", "patch"} else None
    for name in names:
        path = operation.path.format_map({each: odd if each == name else "nothing" for each in names})
        yield {"path": quote(path), "body": body}
    for query in operation.query:
        yield {"path": real, "body": body, "query_string": {query.name: odd}}
    for field in fields_of(operation):
        yield {"path": real, "body": {field: odd}}


@pytest.mark.parametrize("odd", ODD)
def test_no_value_in_a_call_of_the_api_is_a_fault(http: Api, scene: Scene, odd: str) -> None:
    found = {}
    for operation in OPERATIONS:
        for call in questions(operation, scene.values, ODD[odd]):
            answer = http.call(operation.method.upper(), key=http.management_key, **call)
            if answer.status_code >= 500:
                found[operation.method, operation.path, str(call)] = answer.text[:200]
    assert found == {}
