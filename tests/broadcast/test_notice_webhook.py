"""The address a workspace is told at: kept as a secret, judged by egress, never repeated."""

import asyncio
from dataclasses import replace

import pytest

from broadcast import notice_webhook
from broadcast.egress import Policy
from broadcast.errors import SettingsError, VaultError
from broadcast.notice_webhook import Posted
from broadcast.store.workspaces import Workspace
from broadcast.transport import Transport
from broadcast.vault import KeyRing, Vault, new_key
from tests.receiver import Receiver

VAULT = Vault(KeyRing.parse(new_key()))
URL = "https://hooks.slack.com/services/T000/B000/xKEEPxTHISxSECRETx"
WORKSPACE = Workspace(
    id=1,
    uid="w-1",
    slug="team",
    name="Team",
    broadcast_enabled=True,
    demo=False,
    content_key=b"",
    created_at_us=0,
    notify_webhook=notice_webhook.seal(VAULT, "w-1", URL),
    notify_webhook_host="hooks.slack.com",
)


def post(receiver: Receiver, path: str) -> Posted:
    async def run() -> Posted:
        async with Transport(Policy.parse([f"127.0.0.1:{receiver.port}"])) as transport:
            return await notice_webhook.post(transport, receiver.url(path), {"type": "x", "text": "ü"})

    return asyncio.run(run())


def test_an_address_opens_where_it_was_sealed() -> None:
    assert notice_webhook.opened(VAULT, WORKSPACE) == URL


@pytest.mark.parametrize("change", [{"uid": "w-2"}, {"notify_webhook_host": "evil.example"}])
def test_an_address_opens_for_no_other_workspace_and_no_other_host(change: dict[str, str]) -> None:
    with pytest.raises(VaultError):
        notice_webhook.opened(VAULT, replace(WORKSPACE, **change))  # type: ignore[arg-type]  # text fields


def test_a_destinations_secret_is_no_address() -> None:
    sealed = VAULT.seal_secrets(
        {"webhook_url": URL}, workspace="w-1", destination="d-1", address=("hooks.slack.com",)
    )
    with pytest.raises(VaultError):
        notice_webhook.opened(VAULT, replace(WORKSPACE, notify_webhook=sealed))


def test_a_workspace_without_an_address_has_none() -> None:
    assert notice_webhook.opened(VAULT, replace(WORKSPACE, notify_webhook=None)) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.slack.com/services/T000",
        "ftp://hooks.slack.com/x",
        "http://hooks.slack.com/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest",
        "https://localhost/x",
        "https://user:password@hooks.slack.com/x",
        "https://hooks.slack.com:22/x",
        "https://hooks.slack.com/x#y",
    ],
)
def test_an_address_that_may_not_be_posted_to_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        notice_webhook.checked(url, Policy())

    assert list(refused.value.problems) == ["webhook_url"]


def test_an_address_is_kept_as_it_was_entered() -> None:
    assert notice_webhook.checked(f"  {URL}\n", Policy()) == URL
    assert notice_webhook.masked(notice_webhook.host_of(URL)) == "hooks.slack.com/••••••••"


def test_a_host_that_the_operator_permits_may_be_plain() -> None:
    url = "http://mattermost.internal:8065/hooks/x"

    assert notice_webhook.checked(url, Policy.parse(["mattermost.internal:8065"])) == url


def test_a_name_that_might_lead_to_a_permitted_network_may_not_be_plain() -> None:
    policy = Policy.parse(["10.0.0.0/8"])

    with pytest.raises(SettingsError, match="Enter an https address"):
        notice_webhook.checked("http://hooks.slack.com/x", policy)
    assert notice_webhook.checked("http://10.1.2.3:8065/x", policy) == "http://10.1.2.3:8065/x"


def test_a_post_that_is_taken_is_said() -> None:
    with Receiver() as receiver:
        posted = post(receiver, "/hooks/x")

    assert posted == Posted(ok=True, message="127.0.0.1 took it.")
    assert receiver.requests[0].json() == {"type": "x", "text": "ü"}


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("/status/404", "127.0.0.1 answered 404 Not Found.", "Make a new one there"),
        ("/status/500", "127.0.0.1 answered 500 Internal Server Error.", "trouble of its own"),
        ("/redirect", "127.0.0.1 answered 302 Found.", "redirects are never followed"),
        ("/drop", "The connection was lost before the answer was complete.", ""),
    ],
)
def test_a_post_that_fails_is_said_with_what_to_do(path: str, message: str, hint: str) -> None:
    with Receiver() as receiver:
        posted = post(receiver, path)

    assert (posted.ok, posted.message) == (False, message)
    assert hint in posted.hint


def test_an_answer_that_repeats_the_address_is_masked() -> None:
    path = "/hooks/xKEEPxTHISxSECRETx?token=ANOTHERxSECRET"
    with Receiver() as receiver:
        words = f"no such hook: {receiver.url(path)}, xKEEPxTHISxSECRETx or ANOTHERxSECRET"
        receiver.answer("/hooks/xKEEPxTHISxSECRETx", status=404, body=words.encode())
        posted = post(receiver, path)

    assert posted.answer == "no such hook: [secret], [secret] or [secret]"


def test_an_address_that_egress_refuses_is_not_dialled() -> None:
    with Receiver() as receiver:

        async def run() -> Posted:
            async with Transport(Policy()) as transport:
                return await notice_webhook.post(transport, receiver.url("/hooks/x"), {})

        posted = asyncio.run(run())

    assert (posted.ok, posted.message) == (False, "This address is not allowed.")
    assert receiver.requests == []
