"""Who is counted when too many come from one place: the client behind a trusted proxy, not the proxy."""

from types import SimpleNamespace

import pytest
from flask import Flask

from web.client_address import client_address


@pytest.fixture
def app() -> Flask:
    made = Flask("behind a proxy")
    config = SimpleNamespace(trusted_proxies=("127.0.0.1", "10.0.0.0/8"))
    made.extensions["broadcast"] = SimpleNamespace(config=config)
    return made


@pytest.mark.parametrize(
    ("peer", "forwarded", "counted"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "203.0.113.9, 192.0.2.7", "192.0.2.7"),
        ("127.0.0.1", "192.0.2.7, 10.0.0.3", "192.0.2.7"),
        ("127.0.0.1", "10.0.0.4, 10.0.0.3", "10.0.0.4"),
        ("::ffff:127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),
    ],
)
def test_the_address_that_counts(app: Flask, peer: str, forwarded: str, counted: str) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    with app.test_request_context(headers=headers, environ_overrides={"REMOTE_ADDR": peer}):
        assert client_address() == counted
