"""What a preview shows of a request: everything but secrets, wherever a type has to put them."""

import json
from typing import Any

import pytest

from broadcast import specimen
from destinations import TYPES
from tests.destinations import own_api
from tests.destinations.test_bigquery import key_file

SECRET = "s3cr3t-value-of-this-test"


@pytest.mark.parametrize(
    ("slug", "config"),
    [
        ("posthog", {"apiKey": SECRET}),
        ("webhook", {"url": "https://a.example", "signingSecret": SECRET, "headers": {"X-Key": SECRET}}),
        (
            "s3",
            {"bucketName": "abc", "accessKeyId": "A", "secretAccessKey": SECRET, "sessionToken": SECRET},
        ),
        ("snowflake", {"account": "a", "token": SECRET}),
        ("clickhouse", {"host": "https://a.example", "database": "d", "username": "u", "password": SECRET}),
    ],
)
def test_no_secret_is_shown_in_a_header_or_a_body(slug: str, config: dict[str, Any]) -> None:
    destination = TYPES[slug].parse(config)
    request = destination.request(own_api.batch(destination))
    shown = specimen._request(request, destination.secret_values())
    assert SECRET not in json.dumps(shown)
    assert shown["bytes"] == len(request.body)
    assert "What is a span?" in shown["body"]


def test_a_token_that_was_signed_for_this_request_is_not_shown_either() -> None:
    destination = TYPES["bigquery"].parse({"projectId": "my-project", "serviceAccountKey": key_file()})
    request = destination.request(own_api.batch(destination))
    token = request.headers["authorization"].split(" ")[1]
    shown = specimen._request(request, destination.secret_values())
    assert token not in json.dumps(shown)
    assert shown["headers"]["authorization"] == f"Bearer [secret, {len(token)} characters]"


def test_what_is_no_secret_is_shown() -> None:
    config = {"host": "https://a.example", "database": "d", "username": "default", "password": SECRET}
    destination = TYPES["clickhouse"].parse(config)
    request = destination.request(own_api.batch(destination))
    assert specimen._request(request, destination.secret_values())["headers"] == {
        "content-type": "application/x-ndjson",
        "x-clickhouse-user": "default",
        "x-clickhouse-key": specimen.hidden(SECRET),
    }
