"""A workspace, its owner logged in, and the pages of a real application on SQLite."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from broadcast import config, runtime
from broadcast.runtime import Services
from broadcast.store import users
from broadcast.store.workspaces import Workspace
from destinations import TYPES
from tests.factories import receipt_document
from web import create_app

PASSWORD = "correct horse battery"


@dataclass(frozen=True, kw_only=True)
class Pages:
    """One person's browser on the pages of one workspace."""

    app: Flask
    services: Services
    workspace: Workspace
    client: FlaskClient

    def at(self, path: str) -> str:
        return f"/w/{self.workspace.slug}{path}"

    def get(self, path: str) -> str:
        answer = self.client.get(self.at(path))
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, data: dict[str, Any] | None = None, **kwargs: Any) -> TestResponse:
        token = csrf(self.client.get(self.at("/settings/workspace")).text)
        return self.client.post(self.at(path), data={"csrf_token": token, **(data or {})}, **kwargs)

    def send(self, **fields: Any) -> str:
        """Put one request into the log and return its id."""
        now = self.services.clock()
        created = {"created_at": _rfc3339(now - 2_000_000)}
        body = json.dumps(receipt_document(**(created | fields))).encode()
        status, answer = self.services.ingest.accept_body(self.workspace.id, None, body, "application/json")
        assert status == 202, answer
        return str(receipt_document(**fields)["id"])


def _rfc3339(at_us: int) -> str:
    from web.formats import iso  # noqa: PLC0415 - one use

    return iso(at_us)


def csrf(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found.group(1)


def log_in(app: Flask, email: str, password: str = PASSWORD) -> FlaskClient:
    client = app.test_client()
    token = csrf(client.get("/login").text)
    answer = client.post("/login", data={"csrf_token": token, "email": email, "password": password})
    assert answer.status_code == 303, answer.text
    return client


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    folder: Path = tmp_path_factory.mktemp("pages")
    settings = config.load(
        {"BROADCAST_DATA_DIR": str(folder), "BROADCAST_DEMO": "1", "BROADCAST_EGRESS_ALLOW": "127.0.0.1"}
    )
    built = runtime.build(settings, TYPES)
    built.store.migrate()
    built.ingest.start()
    yield built
    built.ingest.stop()
    built.store.close()


@pytest.fixture(scope="module")
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def pages(app: Flask, services: Services) -> Pages:
    """A fresh workspace whose owner is looking."""
    return open_workspace(app, services)


def open_workspace(app: Flask, services: Services) -> Pages:
    """Make a workspace and let its owner look."""
    now = services.clock()
    email = f"owner-{now}@example.com"
    owner = services.accounts.create_user(email=email, password=PASSWORD, now_us=now)
    workspace = services.accounts.create_workspace(name="Checkout team", owner=owner, now_us=now)
    return Pages(app=app, services=services, workspace=workspace, client=log_in(app, email))


def member(pages: Pages, role: str) -> Pages:
    """Return the browser of another person with this role."""
    now = pages.services.clock()
    email = f"{role}-{now}@example.com"
    user = pages.services.accounts.create_user(email=email, password=PASSWORD, now_us=now)
    with pages.services.store.write() as conn:
        users.add_member(conn, workspace_id=pages.workspace.id, user_id=user.id, role=role)
    return Pages(
        app=pages.app, services=pages.services, workspace=pages.workspace, client=log_in(pages.app, email)
    )
