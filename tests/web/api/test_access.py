"""A management key acts only where its maker is owner or admin, whatever the route."""

import json
from datetime import UTC, datetime

import pytest

from broadcast.store import users
from tests.web.api.conftest import Api

CHAT = {"model": "demo/echo", "messages": [{"role": "user", "content": "Hi"}]}
RECEIPT = {"id": "gen-1", "created_at": datetime.now(UTC).isoformat(), "duration_ms": 1, "model": "demo/echo"}
ROUTES = [
    ("POST", "/api/v1/chat/completions", CHAT),
    ("GET", "/api/v1/models", None),
    ("POST", "/api/v1/receipts", RECEIPT | {"status": "succeeded"}),
    ("GET", "/api/v1/requests", None),
    ("GET", "/api/v1/broadcast", None),
]


def set_role(http: Api, role: str) -> None:
    key = http.services.accounts.authenticate(http.management_key)
    assert key is not None
    with http.services.store.write() as conn:
        users.set_role(conn, workspace_id=key.workspace_id, user_id=key.user_id, role=role)


@pytest.mark.parametrize("role", ["member", "viewer"])
@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_the_key_of_a_former_admin_does_nothing(
    http: Api, role: str, method: str, path: str, body: object
) -> None:
    set_role(http, role)

    answer = http.call(method, path, key=http.management_key, body=body)

    assert answer.status_code == 403
    assert json.loads(answer.text)["error"]["code"] == 403


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_the_key_of_an_admin_does_everything(http: Api, method: str, path: str, body: object) -> None:
    set_role(http, "admin")

    answer = http.call(method, path, key=http.management_key, body=body)

    assert answer.status_code in {200, 202}, answer.text
