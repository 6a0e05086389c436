"""/notifications: how a workspace is told, for management keys."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.receiver import Receiver
from tests.web.api.conftest import Api

PATH = "/api/v1/notifications"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


def change(http: Api, **body: Any) -> Any:
    return http.call("PATCH", PATH, key=http.management_key, body=body)


def test_settings_are_read_and_changed(http: Api) -> None:
    assert http.call("GET", PATH, key=http.management_key).json == {
        "data": {"email_enabled": True, "webhook_host": None}
    }

    changed = change(http, email_enabled=False, webhook_url="https://hooks.slack.com/services/x")

    assert changed.json == {"data": {"email_enabled": False, "webhook_host": "hooks.slack.com"}}
    assert http.call("GET", PATH, key=http.management_key).json == changed.json


def test_the_workspace_may_be_named(http: Api) -> None:
    changed = change(http, workspace_id=http.workspace_uid, email_enabled=False)

    assert changed.json["data"]["email_enabled"] is False


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"email_enabled": 1}, "email_enabled"),
        ({"webhook_url": "http://hooks.slack.com/x"}, "webhook_url"),
        ({"webhook": "https://hooks.slack.com/x"}, "webhook"),
    ],
)
def test_a_wrong_setting_is_named(http: Api, body: dict[str, Any], named: str) -> None:
    answer = change(http, **body)

    assert answer.status_code == 422
    assert answer.json["error"]["metadata"]["field"] == named


def test_a_test_says_what_became_of_it(http: Api, receiver: Receiver) -> None:
    change(http, webhook_url=receiver.url("/status/404"))

    answer = http.call("POST", f"{PATH}/test", key=http.management_key)

    assert (answer.status_code, answer.json["ok"]) == (200, False)
    assert answer.json["message"] == "127.0.0.1 answered 404 Not Found."
    assert "replace it here" in answer.json["hint"]


def test_without_an_address_there_is_nothing_to_test(http: Api) -> None:
    answer = http.call("POST", f"{PATH}/test", key=http.management_key)

    assert (answer.status_code, answer.json["error"]["metadata"]["reason"]) == (409, "no_webhook")


def test_an_api_key_may_not(http: Api) -> None:
    for method, path in (("GET", PATH), ("PATCH", PATH), ("POST", f"{PATH}/test")):
        assert http.call(method, path, key=http.api_key, body={}).status_code == 403
