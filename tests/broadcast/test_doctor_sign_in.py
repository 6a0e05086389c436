"""The doctor asks the identity provider before anybody has to."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast.config import load
from broadcast.doctor import Finding, examine
from broadcast.runtime import build
from destinations import TYPES
from tests.identity_provider import IdentityProvider


@pytest.fixture
def there() -> Iterator[IdentityProvider]:
    with IdentityProvider(now_s=lambda: int(time.time())) as provider:
        yield provider


def found(folder: Path, **settings: str) -> list[Finding]:
    config = load({"BROADCAST_DATA_DIR": str(folder), **settings})
    services = build(config, TYPES)
    services.store.migrate()
    services.store.close()
    return [finding for finding in examine(config, TYPES) if finding.subject == "sign-in"]


def settings(issuer: str) -> dict[str, str]:
    return {
        "BROADCAST_OIDC_ISSUER": issuer,
        "BROADCAST_OIDC_CLIENT_ID": "broadcast",
        "BROADCAST_OIDC_CLIENT_SECRET": "secret",
        "BROADCAST_OIDC_NAME": "Example ID",
    }


def test_without_a_provider_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert found(tmp_path) == []


def test_a_provider_that_answers_is_well(tmp_path: Path, there: IdentityProvider) -> None:
    (finding,) = found(tmp_path, **settings(there.issuer))

    assert finding.ok
    assert finding.message == (
        "Example ID answers. It has to send people back to http://127.0.0.1:8400/login/oidc/callback"
    )


@pytest.mark.parametrize(
    ("end", "message"),
    [("/", "Example ID: the provider calls itself {issuer}."), ("/realms/staff", "answered 404.")],
)
def test_what_does_not_fit_is_named_with_what_to_do(
    tmp_path: Path, there: IdentityProvider, end: str, message: str
) -> None:
    (finding,) = found(tmp_path, **settings(there.issuer + end))

    assert not finding.ok
    assert finding.message.endswith(message.format(issuer=there.issuer))
    assert "BROADCAST_OIDC_ISSUER" in finding.fix


def test_a_provider_that_is_down_is_named(tmp_path: Path, there: IdentityProvider) -> None:
    there.stop()

    (finding,) = found(tmp_path, **settings(there.issuer))

    assert (finding.ok, finding.message) == (False, "Example ID: connection_failed.")
