"""A role at Amazon, taken on for an hour in the name of a workspace: AssumeRole of its token service.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html (parameters, answer, errors) and
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_common-scenarios_third-party.html (why the external
id is ours to choose and not the user's: else anybody could name somebody else's role), read 2026-11-21.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from broadcast.destination import Identity, Lent, Loan, Request, Response
from broadcast.fields import Secret
from destinations import _sigv4

ROLE: Final = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}"
_SECONDS: Final = 3600
_SESSION: Final = "broadcast"
_FOUND: Final = re.compile(r"<(AccessKeyId|SecretAccessKey|SessionToken|Expiration)>\s*([^<]+?)\s*</")


def loan(role: str, external_id: str, region: str, at_us: int, used: Callable[[Lent], Request]) -> Loan:
    """Return what a request as this role needs."""

    def ask(identity: Identity) -> Request:
        return _question(identity, role, external_id, region, at_us)

    return Loan(key=(role, external_id, region), at_us=at_us, ask=ask, read=_answered, used=used)


def _question(identity: Identity, role: str, external_id: str, region: str, at_us: int) -> Request:
    url = identity.sts_url or f"https://sts.{region}.amazonaws.com/"
    asked = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": _SESSION,
        "ExternalId": external_id,
        "DurationSeconds": _SECONDS,
    }
    body = urlencode(asked).encode()
    signed = _sigv4.signed(
        "POST", url, body, key_id=identity.key_id, secret=identity.secret,
        session_token=None, region=region, service="sts", at_us=at_us,
    )  # fmt: skip
    headers = {"content-type": "application/x-www-form-urlencoded", **signed}
    return Request(method="POST", url=url, headers=headers, body=body)


def _answered(response: Response) -> Lent | None:
    found = dict(_FOUND.findall(response.body.decode("utf-8", "replace")))
    try:
        until = datetime.fromisoformat(found["Expiration"])
        return Lent(
            key_id=found["AccessKeyId"],
            secret=Secret(found["SecretAccessKey"]),
            token=Secret(found["SessionToken"]),
            until_us=int(until.timestamp()) * 1_000_000,
        )
    except (KeyError, ValueError):
        return None
