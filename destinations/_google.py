"""What Google's APIs share: self-signed tokens of a service account, and the reasons of an error.

https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth, read 2026-11-21.
"""

import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Self

from broadcast.destination import Destination, Headers
from broadcast.fields import Secret, field
from broadcast.vault import sign_rs256

_WINDOW_S: Final = 1800
_VALID_S: Final = 3600


class WithKeyFile(Destination):
    """A destination in a project of Google's, whose credential is the key file of a service account."""

    project_id: str = field(
        "Google Cloud project ID",
        example="my-gcp-project",
        pattern=r"[a-z0-9.:-]{4,100}",
        help="The ID, not the name.",
    )
    service_account_key: Secret = field(
        "Service-account key JSON",
        example='{"type": "service_account", "client_email": "...", "private_key": "..."}',
        help="The whole JSON key file.",
        instead={r"AIza.*": "This is an API key; paste the JSON key file of a service account."},
    )

    @classmethod
    def parse(cls, config: Mapping[str, Any], *, secrets_required: bool = True) -> Self:
        """Take the key file as it was pasted or read, but without JSON's own line breaks."""
        name = "serviceAccountKey"
        given = {**config, name: _one_line(config[name])} if name in config else config
        return super().parse(given, secrets_required=secrets_required)

    def warnings(self) -> Mapping[str, str]:
        """Return a key that is no service account's."""
        key = self.service_account_key
        if not key or _account(key.reveal()) is not None:
            return {}
        words = "This is not a service account's JSON key: paste the whole file, from { to }."
        return {"serviceAccountKey": words}

    def bearer(self, api: str, at_us: int) -> Headers:
        """Return a token that is valid for half an hour at least; nothing where there is no such key."""
        token = _token(self.service_account_key.reveal(), f"{api}/", at_us // 1_000_000 // _WINDOW_S)
        return {"authorization": f"Bearer {token}"} if token else {}


def _one_line(given: object) -> object:
    if isinstance(given, dict):
        return json.dumps(given)
    return " ".join(given.split("\n")).replace("\r", "") if isinstance(given, str) else given


def reasons(body: bytes) -> tuple[set[str], str]:
    """Return why rows, or the whole request, were refused; `stopped` only says that another row was."""
    try:
        document = json.loads(body or b"{}")
        rows = document.get("insertErrors") or [document.get("error") or {}]
        told = [error for row in rows for error in row.get("errors", ()) if error.get("reason") != "stopped"]
        return {error["reason"] for error in told}, "; ".join(error.get("message", "") for error in told[:2])
    except (ValueError, KeyError, TypeError, AttributeError):
        return set(), ""


@lru_cache(maxsize=256)
def _token(key: str, audience: str, window: int) -> str | None:
    account = _account(key)
    if account is None:
        return None
    issued = window * _WINDOW_S
    who = account["client_email"]
    head = {"alg": "RS256", "typ": "JWT", "kid": account.get("private_key_id", "")}
    claims = {"iss": who, "sub": who, "aud": audience, "iat": issued, "exp": issued + _VALID_S}
    text = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
    try:
        signature = sign_rs256(account["private_key"], text.encode())
    except ValueError:
        return None
    return f"{text}.{_encoded(signature)}"


def _account(key: str) -> dict[str, Any] | None:
    try:
        found = json.loads(key)
    except ValueError:
        return None
    names = ("client_email", "private_key")
    whole = isinstance(found, dict) and all(isinstance(found.get(name), str) for name in names)
    return found if whole else None


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
