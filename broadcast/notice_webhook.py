"""The address that a workspace is told at: sealed, opened, and posted to by the rules of egress.

Such an address carries its token in the path. So it is kept as a secret: bound to workspace, purpose and
host, shown as its host alone, and taken out of whatever the other side answers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from broadcast.destination import Request, Response
from broadcast.egress import Policy, Target, parse_url
from broadcast.errors import AddressRefused, SendFailed, SettingsError, VaultError
from broadcast.fields import BULLETS
from broadcast.report import scrub
from broadcast.store.workspaces import Workspace
from broadcast.vault import Vault

FIELD: Final = "webhook_url"
_PLACE: Final = "notifications"
_SHORT: Final = 8
_HINTS: Final[Mapping[int, str]] = {
    400: "It took the connection but not the message. Its own words say why.",
    401: "It wants a log-in. Use an address that carries its own token.",
    403: "It no longer accepts this address. Make a new one there, and replace it here.",
    404: "It does not know this address. Make a new one there, and replace it here.",
    410: "It has given this address up. Make a new one there, and replace it here.",
    429: "It asks for fewer messages. Test again in a minute.",
}
_HINT_CLASSES: Final[Mapping[int, str]] = {
    3: "The address moved. Enter the new one: redirects are never followed.",
    4: "It refused the message. Its own words say why.",
    5: "It has trouble of its own. Test again later.",
}
_STAGES: Final[Mapping[str, str]] = {
    "dns": "Check the host name.",
    "connect": "Check host, port and firewall.",
    "tls": "The certificate must be valid for this host and of a public authority.",
}
_REFUSED: Final = "The operator can permit a private host by BROADCAST_EGRESS_ALLOW; all others take https."


class Sender(Protocol):
    """What posts: the transport, with its rules of egress."""

    async def send(self, request: Request) -> Response:
        """Return the answer; raise `AddressRefused` or `SendFailed`."""


@dataclass(frozen=True, kw_only=True)
class Posted:
    """What became of one post, in words; `answer` holds the other side's, without the address."""

    ok: bool
    message: str
    hint: str = ""
    answer: str = ""


def checked(url: str, policy: Policy) -> str:
    """Return the address as it is kept; raise `SettingsError` for one that may not be posted to."""
    text = url.strip()
    if not text:
        raise SettingsError({FIELD: "Enter an address."})
    if not text.lower().startswith(("https://", "http://")):
        raise SettingsError({FIELD: "Enter a full address, such as https://hooks.slack.com/services/..."})
    try:
        target = policy.check_url(text)
    except AddressRefused as error:
        raise SettingsError({FIELD: f"{error} {_REFUSED}"}) from None
    if target.scheme == "http" and target.address is None and not _is_named(target, policy):
        raise SettingsError({FIELD: f"Enter an https address. {_REFUSED}"})
    return text


def _is_named(target: Target, policy: Policy) -> bool:
    """Return whether the operator permits the host by its name: a token is not sent plain on a guess."""
    return any(permit.host == target.host and permit.may_match(target) for permit in policy.permitted)


def host_of(url: str) -> str:
    """Return the host, which is what is shown of an address."""
    return parse_url(url).host


def masked(host: str) -> str:
    """Return what is shown of a stored address."""
    return f"{host}/{BULLETS}"


def seal(vault: Vault, workspace_uid: str, url: str) -> bytes:
    """Return the address sealed for this workspace, this purpose and its own host."""
    return vault.seal_secrets(
        {FIELD: url}, workspace=workspace_uid, destination=_PLACE, address=(host_of(url),)
    )


def opened(vault: Vault, workspace: Workspace) -> str | None:
    """Return a workspace's address, None where it has none; raise `VaultError` where it does not open."""
    if workspace.notify_webhook is None:
        return None
    host = workspace.notify_webhook_host or ""
    found = vault.open_secrets(
        workspace.notify_webhook, workspace=workspace.uid, destination=_PLACE, address=(host,)
    )
    url = found.get(FIELD, "")
    if not url or host_of(url) != host:
        raise VaultError("The stored address is not what was sealed.")
    return url


async def post(sender: Sender, url: str, body: Mapping[str, Any]) -> Posted:
    """Post one notice and say what became of it; raises nothing that a foreign server can cause."""
    request = Request(
        method="POST",
        url=url,
        headers={"content-type": "application/json"},
        body=json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
    )
    try:
        return _judged(await sender.send(request), url)
    except AddressRefused as error:
        return Posted(ok=False, message=str(error), hint=_REFUSED)
    except SendFailed as error:
        return Posted(ok=False, message=str(error), hint=_STAGES.get(error.stage, ""))


def _judged(response: Response, url: str) -> Posted:
    ok = 200 <= response.status < 300
    secrets = _secrets(url)
    said = scrub(f"{response.status} {response.reason}", secrets)
    hint = _HINTS.get(response.status) or _HINT_CLASSES.get(response.status // 100, "")
    return Posted(
        ok=ok,
        message=f"{response.host} took it." if ok else f"{response.host} answered {said}.",
        hint="" if ok else hint,
        answer="" if ok else scrub(response.body, secrets),
    )


def _secrets(url: str) -> tuple[str, ...]:
    """Return the address and each part of it that could be a token."""
    parts = urlsplit(url)
    pieces = [*parts.path.split("/"), *(pair.partition("=")[2] for pair in parts.query.split("&"))]
    return (url, *(piece for piece in pieces if len(piece) >= _SHORT))
