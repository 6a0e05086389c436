"""The guard that keeps tests on this machine."""

import socket

import pytest

from tests.conftest import stays_here


@pytest.mark.parametrize(
    "address", [("127.0.0.1", 1), ("127.9.9.9", 1), ("::1", 1, 0, 0), ("::ffff:127.0.0.1", 1), "/tmp/x"]
)
def test_loopback_and_unix_sockets_are_here(address: object) -> None:
    assert stays_here(address)


@pytest.mark.parametrize(
    "address", [("192.0.2.1", 80), ("10.0.0.1", 80), ("2001:db8::1", 80, 0, 0), ("example.com", 80)]
)
def test_everything_else_is_elsewhere(address: object) -> None:
    assert not stays_here(address)


def test_a_connection_beyond_loopback_fails_the_test() -> None:
    with socket.socket() as sock, pytest.raises(pytest.fail.Exception, match=r"192\.0\.2\.1"):
        sock.connect(("192.0.2.1", 80))
